"""The composition root: puts the parts together, once per execution environment. Tests replace some of them."""

import time
from collections.abc import Callable
from functools import partial

import wechatpay
from notifications.lookups import Lookups
from notifications.receiver import Receiver
from notifications.settings import Settings
from orders.aws import Aws, Clients
from orders.merchants import Merchants
from orders.table import OrdersTable


def bootstrap(settings: Settings, *, aws: Clients | None = None, clock: Callable[[], float] = time.time) -> Receiver:
    """Return the receiver with its parts.

    Args:
        settings: the function's environment.
        aws: makes the AWS clients; by default from the environment, with one attempt for each call: WeChat Pay's next
            notification is the second.
        clock: Unix seconds.
    """
    aws = aws or Aws(wechatpay.tls_context(settings.aws_ca_bundle), connections=1, timeout=settings.timeout, attempts=1)
    client_factory = partial(
        wechatpay.Client,
        base_url=settings.wechatpay_base_url,
        backup_url=settings.wechatpay_backup_url,
        timeout=settings.timeout,
        session=wechatpay.Session(),
        clock=clock,
    )
    merchants = Merchants(
        aws.client("secretsmanager"), settings.merchant_secret_prefix, client_factory, wall_clock=clock
    )
    return Receiver(
        table=OrdersTable(aws.client("dynamodb"), settings.orders_table),
        lookups=Lookups(merchants),
        days=settings.collected_days,
        within=settings.answer_within,
        call_limit=settings.call_limit,
        clock=clock,
    )

"""The composition root: puts the parts together, once per execution environment. Tests replace some of them."""

import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import datetime
from functools import partial

from aws_lambda_powertools.utilities.circuit_breaker import CircuitTransition

import wechatpay
from orders.aws import Aws, Clients
from orders.circuit import NAME, Circuit
from orders.conversation import WeChatPay
from orders.merchants import Merchants
from orders.queue import OrderQueue
from orders.relay import JITTER, Relay
from orders.settings import Settings
from orders.table import OrdersTable

THREADS = 100  # as many conversations as a batch ever has: they wait for the network, one core serves them all


def bootstrap(
    settings: Settings,
    *,
    on_transition: Callable[[CircuitTransition], None],
    on_key_end: Callable[[datetime], None] = lambda _: None,
    aws: Clients | None = None,
    executor: Executor | None = None,
    clock: Callable[[], float] = time.time,
    jitter: Callable[[], float] = JITTER,
    circuit: str = NAME,
) -> Relay:
    """Return the relay with its parts: one AWS session, and one pool of connections and of threads.

    Args:
        settings: the function's environment.
        on_transition: called when the circuit opens, half opens or closes.
        on_key_end: called when a merchant's secret was fetched, with the moment at which its platform keys end; from
            any thread.
        aws: makes the AWS clients; by default from the environment.
        executor: runs the conversations; by default a pool of 100 threads.
        clock: Unix seconds.
        jitter: returns a number in 0..1.
        circuit: the key of the circuit's state in the orders table.
    """
    aws = aws or Aws(wechatpay.tls_context(settings.aws_ca_bundle), connections=THREADS)
    client_factory = partial(
        wechatpay.Client,
        base_url=settings.wechatpay_base_url,
        backup_url=settings.wechatpay_backup_url,
        timeout=(settings.connect_timeout, settings.read_timeout),
        session=wechatpay.Session(),
        clock=clock,
    )
    dynamodb = aws.client("dynamodb")
    merchants = Merchants(
        aws.client("secretsmanager"),
        settings.merchant_secret_prefix,
        client_factory,
        wall_clock=clock,
        on_key_end=on_key_end,
    )
    return Relay(
        table=OrdersTable(dynamodb, settings.orders_table),
        wechat_pay=WeChatPay(merchants, call_budget=settings.call_budget, clock=clock),
        queue=OrderQueue(partial(aws.client, "sqs"), settings.order_queue_url),
        circuit=Circuit(
            dynamodb,
            settings.orders_table,
            on_transition=on_transition,
            scale=settings.retry_scale,
            name=circuit,
            clock=clock,
        ),
        executor=executor or ThreadPoolExecutor(THREADS, thread_name_prefix="conversation"),
        cap=settings.backoff_cap,
        scale=settings.retry_scale,
        max_receives=settings.max_receive_count,
        clock=clock,
        jitter=jitter,
    )

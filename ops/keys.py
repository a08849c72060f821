"""Whether a merchant's secret can be used, found out by the code that will use it."""

from functools import partial

from ops.stack import Deployment, OpsError
from orders.errors import OrdersError
from orders.merchants import Merchants
from wechatpay import Client, WeChatPayError


def check(deployment: Deployment, mchid: str) -> Client:
    """Read and try the merchant's keys; OpsError naming what is wrong, never a value. Asks WeChat Pay nothing."""
    hosts = partial(Client, base_url=deployment.wechat_pay_url) if deployment.wechat_pay_url else Client
    merchants = Merchants(deployment.client("secretsmanager"), deployment.secret_prefix, hosts)
    try:
        return merchants.get(mchid).client
    except OrdersError as error:
        raise OpsError(str(error)) from error


def echo(client: Client) -> str:
    """Have WeChat Pay echo a word, signed both ways; returns its Request-ID. OpsError in WeChat Pay's own words."""
    try:
        return client.security.echo().request_id
    except WeChatPayError as error:
        raise OpsError(f"WeChat Pay does not echo: {error}") from error

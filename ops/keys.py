"""Whether a merchant's secret can be used, found out by the code that will use it."""

from ops.stack import Deployment, OpsError
from orders.errors import OrdersError
from orders.merchants import Merchants
from wechatpay import Client


def check(deployment: Deployment, mchid: str) -> Client:
    """Read and try the merchant's keys; OpsError naming what is wrong, never a value. Asks WeChat Pay nothing."""
    merchants = Merchants(deployment.client("secretsmanager"), deployment.secret_prefix, Client)
    try:
        return merchants.get(mchid).client
    except OrdersError as error:
        raise OpsError(str(error)) from error

"""Endpoints about keys: WeChat Pay's platform certificates, and the echo that tests a merchant's signatures."""

from sandbox.wechat_pay import security
from sandbox.wechat_pay.exchange import Exchange, Executed
from sandbox.wechat_pay.routes import operation


@operation("GET", "/v3/certificates")
@operation("GET", "/v3/global/certificates")
def certificates(exchange: Exchange) -> Executed:
    """Answer with every platform certificate, encrypted (doc 4012551764); overseas under a path of its own."""
    return Executed(security.certificates(exchange.ledger.platform, exchange.merchant))


@operation("POST", "/v3/security/echo")
def echo(exchange: Exchange) -> Executed:
    """Send back a message, and what was encrypted, encrypted for the merchant (doc 4014551946)."""
    return Executed(security.echo(exchange.ledger.platform, exchange.merchant, exchange.request))

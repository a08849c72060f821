"""The merchant's bill: apply for it, then download its file (doc 4013394586)."""

from sandbox.wechat_pay import merchant_bill
from sandbox.wechat_pay.exchange import Exchange, Executed
from sandbox.wechat_pay.fields import bills as fields
from sandbox.wechat_pay.merchant_bill import Period
from sandbox.wechat_pay.message import Request, SimulatedReply, ok
from sandbox.wechat_pay.routes import operation

_DOWNLOAD = "/v3/payscore/bill/downloadurl"


@operation("GET", "/v3/payscore/merchant-bill", fields=fields.APPLY)
def apply_bill(exchange: Exchange) -> Executed:
    """Answer where the bill's file is, and with what it is decrypted; a period without payments has no file."""
    period = Period.of(exchange.parameters["bill_date"], exchange.at)
    payments = [
        payment
        for payment in exchange.ledger.payments(exchange.mchid)
        if payment.service_id == exchange.parameters["service_id"] and payment.paid_at in period
    ]
    if not payments:
        return Executed(ok({"download_bill_count": 0}))
    bill = merchant_bill.seal(exchange.mchid, merchant_bill.text(payments), exchange.at)
    url = f"{_origin(exchange.request)}{_DOWNLOAD}?token={exchange.ledger.bills.offer(bill)}"
    entry = merchant_bill.entry(bill, exchange.merchant, url)
    return Executed(ok({"download_bill_count": 1, "download_bill_list": [entry]}))


@operation("GET", _DOWNLOAD, fields=fields.DOWNLOAD)
def download_bill(exchange: Exchange) -> Executed:
    """Answer with the encrypted file, unsigned, as every download (doc partner 4014314390)."""
    bill = exchange.ledger.bills.of_token(exchange.mchid, exchange.parameters["token"], exchange.at)
    return Executed(SimulatedReply(200, bill.file, {"Content-Type": "application/octet-stream"}, signed=False))


def _origin(request: Request) -> str:
    """Return the scheme and host that the merchant has called: HTTPS under WeChat Pay's own host names."""
    host = request.header("Host") or "api.mch.weixin.qq.com"
    return f"{'https' if host.partition(':')[0].endswith('.weixin.qq.com') else 'http'}://{host}"

"""The merchant's bill: the payments that WeChat Pay has collected in a day or an hour, compressed and encrypted.

The merchant decrypts `encrypt_key` with the key of its certificate, the file with that key and `nonce`, decompresses
it, and compares its SHA-1 (doc 4013394586). The page does not print the file's columns; these are the ones that the
trade bill and PayScore's guide name.
"""

import csv
import gzip
import hashlib
import io
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sandbox.wechat_pay import times
from sandbox.wechat_pay.keys import SimulatedMerchant, encrypt
from sandbox.wechat_pay.payments import SimulatedPayment
from sandbox.wechat_pay.refusals import SimulatedRefusal, wrong_parameter

MONTHS = 93 * 86400  # seconds that bills are held: three months
VALID = 300  # seconds that an address of a file is valid

NO_BILL = SimulatedRefusal(404, "RESOURCE_NOT_EXISTS", "账单文件不存在")

_HOUR, _DAY = re.compile(r"[0-9]{10}"), re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_HEAD = "交易时间,公众账号ID,商户号,特约商户号,服务ID,微信支付服务订单号,商户服务订单号,微信订单号,商户订单号,交易类型,"
_HEADERS = f"{_HEAD}交易状态,货币种类,订单金额,商户数据包".split(",")
_SUMS = ("总交易单数", "订单总金额")


@dataclass(frozen=True, slots=True)
class Period:
    """The time that a bill is about, in Unix seconds; `end` is not part of it."""

    start: float
    end: float

    @classmethod
    def of(cls, bill_date: str, now: float) -> "Period":
        """Read `bill_date`: `yyyyMMddHH`, an hour, or in the older form `yyyy-MM-dd`, a day; PARAM_ERROR otherwise."""
        start, length = _start(bill_date)
        if not now - MONTHS <= start.timestamp() or (start + length).timestamp() > now:
            raise wrong_parameter("bill_date", bill_date, "仅支持下载近三个月的账单", "query")
        return cls(start.timestamp(), (start + length).timestamp())

    def __contains__(self, at: float) -> bool:
        return self.start <= at < self.end


def _start(bill_date: str) -> tuple[datetime, timedelta]:
    forms = ((_HOUR, "%Y%m%d%H", timedelta(hours=1)), (_DAY, "%Y-%m-%d", timedelta(days=1)))
    for pattern, form, length in forms:
        if pattern.fullmatch(bill_date):
            try:
                return datetime.strptime(bill_date, form).replace(tzinfo=times.BEIJING), length
            except ValueError:
                break
    raise wrong_parameter("bill_date", bill_date, "格式错误", "query")


def text(payments: Iterable[SimulatedPayment]) -> bytes:
    """Write the bill: a line for each payment, each value after a backtick, then the sums; amounts in yuan."""
    lines = sorted(payments, key=lambda payment: (payment.paid_at, payment.transaction_id))
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(_HEADERS)
    writer.writerows([f"`{value}" for value in _values(payment)] for payment in lines)
    writer.writerow(_SUMS)
    writer.writerow([f"`{len(lines)}", f"`{_yuan(sum(payment.total for payment in lines))}"])
    return buffer.getvalue().encode()


def _values(payment: SimulatedPayment) -> tuple[str, ...]:
    paid = datetime.fromtimestamp(payment.paid_at, times.BEIJING)
    return (
        f"{paid:%Y-%m-%d %H:%M:%S}",
        payment.appid,
        payment.mchid,
        payment.sub_mchid or "0",
        payment.service_id,
        payment.order_id,
        payment.out_order_no,
        payment.transaction_id,
        payment.out_trade_no,
        "AUTH",
        "SUCCESS",
        payment.currency,
        _yuan(payment.total),
        payment.attach,
    )


def _yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02d}"


@dataclass(frozen=True, slots=True)
class SealedBill:
    """A bill as it is downloaded: the file, the key and nonce that decrypt it, and the digest of its contents."""

    mchid: str
    sha1: str
    nonce: str
    made_at: float
    key: str = field(repr=False)
    file: bytes = field(repr=False)


def seal(mchid: str, content: bytes, now: float) -> SealedBill:
    """Compress and encrypt a bill: GZIP, then AEAD_AES_256_GCM with a key of its own."""
    key, nonce = secrets.token_hex(16), secrets.token_hex(8)
    file = AESGCM(key.encode()).encrypt(nonce.encode(), gzip.compress(content, mtime=0), None)
    return SealedBill(mchid, hashlib.sha1(content).hexdigest(), nonce, now, key, file)  # noqa: S324  as documented


def entry(bill: SealedBill, merchant: SimulatedMerchant, url: str) -> dict[str, object]:
    """Return what the application answers about the one file of a bill."""
    return {
        "bill_sequence": 1,
        "hash_type": "SHA1",
        "hash_value": bill.sha1,
        "download_url": url,
        "encrypt_key": encrypt(merchant.key.public_key(), bill.key),
        "nonce": bill.nonce,
    }

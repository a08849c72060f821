"""WeChat Pay APIv3 for Python: signs the bytes that leave, verifies the bytes that come.

client = wechatpay.Client(mchid=…, serial_no=…, private_key=…, platform_keys={"PUB_KEY_ID_…": …})
answer = client.v3.payscore.serviceorder._out_order_no_.sync.post(out_order_no="1234", json={…})
"""

from wechatpay.answer import Answer
from wechatpay.client import Client
from wechatpay.connections import Session
from wechatpay.errors import (
    InvalidKeyError,
    MalformedError,
    RefusedError,
    UnansweredError,
    UndecryptableError,
    UntrustedError,
    WeChatPayError,
)
from wechatpay.merchant import Merchant
from wechatpay.notification import Notification
from wechatpay.payscore import SyncPayment
from wechatpay.platform_certificates import CertificateStore, MemoryStore
from wechatpay.platform_keys import PlatformKeys
from wechatpay.service_order import (
    Collection,
    CollectionDetail,
    Device,
    GoodsDetail,
    Location,
    PostDiscount,
    PostPayment,
    PromotionDetail,
    RiskFund,
    ServiceOrder,
    TimeRange,
)
from wechatpay.signed_call import SignedCall
from wechatpay.tls import tls_context

__all__ = [
    "Answer",
    "CertificateStore",
    "Client",
    "Collection",
    "CollectionDetail",
    "Device",
    "GoodsDetail",
    "InvalidKeyError",
    "Location",
    "MalformedError",
    "MemoryStore",
    "Merchant",
    "Notification",
    "PlatformKeys",
    "PostDiscount",
    "PostPayment",
    "PromotionDetail",
    "RefusedError",
    "RiskFund",
    "ServiceOrder",
    "Session",
    "SignedCall",
    "SyncPayment",
    "TimeRange",
    "UnansweredError",
    "UndecryptableError",
    "UntrustedError",
    "WeChatPayError",
    "tls_context",
]

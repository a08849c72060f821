"""WeChat Pay APIv3 for Python, unofficial: sign the bytes that are sent, verify the bytes that are received.

client = wechatpay.Client(mchid=…, serial_no=…, private_key=…, platform_keys={"PUB_KEY_ID_…": …})
answer = client.v3.payscore.serviceorder._out_order_no_.sync.post(out_order_no="1234", json={…})
"""

from wechatpay.answer import Answer
from wechatpay.arguments import (
    Bill,
    CanceledOrder,
    CompletedOrder,
    ModifiedOrder,
    NewOrder,
    OrderIdentity,
    OrderQuery,
    SyncPayment,
)
from wechatpay.chain import AsyncVerb, Call, Node, Verb
from wechatpay.client import Client
from wechatpay.connections import Session
from wechatpay.echo import Security
from wechatpay.endpoints import Endpoint, EndpointName
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
from wechatpay.payscore import PayScore
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
from wechatpay.signed_call import SignedCall, StartedCall
from wechatpay.tls import tls_context
from wechatpay.version import __version__ as __version__

__all__ = [
    "Answer",
    "AsyncVerb",
    "Bill",
    "Call",
    "CanceledOrder",
    "CertificateStore",
    "Client",
    "Collection",
    "CollectionDetail",
    "CompletedOrder",
    "Device",
    "Endpoint",
    "EndpointName",
    "GoodsDetail",
    "InvalidKeyError",
    "Location",
    "MalformedError",
    "MemoryStore",
    "Merchant",
    "ModifiedOrder",
    "NewOrder",
    "Node",
    "Notification",
    "OrderIdentity",
    "OrderQuery",
    "PayScore",
    "PlatformKeys",
    "PostDiscount",
    "PostPayment",
    "PromotionDetail",
    "RefusedError",
    "RiskFund",
    "Security",
    "ServiceOrder",
    "Session",
    "SignedCall",
    "StartedCall",
    "SyncPayment",
    "TimeRange",
    "UnansweredError",
    "UndecryptableError",
    "UntrustedError",
    "Verb",
    "WeChatPayError",
    "tls_context",
]

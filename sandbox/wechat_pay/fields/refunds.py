"""The fields of a refund (docs 4012587971; partner 4013163605)."""

from dataclasses import replace

from sandbox.wechat_pay.fields import shared, sub_merchant
from sandbox.wechat_pay.parameters import Fields, Group, Rows, Text, Whole

_SUB_MCHID = replace(sub_merchant.SUB_MCHID, required=False)
_FROM = Rows(
    "from",
    "退款出资账户及金额",
    (
        Text("account", "出资账户类型", 32, required=True, words=("AVAILABLE", "UNAVAILABLE")),
        Whole("amount", "出资金额", 1, required=True),
    ),
    2,
)
_GOODS = Rows(
    "goods_detail",
    "退款商品",
    (
        Text("merchant_goods_id", "商户侧商品编码", 32, required=True),
        Text("wechatpay_goods_id", "微信侧商品编码", 32),
        Text("goods_name", "商品名称", 256),
        Whole("unit_price", "商品单价", required=True),
        Whole("refund_amount", "商品退款金额", required=True),
        Whole("refund_quantity", "商品退货数量", 1, required=True),
    ),
    6000,
)

APPLY: Fields = (
    _SUB_MCHID,
    Text("transaction_id", "微信支付订单号", 32),
    Text("out_trade_no", "商户订单号", 32),
    shared.OUT_REFUND_NO,
    Text("reason", "退款原因", 80),
    Text("notify_url", "退款结果回调url", 256, pattern=r"https?://[^\s/?#]+[^\s?#]*"),
    Text("funds_account", "退款资金来源", 32, words=("AVAILABLE", "UNSETTLED")),
    Group(
        "amount",
        "金额信息",
        (
            Whole("refund", "退款金额", 1, required=True),
            _FROM,
            Whole("total", "原订单金额", 1, required=True),
            Text("currency", "退款币种", 16, required=True),
        ),
        required=True,
    ),
    _GOODS,
)
QUERY: Fields = (_SUB_MCHID,)

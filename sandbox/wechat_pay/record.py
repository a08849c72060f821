"""What WeChat Pay stores of a service order."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """A service order; money is fen, times are Unix seconds. `syncs` counts how often sync has been executed on it.

    `terms` are the fields that the shop has sent about the order; a control verb opens an order of a shop that has sent
    the usual ones (`usual`). `created_with` and `canceled_with` are the parameters that a repetition must have again.
    `query_id` names the order as well, and `openid` or `sub_openid` its customer, once known. `endpoint` is the family
    that the order belongs to, empty until the first request names it; the states are those of the direct endpoint,
    which `vocabulary` translates into each family's own. `paid_time` is 14 digits of Beijing time. `deduction` is the
    number that an acquiring bank has registered, at `deduction_at`. `every_field`: answers have each documented field.
    """

    mchid: str
    out_order_no: str
    appid: str
    service_id: str
    service_introduction: str = "充电宝租借"
    total_amount: int = 0
    state: str = "CREATED"
    state_description: str = ""
    collection_state: str = ""
    paid_type: str = ""
    paid_time: str = ""
    transaction_id: str = ""
    deducting: bool = False
    created_at: float = 0.0
    completed_at: float = 0.0
    syncs: int = 0
    order_id: str = ""
    sub_mchid: str = ""
    terms: Mapping[str, object] = field(default_factory=dict)
    endpoint: str = ""
    channel_id: str = ""
    currency: str = "HKD"
    confirmed_at: float = 0.0
    openid: str = ""
    query_id: str = ""
    usual: bool = False
    created_with: Mapping[str, object] = field(default_factory=dict)
    canceled_with: Mapping[str, object] = field(default_factory=dict)
    sub_openid: str = ""
    deduction: str = ""
    deduction_at: float = 0.0
    every_field: bool = False

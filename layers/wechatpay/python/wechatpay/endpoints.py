"""The endpoint families of PayScore, one row each: no other module of the library spells a path or a field list.

Sources, per family the sync page and the query page: direct 4012587962, 4012587902; partner 4013138975, 4013138559;
acquiringbank 4013194292, 4013194035; payafter wiki chapters 24_1, 17_2; oversea 4014096438, 4014096411.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

EndpointName = Literal["direct", "partner", "acquiringbank", "payafter", "oversea"]
"""What `endpoint=` may be."""

SyncAnswer = Literal["order", "acknowledgement", "nothing"]
"""What a successful sync answers: the whole order, the order's numbers without its state, or 204 without a body."""

SYNC_DETAIL = ("seq", "paid_amount")
"""Fields of a sync that stand in its `detail`, next to `paid_time`; a query has no place for them."""


class Endpoint(NamedTuple):
    """One family: its path, its answers, and the fields of sync and query that not every endpoint has.

    `identity` are the fields that an answer repeats as the call named them, in addition to `mchid` and `out_order_no`:
    an answer that names another value is about another order. An answer may leave any of them out.
    `rfc_3339`: times have an offset; elsewhere they are digits of Beijing time. `overseas`: the host is Hong Kong's.
    """

    path: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    sync_answer: SyncAnswer = "nothing"
    identity: tuple[str, ...] = ("service_id", "sub_mchid")
    rfc_3339: bool = False
    overseas: bool = False

    @property
    def fields(self) -> tuple[str, ...]:
        """Every field that the endpoint has a place for."""
        return self.required + self.optional

    def identity_of(self, fields: Mapping[str, object]) -> dict[str, object]:
        """Return those of a call's fields that its answer must not contradict."""
        return {name: fields[name] for name in self.identity if name in fields}


ENDPOINTS: Mapping[str, Endpoint] = {
    "direct": Endpoint(
        "v3/payscore/serviceorder",
        ("service_id", "appid"),
        sync_answer="order",
        identity=("service_id", "appid"),
    ),
    # `seq` and `paid_amount`: optional in the page's older form, absent since 2024-12; still taken.
    "partner": Endpoint("v3/payscore/partner/serviceorder", ("service_id", "sub_mchid"), ("seq", "paid_amount")),
    # `channel_id`: required by the pages of query (4013194035) and sync (4013194292), optional in WeChat Pay's OpenAPI
    # description: WeChat Pay decides, for a payment must not wait for a field that may not be needed.
    "acquiringbank": Endpoint(
        "v3/payscore/acquiringbank/serviceorder",
        ("service_id", "sub_mchid"),
        ("channel_id",),
        identity=("service_id", "sub_mchid", "channel_id"),
    ),
    "payafter": Endpoint(
        "v3/payscore/payafter-orders",
        ("service_id", "appid"),
        sync_answer="acknowledgement",
        identity=("service_id", "appid"),
    ),
    "oversea": Endpoint(
        "v3/payscore/oversea/partner/serviceorder",
        ("service_id", "sub_mchid"),
        ("seq", "paid_amount"),
        rfc_3339=True,
        overseas=True,
    ),
}

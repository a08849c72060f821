"""The five families of endpoints: the path of each, and what every request of a family names."""

from collections.abc import Mapping

ENDPOINTS: Mapping[str, str] = {
    "direct": "/v3/payscore/serviceorder",
    "partner": "/v3/payscore/partner/serviceorder",
    "acquiringbank": "/v3/payscore/acquiringbank/serviceorder",
    "payafter": "/v3/payscore/payafter-orders",
    "oversea": "/v3/payscore/oversea/partner/serviceorder",
}
IDENTITY: Mapping[str, tuple[str, ...]] = {
    "direct": ("service_id", "appid"),
    "partner": ("service_id", "sub_mchid"),
    "acquiringbank": ("service_id", "sub_mchid", "channel_id"),
    "payafter": ("service_id", "appid"),
    "oversea": ("service_id", "sub_mchid"),
}
"""What every request of a family names in addition to the order's number."""

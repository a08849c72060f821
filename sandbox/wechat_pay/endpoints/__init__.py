"""The endpoints, a room for each family: importing this package enters them all in the registry of `routes`."""

from sandbox.wechat_pay.endpoints import (
    acquiringbank,
    bills,
    collection,
    direct,
    oversea,
    partner,
    payafter,
    permissions,
    platform,
    refunds,
)
from sandbox.wechat_pay.routes import read_operation

ROOMS = (direct, partner, acquiringbank, payafter, oversea, collection, permissions, refunds, bills, platform)
"""The modules whose functions are the endpoints."""

__all__ = ["ROOMS", "read_operation"]

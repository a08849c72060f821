"""The endpoints, a room for each kind: importing this package enters them all in the registry of `routes`."""

from sandbox.wechat_pay.endpoints import (
    acquiringbank,
    bills,
    collection,
    direct,
    payafter,
    permissions,
    platform,
    refunds,
    sub_merchant,
)
from sandbox.wechat_pay.routes import read_operation

ROOMS = (direct, sub_merchant, acquiringbank, payafter, collection, permissions, refunds, bills, platform)
"""The modules whose functions are the endpoints."""

__all__ = ["ROOMS", "read_operation"]

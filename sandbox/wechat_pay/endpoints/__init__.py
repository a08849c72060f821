"""The endpoints, a room for each family: importing this package enters them all in the registry of `routes`."""

from sandbox.wechat_pay.endpoints import acquiringbank, direct, oversea, partner, payafter, platform
from sandbox.wechat_pay.routes import read_operation

ROOMS = (direct, partner, acquiringbank, payafter, oversea, platform)
"""The modules whose functions are the endpoints."""

__all__ = ["ROOMS", "read_operation"]

"""Faults, by name: what WeChat Pay, the network, or a gateway between has been seen to do."""

from sandbox.wechat_pay.faults import error_codes, gateways, network, order_fields, replays, signatures
from sandbox.wechat_pay.faults.registry import KINDS, Fault, FaultKind, When, can_strike, fault, table

FAULTS = frozenset(KINDS)
"""The name of every fault."""

MODULES = (error_codes, gateways, replays, signatures, order_fields, network)
"""The modules whose functions are the faults."""

__all__ = ["FAULTS", "KINDS", "MODULES", "Fault", "FaultKind", "When", "can_strike", "fault", "table"]

"""Faults, by name: what WeChat Pay, the network, or a gateway between has been seen to do."""

from sandbox.wechat_pay.faults import error_codes, gateways, network, order_fields, replays, signatures
from sandbox.wechat_pay.faults.active import ActiveFaults, Fault
from sandbox.wechat_pay.faults.listing import table
from sandbox.wechat_pay.faults.registry import KINDS, FaultKind, When, can_strike, fault

FAULTS = frozenset(KINDS)
"""The name of every fault."""

MODULES = (error_codes, gateways, replays, signatures, order_fields, network)
"""The modules whose functions are the faults."""

__all__ = ["FAULTS", "KINDS", "MODULES", "ActiveFaults", "Fault", "FaultKind", "When", "can_strike", "fault", "table"]

"""A WeChat Pay for those who have no merchant account: official rules, real signatures, misbehaviour by name."""

from sandbox.wechat_pay.answers import Refusal
from sandbox.wechat_pay.faults import NAMES as FAULTS
from sandbox.wechat_pay.keys import SimulatedMerchant
from sandbox.wechat_pay.orders import Order as SimulatedOrder
from sandbox.wechat_pay.simulator import Call, Simulator

__all__ = ["FAULTS", "Call", "Refusal", "SimulatedMerchant", "SimulatedOrder", "Simulator"]

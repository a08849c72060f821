"""A WeChat Pay for developers without a merchant account: official rules, real signatures, faults by name."""

from sandbox.wechat_pay.call import SimulatedCall
from sandbox.wechat_pay.faults import FAULTS
from sandbox.wechat_pay.keys import SimulatedMerchant
from sandbox.wechat_pay.orders import SimulatedOrder
from sandbox.wechat_pay.refusals import SimulatedRefusal
from sandbox.wechat_pay.simulator import Simulator

__all__ = ["FAULTS", "SimulatedCall", "SimulatedMerchant", "SimulatedOrder", "SimulatedRefusal", "Simulator"]

"""Where the pages leave an answer open: what each switch makes of a refusal, a second sync, or a path."""

from collections.abc import Mapping

from sandbox.wechat_pay import refusals
from sandbox.wechat_pay.orders import OUTSIDE_WINDOW, SimulatedOrder, moment
from sandbox.wechat_pay.refusals import SimulatedRefusal
from sandbox.wechat_pay.switches import SecondSync, Switches

_COMMON = frozenset({"PARAM_ERROR", "INVALID_REQUEST", "SIGN_ERROR", "SYSTEM_ERROR"})  # on every page
_SIBLINGS = frozenset({"payafter", "oversea"})  # whose error tables are not published
_SECOND_SYNC: Mapping[str, SimulatedRefusal] = {
    "ORDER_DONE": refusals.DONE,
    "INVALID_ORDER_STATE": refusals.INVALID_STATE,
    "INVALID_REQUEST": SimulatedRefusal(400, "INVALID_REQUEST", "当前订单状态不合法", "271302262"),
}


def answer_of_second_sync(order: SimulatedOrder | None, paid_time: object, switches: Switches) -> SecondSync | None:
    """Return how a sync of an order that was synced before is answered; None for any other order."""
    if order is None or order.state != "DONE" or order.paid_type != "MCH":
        return None
    return switches.second_sync if _is_same(order, paid_time) else switches.second_sync_other_time


def _is_same(order: SimulatedOrder, paid_time: object) -> bool:
    try:
        return isinstance(paid_time, str) and moment(paid_time) == moment(order.paid_time)
    except SimulatedRefusal:
        return False


def refusal_of_second_sync(answer: SecondSync) -> SimulatedRefusal:
    """Return the refusal of a second sync."""
    return _SECOND_SYNC[answer]


def switched(refusal: SimulatedRefusal, endpoint: str, switches: Switches) -> SimulatedRefusal:
    """Return a refusal with the code that the switches give it."""
    if refusal is refusals.DEDUCTING:
        return _coded(refusal, switches.deducting_code)
    if isinstance(refusal.detail, dict) and refusal.detail.get("issue") == OUTSIDE_WINDOW:
        return _coded(refusal, switches.paid_time_code)
    if endpoint in _SIBLINGS and switches.sibling_errors == "common" and refusal.code not in _COMMON:
        return SimulatedRefusal(400, "INVALID_REQUEST", refusal.message, refusal.sub_code)
    return refusal


def _coded(refusal: SimulatedRefusal, code: str) -> SimulatedRefusal:
    status = 500 if code == "SYSTEM_ERROR" else refusal.status
    return SimulatedRefusal(status, code, refusal.message, refusal.sub_code, refusal.detail)


def require_route(target: str, switches: Switches) -> None:
    """Raise a 404 for an encoded `*` in the path, where the switch says that it names another path."""
    if not switches.encoded_star and "%2a" in target.partition("?")[0].lower():
        raise refusals.NO_SUCH_RESOURCE

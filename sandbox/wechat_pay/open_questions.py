"""Where the pages leave an answer open: what each switch makes of a refusal or a path."""

from sandbox.wechat_pay import refusals
from sandbox.wechat_pay.orders import OUTSIDE_WINDOW
from sandbox.wechat_pay.refusals import SimulatedRefusal
from sandbox.wechat_pay.switches import Switches

_COMMON = frozenset({"PARAM_ERROR", "INVALID_REQUEST", "SIGN_ERROR", "SYSTEM_ERROR"})  # on every page
_SIBLINGS = frozenset({"payafter", "oversea"})  # whose error tables are not published


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

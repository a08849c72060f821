"""Times of a service: a start in the future, an end after it (docs 4012587900, 4012587955).

A time of 14 digits is compared to the second, one of 8 digits to the day. The pages warn of clocks that differ, so a
shop leaves a margin.
"""

from collections.abc import Mapping
from typing import Any

from sandbox.wechat_pay import times
from sandbox.wechat_pay.refusals import wrong_parameter
from sandbox.wechat_pay.switches import Switches

ON_ACCEPT = "OnAccept"
"""A start: the moment when the customer confirms."""

_START, _END = "/time_range/start_time", "/time_range/end_time"
_AHEAD = 60.0  # seconds that an expected end must be ahead of the call


def require_expected(time_range: Mapping[str, Any], now: float) -> None:
    """Refuse the times of a new order that has a start in the past, or an end before it or not a minute ahead."""
    start, end = time_range["start_time"], time_range.get("end_time")
    if start != ON_ACCEPT:
        _require_form(_START, start)
        if _before_or_at(start, now):
            raise wrong_parameter(_START, start, "服务开始时间不能早于调用接口时间")
    if end is None:
        return
    _require_form(_END, end)
    if start != ON_ACCEPT and not _is_after(end, start):
        raise wrong_parameter(_END, end, "预计服务结束时间必须大于服务开始时间")
    if _before_or_at(end, now + _AHEAD if len(end) == _SECONDS else now):
        raise wrong_parameter(_END, end, "预计服务结束时间必须大于商户调用接口时间")


_SECONDS = 14  # digits of a time to the second


def require_actual(time_range: Mapping[str, Any], expected: Mapping[str, Any], now: float, switches: Switches) -> None:
    """Refuse the times of a completed order: no end at all, an end before the start, or one in the future.

    `expected` is the range of the order so far, with the customer's confirmation as its start if it was `OnAccept`.
    """
    end = time_range.get("end_time")
    if end is None and "end_time" not in expected:
        raise wrong_parameter(_END, "", "创建订单未填写服务结束时间，则结束时间必填")
    for path, text in ((_START, time_range.get("start_time")), (_END, end)):
        if text is not None and (path == _END or text != ON_ACCEPT):
            _require_form(path, text)
            if times.moment(text) > now:
                raise wrong_parameter(path, text, _LATE[path])
    start = time_range.get("start_time", ON_ACCEPT)
    start = expected.get("start_time", "") if start == ON_ACCEPT else start
    equal = end == start and switches.end_may_equal_start
    if end is not None and not equal and not _is_after(end, start):
        raise wrong_parameter(_END, end, "真实结束时间小于预计开始时间", sub_code="271316637")


_LATE = {_START: "实际开始时间不能晚于使用完结接口的时间", _END: "实际结束时间不能晚于使用完结接口的时间"}


def _require_form(path: str, text: str) -> None:
    if not times.has_form(text, overseas=False):
        raise wrong_parameter(path, text, "时间格式错误，应为yyyyMMddHHmmss或yyyyMMdd")
    try:
        times.moment(text)
    except ValueError:
        raise wrong_parameter(path, text, "时间格式错误，应为yyyyMMddHHmmss或yyyyMMdd") from None


def _before_or_at(text: str, at: float) -> bool:
    """Return whether a time to the second is not after this moment, or a day before the moment's."""
    return text <= times.digits(at) if len(text) == _SECONDS else text < times.digits(at)[:8]


def _is_after(end: str, start: str) -> bool:
    """Return whether an end is after the start; on the same day where either has no more than a day."""
    if len(end) == len(start) == _SECONDS:
        return end > start
    return end[:8] >= start[:8]

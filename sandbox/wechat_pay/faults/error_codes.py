"""Faults that refuse in the operation's place, with an error code of WeChat Pay's."""

import json
from collections.abc import Mapping
from dataclasses import replace

from sandbox.wechat_pay import refusals
from sandbox.wechat_pay.draft import Draft
from sandbox.wechat_pay.faults.registry import When, fault
from sandbox.wechat_pay.message import SimulatedReply, request_id
from sandbox.wechat_pay.refusals import SimulatedRefusal

type Headers = Mapping[str, str] | None

_SYNC = frozenset({"sync"})


def _refuse(draft: Draft, refusal: SimulatedRefusal, headers: Headers = None) -> Draft:
    return draft.with_reply(refusal.reply().with_headers(**headers or {}))


@fault(When.BEFORE)
def system_error(draft: Draft, *, headers: Headers = None) -> Draft:
    """500 SYSTEM_ERROR."""
    return _refuse(draft, refusals.SYSTEM_ERROR, headers)


@fault(When.BEFORE)
def system_error_400(draft: Draft, *, headers: Headers = None) -> Draft:
    """SYSTEM_ERROR under 400."""
    return _refuse(draft, SimulatedRefusal(400, "SYSTEM_ERROR", "系统异常，请稍后重试"), headers)


@fault(When.BEFORE)
def unsigned_error(draft: Draft, *, status: int = 400, code: str = "ORDER_DONE", message: str = "订单已完成") -> Draft:
    """Any refusal, unsigned."""
    return draft.with_reply(replace(SimulatedRefusal(status, code, message).reply(), signable=False))


_DIRT = "\x1b[2J\x1b]0;owned\x07\u202e\r\n"
_FORGED_LINE = '\r\n{"level":"ERROR","message":"forged"}\r\n'


@fault(When.BEFORE)
def dirty_words(draft: Draft, *, status: int = 400, code: str | None = None, bytes: int = 500_000) -> Draft:
    """A refusal whose texts contain escape sequences, U+202E, line breaks, a lone surrogate and 500 KB."""
    # JSON escapes alone, so that half a character can stand in it; the code is one that no table has.
    code = f"{_DIRT}STRANGE_CODE" if code is None else code
    message = f"{_DIRT}{_FORGED_LINE}\ud800".ljust(bytes, "x")
    detail = {"field": f"/strange{_DIRT}", "issue": _FORGED_LINE, "value": f"{_DIRT}4711", "location": "body\u202e"}
    body = json.dumps({"code": code, "message": message, "detail": detail}).encode()
    return draft.with_reply(SimulatedReply(status, body, {"Request-ID": request_id()}, code, signed=False))


@fault(When.BEFORE)
def frequency_limited(draft: Draft, *, retry_after: object = None) -> Draft:
    """429 FREQUENCY_LIMITED with `Retry-After`."""
    return _refuse(draft, refusals.FREQUENCY_LIMITED, {"Retry_After": "1" if retry_after is None else str(retry_after)})


@fault(When.BEFORE)
def sub_code_throttled(draft: Draft, *, headers: Headers = None) -> Draft:
    """Throttled, which the sub-code of the Request-ID alone says."""
    return _refuse(draft, SimulatedRefusal(400, "INVALID_REQUEST", "请求过于频繁", "268435472"), headers)


@fault(When.BEFORE)
def not_found_blank(draft: Draft, *, headers: Headers = None) -> Draft:
    """404 `ORDER_NOT_ EXIST`, with the blank that a page of WeChat Pay prints."""
    return _refuse(draft, SimulatedRefusal(404, "ORDER_NOT_ EXIST", "订单不存在", "271317510"), headers)


@fault(When.BEFORE)
def clock_skew_401(draft: Draft, *, headers: Headers = None) -> Draft:
    """401 SIGN_ERROR about the timestamp."""
    message = "HTTP头Authorization中的timestamp与发起请求的时间不得超过5分钟"
    return _refuse(draft, refusals.wrong_signature(message), headers)


@fault(When.BEFORE)
def bad_sign_401(draft: Draft, *, headers: Headers = None) -> Draft:
    """401 SIGN_ERROR about the signature."""
    return _refuse(draft, refusals.wrong_signature("错误的签名，导致验签失败。"), headers)


@fault(When.BEFORE)
def sign_error_400(draft: Draft, *, headers: Headers = None) -> Draft:
    """SIGN_ERROR under 400."""
    return _refuse(draft, SimulatedRefusal(400, "SIGN_ERROR", "错误的签名，导致验签失败。", "270924332"), headers)


@fault(When.BEFORE)
def wrong_platform_serial(draft: Draft, *, headers: Headers = None) -> Draft:
    """400 PARAM_ERROR that names Wechatpay-Serial (doc 4013053279)."""
    return _refuse(draft, SimulatedRefusal(400, "PARAM_ERROR", "平台证书序列号Wechatpay-Serial错误"), headers)


@fault(When.BEFORE, operations=_SYNC, times=1)
def paid_time_ahead(draft: Draft) -> Draft:
    """400 PARAM_ERROR once: `paid_time` is ahead of WeChat Pay's clock."""
    return _refuse(draft, refusals.wrong_parameter("/detail/paid_time", "20260101120000", "支付时间不能晚于当前时间"))


@fault(When.BEFORE)
def accepted_202(draft: Draft) -> Draft:
    """202: accepted, not executed."""
    return draft.with_reply(SimulatedReply(202, b"{}", {"Request-ID": request_id()}))

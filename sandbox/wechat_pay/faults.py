"""Misbehaviour, by name: what WeChat Pay, the network, or a gateway between has been seen to do.

`catalogue` lists the names with their options. Here is what each does, by the place where it strikes.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

from sandbox.wechat_pay import answers
from sandbox.wechat_pay.answers import Refusal, Reply
from sandbox.wechat_pay.catalogue import KINDS, options_of, require_times
from sandbox.wechat_pay.mutations import MUTATIONS, Mutation

type Options = Mapping[str, Any]

Wire = Literal["whole", "nothing", "reset", "half", "silence"]
"""What of the answer reaches the wire."""


@dataclass(slots=True)
class Fault:
    """An active fault: for the next `times` calls (None: all), of one operation or order where these are given."""

    name: str
    times: int | None = None
    operation: str | None = None
    out_order_no: str | None = None
    options: Options = field(default_factory=dict)

    @classmethod
    def named(
        cls,
        name: str,
        options: Options,
        *,
        times: int | None = None,
        operation: str | None = None,
        out_order_no: str | None = None,
    ) -> Self:
        """Make a fault with its defaults filled in; raises ValueError for a name or option that does not exist."""
        complete = options_of(name, options)
        require_times(name, times)
        return cls(name, KINDS[name].times if times is None else times, operation, out_order_no, complete)

    def fits(self, operation: str, out_order_no: str) -> bool:
        """Whether it strikes this call."""
        if self.times is not None and self.times <= 0:
            return False
        strikes = can_strike(self.name, operation) and self.operation in {None, operation}
        return strikes and self.out_order_no in {None, out_order_no}


def can_strike(name: str, operation: str) -> bool:
    """Whether a fault of this name makes sense for the operation."""
    operations = KINDS[name].operations
    return not operations or operation in operations


@dataclass(frozen=True, slots=True)
class Signing:
    """How an answer is signed; `by` names another key than the serial's."""

    serial: str
    shift: float = 0.0
    prefix: str = ""
    without: tuple[str, ...] = ()
    by: str = ""


@dataclass(frozen=True, slots=True)
class Interim:
    """Interim answers (RFC 9110, 15.2) before the real one; `endless`: they never stop, and no answer follows."""

    count: int = 0
    status: int = 103
    size: int = 0  # bytes of one header in each
    seconds: float = 0.0  # between two
    endless: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """How the bytes of an answer reach the wire; paces are seconds for each byte, 0 for all at once."""

    head_pace: float = 0.0
    body_pace: float = 0.0
    interim: Interim = Interim()
    chunked: bool = False
    trailers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answering:
    """An answer on its way out: what is said, how it is signed, what becomes of it after that, and on the wire."""

    reply: Reply
    signing: Signing
    spoil: Callable[[bytes], bytes] = bytes
    wire: Wire = "whole"
    delay: float = 0.0
    delivery: Delivery = Delivery()


# ---- in the operation's place ----------------------------------------------------------------------------------------

_HTML = "<html><head><title>{status}</title></head><body><center>{status}</center></body></html>"


def _refused(refusal: Refusal) -> Callable[[Options], Reply]:
    return lambda options: answers.with_headers(refusal.reply(), **options["headers"] or {})


def _gateway(options: Options) -> Reply:
    return _page(options["status"], options["body"])


def _page(status: int, body: str | None) -> Reply:
    """An answer that is not WeChat Pay's: HTML unless `body` says otherwise, never signed."""
    text = _HTML.format(status=status) if body is None else body
    return Reply(status, text.encode(), {"Content-Type": "text/html"} if text else {}, signed=False)


_DIRT = "\x1b[2J\x1b]0;owned\x07\u202e\r\n"
_FORGED_LINE = '\r\n{"level":"ERROR","message":"forged"}\r\n'


def _dirty(options: Options) -> Reply:
    """Escapes only, so that half a character can stand in JSON; the code is one that no table has."""
    code = f"{_DIRT}STRANGE_CODE" if options["code"] is None else options["code"]
    message = f"{_DIRT}{_FORGED_LINE}\ud800"
    detail = {"field": f"/strange{_DIRT}", "issue": _FORGED_LINE, "value": f"{_DIRT}4711", "location": "body\u202e"}
    words = {"code": code, "message": message.ljust(options["bytes"], "x"), "detail": detail}
    headers = {"Request-ID": answers.request_id()}
    return Reply(options["status"], json.dumps(words).encode(), headers, code, signed=False)


PAID_TIME_AHEAD = answers.wrong_parameter("/detail/paid_time", "20260101120000", "支付时间不能晚于当前时间")
WRONG_PLATFORM_SERIAL = Refusal(400, "PARAM_ERROR", "平台证书序列号Wechatpay-Serial错误")  # doc 4013053279

INSTEAD: Mapping[str, Callable[[Options], Reply]] = {
    "system_error": _refused(answers.SYSTEM_ERROR),
    "system_error_400": _refused(Refusal(400, "SYSTEM_ERROR", "系统异常，请稍后重试")),
    "gateway_error": lambda _: Reply(502, b"<html>Bad Gateway</html>", {"Content-Type": "text/html"}, signed=False),
    "gateway_408": _gateway,
    "html_200": lambda options: _page(200, options["body"]),
    "unsigned_error": lambda options: Refusal(options["status"], options["code"], options["message"]).reply(),
    "dirty_words": _dirty,
    "frequency_limited": lambda options: answers.with_headers(
        answers.FREQUENCY_LIMITED.reply(),
        Retry_After="1" if options["retry_after"] is None else str(options["retry_after"]),
    ),
    "sub_code_throttled": _refused(Refusal(400, "INVALID_REQUEST", "请求过于频繁", "268435472")),
    "not_found_blank": _refused(Refusal(404, "ORDER_NOT_ EXIST", "订单不存在", "271317510")),
    "clock_skew_401": _refused(
        answers.wrong_signature("HTTP头Authorization中的timestamp与发起请求的时间不得超过5分钟")
    ),
    "bad_sign_401": _refused(answers.wrong_signature("错误的签名，导致验签失败。")),
    "sign_error_400": _refused(Refusal(400, "SIGN_ERROR", "错误的签名，导致验签失败。", "270924332")),
    "wrong_platform_serial": _refused(WRONG_PLATFORM_SERIAL),
    "paid_time_ahead": lambda _: PAID_TIME_AHEAD.reply(),
    "accepted_202": lambda _: Reply(202, b"{}", {"Request-ID": answers.request_id()}),
    "redirect": lambda options: Reply(302, b"", {"Location": options["location"]}, signed=False),
}
"""Faults that answer in the operation's place."""

# ---- a refusal that says something else ------------------------------------------------------------------------------

STATE_CODES = frozenset({"ORDER_DONE", "ORDER_CANCELED", "INVALID_ORDER_STATE"})

REFUSED: Mapping[str, Callable[[Options], Reply]] = {
    "param_error_done": lambda _: answers.wrong_parameter("/out_order_no", "", "订单状态不允许该操作").reply(),
}
"""Faults that take the place of a refusal for the order's state."""

ON_REPLAY: Mapping[str, Refusal] = {
    "order_done_on_replay": answers.DONE,
    "invalid_order_state_on_replay": answers.INVALID_STATE,
    "invalid_request_on_replay": Refusal(400, "INVALID_REQUEST", "当前订单状态不合法", "271302262"),
}
"""How sync refuses an order that is done; official pages are silent, so all three are to be borne."""

# ---- the answer of an operation that was executed --------------------------------------------------------------------


def _mutated(mutation: Mutation) -> Callable[[Answering, Options], Answering]:
    """A fault that changes the order's words in the answer, before it is signed."""

    def strike(answering: Answering, options: Options) -> Answering:
        if not answering.reply.body or answering.reply.status != 200:
            return answering
        order = json.loads(answering.reply.body)
        mutation(order, options)
        return replace(answering, reply=replace(answering.reply, body=answers.as_json(order)))

    return strike


def _nested(answering: Answering, options: Options) -> Answering:
    """Spliced in as text: Python's own writer refuses such depths."""
    if not answering.reply.body.endswith(b"}"):
        return answering
    deep = b"[" * options["depth"] + b"]" * options["depth"]
    body = answering.reply.body[:-1] + b',"nested":' + deep + b"}"
    return replace(answering, reply=replace(answering.reply, body=body))


def _signed(**changes: Any) -> Callable[[Answering, Options], Answering]:  # noqa: ANN401  of Signing's fields
    return lambda answering, _: replace(answering, signing=replace(answering.signing, **changes))


_SIGNATURE_HEADERS = ("Wechatpay-Serial", "Wechatpay-Timestamp", "Wechatpay-Nonce", "Wechatpay-Signature")

AFTER: Mapping[str, Callable[[Answering, Options], Answering]] = {
    "tampered_body": lambda answering, _: replace(
        answering, spoil=lambda body: body.replace(b"USER", b"USEX", 1) + b" "
    ),
    "reserialised_body": lambda answering, _: replace(answering, spoil=lambda body: body.replace(b'":', b'": ')),
    "stale_timestamp": lambda answering, options: replace(
        answering, signing=replace(answering.signing, shift=options["seconds"])
    ),
    "foreign_serial": lambda answering, options: replace(
        answering, signing=replace(answering.signing, serial=options["serial"])
    ),
    "wrong_signature": _signed(by="another key"),
    "missing_signature_headers": lambda answering, options: replace(
        answering,
        signing=replace(answering.signing, without=(options["header"],) if options["header"] else _SIGNATURE_HEADERS),
    ),
    "signtest": _signed(prefix="WECHATPAY/SIGNTEST/"),
    "reset_after_processing": lambda answering, _: replace(answering, wire="reset"),
    "truncated_body": lambda answering, _: replace(answering, wire="half"),
    "gateway_408_after": lambda answering, options: replace(answering, reply=_gateway(options)),
    "nested_answer": _nested,
    **{name: _mutated(mutation) for name, mutation in MUTATIONS.items()},
}
"""Faults that strike the answer of an operation that was executed."""

# ---- on the way ------------------------------------------------------------------------------------------------------


def _delivered(**changes: Any) -> Callable[[Answering], Answering]:  # noqa: ANN401  of Delivery's fields
    return lambda answering: replace(answering, delivery=replace(answering.delivery, **changes))


def _big_headers(answering: Answering, options: Options) -> Answering:
    headers = {**answering.reply.headers, **_lines(options)}
    return replace(answering, reply=replace(answering.reply, headers=headers))


def _lines(options: Options) -> dict[str, str]:
    return {f"X-Padding-{number}": "x" * int(options["bytes"]) for number in range(int(options["lines"]))}


def _interim(options: Options) -> Interim:
    count, size = int(options["count"]), int(options["bytes"])
    return Interim(count, options["status"], size, options["seconds"], options["endless"])


ON_THE_WAY: Mapping[str, Callable[[Answering, Options], Answering]] = {
    "slow": lambda answering, options: replace(answering, delay=max(0.0, float(options["seconds"]))),
    "drip_headers": lambda answering, options: _delivered(head_pace=options["seconds"])(answering),
    "drip_body": lambda answering, options: _delivered(body_pace=options["seconds"], chunked=options["chunked"])(
        answering
    ),
    "big_headers": _big_headers,
    "big_trailers": lambda answering, options: _delivered(chunked=True, trailers=_lines(options))(answering),
    "interim_answers": lambda answering, options: _delivered(interim=_interim(options))(answering),
}
"""Faults of the way an answer takes, whatever it says, a refusal and another fault's answer included."""

ON_THE_WIRE: Mapping[str, Wire] = {"reset_before_answer": "reset", "silence": "silence"}
"""Faults that let nothing be answered; with the option `processed` the operation is executed first."""

NAMES = frozenset(KINDS)

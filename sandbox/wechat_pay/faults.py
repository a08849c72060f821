"""Misbehaviour, by name. Each fault is what WeChat Pay, the network, or somebody in between has been seen to do."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from sandbox.wechat_pay import answers
from sandbox.wechat_pay.answers import Refusal, Reply

Phase = Literal["instead", "after"]
"""`instead`: the operation is not executed. `after`: it is, and the answer suffers."""

Wire = Literal["whole", "nothing", "reset", "half", "silence"]
"""What of the answer reaches the wire."""


@dataclass(slots=True)
class Fault:
    """An active fault: for the next `times` calls (None: all), of one operation or order where these are given."""

    name: str
    times: int | None = None
    operation: str | None = None
    out_order_no: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def fits(self, operation: str, out_order_no: str) -> bool:
        """Whether it strikes this call."""
        if self.times is not None and self.times <= 0:
            return False
        return self.operation in {None, operation} and self.out_order_no in {None, out_order_no}


@dataclass(frozen=True, slots=True)
class Signing:
    """How an answer is signed."""

    serial: str
    shift: float = 0.0
    prefix: str = ""
    without: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answering:
    """An answer on its way out: what is said, how it is signed, what becomes of it after that, and on the wire."""

    reply: Reply
    signing: Signing
    spoil: Callable[[bytes], bytes] = bytes
    wire: Wire = "whole"
    delay: float = 0.0


def _refused(refusal: Refusal, **headers: str) -> Callable[[Mapping[str, Any]], Reply]:
    return lambda options: answers.with_headers(refusal.reply(), **headers, **options.get("headers", {}))


INSTEAD: Mapping[str, Callable[[Mapping[str, Any]], Reply]] = {
    "system_error": _refused(answers.SYSTEM_ERROR),
    "gateway_error": lambda _: Reply(502, b"<html>Bad Gateway</html>", {"Content-Type": "text/html"}, signed=False),
    "unsigned_error": lambda options: Refusal(
        options.get("status", 400), options.get("code", "ORDER_DONE"), options.get("message", "订单已完成")
    ).reply(),
    "frequency_limited": lambda options: answers.with_headers(
        answers.FREQUENCY_LIMITED.reply(), Retry_After=str(options.get("retry_after", 1))
    ),
    "sub_code_throttled": _refused(Refusal(400, "INVALID_REQUEST", "请求过于频繁", "268435472")),
    "not_found_blank": _refused(Refusal(404, "ORDER_NOT_ EXIST", "订单不存在", "271317510")),
    "clock_skew_401": _refused(
        answers.wrong_signature("HTTP头Authorization中的timestamp与发起请求的时间不得超过5分钟")
    ),
    "bad_sign_401": _refused(answers.wrong_signature("错误的签名，导致验签失败。")),
    "accepted_202": lambda _: Reply(202, b"{}", {"Request-ID": answers.request_id()}),
    "redirect": lambda options: Reply(
        302, b"", {"Location": options.get("location", "http://127.0.0.1:9/")}, signed=False
    ),
}
"""Faults that answer in the operation's place."""


def _word(name: str) -> Callable[[Answering, Mapping[str, Any]], Answering]:
    """A fault that changes a word of the order in the answer, before it is signed."""
    changes: Mapping[str, Callable[[dict[str, Any], Mapping[str, Any]], object]] = {
        "unknown_state": lambda order, options: order.update(state=options.get("state", "SUSPENDED")),
        "no_collection": lambda order, _: order.pop("collection", None),
        "huge_body": lambda order, _: order.update(attach="x" * (2 << 20)),
        "other_order": lambda order, options: order.update(out_order_no=options.get("as_order", "SOMEBODY-ELSE")),
    }

    def strike(answering: Answering, options: Mapping[str, Any]) -> Answering:
        if not answering.reply.body or answering.reply.status != 200:
            return answering
        order = json.loads(answering.reply.body)
        changes[name](order, options)
        return replace(answering, reply=replace(answering.reply, body=answers.as_json(order)))

    return strike


def _signed(**changes: Any) -> Callable[[Answering, Mapping[str, Any]], Answering]:  # noqa: ANN401
    return lambda answering, _: replace(answering, signing=replace(answering.signing, **changes))


AFTER: Mapping[str, Callable[[Answering, Mapping[str, Any]], Answering]] = {
    "tampered_body": lambda answering, _: replace(
        answering, spoil=lambda body: body.replace(b"USER", b"USEX", 1) + b" "
    ),
    "reserialised_body": lambda answering, _: replace(answering, spoil=lambda body: body.replace(b'":', b'": ')),
    "stale_timestamp": lambda answering, options: replace(
        answering, signing=replace(answering.signing, shift=options.get("seconds", -400))
    ),
    "foreign_serial": lambda answering, options: replace(
        answering, signing=replace(answering.signing, serial=options.get("serial", "5" + "F" * 39))
    ),
    "missing_signature_headers": lambda answering, options: replace(
        answering,
        signing=replace(
            answering.signing,
            without=(options["header"],)
            if "header" in options
            else ("Wechatpay-Serial", "Wechatpay-Timestamp", "Wechatpay-Nonce", "Wechatpay-Signature"),
        ),
    ),
    "signtest": _signed(prefix="WECHATPAY/SIGNTEST/"),
    "reset_after_processing": lambda answering, _: replace(answering, wire="reset"),
    "truncated_body": lambda answering, _: replace(answering, wire="half"),
    "slow": lambda answering, options: replace(answering, delay=float(options.get("seconds", 1.0))),
    "unknown_state": _word("unknown_state"),
    "no_collection": _word("no_collection"),
    "huge_body": _word("huge_body"),
    "other_order": _word("other_order"),
}
"""Faults that strike the answer of an operation that was executed."""

ON_THE_WIRE: Mapping[str, Wire] = {"reset_before_answer": "reset", "silence": "silence"}
"""Faults that let nothing be answered; `silence` with the option `processed` executes the operation first."""

ON_REPLAY: Mapping[str, Refusal] = {
    "order_done_on_replay": answers.DONE,
    "invalid_order_state_on_replay": answers.INVALID_STATE,
    "invalid_request_on_replay": Refusal(400, "INVALID_REQUEST", "当前订单状态不合法", "271302262"),
}
"""How sync refuses an order that is done; official pages are silent, so all three are to be borne."""

NAMES = frozenset(
    {
        *INSTEAD,
        *AFTER,
        *ON_THE_WIRE,
        *ON_REPLAY,
        "connection_refused",
        "certificate_serial",
        "ok_on_replay",
        "forged_success",
    }
)

"""Faults of the network: refused and reset connections, silence, answers that come slowly or are too large."""

from dataclasses import replace
from typing import Literal

from sandbox.wechat_pay.draft import Draft, Interim
from sandbox.wechat_pay.faults.registry import When, fault


@fault(When.CONNECT)
def connection_refused(draft: Draft, *, host: Literal["both", "main", "backup", "overseas"] = "both") -> Draft:
    """Hosts refuse connections until `behave`."""
    return replace(draft, wire="reset")


@fault(When.WIRE)
def reset_before_answer(draft: Draft, *, processed: bool = False) -> Draft:
    """The connection is reset instead of an answer; `processed`: the operation is executed first."""
    return replace(draft, wire="reset")


@fault(When.WIRE, chaos={"processed": True})
def silence(draft: Draft, *, processed: bool = False) -> Draft:
    """No answer for a minute; `processed`: the operation is executed first."""
    return replace(draft, wire="silence")


@fault(When.AFTER)
def reset_after_processing(draft: Draft) -> Draft:
    """Executed, then the connection is reset."""
    return replace(draft, wire="reset")


@fault(When.AFTER)
def truncated_body(draft: Draft) -> Draft:
    """The connection ends in the middle of the body."""
    return replace(draft, wire="half")


@fault(When.DELIVERY, chaos={"seconds": 0.3})
def slow(draft: Draft, *, seconds: float = 1.0) -> Draft:
    """The answer comes after `seconds`, 60 at most."""
    return replace(draft, delivery=replace(draft.delivery, delay=min(max(0.0, seconds), 60.0)))


@fault(When.DELIVERY, chaos={"seconds": 0.002})  # some two seconds for an answer's headers
def drip_headers(draft: Draft, *, seconds: float = 0.05) -> Draft:
    """Status line and headers come one byte per `seconds`."""
    return replace(draft, delivery=replace(draft.delivery, head_pace=seconds))


@fault(When.DELIVERY, chaos={"seconds": 0.002})  # some two seconds for an answer's body
def drip_body(draft: Draft, *, seconds: float = 0.05, chunked: bool = False) -> Draft:
    """The body comes one byte per `seconds`."""
    return replace(draft, delivery=replace(draft.delivery, body_pace=seconds, chunked=chunked))


@fault(When.DELIVERY)
def big_headers(draft: Draft, *, bytes: int = 102_400, lines: int = 10) -> Draft:
    """`lines` more headers of `bytes` each."""
    headers = {**draft.reply.headers, **_padding(bytes, lines)}
    return draft.with_reply(replace(draft.reply, headers=headers))


@fault(When.DELIVERY)
def big_trailers(draft: Draft, *, bytes: int = 102_400, lines: int = 10) -> Draft:
    """A chunked body, then `lines` trailers of `bytes` each."""
    return replace(draft, delivery=replace(draft.delivery, chunked=True, trailers=_padding(bytes, lines)))


@fault(When.DELIVERY)
def interim_answers(
    draft: Draft, *, count: int = 3, status: int = 103, bytes: int = 0, seconds: float = 0.0, endless: bool = False
) -> Draft:
    """`count` interim answers before the real one, each with a header of `bytes`; `endless`: none follows."""
    interim = Interim(int(count), status, int(bytes), seconds, endless)
    return replace(draft, delivery=replace(draft.delivery, interim=interim))


def _padding(size: int, lines: int) -> dict[str, str]:
    return {f"X-Padding-{number}": "x" * int(size) for number in range(int(lines))}

"""The record of a call that arrived: what a test or an audit looks at."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from sandbox.wechat_pay.draft import Draft
from sandbox.wechat_pay.message import Request, SimulatedReply
from sandbox.wechat_pay.routes import Operation


@dataclass(frozen=True, slots=True)
class SimulatedCall:
    """One call that arrived; `status` 0 where no answer reached the wire."""

    method: str
    path: str
    operation: str
    mchid: str
    out_order_no: str
    status: int
    code: str
    at: float
    host: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    target: str = field(repr=False)  # path and query, as they stood on the wire
    answer: SimulatedReply = field(repr=False)  # signed, as it was sent
    problem: str = field(default="", repr=False)  # why the call was refused, in WeChat Pay's words

    @classmethod
    def of(
        cls,
        request: Request,
        operation: Operation,
        draft: Draft,
        answer: SimulatedReply,
        *,
        mchid: str,
        at: float,
        host: str,
    ) -> Self:
        """Record a request with its answer; `mchid` is empty where it could not be authenticated."""
        reply = draft.reply
        return cls(
            request.method,
            request.target.partition("?")[0],
            operation.name,
            mchid,
            operation.out_order_no,
            reply.status if draft.wire == "whole" else 0,
            reply.code or _member("code", reply),
            at,
            host,
            request.body,
            request.headers,
            request.target,
            answer,
            _member("message", reply),
        )


def _member(name: str, reply: SimulatedReply) -> str:
    """Return a text of a refusal's body; empty where there is none."""
    if reply.status < 400 or reply.body[:1] != b"{":
        return ""
    return str(json.loads(reply.body).get(name, ""))

"""The record of a call that arrived: what a test or an audit looks at."""

import base64
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
            reply.code or _code_in(reply),
            at,
            host,
            request.body,
            request.headers,
            request.target,
            answer,
        )

    def as_dict(self) -> dict[str, object]:
        """Return the call with its headers and bodies, the bodies in base64: they may hold any byte."""
        names = ("method", "path", "operation", "mchid", "out_order_no", "status", "code", "at", "host", "target")
        answer = {"headers": dict(self.answer.headers), "body": base64.b64encode(self.answer.body).decode()}
        request = {"headers": dict(self.headers), "body": base64.b64encode(self.body).decode()}
        return {name: getattr(self, name) for name in names} | request | {"answer": answer}


def _code_in(reply: SimulatedReply) -> str:
    """Return the error code of a refusal's body; empty where there is none."""
    if reply.status < 400 or reply.body[:1] != b"{":
        return ""
    return str(json.loads(reply.body).get("code", ""))

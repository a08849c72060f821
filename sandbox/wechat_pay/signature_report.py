"""What WeChat Pay read of a request's signature: the exact text that must have been signed, and what was found."""

import base64
from typing import Any

from sandbox.wechat_pay.authentication import authorization_fields, signed_text
from sandbox.wechat_pay.call import SimulatedCall
from sandbox.wechat_pay.message import Request
from sandbox.wechat_pay.refusals import SimulatedRefusal


def as_text(body: bytes) -> str:
    """Return a body as text; bytes that are no UTF-8 are shown in hexadecimal."""
    return body.decode(errors="backslashreplace")


def detail(call: SimulatedCall) -> dict[str, Any]:
    """Return everything about a call: its headers, bodies, and what was read of its signature."""
    return {
        "target": call.target,
        "headers": dict(call.headers),
        **_bodies(call.body),
        "answer": {"headers": dict(call.answer.headers), **_bodies(call.answer.body)},
        "signature": report(call),
    }


def report(call: SimulatedCall) -> dict[str, Any]:
    """Return the fields of Authorization, the text that they must sign, and the verdict."""
    request = Request(call.method, call.target, call.headers, call.body)
    header = request.header("Authorization")
    verdict = {"authorization": header, "verified": bool(call.mchid), "problem": "" if call.mchid else call.problem}
    try:
        fields = authorization_fields(header)
    except SimulatedRefusal as refusal:
        return verdict | {"fields": {}, "signed_text": "", "problem": call.problem or refusal.message}
    text = signed_text(request, fields)
    return verdict | {
        "fields": fields,
        "signed_text": as_text(text),
        "signed_text_base64": base64.b64encode(text).decode(),
    }


def _bodies(body: bytes) -> dict[str, str]:
    """Return a body for people and, as it may hold any byte, for programs."""
    return {"body": as_text(body), "body_base64": base64.b64encode(body).decode()}

"""A request and an answer as they stand on the wire, and JSON as WeChat Pay writes it (doc 4012365336)."""

import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

type Framing = Literal["right", "wrong", "too large"]  # of a body


@dataclass(frozen=True, slots=True)
class Request:
    """A request; `target` is path and query, not decoded.

    `framing` says what is wrong with a body that could not be read: it is framed wrongly, or too large.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    framing: Framing = "right"

    def header(self, name: str) -> str:
        """Return the header of this name, in whatever case it was sent; empty where there is none."""
        return next((value for header, value in self.headers.items() if header.lower() == name.lower()), "")


def joined(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return headers by name; several lines of one name become one list, as RFC 9110 (5.3) says."""
    merged: dict[str, str] = {}
    written: dict[str, str] = {}
    for name, value in headers:
        first = written.setdefault(name.lower(), name)
        merged[first] = f"{merged[first]}, {value}" if first in merged else value
    return merged


@dataclass(frozen=True, slots=True)
class SimulatedReply:
    """An HTTP answer. `signed` False leaves the Wechatpay headers out, as WeChat Pay does on most errors.

    `signable`: a refusal that the switch `signed_refusals` has signed.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    code: str = ""
    signed: bool = True
    signable: bool = False

    def with_headers(self, **headers: str) -> "SimulatedReply":
        """Return the reply with further headers; `_` in a name stands for `-`."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(self, headers={**self.headers, **more})


def as_json(value: object) -> bytes:
    """Write JSON as WeChat Pay does: compact, UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def request_id(sub_code: str = "0") -> str:
    """Make a Request-ID such as `08F5B8C2B506102C18FDDFEEA30620BE821E28EDC405-0`."""
    return f"08{secrets.token_hex(21).upper()}-{sub_code}"


def ok(value: object) -> SimulatedReply:
    """Make a signed 200 with a JSON body."""
    return SimulatedReply(200, as_json(value), {"Request-ID": request_id()})


def no_content() -> SimulatedReply:
    """Make a signed 204."""
    return SimulatedReply(204, b"", {"Request-ID": request_id()})

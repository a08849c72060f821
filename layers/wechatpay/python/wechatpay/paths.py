"""What a path may be: names of attributes by the official rule, literals, and placeholders for values."""

import re
from collections.abc import Mapping

from wechatpay.message import escape

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_-]*)\}")
# RFC 3986 `pchar`, and upper-case escapes: what HTTP libraries pass on as it is.
_SEGMENT = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-F]{2}|\{[A-Za-z_][A-Za-z0-9_-]*\})+"


def segment(name: str) -> str:
    """Return the path segment that an attribute's name stands for: `payafterOrders` → `payafter-orders`."""
    hyphened = re.sub(r"[A-Z]", lambda capital: f"-{capital[0].lower()}", name[:1].lower() + name[1:])
    return f"{{{hyphened[1:-1]}}}" if len(hyphened) > 2 and hyphened[0] == hyphened[-1] == "_" else hyphened


def is_segment(part: str) -> bool:
    """Whether the text can be sent as one segment of a path as it is; placeholders in it stand for values."""
    return re.fullmatch(_SEGMENT, part) is not None


def literal(path: str) -> str:
    """Check a literal path and return it without its outer slashes; ValueError for what could not be sent as it is."""
    if not isinstance(path, str):
        raise TypeError(f"a path must be text, not {type(path).__name__}")
    trimmed = path.strip("/")
    for part in trimmed.split("/"):
        if part.replace("%2E", ".") in {"", ".", ".."}:  # HTTP libraries decode %2E
            raise ValueError(f"path {path!r} has an empty or relative segment")
        if not is_segment(part):
            raise ValueError(
                f"path {path!r} cannot be sent as it is: use a {{placeholder}} for values, %XX for characters"
            )
    return trimmed


def expand(template: str, values: Mapping[str, object]) -> str:
    """Return the path that goes over the wire, `/` first, each value percent-encoded once.

    Raises TypeError for missing and surplus names, ValueError for a value that is no single path segment.
    """
    names = set(_PLACEHOLDER.findall(template))
    if missing := sorted(names - values.keys()):
        raise TypeError(f"{template} needs {', '.join(missing)}")
    if surplus := sorted(values.keys() - names):
        raise TypeError(f"{template} has no place for {', '.join(surplus)}")
    return "/" + _PLACEHOLDER.sub(lambda place: _path_value(place[1], values[place[1]]), template)


def _path_value(name: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"{name} must be text, not {type(value).__name__}")  # noqa: TRY004  one error for bad values
    text = str(value)
    if text in {"", ".", ".."} or "/" in text:
        raise ValueError(f"{name} must be one path segment: not empty, no '/', not '.' or '..'")
    try:
        return escape(text)
    except UnicodeEncodeError:
        raise ValueError(f"{name} holds half a character (a lone surrogate)") from None

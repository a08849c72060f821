"""The header Accept: whether a caller takes JSON (RFC 9110, 12.5.1)."""

import re

_RANGE = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+/[!#$%&'*+.^_`|~0-9A-Za-z-]+)((?:\s*;[^;]*)*)")
_QUALITY = re.compile(r"q\s*=\s*([0-9.]+)", re.IGNORECASE)
_ADMITTING = ("application/json", "application/*", "*/*")  # the most precise first


def admits_json(accept: str) -> bool:
    """Return whether a list of media ranges admits JSON; the most precise range decides, and `q=0` excludes."""
    qualities: dict[str, float] = {}
    for part in accept.split(","):
        if match := _RANGE.fullmatch(part.strip()):
            media = match[1].lower()
            qualities[media] = max(_quality(match[2]), qualities.get(media, 0.0))
    return next((qualities[media] > 0 for media in _ADMITTING if media in qualities), False)


def _quality(parameters: str) -> float:
    """Return the weight of a range: 1 without one, or with one that is no number."""
    for parameter in parameters.split(";"):
        if match := _QUALITY.fullmatch(parameter.strip()):
            try:
                return float(match[1])
            except ValueError:
                return 1.0
    return 1.0

"""Texts of an item that are unsafe for a terminal or a log line."""

import unicodedata
from collections.abc import Iterator, Mapping

LONGEST = 1000  # characters of a text of the item's own: cleaned and bounded where it entered

_UNSAFE = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # control, format (bidi), surrogate, line and paragraph separators


def unsafe_texts(item: Mapping[str, object]) -> Iterator[str]:
    """Yield the names of the item's own texts that are unsafe; `wechat` is stored as it came."""
    own = {name: value for name, value in item.items() if name != "wechat"}
    for name, text in _texts(own):
        if len(text) > LONGEST or any(unicodedata.category(character) in _UNSAFE for character in text):
            yield name


def _texts(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    match value:
        case str():
            yield name, value
        case dict():
            for member, inner in value.items():
                yield from _texts(inner, f"{name}.{member}" if name else str(member))
        case list():
            for inner in value:
                yield from _texts(inner, name)

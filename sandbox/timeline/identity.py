"""Which event and which order a text is about: read leniently, because what is traced may be broken."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

DEEPEST = 4  # envelopes around a payload; two are usual


@dataclass(frozen=True, slots=True)
class Identity:
    """What a body tells of itself: the ids of its event, and the order; each may be empty."""

    event_ids: frozenset[str] = frozenset()
    mchid: str = ""
    out_order_no: str = ""
    sub_mchid: str = ""
    text: str = field(default="", repr=False)

    @property
    def has_order(self) -> bool:
        """Whether it names an order."""
        return bool(self.out_order_no)


def identity_of(body: object) -> Identity:
    """Return the identity of a message's body or an event's detail, as text or as the object that it is."""
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    ids: set[str] = set()
    value = _parse(body)
    for _ in range(DEEPEST):
        if "out_order_no" in value and "mchid" in value:
            break
        if (inner := _inner(value)) is None:
            break
        ids |= _texts(inner[0])
        value = _parse(inner[1])
    ids |= _texts(value.get("event_id"))
    mchid, out_order_no, sub_mchid = (_word(value, name) for name in ("mchid", "out_order_no", "sub_mchid"))
    return Identity(frozenset(ids), mchid, out_order_no, sub_mchid, text)


def mentions(text: str, word: str) -> bool:
    """Return whether a text has this word, not as a part of a longer number or id."""
    return bool(re.search(rf"(?<![0-9A-Za-z_|*-]){re.escape(word)}(?![0-9A-Za-z_|*-])", text))


def _parse(value: object) -> Mapping[str, object]:
    """Return a JSON object, or the object that it is; empty for anything else."""
    try:
        parsed = json.loads(value.removeprefix("\ufeff")) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, Mapping) else {}


def _inner(value: Mapping[str, object]) -> tuple[object, object] | None:
    """Return the id of an envelope and what is inside; None if the object is no envelope."""
    if value.get("Type") == "Notification":
        return value.get("MessageId"), value.get("Message")
    if "detail-type" in value:
        return value.get("id"), value.get("detail")
    return None


def _texts(value: object) -> set[str]:
    return {value} if isinstance(value, str) and value else set()


def _word(value: Mapping[str, object], name: str) -> str:
    word = value.get(name)
    return str(word) if isinstance(word, str | int) and not isinstance(word, bool) else ""

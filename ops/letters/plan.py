"""Which dead letters are meant: a selection by the operator, and the plan that comes of it, a JSON document. Pure.

The document has message ids, digests of bodies, reasons and order numbers; no body, no key and no openid.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from ops.installation import HERE
from ops.letters.reasons import Letter
from ops.letters.verdicts import Cause
from ops.stack import OpsError

SCHEMA = "ops.dead-letters.plan/1"
_AGE = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def moment(text: str, now: float) -> float:
    """Read an age (`90s`, `15m`, `2h`, `3d`) or a time (RFC 3339 with an offset) as Unix seconds.

    Raises ValueError, which names both forms.
    """
    if match := _AGE.fullmatch(text):
        return now - float(match[1]) * _SECONDS[match[2]]
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise ValueError(f"{text!r} is neither an age (90s, 15m, 2h, 3d) nor a time with an offset")
    return at.timestamp()


@dataclass(frozen=True, slots=True)
class Selection:
    """Conditions that a letter must all meet; an empty one is always met.

    `sent_before` and `sent_after` are Unix seconds. `orders` are order numbers or keys (`MCHID#ORDER`). `mended`: only
    letters whose cause is mended.
    """

    reasons: tuple[str, ...] = ()
    mchids: tuple[str, ...] = ()
    orders: tuple[str, ...] = ()
    message_ids: tuple[str, ...] = ()
    sent_before: float | None = None
    sent_after: float | None = None
    mended: bool = False

    @property
    def takes_all(self) -> bool:
        """Whether every letter is selected."""
        return self == Selection()

    @property
    def names_messages(self) -> bool:
        """Whether it selects by message id alone: the operator has chosen each message."""
        return bool(self.message_ids) and self == Selection(message_ids=self.message_ids)

    def takes(self, letter: Letter) -> bool:
        """Whether a letter meets the conditions, `mended` excepted."""
        cause = Cause.of(letter)
        number = letter.payment.out_order_no if letter.payment else ""
        conditions = (
            not self.reasons or not {letter.reason, cause.reason, cause.detail}.isdisjoint(self.reasons),
            not self.mchids or letter.mchid in self.mchids,
            not self.orders or letter.key in self.orders or (number != "" and number in self.orders),
            not self.message_ids or letter.message_id in self.message_ids,
            self.sent_before is None or letter.sent_at < self.sent_before,
            self.sent_after is None or letter.sent_at > self.sent_after,
        )
        return all(conditions)


@dataclass(frozen=True, slots=True)
class Entry:
    """A letter in a plan; `sha256` is of its body, `order` the key in the table, empty if it cannot be read."""

    message_id: str
    sha256: str
    reason: str
    order: str
    sent_at: float

    @classmethod
    def of(cls, letter: Letter) -> Self:
        """Take what a plan needs of a letter."""
        return cls(letter.message_id, letter.digest, letter.reason, letter.key, letter.sent_at)


@dataclass(frozen=True, slots=True)
class Plan:
    """Letters of a queue that are to be redriven or deleted; `queue` and `destination` are URLs."""

    queue: str
    destination: str
    created_at: str
    selection: Selection
    entries: Mapping[str, Entry] = field(repr=False)

    @classmethod
    def of(cls, queue: str, destination: str, selection: Selection, entries: Sequence[Entry], now: float) -> Self:
        """Make a plan at Unix seconds `now`."""
        created_at = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")
        return cls(queue, destination, created_at, selection, {entry.message_id: entry for entry in entries})

    def document(self) -> dict[str, Any]:
        """Return the plan as JSON has it."""
        conditions = {name: value for name, value in asdict(self.selection).items() if value not in ((), None, False)}
        return {
            "schema": SCHEMA,
            "queue": self.queue,
            "destination": self.destination,
            "created_at": self.created_at,
            "selection": conditions,
            "letters": [asdict(entry) for entry in self.entries.values()],
        }


def read_plan(text: str, name: str) -> Plan:
    """Read a plan's document; OpsError names the file and what is wrong with it."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise OpsError(f"{name} is not JSON: {error}; write a plan with {HERE.ops} dead-letters plan > FILE") from error
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != SCHEMA:
        raise OpsError(f"{name} is not a plan of this version: its schema is {schema!r}, not {SCHEMA!r}")
    try:
        selection: dict[str, Any] = {
            condition: tuple(value) if isinstance(value, list) else value
            for condition, value in document["selection"].items()
        }
        entries = [_entry(entry) for entry in document["letters"]]
        return Plan(
            str(document["queue"]),
            str(document["destination"]),
            str(document["created_at"]),
            Selection(**selection),
            {str(entry.message_id): entry for entry in entries},
        )
    except (LookupError, TypeError, AttributeError) as error:
        problem = f"{type(error).__name__}: {error}"
        raise OpsError(
            f"{name} is a damaged plan ({problem}): write it again with {HERE.ops} dead-letters plan"
        ) from error


def _entry(members: Mapping[str, Any]) -> Entry:
    texts = ("message_id", "sha256", "reason", "order")
    if not all(isinstance(members[name], str) for name in texts) or not isinstance(members["sent_at"], int | float):
        raise TypeError("a letter has a member of another type")
    return Entry(**members)

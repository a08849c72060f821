"""The file next to a plan that says what became of each letter, so that an interrupted run can be continued.

One line of JSON for each step of a batch, written to the disk before the next step. What a line cannot tell: whether
SQS took a batch whose call was under way when the program was killed. These letters, ten at most, are sent again.
"""

import fcntl
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from ops.stack import OpsError


class Step(StrEnum):
    """A step of a letter; those of one letter follow each other."""

    SENDING = "sending"
    REFUSED = "refused"
    SENT = "sent"
    DELETED = "deleted"


@dataclass(slots=True)
class Ledger:
    """The steps of a plan's letters; one run at a time has it open.

    `hold_until`: Unix seconds until which an interrupted run may hold letters, 0 if the last run has put them back.
    """

    path: Path
    steps: dict[str, Step] = field(default_factory=dict)
    new_ids: dict[str, str] = field(default_factory=dict)
    hold_until: float = 0.0
    _file: TextIO | None = field(default=None, repr=False)

    @classmethod
    def next_to(cls, plan: Path) -> Self:
        """Return the ledger of a plan's file."""
        return cls(plan.with_name(f"{plan.name}.journal"))

    def __enter__(self) -> Self:
        """Read what an earlier run has written, and keep other runs out."""
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise OpsError(
                f"{self.path}: {error.strerror}: the run needs its journal; copy the plan elsewhere"
            ) from error
        self._file = os.fdopen(descriptor, "a+", encoding="utf-8")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise OpsError(f"{self.path} is in use: another run executes this plan; wait until it ends") from error
        self._file.seek(0)
        for line in self._file:
            with suppress(ValueError, LookupError, TypeError, AttributeError):  # cut off when the machine stopped
                self._apply(json.loads(line))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def write(
        self, step: Step, message_ids: Iterable[str], *, until: float, new_ids: dict[str, str] | None = None
    ) -> None:
        """Write a step of a batch, and see it on the disk; `until`: when its hold ends, in Unix seconds."""
        record: dict[str, object] = {"step": step, "ids": list(message_ids), "until": until}
        self._append(record | ({"new_ids": new_ids} if new_ids else {}))

    def close_hold(self) -> None:
        """Write that no letter is held any more."""
        self._append({"ids": [], "until": 0})

    def _append(self, record: dict[str, object]) -> None:
        if self._file is None:
            raise ValueError("the ledger is not open")
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._apply(record)

    def _apply(self, record: dict[str, object]) -> None:
        ids, until = record["ids"], record["until"]
        if not isinstance(ids, list) or not isinstance(until, int | float):
            raise TypeError("not a record of a ledger")
        if ids:
            step = Step(str(record["step"]))
            self.steps.update(dict.fromkeys(ids, step))
        new_ids = record.get("new_ids")
        self.new_ids |= new_ids if isinstance(new_ids, dict) else {}
        self.hold_until = float(until)

    def at(self, step: Step) -> set[str]:
        """Return the ids of the letters whose last step this is."""
        return {message_id for message_id, last in self.steps.items() if last is step}

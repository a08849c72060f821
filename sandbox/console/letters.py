"""Dead letters for the console, by the commands of `python -m ops dead-letters`: list, analyse, redrive, delete."""

import itertools
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ops import dead_letters
from ops.commands import MODULES
from ops.commands.parser import command_line
from ops.letters.keep import create
from ops.letters.reasons import Letter
from ops.output import Progress, Report, Row, Stream
from ops.stack import Deployment
from sandbox.console.jobs import Step


@dataclass(slots=True)
class DeadLetters:
    """The dead-letter queue of one deployment; one reading at a time, because a reading makes messages invisible.

    `groups` is the newest analysis: a document of `dead-letters analyze` for each cause.
    """

    deployment: Deployment
    directory: Path
    groups: Sequence[Mapping[str, object]] = ()
    _letters: Sequence[Letter] = ()
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def all(self) -> Sequence[Letter]:
        """Return the letters, oldest first; while an operation has the queue, as they were before it."""
        if self._lock.acquire(blocking=False):
            try:
                self._letters = dead_letters.peek(self.deployment)
            finally:
                self._lock.release()
        return self._letters

    def analyse(self) -> Iterator[Step]:
        """Group the letters by cause, test each cause, and remember the groups."""
        with self._lock:
            groups: list[Mapping[str, object]] = []
            for step in self._run("analyze"):
                if isinstance(step, Row) and isinstance(step.document, dict):
                    groups.append(step.document)
                yield from _steps(step)
            self.groups = groups

    def redrive(self, message_ids: Sequence[str] = ()) -> Iterator[Step]:
        """Send these letters back to OrderQueue, or all of them without any."""
        with self._lock:
            path = self.directory / f"redrive-{next(self._numbers)}.json"
            for step in self._run("plan", *_conditions(message_ids)):
                if isinstance(step, Report):
                    with create(path) as file:
                        json.dump(step.document, file, indent=1)
                else:
                    yield from _steps(step)
            for step in self._run("redrive", f"--plan={path}", "--yes"):
                yield from _steps(step)
            self.groups = ()

    def delete(self, message_ids: Sequence[str]) -> Iterator[Step]:
        """Delete these letters; a file in the directory keeps them."""
        with self._lock:
            keep = self.directory / f"deleted-letters-{next(self._numbers)}.jsonl"
            for step in self._run("delete", *_conditions(message_ids), f"--keep={keep}", "--yes"):
                yield from _steps(step)
            self.groups = ()

    def _run(self, verb: str, *arguments: str) -> Iterator[Row | Progress | Report]:
        options = command_line(module.register for module in MODULES).parse_args(["dead-letters", verb, *arguments])
        output = options.command(self.deployment, options)
        yield from output.steps if isinstance(output, Stream) else [output]


def _conditions(message_ids: Sequence[str]) -> list[str]:
    return [f"--message-id={message_id}" for message_id in message_ids]


def _steps(step: Row | Progress | Report) -> Iterator[Step]:
    match step:
        case Progress():
            yield Step(step.number, step.total or 0)
        case Report():
            yield from (Step(line=line) for line in step.lines if isinstance(line, str))
        case Row():
            """A row is in the document that the page shows."""

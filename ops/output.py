"""What a command returns: a report or a stream of rows, for people and for programs, and an exit status. Values."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum


class Exit(IntEnum):
    """The exit statuses of every command; `EXITS` explains them."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    ACTION = 3
    INTERRUPTED = 130
    CLOSED = 141


EXITS = {
    Exit.DONE: "done; nothing needs action",
    Exit.FAILED: "the command failed; stderr has the cause and the remedy in one line",
    Exit.USAGE: "the command line is wrong; nothing was done",
    Exit.ACTION: "the command did its work, and reports something that needs action",
    Exit.INTERRUPTED: "interrupted (Ctrl-C): what was done stays done, the rest was not touched",
    Exit.CLOSED: "the program that reads the output has ended, as `head` does",
}
"""What each exit status means, for `--help` and the pages."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under column names, for people; a cell that is None or empty is printed as `-`."""

    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]


@dataclass(frozen=True, slots=True)
class Report:
    """A whole result: `lines` for people, `document` for `--json`. In a stream it is a summary.

    A line is text without line breaks, or a table. Every text may come from outside: the printer escapes what a
    terminal would obey. `document` is anything that JSON can hold; None in a stream prints nothing with `--json`.
    """

    lines: tuple[str | Table, ...] = ()
    document: object = None
    status: Exit = Exit.DONE


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a stream: `cells` and a `note` on a line of its own for people, `document` for `--json`.

    A cell that is None or empty takes no place where the output is not a terminal.
    """

    cells: tuple[object, ...]
    document: object
    note: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a stream is: printed as `words: N of M` on stderr if that is a terminal, otherwise not at all."""

    words: str
    number: int
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Stream:
    """Rows that are printed as they arrive; `steps` is closed at the end, and if the command is interrupted.

    A generator releases what it holds (messages, a move task) in its `finally`. Of several reports the highest exit
    status counts.
    """

    columns: tuple[str, ...]
    steps: Iterator[Row | Progress | Report]


type Output = Report | Stream
"""What a command returns."""

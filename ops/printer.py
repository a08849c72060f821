"""Print an output: aligned and coloured on a terminal, plain lines in a pipe, JSON or JSON Lines with `--json`."""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from ops import screen
from ops.output import Exit, Output, Progress, Report, Row, Stream, Table

PAUSE = 0.1  # seconds between two lines of progress: a terminal is slower than a queue
WIDEST = 48  # columns that a cell may take before the cells after it move
_STYLES = {
    "SYNCED": "green",
    "NOTHING_DUE": "green",
    "RETRYING": "yellow",
    "REJECTED": "red",
    "PAID_BY_WECHAT": "bold red",
    "UNREADABLE": "red",
}


@dataclass(slots=True)
class Printer:
    """Prints outputs on `out`, and progress on `err`. `clock` returns seconds."""

    out: TextIO
    err: TextIO
    as_json: bool = False
    clock: Callable[[], float] = time.monotonic
    _widths: list[int] = field(default_factory=list)
    _progress_at: float | None = None

    def print(self, output: Output) -> Exit:
        """Print an output, a stream as its rows arrive; return the exit status."""
        if isinstance(output, Report):
            self._report(output, whole=True)
            return output.status
        steps = output.steps
        with closing(steps) if isinstance(steps, Generator) else nullcontext():
            return self._stream(output, steps)

    def _stream(self, stream: Stream, steps: Iterator[Row | Progress | Report]) -> Exit:
        status = Exit.DONE
        self._widths = [cell_len(column) for column in stream.columns]
        is_first = True
        try:
            for step in steps:
                match step:
                    case Progress():
                        self._progress(step)
                    case Row():
                        self._row(stream.columns if is_first else (), step)
                        is_first = False
                    case Report():
                        self._report(step, whole=False)
                        status = max(status, step.status)
        finally:
            self._erase_progress()
        return status

    # ---- reports -----------------------------------------------------------------------------------------------------

    def _report(self, report: Report, *, whole: bool) -> None:
        self._erase_progress()
        if self.as_json:
            if whole:
                self._write(screen.document(report.document))
            elif report.document is not None:
                self._write(screen.compact(report.document))
            return
        for line in report.lines:
            if isinstance(line, Table):
                self._table(line)
            else:
                self._write(screen.escaped(line))
        self.out.flush()

    def _table(self, table: Table) -> None:
        rows = [tuple("-" if cell in (None, "") else screen.line(cell) for cell in row) for row in table.rows]
        self._widths = [max(map(cell_len, column)) for column in zip(table.columns, *rows, strict=True)]
        self._cells(table.columns, "bold")
        for row in rows:
            self._cells(row)

    # ---- rows --------------------------------------------------------------------------------------------------------

    def _row(self, columns: Sequence[str], row: Row) -> None:
        self._erase_progress()
        if self.as_json:
            self._write(screen.compact(row.document))
        elif self.out.isatty():
            cells = ["-" if cell in (None, "") else screen.line(cell) for cell in row.cells]
            self._widths = [
                max(width, min(cell_len(cell), WIDEST)) for width, cell in zip(self._widths, cells, strict=True)
            ]
            if columns:
                self._cells(columns, "bold")
            self._cells(cells)
        else:
            self._write(screen.line(*row.cells))
        if row.note and not self.as_json:
            self._write("    " + screen.line(row.note))
        self.out.flush()

    def _cells(self, cells: Sequence[str], style: str = "") -> None:
        """Print cells under each other, as wide as the widest so far; the last one takes the rest of the line."""
        *first, last = zip(cells, self._widths, strict=True)
        padded = [(cell + " " * (width - cell_len(cell)), cell) for cell, width in first] + [(last[0], last[0])]
        if not self.out.isatty():
            self._write("  ".join(text for text, _ in padded).rstrip())
            return
        texts = [Text(text, style or _STYLES.get(cell, "")) for text, cell in padded]
        console = Console(file=self.out, highlight=False, emoji=False, markup=False)
        console.print(Text("  ").join(texts), soft_wrap=True)

    def _write(self, text: str) -> None:
        self.out.write(f"{text}\n")

    # ---- progress ----------------------------------------------------------------------------------------------------

    def _progress(self, progress: Progress) -> None:
        if not self.err.isatty():
            return
        now = self.clock()
        if self._progress_at is not None and now - self._progress_at < PAUSE:
            return
        self._progress_at = now
        total = "" if progress.total is None else f" of {progress.total}"
        self.err.write(f"\r\x1b[K{screen.line(progress.words)}: {progress.number}{total}")
        self.err.flush()

    def _erase_progress(self) -> None:
        if self._progress_at is not None:
            self._progress_at = None
            self.err.write("\r\x1b[K")
            self.err.flush()

"""A terminal as far as the demo's output needs one: it wraps, scrolls and obeys the cursor (ECMA-48)."""

import re

_SEQUENCE = re.compile(r"\x1b\[(\?)?([0-9;]*)([A-Za-z])|\x1b.|[\x00-\x1f]|[^\x00-\x1f\x1b]+")


class Terminal:
    """A screen of `columns` by `rows`; `lines` is everything that it has shown, what has scrolled away included."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self.lines = [""]
        self.row = self.column = 0
        self.wrapped = 0

    def feed(self, text: str) -> None:
        """Show what a program has written."""
        for match in _SEQUENCE.finditer(text):
            if match[3]:
                self._obey(match[3], match[2])
            elif match[0] == "\r":
                self.column = 0
            elif match[0] == "\n":
                self._down()
                self.column = 0  # as the driver turns it into CR LF
            elif match[0][0] >= " ":
                for letter in match[0]:
                    self._put(letter)

    def _obey(self, order: str, number: str) -> None:
        count = int(number or 0)
        if order == "A":  # never above the screen's first row
            self.row = max(self.row - max(count, 1), len(self.lines) - self.rows, 0)
        elif order == "K":
            self.lines[self.row] = "" if count == 2 else self.lines[self.row][: self.column]

    def _put(self, letter: str) -> None:
        if self.column == self.columns:
            self.wrapped += 1
            self._down()
            self.column = 0
        line = self.lines[self.row].ljust(self.column)
        self.lines[self.row] = line[: self.column] + letter + line[self.column + 1 :]
        self.column += 1

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.lines):
            self.lines.append("")

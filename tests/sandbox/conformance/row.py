"""A row: what a page says, what the simulator does, and the check that proves it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

type Check[S] = Callable[[S], None]

DOCUMENTED = "as documented"
HEAD = "| row | the page says | page | the simulator | verdict |\n|---|---|---|---|---|"


@dataclass(frozen=True, slots=True)
class Row[S]:
    """One row; `page` is the number of the official page, or `silent` where none says it.

    `verdict` is DOCUMENTED, or names the switch (in backticks) that chooses where pages are silent or differ.
    """

    name: str
    says: str
    page: str
    does: str
    check: Check[S] = field(repr=False)
    verdict: str = DOCUMENTED

    def text(self) -> str:
        """Return the row as it stands in the page's table."""
        return f"| {self.name} | {self.says} | {self.page} | {self.does} | {self.verdict} |"


@dataclass(slots=True)
class Section[S]:
    """A section of the page: its heading, and its rows in their order; `prefix` begins the name of each row.

    `caller` makes what the checks ask with, from the folder of the simulator's keys.
    """

    heading: str
    prefix: str
    caller: Callable[[Path], S]
    rows: list[Row[S]] = field(default_factory=list)

    def row(self, name: str, says: str, page: str, verdict: str = DOCUMENTED) -> Callable[[Check[S]], Check[S]]:
        """Enter a check as a row; its docstring is what the simulator does."""

        def enter(check: Check[S]) -> Check[S]:
            self.add(name, says, page, (check.__doc__ or "").strip().rstrip("."), check, verdict)
            return check

        return enter

    def add(self, name: str, says: str, page: str, does: str, check: Check[S], verdict: str = DOCUMENTED) -> None:
        """Enter a row."""
        self.rows.append(Row(f"{self.prefix}-{name}", says, page, does, check, verdict))

    def prove(self, row: Row[S], keys: Path) -> None:
        """Run the check of a row, with a caller and a simulator of its own."""
        row.check(self.caller(keys))

    def table(self) -> str:
        """Return the section as it stands on the page."""
        return "\n".join([f"## {self.heading}", "", HEAD, *(row.text() for row in self.rows), ""])

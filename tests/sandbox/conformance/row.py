"""A row: what a page says, what the simulator does, and the check that proves it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.sandbox.conformance.shop import Shop

type Check = Callable[[Shop], None]

DOCUMENTED = "as documented"
HEAD = "| row | the page says | page | the simulator | verdict |\n|---|---|---|---|---|"


@dataclass(frozen=True, slots=True)
class Row:
    """One row; `page` is the number of the official page, or `silent` where none says it.

    `verdict` is DOCUMENTED, or names the switch (in backticks) that chooses where pages are silent or differ.
    """

    name: str
    says: str
    page: str
    does: str
    check: Check = field(repr=False)
    verdict: str = DOCUMENTED

    def text(self) -> str:
        """Return the row as it stands in the page's table."""
        return f"| {self.name} | {self.says} | {self.page} | {self.does} | {self.verdict} |"


@dataclass(slots=True)
class Section:
    """A section of the page: its heading, and its rows in their order; `prefix` begins the name of each row."""

    heading: str
    prefix: str
    rows: list[Row] = field(default_factory=list)

    def row(self, name: str, says: str, page: str, verdict: str = DOCUMENTED) -> Callable[[Check], Check]:
        """Enter a check as a row; its docstring is what the simulator does."""

        def enter(check: Check) -> Check:
            self.add(name, says, page, (check.__doc__ or "").strip().rstrip("."), check, verdict)
            return check

        return enter

    def add(self, name: str, says: str, page: str, does: str, check: Check, verdict: str = DOCUMENTED) -> None:
        """Enter a row."""
        self.rows.append(Row(f"{self.prefix}-{name}", says, page, does, check, verdict))

    def table(self) -> str:
        """Return the section as it stands on the page."""
        return "\n".join([f"## {self.heading}", "", HEAD, *(row.text() for row in self.rows), ""])

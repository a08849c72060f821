"""A row: a page, what it says in our own words, what the simulator does, and the check that proves it."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.sandbox.asking import Asking

type Check = Callable[[Asking], None]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table; `switch` names the choice that changes what the simulator does, where there is one."""

    id: str
    page: str
    says: str
    check: Check
    does: str = "as documented"
    switch: str = ""


ROWS: list[Row] = []


def row(name: str, page: str, says: str, *, does: str = "as documented", switch: str = "") -> Callable[[Check], Check]:
    """Enter a check as a row; ValueError for an id that there is already."""

    def enter(check: Check) -> Check:
        if any(other.id == name for other in ROWS):
            raise ValueError(f"{name} is entered twice")
        ROWS.append(Row(name, page, says, check, does, switch))
        return check

    return enter

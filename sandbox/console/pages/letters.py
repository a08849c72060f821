"""Dead letters with their reasons and what to do; analyse, redrive all or chosen, delete."""

from dataclasses import dataclass

from starlette.responses import Response

from ops import advice
from ops.advice import Advice
from ops.letters.reasons import Letter
from sandbox.console import bulletin
from sandbox.console.errors import ConsoleError
from sandbox.console.links import order_path
from sandbox.console.page import Page
from sandbox.console.visit import Visit

TOPICS = [bulletin.LETTERS, bulletin.FLOW]


@dataclass(frozen=True, slots=True)
class Line:
    """A letter with the advice for its reason."""

    letter: Letter
    advice: Advice
    path: str


def show(visit: Visit) -> Response:
    """Show the page."""
    return visit.show("letters.html", **_values(visit))


def listing(visit: Visit) -> Response:
    """Show the letters and the groups alone."""
    return visit.show("letters_list.html", **_values(visit))


def analyse(visit: Visit) -> Response:
    """Group the letters by cause and test each cause, in the background."""
    visit.desk.jobs.start("letters.analysing", visit.desk.letters.analyse, TOPICS)
    return visit.done("letters.begun")


def redrive(visit: Visit) -> Response:
    """Send letters back to OrderQueue, in the background: all, or those that are ticked."""
    ids = _ids(visit) if visit.field("which") == "chosen" else []
    visit.desk.jobs.start("letters.redriving", lambda: visit.desk.letters.redrive(ids), TOPICS)
    return visit.done("letters.begun")


def confirm(visit: Visit) -> Response:
    """Ask whether the letters that are ticked are to be deleted."""
    ids = _ids(visit)
    lines = [line for line in _lines(visit) if line.letter.message_id in ids]
    return visit.show("letters_confirm.html", lines=lines, directory=visit.desk.directory)


def delete(visit: Visit) -> Response:
    """Delete letters, in the background; a file keeps them."""
    ids = _ids(visit)
    visit.desk.jobs.start("letters.deleting", lambda: visit.desk.letters.delete(ids), TOPICS)
    return visit.done("letters.begun")


def _ids(visit: Visit) -> list[str]:
    if not (ids := visit.fields("message_id")):
        raise ConsoleError("letters.none_ticked")
    return ids


def _values(visit: Visit) -> dict[str, object]:
    return {"lines": _lines(visit), "groups": visit.desk.letters.groups}


def _lines(visit: Visit) -> list[Line]:
    letters = visit.desk.letters.all()
    return [Line(letter, advice.for_reason(letter.reason), order_path(letter.key)) for letter in letters]


PAGE: Page[Visit] = Page(
    "letters",
    "/dead-letters",
    {"": show, "list": listing},
    {"analyse": analyse, "redrive": redrive, "confirm": confirm, "delete": delete},
)

"""What every page has around it: the choice of language and theme, and the operations in the background."""

from starlette.responses import RedirectResponse, Response

from sandbox.console import texts
from sandbox.console.errors import ConsoleError
from sandbox.console.page import Page
from sandbox.console.visit import THEMES, YEAR, Visit


def choose(visit: Visit) -> Response:
    """Remember a language or a theme in a cookie; an empty theme is the browser's own."""
    name, value = next(((name, visit.field(name)) for name in ("language", "theme") if name in visit.form), ("", ""))
    if name == "language" and value not in texts.LANGUAGES:
        raise ConsoleError("frame.no_such_choice", names=", ".join(texts.LANGUAGES))
    if name != "language" and value not in {"", *THEMES}:
        raise ConsoleError("frame.no_such_choice", names=", ".join(THEMES))
    response = RedirectResponse(visit.back(), 303)
    response.set_cookie(name or "theme", value, max_age=YEAR, httponly=True, samesite="strict")
    return response


def jobs(visit: Visit) -> Response:
    """Show the operations in the background."""
    return visit.show("jobs.html")


def dismiss(visit: Visit) -> Response:
    """Forget the operations that have ended."""
    visit.desk.jobs.dismiss()
    return visit.done("frame.dismissed")


PAGE: Page[Visit] = Page("frame", "/frame", {"jobs": jobs}, {"choose": choose, "dismiss": dismiss}, in_navigation=False)

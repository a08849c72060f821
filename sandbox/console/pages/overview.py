"""The way of an event as a picture, with counts and latencies."""

from starlette.responses import Response

from sandbox.console.page import Page
from sandbox.console.visit import Visit


def show(visit: Visit) -> Response:
    """Show the page."""
    return visit.show("overview.html")


PAGE = Page("overview", "/", {"": show})

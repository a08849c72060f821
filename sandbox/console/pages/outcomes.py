"""Events about outcomes and notifications, as they go."""

from starlette.responses import Response

from sandbox.console.outcomes import outcome_events
from sandbox.console.page import Page
from sandbox.console.visit import Visit

MOST = 50  # of each on the page


def show(visit: Visit) -> Response:
    """Show the page."""
    return visit.show("outcomes.html", **_values(visit))


def feed(visit: Visit) -> Response:
    """Show both lists alone."""
    return visit.show("outcomes_feed.html", **_values(visit))


def _values(visit: Visit) -> dict[str, object]:
    return {
        "outcomes": outcome_events(visit.desk.feed.entries)[:MOST],
        "notifications": visit.desk.wechat_pay.outbox.newest(limit=MOST)[::-1],
    }


PAGE: Page[Visit] = Page("outcomes", "/outcomes", {"": show, "feed": feed})

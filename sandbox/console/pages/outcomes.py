"""Events about outcomes and notifications, as they go."""

from starlette.responses import Response

from sandbox.console.outcomes import NotifyingWeChatPay, outcome_events
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
    wechat_pay: object = visit.desk.wechat_pay
    is_notifying = isinstance(wechat_pay, NotifyingWeChatPay)
    notifications = list(wechat_pay.notifications())[-MOST:] if isinstance(wechat_pay, NotifyingWeChatPay) else []
    return {
        "outcomes": outcome_events(visit.desk.feed.entries)[:MOST],
        "is_notifying": is_notifying,
        "notifications": notifications[::-1],
    }


PAGE = Page("outcomes", "/outcomes", {"": show, "feed": feed})

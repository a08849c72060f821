"""The way of an event as a picture, with counts and latencies."""

from starlette.responses import Response

from sandbox.console.desk import Desk
from sandbox.console.page import Page
from sandbox.console.picture import Depth, stations
from sandbox.console.visit import Visit


def show(visit: Visit) -> Response:
    """Show the page."""
    return visit.show("overview.html", **_values(visit.desk))


def way(visit: Visit) -> Response:
    """Show the picture alone."""
    return visit.show("way.html", **_values(visit.desk))


def _values(desk: Desk) -> dict[str, object]:
    queue, letters = (_depth(desk, output) for output in ("OrderQueueUrl", "DeadLettersUrl"))
    return {"stations": stations(desk.feed.flow, desk.wechat_pay.calls, queue, letters)}


def _depth(desk: Desk, output: str) -> Depth:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    url = desk.deployment.outputs[output]
    attributes = desk.deployment.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return Depth(*(int(attributes[name]) for name in names))


PAGE: Page[Visit] = Page("overview", "/", {"": show, "way": way})

"""An order's page: its item and history, the timeline, each call with the text that was signed, its dead letters.

The page of an event shows the same of what is known by the event's id.
"""

from dataclasses import replace

from starlette.responses import JSONResponse, Response

from ops import advice, dead_letters
from sandbox.console import bulletin, stories
from sandbox.console.errors import ConsoleError
from sandbox.console.page import Page
from sandbox.console.steps import OrderStep, allowed, take
from sandbox.console.till import USUAL
from sandbox.console.visit import Visit
from sandbox.till_events import Family
from sandbox.timeline import Subject
from sandbox.wechat_pay.notifications import Notification
from sandbox.wechat_pay.orders import SimulatedOrder
from sandbox.wechat_pay.verbs import VERBS

TOPICS = (bulletin.FLOW, bulletin.CALLS, bulletin.ORDERS, bulletin.LETTERS, bulletin.NOTIFICATIONS)
VERBS_OF_ORDERS = ("automate", "fill")  # further ones, with fields of their own
AMOUNT = 3900  # fen that are due where the shop completes an order here


def show(visit: Visit) -> Response:
    """Show the page."""
    return visit.show("order.html", **_values(visit))


def part(visit: Visit) -> Response:
    """Show its live part alone."""
    return visit.show("order_part.html", **_values(visit))


def as_json(visit: Visit) -> Response:
    """Return the timeline as JSON."""
    return JSONResponse(stories.read_timeline(visit.desk, _subject(visit)).document())


def step(visit: Visit) -> Response:
    """Do what the customer, the shop or WeChat Pay does next."""
    order, name = _order(visit), visit.field("step")
    if order is None or name not in allowed(order):
        raise ConsoleError("order.not_now", names=", ".join(allowed(order)) if order else "-")
    take(visit.desk.wechat_pay, name, order, AMOUNT)
    return visit.done("order.done", topics=[bulletin.ORDERS], step=visit.text(f"orders.{name}"))


def report(visit: Visit) -> Response:
    """Report the payment by the event bus, as a till does."""
    subject, order = _subject(visit), _order(visit)
    family = Family(order.endpoint, order.sub_mchid, order.channel_id) if order else Family("", subject.sub_mchid)
    trigger = replace(USUAL, mchid=subject.mchid, situation="absent")
    visit.desk.till.fire(trigger, subject.out_order_no, family)
    return visit.done("order.reported", topics=[bulletin.FLOW])


def redrive(visit: Visit) -> Response:
    """Send one dead letter back to the order queue."""
    message_id = visit.field("message_id")
    dead_letters.redrive_one(visit.desk.deployment, message_id)
    return visit.done("order.redriven", topics=[bulletin.FLOW, bulletin.LETTERS], message=message_id)


# ---- what it shows ---------------------------------------------------------------------------------------------------


def _values(visit: Visit) -> dict[str, object]:
    subject, order = _subject(visit), _order(visit)
    story = stories.tell(visit.desk, subject)
    return {
        "story": story,
        "letters": [(letter, advice.for_reason(letter.reason)) for letter in story.timeline.facts.letters],
        "steps": _steps(order),
        "notifications": _notifications(visit, subject),
        "verbs": [VERBS[name] for name in VERBS_OF_ORDERS] if order else [],
        "identity": {"mchid": subject.mchid, "out_order_no": subject.out_order_no, "sub_mchid": subject.sub_mchid},
        "topics": TOPICS,
        "base": visit.request.url.path.removesuffix("/part.html"),
    }


def _notifications(visit: Visit, subject: Subject) -> list[Notification]:
    """Return those about the order, the newest first."""
    if not subject.out_order_no:
        return []
    return visit.desk.wechat_pay.outbox.newest(subject.mchid, subject.out_order_no)[::-1]


def _steps(order: SimulatedOrder | None) -> dict[str, OrderStep]:
    return allowed(order) if order else {}


def _order(visit: Visit) -> SimulatedOrder | None:
    subject = _subject(visit)
    try:
        return visit.desk.wechat_pay.order(subject.mchid, subject.out_order_no, sub_mchid=subject.sub_mchid)
    except LookupError:
        return None


def _subject(visit: Visit) -> Subject:
    """Return the order, or the event, that the path names."""
    parts: dict[str, str] = visit.request.path_params
    if "event_id" in parts:
        return Subject(event_id=parts["event_id"])
    return Subject(parts["mchid"], parts["out_order_no"], parts.get("sub_mchid", ""))


_VIEWS = {"": show, "/part.html": part, "/timeline.json": as_json}
_ACTIONS = {"/step": step, "/report": report, "/redrive": redrive}
_PATHS = ("{mchid}/{out_order_no}", "{mchid}/{sub_mchid}/{out_order_no}")  # a number has no point, as files have

PAGE: Page[Visit] = Page(
    "order",
    "/order",
    {f"{path}{rest}": view for path in _PATHS for rest, view in reversed(_VIEWS.items())},
    {f"{path}/do{rest}": action for path in _PATHS for rest, action in _ACTIONS.items()},
    in_navigation=False,
)
EVENT_PAGE: Page[Visit] = Page(
    "event",
    "/event",
    {f"{{event_id}}{rest}": view for rest, view in reversed(_VIEWS.items())},
    {"{event_id}/do/redrive": redrive},
    in_navigation=False,
)

"""The orders of the simulated WeChat Pay, with what the customer, the shop or WeChat Pay may do next with each."""

import re
from dataclasses import dataclass

from starlette.responses import Response

from orders.order import order_key
from sandbox.console import bulletin
from sandbox.console.desk import Desk
from sandbox.console.errors import ConsoleError
from sandbox.console.links import order_path
from sandbox.console.page import Page
from sandbox.console.pages.till import family_of
from sandbox.console.steps import STEPS, OrderStep, allowed, take
from sandbox.console.visit import Visit
from sandbox.testbed import MERCHANT
from sandbox.till_events import FAMILIES
from sandbox.wechat_pay import control
from sandbox.wechat_pay.orders import SimulatedOrder
from sandbox.wechat_pay.verbs import VERBS

MOST = 50  # orders on the page; the search finds the others
NUMBER = re.compile(r"[0-9A-Za-z_\-|*]{1,32}")  # of an order (doc 4012587962)


@dataclass(frozen=True, slots=True)
class Line:
    """An order with its steps; `id` names its row in the page, `status` is that of our item, empty without one."""

    order: SimulatedOrder
    steps: dict[str, OrderStep]
    path: str
    status: str
    id: str


def show(visit: Visit) -> Response:
    """Show the page."""
    return visit.show("orders.html", endpoints=FAMILIES, automate=VERBS["automate"], **_values(visit))


def table(visit: Visit) -> Response:
    """Show the orders alone."""
    return visit.show("orders_table.html", **_values(visit))


def step(visit: Visit) -> Response:
    """Take a step with an order."""
    name, order = visit.field("step"), _order(visit)
    if name not in STEPS:
        raise ConsoleError("orders.no_such_step", names=", ".join(STEPS))
    take(visit.desk.wechat_pay, name, order, _fen(visit.field("amount")) if STEPS[name].amount else 0)
    text = visit.text(f"orders.{name}")
    return visit.done("orders.done", topics=[bulletin.ORDERS], number=order.out_order_no, step=text)


def create(visit: Visit) -> Response:
    """Open an order, as the shop does, or one that waits for its money already."""
    number, family = visit.field("out_order_no"), family_of(visit)
    if not NUMBER.fullmatch(number):
        raise ConsoleError("orders.no_number")
    verb = "ready_to_sync" if visit.field("state") == "ready" else "open"
    address = {"notify_url": url} if (url := visit.field("notify_url")) else {}
    control.execute(
        visit.desk.wechat_pay, verb, {"mchid": MERCHANT, "out_order_no": number, **family.fields, **address}
    )
    return visit.done("orders.opened", topics=[bulletin.ORDERS], number=number)


def _values(visit: Visit) -> dict[str, object]:
    search = visit.request.query_params.get("search", "").strip()
    rows = [row for row in visit.desk.wechat_pay.ledger() if search.lower() in row["out_order_no"].lower()]
    lines = [_line(visit.desk, SimulatedOrder(**row)) for row in reversed(rows[-MOST:])]
    return {"lines": lines, "search": search, "total": len(rows), "most": MOST}


def _line(desk: Desk, order: SimulatedOrder) -> Line:
    key = order_key(order.mchid, order.out_order_no, order.endpoint or None, order.sub_mchid or None)
    id_ = re.sub(r"[^0-9A-Za-z_-]", "_", f"{order.mchid}-{order.sub_mchid}-{order.out_order_no}")
    return Line(order, allowed(order), order_path(key), desk.feed.flow.statuses.get(key, ""), id_)


def _order(visit: Visit) -> SimulatedOrder:
    names = ("mchid", "out_order_no", "sub_mchid")
    mchid, number, sub_mchid = (visit.field(name) for name in names)
    try:
        return visit.desk.wechat_pay.order(mchid, number, sub_mchid=sub_mchid)
    except LookupError:
        raise ConsoleError("orders.no_such_order", number=number) from None


def _fen(text: str) -> int:
    """Read yuan, as people write them, as fen."""
    if not re.fullmatch(r"[0-9]{1,7}(\.[0-9]{1,2})?", text, re.ASCII):
        raise ConsoleError("orders.no_amount", amount=text)
    yuan, _, rest = text.partition(".")
    return int(yuan) * 100 + int(rest.ljust(2, "0"))


PAGE: Page[Visit] = Page("orders", "/orders", {"": show, "table": table}, {"step": step, "create": create})

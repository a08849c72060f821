"""The pure middle of the console: the flow of events, the picture, the steps of an order, why no rule matched."""

import json
import threading
from copy import replace
from typing import Any

import pytest

from orders.order import Attempt, Order, Payment, Status
from sandbox.console import errors
from sandbox.console.bulletin import Bulletin
from sandbox.console.errors import ConsoleError
from sandbox.console.flow import Flow, Latency
from sandbox.console.jobs import Jobs, Step
from sandbox.console.links import order_path
from sandbox.console.outcomes import outcome_events
from sandbox.console.pages.switches import read_option
from sandbox.console.pages.till import dead_reports
from sandbox.console.picture import Depth, stations
from sandbox.console.steps import allowed
from sandbox.console.till import Report
from sandbox.journal import JournalEntry
from sandbox.testbed import until
from sandbox.till import Receipt
from sandbox.till_events import Dispatch
from sandbox.wechat_pay.faults import KINDS
from sandbox.wechat_pay.faults.registry import Option
from sandbox.wechat_pay.orders import SimulatedOrder
from sandbox.wechat_pay.refusals import DONE

PAYLOAD = {"mchid": "1230000109", "out_order_no": "A-1", "detail": {"paid_time": "20260101120000"}}
AT = 1_767_240_010.0  # ten seconds after the payment


def entry(kind: str, at: float = AT, **fields: object) -> JournalEntry:
    """An entry of the journal."""
    return JournalEntry(1, at, kind, fields)


def sent(at: float = AT, message_id: str = "m-1", body: object = PAYLOAD, by: str = "SendMessage") -> JournalEntry:
    """A message that has arrived in OrderQueue."""
    return entry("message_sent", at, queue="Q", message_id=message_id, body=json.dumps(body), by=by)


def item(status: str, at: float = AT, pk: str = "1230000109#A-1") -> JournalEntry:
    """An item that was written."""
    return entry("item_written", at, table="T", pk=pk, status=status, version=1)


def flow_of(*entries: JournalEntry) -> Flow:
    """The flow after these entries."""
    flow = Flow("Q", "D")
    for one in entries:
        flow.add(one)
    return flow


def test_events_are_counted_by_what_the_bus_did() -> None:
    """An event counts as matched, unmatched or refused; the function's own events do not count."""
    common: dict[str, Any] = {"bus": "b", "event_id": "e", "detail_type": "Order_Paid", "detail": {}}
    flow = flow_of(
        entry("event_published", source="pos.x", rules=["r"], error="", **common),
        entry("event_published", source="shop", rules=[], error="", **common),
        entry("event_published", source="pos.x", rules=[], error="MalformedDetail", **common),
        entry("event_published", source="payscore.orders", rules=[], error="", **common),
    )
    assert (flow.counts["matched"], flow.counts["unmatched"], flow.counts["refused"]) == (1, 1, 1)


def test_the_time_from_an_event_to_its_final_status_is_measured_once() -> None:
    """It begins with the first message of an order, and ends with the first final status."""
    flow = flow_of(
        sent(AT), sent(AT + 1, "m-2"), item("RETRYING", AT + 2), item("SYNCED", AT + 3), item("SYNCED", AT + 9)
    )
    assert list(flow.settlements) == [3.0]
    assert flow.by_status()[Status.SYNCED] == 1
    assert flow.by_status()[Status.RETRYING] == 0


def test_what_the_function_cannot_read_costs_nothing_else() -> None:
    """A message that is no payload, an item without a status of ours, and an unknown kind are passed over."""
    flow = flow_of(
        sent(body="no payload"),
        item("OPEN"),
        entry("something_new"),
        entry("item_written", pk="circuit", status="", version=""),
    )
    assert flow.counts["direct"] == 1
    assert flow.statuses == {}


def test_each_attempt_gives_one_duration() -> None:
    """The duration of an order's newest attempt counts once, however often the item is read."""
    attempt = Attempt("2026-01-01T04:00:11Z", "m-1", "SYNCED", latency_ms=40)
    order = Order(Payment("1230000109", "A-1", "20260101120000"), None, Status.SYNCED, 1, "", "", history=(attempt,))
    flow = flow_of()
    flow.add_orders([order])
    flow.add_orders([order, replace(order, history=(attempt, replace(attempt, message_id="m-2", latency_ms=60)))])
    assert list(flow.conversations) == [0.04, 0.06]


@pytest.mark.parametrize(
    ("durations", "median", "p95"),
    [([], None, None), ([3.0], 3.0, 3.0), ([1.0, 2.0], 1.0, 2.0), ([float(n) for n in range(1, 101)], 50.0, 95.0)],
)
def test_a_latency_is_by_nearest_rank(durations: list[float], median: float | None, p95: float | None) -> None:
    """Median and 95th percentile are values that were measured."""
    assert Latency.of(durations) == Latency(len(durations), median, p95)


def test_the_picture_has_every_station_of_the_way() -> None:
    """The stations follow the way of an event, and a dead letter calls for a look."""
    flow = flow_of(sent(by="rule r"), entry("invoked", duration_ms=12.0, error="", message_ids=[]), item("REJECTED"))
    picture = stations(flow, [], Depth(0, 1), Depth(1, 0))
    assert [station.name for station in picture] == [
        "till",
        "bus",
        "queue",
        "function",
        "wechat_pay",
        "table",
        "letters",
    ]
    bad = {(station.name, number.name) for station in picture for number in station.numbers if number.is_bad}
    assert bad == {("table", "REJECTED"), ("letters", "waiting")}


# ---- the steps of an order -------------------------------------------------------------------------------------------

ORDER = SimulatedOrder("1230000109", "A-1", "wx", "500001")
CONFIRMED = replace(ORDER, state="DOING", state_description="USER_CONFIRM")
COMPLETED = replace(
    ORDER, state="DOING", state_description="MCH_COMPLETE", collection_state="USER_PAYING", completed_at=1
)


@pytest.mark.parametrize(
    ("order", "steps"),
    [
        (ORDER, ["confirm", "cancel", "expire"]),
        (CONFIRMED, ["complete", "cancel"]),
        (COMPLETED, ["cancel", "deducting", "deduct", "pay"]),
        (replace(COMPLETED, deducting=True), ["not_deducting", "deduct", "pay"]),
        (replace(ORDER, state="DONE", collection_state="USER_PAID"), []),
        (replace(ORDER, state="REVOKED"), []),
        (replace(ORDER, state="EXPIRED"), []),
    ],
)
def test_an_orders_state_decides_its_steps(order: SimulatedOrder, steps: list[str]) -> None:
    """Only the steps that the simulator's own rules permit are offered."""
    assert list(allowed(order)) == steps


# ---- the till, the switches, the links -------------------------------------------------------------------------------


def test_a_report_is_dead_if_its_message_is() -> None:
    """A report by the queue has the message's id; a message of the bus holds the event's."""
    reports = [Report(0, "own", "", Receipt(Dispatch("x"), id_)) for id_ in ("m-1", "e-2", "e-3", "")]
    dead = entry("message_dead", queue="Q", message_id="m-1"), entry("message_dead", queue="Q", message_id="m-2")
    assert dead_reports(reports, [sent(message_id="m-2", body={"id": "e-2"}), *dead]) == {"m-1", "e-2"}
    assert dead_reports(reports, []) == set()


@pytest.mark.parametrize(
    ("option", "text", "value"),
    [
        (Option("main", ("main", "both")), "both", "both"),
        (Option("400"), "400", "400"),
        (Option(400), "503", 503),
        (Option(1.0), "0.5", 0.5),
        (Option(False), "true", True),
        (Option(None), "a text", "a text"),
        (Option(None), "[null]", [None]),
        (Option(None), "7", 7),
    ],
)
def test_an_option_is_read_as_its_default_is(option: Option, text: str, value: object) -> None:
    """A text stays a text; numbers, truth values and JSON are read."""
    assert read_option("name", option, text) == value


def test_an_option_that_cannot_be_read_is_named() -> None:
    """A value that does not fit is refused with its option's name."""
    with pytest.raises(ConsoleError, match=r"switches\.no_value"):
        read_option("status", Option(400), "four")


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: str(kind.name))
def test_every_default_of_a_fault_can_be_sent_back_by_its_form(kind: object) -> None:
    """What the form of a fault shows is read back as the default."""
    options = KINDS[getattr(kind, "name", "")].options
    for name, option in options.items():
        if option.default is not None:
            text = option.default if isinstance(option.default, str) else json.dumps(option.default)
            assert text == "" or read_option(name, option, text) == option.default


@pytest.mark.parametrize(
    ("key", "path"),
    [("1#A|1", "/order/1/A%7C1"), ("1/2#A", "/order/1/2/A"), ("", ""), ("no key", "")],
)
def test_an_orders_path_comes_from_its_key(key: str, path: str) -> None:
    """Each part of a key is encoded by itself."""
    assert order_path(key) == path


def test_outcome_events_are_those_of_the_function() -> None:
    """Of all events the function's own are shown, the newest first, whatever their detail is."""
    common: dict[str, Any] = {"bus": "b", "event_id": "e", "rules": [], "error": "", "detail_type": "T"}
    detail = {"mchid": "1", "out_order_no": "A", "status": "SYNCED"}
    events = [
        entry("event_published", 1.0, source="payscore.orders", detail=detail, **common),
        entry("event_published", 2.0, source="pos.x", detail=detail, **common),
        entry("event_published", 3.0, source="payscore.orders", detail="text", **common),
    ]
    assert [(event.at, event.status) for event in outcome_events(events)] == [(3.0, ""), (1.0, "SYNCED")]


# ---- operations in the background, errors ----------------------------------------------------------------------------


def test_a_job_shows_how_far_it_is_and_why_it_ended() -> None:
    """A job has its steps; an error ends it with one line, and both are published."""
    jobs, gate = Jobs(board := Bulletin()), threading.Event()

    def work() -> "list[Step]":
        raise ValueError("line one\nline two")

    def steps() -> "list[Step]":
        gate.wait()
        return [Step(1, 2, "half")]

    slow = jobs.start("till.hundred", lambda: iter(steps()))
    assert slow.is_running
    gate.set()
    failed_job = jobs.start("till.hundred", lambda: iter(work()), ["orders"])
    until(lambda: not (slow.is_running or failed_job.is_running))
    assert (slow.count, slow.total, slow.lines, slow.error) == (1, 2, ["half"], "")
    assert failed_job.error == "line one line two"
    assert board.since(f"{board.position.partition('-')[0]}-0")[1] == ["jobs", "orders"]
    jobs.dismiss()
    assert jobs.newest_first == ()


def test_every_error_is_one_printable_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Errors of WeChat Pay and of the console are one line; the terminal has the traceback of an unexpected one."""
    assert errors.line(DONE) == "WeChat Pay: 400 ORDER_DONE 订单已完成"
    assert errors.line(ValueError("a\x1b[31m\n b")) == "a [31m b"
    assert errors.line(ConsoleError("orders.not_now")) == "orders.not_now"
    assert capsys.readouterr().err == ""
    assert errors.line(ZeroDivisionError("x")).startswith("ZeroDivisionError: x; the terminal of the sandbox")
    assert "ZeroDivisionError" in capsys.readouterr().err

"""The auditor finds what it checks: each of its findings, produced on purpose."""

import json
from typing import Any

import pytest

from sandbox.audit import Auditor, Doorways, Findings, OutcomeEvent, RawItem, TillReport

MCHID = "1230000109"
AT = "2026-01-01T04:00:00.000Z"
NOW = 1_767_240_000.0  # the same moment


class SimulatedTable:
    """A table that is a dictionary: the items may be replaced while an auditor looks."""

    def __init__(self, items: dict[str, RawItem]) -> None:
        self.items = items
        self.auditor = Auditor(lambda: self.items)


def a_report(number: str = "A") -> TillReport:
    """A till's message."""
    payload = {"mchid": MCHID, "out_order_no": number, "detail": {"paid_time": "20260101120000"}}
    return TillReport(json.dumps(payload), MCHID, number, "20260101120000")


def an_item(status: str, **more: Any) -> dict[str, RawItem]:
    """The table with one order."""
    history = [{"at": AT, "outcome": status}]
    return {f"{MCHID}#A": {"status": status, "history": history, "updated_at": AT, "out_order_no": "A", **more}}


def an_order(state: str = "DONE", paid_type: str = "MCH", **more: Any) -> dict[str, Any]:
    """WeChat Pay's ledger with one order."""
    order = {"mchid": MCHID, "out_order_no": "A", "state": state, "state_description": "", "paid_type": paid_type}
    return {**order, "paid_time": "20260101120000", **more}


def compare(items: dict[str, RawItem], order: dict[str, Any] | None, **more: Any) -> Findings:
    """Compare one report with a table, a ledger and whatever more there is."""
    evidence: dict[str, Any] = {"calls": [], "letters": [], "waiting": 0, "reports": [a_report()], **more}
    return Auditor(lambda: items).compare(orders=[order] if order else [], **evidence)


@pytest.mark.parametrize(
    ("status", "order"),
    [
        ("SYNCED", an_order()),
        ("PAID_BY_WECHAT", an_order(paid_type="NEWTON")),
        ("NOTHING_DUE", an_order(paid_type="")),
    ],
)
def test_what_agrees_is_no_finding(status: str, order: dict[str, Any]) -> None:
    """A final status that agrees with WeChat Pay's ledger is no finding."""
    assert compare(an_item(status), order).faults == []


def test_a_report_hidden_behind_collected_is_found() -> None:
    """An order that a till has reported is not COLLECTED once the queue is empty; while it waits it may be."""
    item, order = an_item("COLLECTED", expires_at=1), an_order(paid_type="NEWTON")
    assert compare(item, order).hidden_reports == [f"{MCHID}#A"]
    assert compare(item, order, waiting=1).faults == []
    assert compare(item, order, reports=[]).faults == []


def test_a_false_collection_is_found() -> None:
    """A COLLECTED order rests on WeChat Pay's own payment and expires; no other order does."""
    item = an_item("COLLECTED", expires_at=1)
    assert compare(item, an_order(), reports=[]).false_collections == [f"{MCHID}#A: WeChat Pay has DONE MCH"]
    assert len(compare(an_item("COLLECTED"), an_order(paid_type="NEWTON"), reports=[]).false_collections) == 1
    assert len(compare(an_item("SYNCED", expires_at=1), an_order()).false_collections) == 1


def an_event(status: str = "SYNCED", version: int = 1, **changes: Any) -> OutcomeEvent:
    """An outcome event about the order, of the type that belongs to the status."""
    types = {"SYNCED": "OrderSynced", "PAID_BY_WECHAT": "OrderPaidByWeChat", "REJECTED": "OrderRejected"}
    values = {"detail_type": types[status], "key": f"{MCHID}#A", "status": status, "version": version, "at": AT}
    return OutcomeEvent(**{**values, **changes})


def open_doorways(*events: OutcomeEvent, with_collection: bool = False) -> dict[str, Any]:
    """What went through the doorways."""
    return {"doorways": Doorways({f"{MCHID}#A"} if with_collection else set(), events)}


def test_a_final_status_needs_its_event() -> None:
    """An item with an outcome that no event of its version or an earlier one has announced is found."""
    item, order = an_item("SYNCED", version=1), an_order()
    assert compare(item, order, **open_doorways(an_event(), an_event())).faults == []
    assert compare(item, order, **open_doorways()).missing_events == [f"{MCHID}#A is SYNCED"]
    later = compare(an_item("SYNCED", version=1), order, **open_doorways(an_event(version=2)))
    assert len(later.missing_events) == len(later.false_events) == 1
    rejected, revoked = an_item("REJECTED", version=1, reason="REVOKED"), an_order("REVOKED", "")
    assert len(compare(rejected, revoked, **open_doorways()).missing_events) == 1
    assert compare(an_item("RETRYING", version=1), an_order("DOING", ""), **open_doorways()).missing_events == []


def test_an_event_that_the_table_does_not_bear_out_is_found() -> None:
    """An event without an item, of another status, of a time that the history does not have, or of another type."""
    item, order = an_item("SYNCED", version=2), an_order()

    def false(*events: OutcomeEvent) -> list[str]:
        objections = compare(item, order, **open_doorways(an_event(), *events)).false_events
        return [text.rpartition(": ")[2] for text in objections]

    assert false() == []
    assert false(an_event(key=f"{MCHID}#B")) == ["there is no item"]
    assert false(an_event("PAID_BY_WECHAT")) == ["the item is SYNCED"]
    assert false(an_event(detail_type="OrderRejected")) == ["it reports SYNCED"]
    assert false(an_event(at="2026-01-01T05:00:00.000Z")) == ["the item's history does not have it"]
    assert false(an_event("REJECTED")) == ["the item's history does not have it"]
    item[f"{MCHID}#A"]["history"].insert(0, {"at": AT, "outcome": "RETRYING"})
    assert false(an_event("REJECTED", reason="RETRIES_EXHAUSTED")) == []
    twice = an_item("PAID_BY_WECHAT", version=1)
    unnamed = compare(twice, an_order(paid_type="NEWTON"), **open_doorways(an_event("PAID_BY_WECHAT")))
    assert len(unnamed.false_events) == 1


def test_a_history_that_was_cut_off_bears_out_what_is_older() -> None:
    """An event that is older than the twenty attempts of the history is no finding."""
    item = an_item("SYNCED", version=30)
    item[f"{MCHID}#A"]["history"] *= 20
    older = an_event("REJECTED", at="2026-01-01T03:00:00.000Z")
    assert compare(item, an_order(), **open_doorways(an_event(), older)).faults == []


def test_a_collection_that_was_told_is_in_the_table() -> None:
    """What WeChat Pay told and was answered is COLLECTED, or PAID_BY_WECHAT where a till has reported the order."""
    newton, collected = an_order(paid_type="NEWTON"), an_item("COLLECTED", version=1, expires_at=1)
    doorways = open_doorways(with_collection=True)
    assert compare(collected, newton, reports=[], **doorways).faults == []
    assert compare({}, newton, reports=[], **doorways).untold_collections == [f"{MCHID}#A is -"]
    assert compare(an_item("RETRYING", version=1), newton, **doorways).untold_collections == [f"{MCHID}#A is RETRYING"]
    assert compare(an_item("PAID_BY_WECHAT", version=1), newton, **doorways).untold_collections == []


def test_a_call_about_what_was_told_before_is_found() -> None:
    """A call about an order that was COLLECTED before the till reported it is found: the item answers the report."""
    item = an_item("PAID_BY_WECHAT")
    item[f"{MCHID}#A"]["history"] = [{"at": AT, "outcome": "COLLECTED"}]
    calls = [(f"{MCHID}#A", NOW + 60)]
    assert compare(item, an_order(paid_type="NEWTON"), calls=calls).late_calls == [f"{MCHID}#A"]


def test_a_lost_order_is_found() -> None:
    """An order is lost that is neither in the table nor among the dead letters nor in the queue."""
    assert compare({}, an_order()).lost_orders == [f"{MCHID}#A"]
    assert compare({}, an_order(), waiting=1).lost_orders == []
    assert compare({}, an_order(), letters=[a_report().body]).lost_orders == []


@pytest.mark.parametrize(
    "order", [an_order(paid_type="NEWTON"), an_order("DOING", ""), an_order("REVOKED", ""), an_order(paid_type="")]
)
def test_a_wrong_final_status_is_found(order: dict[str, Any]) -> None:
    """SYNCED is wrong unless WeChat Pay's ledger has the order as paid to the merchant."""
    assert len(compare(an_item("SYNCED"), order).wrong_statuses) == 1


def test_a_changed_final_status_is_found() -> None:
    """A final status that changed is found, even if it changed back."""
    table = SimulatedTable(an_item("SYNCED"))
    auditor = table.auditor
    auditor.look()
    table.items = an_item("RETRYING")
    auditor.look()
    table.items = an_item("SYNCED")
    assert auditor.compare([a_report()], [an_order()], [], [], 0).changed_statuses == [f"{MCHID}#A"]


def test_a_false_time_of_payment_is_found() -> None:
    """WeChat Pay has a time of payment that no till reported."""
    assert compare(an_item("SYNCED"), an_order(paid_time="20260101130000")).false_times == [f"{MCHID}#A"]


def test_a_call_for_a_final_order_is_found() -> None:
    """A call that begins after the final status is found, unless it was in flight already."""
    assert compare(an_item("SYNCED"), an_order(), calls=[(f"{MCHID}#A", NOW + 1)]).late_calls == []
    assert compare(an_item("SYNCED"), an_order(), calls=[(f"{MCHID}#A", NOW + 60)]).late_calls == [f"{MCHID}#A"]


def test_a_letter_without_a_reason_is_found() -> None:
    """A dead letter needs a reason in its item, or a body that never could be read."""
    body = a_report().body
    assert (
        compare(an_item("REJECTED", reason="REVOKED"), an_order("REVOKED", ""), letters=[body]).unexplained_letters
        == []
    )
    assert compare(an_item("REJECTED"), an_order("REVOKED", ""), letters=[body]).unexplained_letters == [f"{MCHID}#A"]
    poison = TillReport("nonsense")
    assert (
        compare(an_item("SYNCED"), an_order(), reports=[a_report(), poison], letters=["nonsense"]).unexplained_letters
        == []
    )
    assert compare(an_item("SYNCED"), an_order(), letters=["damaged"]).unexplained_letters == ["damaged"]


def test_a_call_after_a_rejection_is_found() -> None:
    """A call about an order after its rejection is found, however often its message is received."""
    rejected, revoked = an_item("REJECTED", reason="REVOKED"), an_order("REVOKED", "")
    key = f"{MCHID}#A"
    assert compare(rejected, revoked, calls=[(key, NOW - 60), (key, NOW)]).late_calls == []
    assert compare(rejected, revoked, calls=[(key, NOW + 60)]).late_calls == [key]
    assert compare(an_item("RETRYING"), an_order("DOING", ""), calls=[(key, NOW + 60)]).late_calls == []


def test_an_order_whose_message_was_given_up_must_say_so() -> None:
    """An order whose message SQS has given up is REJECTED, or RETRYING only while another message of it waits."""
    body, doing = a_report().body, an_order("DOING", "")
    retrying = an_item("RETRYING", reason="UNREACHABLE")
    assert compare(retrying, doing, letters=[body]).retrying_letters == [f"{MCHID}#A"]
    assert compare(retrying, doing, letters=[body], waiting=1).retrying_letters == []
    exhausted = compare(an_item("REJECTED", reason="RETRIES_EXHAUSTED"), doing, letters=[body])
    assert (exhausted.faults, exhausted.dead) == ([], {"RETRIES_EXHAUSTED": 1})


@pytest.mark.parametrize("text", ["\x1b[2J", "\u202e", "a\nb", "\x00", "\u2028", "x" * 1001])
@pytest.mark.parametrize("place", ["reason", "last_error", "history"])
def test_unsafe_text_is_found(text: str, place: str) -> None:
    """Control characters and long texts are found in the item's own texts; WeChat Pay's signed answer is exempt."""
    places: dict[str, dict[str, Any]] = {
        "reason": {"reason": text},
        "last_error": {"last_error": {"code": "X", "message": text}},
        "history": {"history": [{"at": AT, "outcome": "SYNCED", "code": text}]},
    }
    assert len(compare(an_item("SYNCED", **places[place]), an_order()).unsafe_texts) == 1
    assert compare(an_item("SYNCED", wechat={"attach": text}), an_order()).unsafe_texts == []
    assert compare(an_item("SYNCED", reason="支付时间"), an_order()).unsafe_texts == []


def test_an_unreadable_item_must_stay_and_its_report_too() -> None:
    """An unreadable item that is overwritten, called about, or whose message disappeared, is a finding."""
    unreadable = an_item("REFUNDED")
    key, body, doing = f"{MCHID}#A", a_report().body, an_order("DOING", "")

    def audit(items: dict[str, RawItem], since: float = 0.0, **more: Any) -> Findings:
        auditor = Auditor(lambda: items)
        auditor.expect_untouched({"pk": key, **unreadable[key]}, since)
        evidence: dict[str, Any] = {"calls": [], "letters": [body], "waiting": 0, **more}
        return auditor.compare([a_report()], [doing], **evidence)

    there = {key: {"pk": key, **unreadable[key]}}
    quiet = audit(there)
    assert (quiet.faults, quiet.dead, dict(quiet.ledger)) == ([], {"unreadable item": 1}, {("DOING", "unreadable"): 1})
    assert audit(an_item("SYNCED")).overwritten_items == [key]
    assert audit({}).overwritten_items == [key]
    assert audit(there, letters=[]).lost_orders == [key]
    assert audit(there, letters=[], waiting=1).lost_orders == []
    assert audit(there, since=NOW, letters=[]).lost_orders == []
    assert audit(there, calls=[(key, NOW)]).late_calls == [key]
    assert audit(there, since=NOW, calls=[(key, NOW + 1), (key, NOW + 60)]).late_calls == [key]


def test_a_final_status_that_becomes_unreadable_is_no_change() -> None:
    """A final status that another program makes unreadable is not one that the function changed."""
    table = SimulatedTable(an_item("SYNCED"))
    auditor = table.auditor
    auditor.look()
    table.items = an_item("REFUNDED")
    auditor.expect_untouched({"pk": f"{MCHID}#A", **table.items[f"{MCHID}#A"]}, NOW)
    auditor.look()
    assert auditor.compare([a_report()], [an_order()], [], [], 0).changed_statuses == []


def test_a_sub_merchants_order_has_a_key_of_its_own() -> None:
    """Of two orders with one number, each is compared with its own item and its own dead letters."""

    def report(sub_mchid: str) -> TillReport:
        payload = {"mchid": MCHID, "out_order_no": "A", "endpoint": "partner", "sub_mchid": sub_mchid}
        body = json.dumps(payload | {"detail": {"paid_time": "20260101120000"}})
        return TillReport(body, MCHID, "A", "20260101120000", sub_mchid)

    [item] = an_item("SYNCED").values()
    orders = [an_order(sub_mchid="S1"), an_order("DOING", "", sub_mchid="S2")]
    table = SimulatedTable({f"{MCHID}/S1#A": item})
    auditor = table.auditor
    findings = auditor.compare([report("S1"), report("S2")], orders, [], [], 0)
    assert findings.lost_orders == [f"{MCHID}/S2#A"]
    assert dict(findings.ledger) == {("DONE MCH", "SYNCED"): 1, ("DOING", "-"): 1}
    table.items[f"{MCHID}/S2#A"] = {**item, "status": "REJECTED", "reason": "RETRIES_EXHAUSTED"}
    assert auditor.compare([report("S1"), report("S2")], orders, [], [report("S2").body], 0).faults == []


@pytest.mark.parametrize("paid_time", ["20260101120000", "2026-01-01T12:00:00+08:00", "2026-01-01T04:00:00Z"])
def test_times_are_compared_as_moments(paid_time: str) -> None:
    """Times of payment are compared as moments: overseas they are written differently."""
    assert compare(an_item("SYNCED"), an_order(paid_time=paid_time)).false_times == []


@pytest.mark.parametrize("around", ["bus", "sns", "both"])
def test_a_letter_is_read_out_of_its_envelopes(around: str) -> None:
    """A dead letter is read out of an EventBridge event, an SNS notification, or the one in the other."""
    body = a_report().body
    if around in {"bus", "both"}:
        body = json.dumps({"detail-type": "Order_Paid", "source": "pos.x", "detail": json.loads(body)})
    if around in {"sns", "both"}:
        body = json.dumps({"Type": "Notification", "MessageId": "1", "Message": body})
    report = TillReport(body, MCHID, "A", "20260101120000")
    item = an_item("REJECTED", reason="REVOKED")
    assert compare(item, an_order("REVOKED", ""), reports=[report], letters=[body]).faults == []


@pytest.mark.parametrize("body", ["null", "[]", "7", '"text"', '{"Type":"Notification","Message":{}}', "[" * 100_000])
def test_a_letter_that_cannot_be_read_costs_nothing_but_its_place(body: str) -> None:
    """An unreadable dead letter is explained where a till sent it so, and named otherwise."""
    assert compare(an_item("SYNCED"), an_order(), reports=[a_report(), TillReport(body)], letters=[body]).faults == []
    assert compare(an_item("SYNCED"), an_order(), letters=[body]).unexplained_letters == [body[:80]]

"""The auditor finds what it looks for: each of its findings, made on purpose."""

import json
from typing import Any

import pytest

from sandbox.audit import Auditor, Findings, Report

MCHID = "1230000109"
AT = "2026-01-01T04:00:00.000Z"
NOW = 1_767_240_000.0  # the same moment


class OnPaper(Auditor):
    """An auditor whose table is a dictionary."""

    def __init__(self, items: dict[str, dict[str, Any]]) -> None:
        self.paper = items
        self._seen = {}
        self._changed = set()
        self._planted = {}

    def items(self) -> dict[str, dict[str, Any]]:
        """The paper."""
        return self.paper


def a_report(number: str = "A") -> Report:
    """A till's message."""
    payload = {"mchid": MCHID, "out_order_no": number, "detail": {"paid_time": "20260101120000"}}
    return Report(json.dumps(payload), MCHID, number, "20260101120000")


def an_item(status: str, **more: Any) -> dict[str, dict[str, Any]]:
    """The table with one order."""
    history = [{"at": AT, "outcome": status}]
    return {f"{MCHID}#A": {"status": status, "history": history, "updated_at": AT, "out_order_no": "A", **more}}


def an_order(state: str = "DONE", paid_type: str = "MCH", **more: Any) -> dict[str, Any]:
    """WeChat Pay's ledger with one order."""
    order = {"mchid": MCHID, "out_order_no": "A", "state": state, "state_description": "", "paid_type": paid_type}
    return {**order, "paid_time": "20260101120000", **more}


def compared(items: dict[str, dict[str, Any]], order: dict[str, Any] | None, **more: Any) -> Findings:
    """Compare one report."""
    given: dict[str, Any] = {"calls": [], "dead": [], "waiting": 0, "reports": [a_report()], **more}
    return OnPaper(items).compare(orders=[order] if order else [], **given)


@pytest.mark.parametrize(
    ("status", "order"),
    [
        ("SYNCED", an_order()),
        ("PAID_BY_WECHAT", an_order(paid_type="NEWTON")),
        ("NOTHING_DUE", an_order(paid_type="")),
    ],
)
def test_what_agrees_is_no_finding(status: str, order: dict[str, Any]) -> None:
    """Each final status with the truth that it stands for."""
    assert compared(an_item(status), order).faults == []


def test_a_lost_order_is_found() -> None:
    """Neither in the table nor among the letters nor in the queue."""
    assert compared({}, an_order()).lost == [f"{MCHID}#A"]
    assert compared({}, an_order(), waiting=1).lost == []
    assert compared({}, an_order(), dead=[a_report().body]).lost == []


@pytest.mark.parametrize(
    "order", [an_order(paid_type="NEWTON"), an_order("DOING", ""), an_order("REVOKED", ""), an_order(paid_type="")]
)
def test_a_wrong_final_status_is_found(order: dict[str, Any]) -> None:
    """SYNCED is only what WeChat Pay holds for paid by the merchant."""
    assert len(compared(an_item("SYNCED"), order).wrongly_final) == 1


def test_a_changed_final_status_is_found() -> None:
    """Even if it was changed back."""
    auditor = OnPaper(an_item("SYNCED"))
    auditor.look()
    auditor.paper = an_item("RETRYING")
    auditor.look()
    auditor.paper = an_item("SYNCED")
    assert auditor.compare([a_report()], [an_order()], [], [], 0).changed == [f"{MCHID}#A"]


def test_an_untrue_time_is_found() -> None:
    """WeChat Pay holds a moment that no till has told."""
    assert compared(an_item("SYNCED"), an_order(paid_time="20260101130000")).untrue == [f"{MCHID}#A"]


def test_a_call_for_a_final_order_is_found() -> None:
    """Unless it was on its way already."""
    assert compared(an_item("SYNCED"), an_order(), calls=[(f"{MCHID}#A", NOW + 1)]).called_after_verdict == []
    assert compared(an_item("SYNCED"), an_order(), calls=[(f"{MCHID}#A", NOW + 60)]).called_after_verdict == [
        f"{MCHID}#A"
    ]


def test_a_letter_without_a_reason_is_found() -> None:
    """A reason stands in the item, or the body cannot be read and never could."""
    body = a_report().body
    assert compared(an_item("REJECTED", reason="REVOKED"), an_order("REVOKED", ""), dead=[body]).unexplained == []
    assert compared(an_item("REJECTED"), an_order("REVOKED", ""), dead=[body]).unexplained == [f"{MCHID}#A"]
    poison = Report("nonsense")
    assert compared(an_item("SYNCED"), an_order(), reports=[a_report(), poison], dead=["nonsense"]).unexplained == []
    assert compared(an_item("SYNCED"), an_order(), dead=["damaged"]).unexplained == ["damaged"]


def test_a_call_after_a_rejection_is_found() -> None:
    """A dead letter is received again and again, and nothing more is asked about it."""
    rejected, revoked = an_item("REJECTED", reason="REVOKED"), an_order("REVOKED", "")
    key = f"{MCHID}#A"
    assert compared(rejected, revoked, calls=[(key, NOW - 60), (key, NOW)]).called_after_verdict == []
    assert compared(rejected, revoked, calls=[(key, NOW + 60)]).called_after_verdict == [key]
    assert compared(an_item("RETRYING"), an_order("DOING", ""), calls=[(key, NOW + 60)]).called_after_verdict == []


def test_an_order_whose_message_was_given_up_must_say_so() -> None:
    """REJECTED for RETRIES_EXHAUSTED; RETRYING only while another message of the order waits."""
    body, doing = a_report().body, an_order("DOING", "")
    retrying = an_item("RETRYING", reason="UNREACHABLE")
    assert compared(retrying, doing, dead=[body]).unclosed == [f"{MCHID}#A"]
    assert compared(retrying, doing, dead=[body], waiting=1).unclosed == []
    exhausted = compared(an_item("REJECTED", reason="RETRIES_EXHAUSTED"), doing, dead=[body])
    assert (exhausted.faults, exhausted.dead) == ([], {"RETRIES_EXHAUSTED": 1})


@pytest.mark.parametrize("text", ["\x1b[2J", "\u202e", "a\nb", "\x00", "\u2028", "x" * 1001])
@pytest.mark.parametrize("place", ["reason", "last_error", "history"])
def test_unwashed_words_are_found(text: str, place: str) -> None:
    """In every text of the item's own; what WeChat Pay has signed is kept as it came."""
    places: dict[str, dict[str, Any]] = {
        "reason": {"reason": text},
        "last_error": {"last_error": {"code": "X", "message": text}},
        "history": {"history": [{"at": AT, "outcome": "SYNCED", "code": text}]},
    }
    assert len(compared(an_item("SYNCED", **places[place]), an_order()).unwashed) == 1
    assert compared(an_item("SYNCED", wechat={"attach": text}), an_order()).unwashed == []
    assert compared(an_item("SYNCED", reason="支付时间"), an_order()).unwashed == []


def test_an_unreadable_item_must_stay_and_its_report_too() -> None:
    """Overwritten, asked about, or its message gone without a trace: each is a finding."""
    planted = an_item("REFUNDED")
    key, body, doing = f"{MCHID}#A", a_report().body, an_order("DOING", "")

    def found(items: dict[str, dict[str, Any]], at: float = 0.0, **more: Any) -> Findings:
        auditor = OnPaper(items)
        auditor.plant({"pk": key, **planted[key]}, at)
        given: dict[str, Any] = {"calls": [], "dead": [body], "waiting": 0, **more}
        return auditor.compare([a_report()], [doing], **given)

    there = {key: {"pk": key, **planted[key]}}
    quiet = found(there)
    assert (quiet.faults, quiet.dead, dict(quiet.ledger)) == ([], {"unreadable item": 1}, {("DOING", "unreadable"): 1})
    assert found(an_item("SYNCED")).overwritten == [key]
    assert found({}).overwritten == [key]
    assert found(there, dead=[]).lost == [key]
    assert found(there, dead=[], waiting=1).lost == []
    assert found(there, at=NOW, dead=[]).lost == []
    assert found(there, calls=[(key, NOW)]).called_after_verdict == [key]
    assert found(there, at=NOW, calls=[(key, NOW + 1), (key, NOW + 60)]).called_after_verdict == [key]


def test_a_final_status_that_becomes_unreadable_is_no_change() -> None:
    """It was another hand's doing."""
    auditor = OnPaper(an_item("SYNCED"))
    auditor.look()
    auditor.paper = an_item("REFUNDED")
    auditor.plant({"pk": f"{MCHID}#A", **auditor.paper[f"{MCHID}#A"]}, NOW)
    auditor.look()
    assert auditor.compare([a_report()], [an_order()], [], [], 0).changed == []


def test_a_sub_merchants_order_has_a_key_of_its_own() -> None:
    """Two orders of one number: each is compared with its own item, and a letter belongs to its own order."""

    def report(sub_mchid: str) -> Report:
        payload = {"mchid": MCHID, "out_order_no": "A", "endpoint": "partner", "sub_mchid": sub_mchid}
        body = json.dumps(payload | {"detail": {"paid_time": "20260101120000"}})
        return Report(body, MCHID, "A", "20260101120000", sub_mchid)

    [item] = an_item("SYNCED").values()
    orders = [an_order(sub_mchid="S1"), an_order("DOING", "", sub_mchid="S2")]
    auditor = OnPaper({f"{MCHID}/S1#A": item})
    findings = auditor.compare([report("S1"), report("S2")], orders, [], [], 0)
    assert findings.lost == [f"{MCHID}/S2#A"]
    assert dict(findings.ledger) == {("DONE MCH", "SYNCED"): 1, ("DOING", "-"): 1}
    auditor.paper[f"{MCHID}/S2#A"] = {**item, "status": "REJECTED", "reason": "RETRIES_EXHAUSTED"}
    assert auditor.compare([report("S1"), report("S2")], orders, [], [report("S2").body], 0).faults == []


@pytest.mark.parametrize("held", ["20260101120000", "2026-01-01T12:00:00+08:00", "2026-01-01T04:00:00Z"])
def test_times_are_compared_as_moments(held: str) -> None:
    """Overseas they are written otherwise."""
    assert compared(an_item("SYNCED"), an_order(paid_time=held)).untrue == []


@pytest.mark.parametrize("around", ["bus", "sns", "both"])
def test_a_letter_is_read_out_of_its_envelopes(around: str) -> None:
    """An EventBridge event, an SNS notification, or the one in the other."""
    body = a_report().body
    if around in {"bus", "both"}:
        body = json.dumps({"detail-type": "Order_Paid", "source": "pos.x", "detail": json.loads(body)})
    if around in {"sns", "both"}:
        body = json.dumps({"Type": "Notification", "MessageId": "1", "Message": body})
    report = Report(body, MCHID, "A", "20260101120000")
    item = an_item("REJECTED", reason="REVOKED")
    assert compared(item, an_order("REVOKED", ""), reports=[report], dead=[body]).faults == []


@pytest.mark.parametrize("body", ["null", "[]", "7", '"text"', '{"Type":"Notification","Message":{}}', "[" * 100_000])
def test_a_letter_that_cannot_be_read_costs_nothing_but_its_place(body: str) -> None:
    """Known as poison it is explained, otherwise it is named."""
    assert compared(an_item("SYNCED"), an_order(), reports=[a_report(), Report(body)], dead=[body]).faults == []
    assert compared(an_item("SYNCED"), an_order(), dead=[body]).unexplained == [body[:80]]

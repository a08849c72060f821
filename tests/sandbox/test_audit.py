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


def reckoned(items: dict[str, dict[str, Any]], order: dict[str, Any] | None, **more: Any) -> Findings:
    """Reckon up one report."""
    given: dict[str, Any] = {"calls": [], "dead": [], "waiting": 0, "reports": [a_report()], **more}
    return OnPaper(items).reckon(orders=[order] if order else [], **given)


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
    assert reckoned(an_item(status), order).faults == []


def test_a_lost_order_is_found() -> None:
    """Neither in the table nor among the letters nor in the queue."""
    assert reckoned({}, an_order()).lost == [f"{MCHID}#A"]
    assert reckoned({}, an_order(), waiting=1).lost == []
    assert reckoned({}, an_order(), dead=[a_report().body]).lost == []


@pytest.mark.parametrize(
    "order", [an_order(paid_type="NEWTON"), an_order("DOING", ""), an_order("REVOKED", ""), an_order(paid_type="")]
)
def test_a_wrong_final_status_is_found(order: dict[str, Any]) -> None:
    """SYNCED is only what WeChat Pay holds for paid by the merchant."""
    assert len(reckoned(an_item("SYNCED"), order).wrongly_final) == 1


def test_a_changed_final_status_is_found() -> None:
    """Even if it was changed back."""
    auditor = OnPaper(an_item("SYNCED"))
    auditor.look()
    auditor.paper = an_item("RETRYING")
    auditor.look()
    auditor.paper = an_item("SYNCED")
    assert auditor.reckon([a_report()], [an_order()], [], [], 0).changed == [f"{MCHID}#A"]


def test_an_untrue_time_is_found() -> None:
    """WeChat Pay holds a moment that no till has told."""
    assert reckoned(an_item("SYNCED"), an_order(paid_time="20260101130000")).untrue == [f"{MCHID}#A"]


def test_a_call_for_a_final_order_is_found() -> None:
    """Unless it was on its way already."""
    assert reckoned(an_item("SYNCED"), an_order(), calls=[(f"{MCHID}#A", NOW + 1)]).called_when_final == []
    assert reckoned(an_item("SYNCED"), an_order(), calls=[(f"{MCHID}#A", NOW + 60)]).called_when_final == [f"{MCHID}#A"]


def test_a_letter_without_a_reason_is_found() -> None:
    """A reason stands in the item, or the body cannot be read and never could."""
    body = a_report().body
    assert reckoned(an_item("REJECTED", reason="REVOKED"), an_order("REVOKED", ""), dead=[body]).unexplained == []
    assert reckoned(an_item("REJECTED"), an_order("REVOKED", ""), dead=[body]).unexplained == [f"{MCHID}#A"]
    poison = Report("nonsense")
    assert reckoned(an_item("SYNCED"), an_order(), reports=[a_report(), poison], dead=["nonsense"]).unexplained == []
    assert reckoned(an_item("SYNCED"), an_order(), dead=["damaged"]).unexplained == ["damaged"]

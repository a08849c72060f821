"""Where the pages are silent each choice can be made, by a command or in Python, and has the effect that it names."""

import json
from dataclasses import fields
from pathlib import Path

import pytest

from sandbox.wechat_pay import examples, times
from sandbox.wechat_pay.message import as_json
from sandbox.wechat_pay.service import SimulatedService
from sandbox.wechat_pay.switches import QUESTIONS, Switches, table
from tests.sandbox.signed import BASE, LONG_AGO, MCHID, PAID, QUERY, signed_request

NOW = 1_790_000_000.0


@pytest.fixture
def service(key_ring: Path) -> SimulatedService:
    """A service with one order that waits for its money."""
    service = SimulatedService(keys=key_ring)
    service.ready_to_sync(MCHID, "S1", at=LONG_AGO)
    return service


def sync(service: SimulatedService, body: bytes = PAID, number: str = "S1", base: str = BASE) -> tuple[int, str, str]:
    """Sync; return status, code and sub-code."""
    reply = service.answer(signed_request(service, "POST", f"{base}/{number}/sync", body)).reply
    return reply.status, reply.code, reply.headers["Request-ID"].rpartition("-")[2]


def test_the_page_of_the_sandbox_has_the_table_of_switches() -> None:
    """`sandbox/README.md` lists every switch, its default and choices, and the question that it answers."""
    page = (Path(__file__).parents[2] / "sandbox/README.md").read_text(encoding="utf-8")
    assert table() in page
    assert QUESTIONS.keys() == {one.name for one in fields(Switches)}


@pytest.mark.parametrize(
    ("choice", "status", "code"),
    [
        ("ORDER_DONE", 400, "ORDER_DONE"),
        ("INVALID_ORDER_STATE", 400, "INVALID_ORDER_STATE"),
        ("INVALID_REQUEST", 400, "INVALID_REQUEST"),
        ("200", 200, ""),
    ],
)
def test_how_a_second_sync_is_answered(service: SimulatedService, choice: str, status: int, code: str) -> None:
    """A second sync with the same time is answered as chosen, one with another time by its own switch."""
    service.switch("second_sync", choice)
    assert sync(service)[0] == 200
    assert sync(service)[:2] == (status, code)
    other = as_json(examples.sync("20260101120001"))
    assert sync(service, other)[:2] == (400, "ORDER_DONE")
    service.switch("second_sync_other_time", choice)
    assert sync(service, other)[:2] == (status, code)
    assert service.order(MCHID, "S1").syncs == 1


def test_a_second_sync_of_another_shop_is_refused_all_the_same(service: SimulatedService) -> None:
    """The choice of a second sync's answer opens no order to another service."""
    service.switch("second_sync", "200")
    assert sync(service)[0] == 200
    foreign = as_json({**json.loads(PAID), "service_id": "500002"})
    assert sync(service, foreign)[:2] == (403, "NO_AUTH")


def test_an_order_that_wechat_pay_has_collected_has_no_second_sync(service: SimulatedService) -> None:
    """After NEWTON a sync is ORDER_DONE whatever a second sync would be."""
    service.switch("second_sync", "200")
    service.deduct(MCHID, "S1")
    assert sync(service)[:2] == (400, "ORDER_DONE")


@pytest.mark.parametrize(
    ("code", "status"), [("INVALID_REQUEST", 400), ("INVALID_ORDER_STATE", 400), ("SYSTEM_ERROR", 500)]
)
def test_the_code_while_wechat_pay_is_deducting(service: SimulatedService, code: str, status: int) -> None:
    """The message is official and its code is not: any of three, always with sub-code 271316754."""
    service.switch("deducting_code", code)
    service.deducting(MCHID, "S1")
    assert sync(service) == (status, code, "271316754")


@pytest.mark.parametrize("code", ["PARAM_ERROR", "INVALID_REQUEST"])
def test_the_code_of_a_time_outside_the_window(service: SimulatedService, code: str) -> None:
    """A `paid_time` before complete is refused with the code chosen; a malformed one is always PARAM_ERROR."""
    service.switch("paid_time_code", code)
    assert sync(service, as_json(examples.sync("20200101120000")))[:2] == (400, code)
    assert sync(service, as_json(examples.sync("2020")))[:2] == (400, "PARAM_ERROR")


@pytest.mark.parametrize(("accepts", "status"), [(False, 400), (True, 200)])
def test_a_payment_in_the_very_second_of_complete(key_ring: Path, accepts: bool, status: int) -> None:
    """The page wants a later time; by the switch the same second will do, and never the second before."""
    service = SimulatedService(keys=key_ring, switches=Switches(sync_in_the_second_of_complete=accepts))
    service.ready_to_sync(MCHID, "S1", at=LONG_AGO + 0.7)
    assert sync(service, as_json(examples.sync(times.digits(LONG_AGO - 1))))[0] == 400
    assert sync(service, as_json(examples.sync(times.digits(LONG_AGO))))[0] == status
    service.ready_to_sync(MCHID, "S2", at=LONG_AGO + 0.7)
    assert sync(service, as_json(examples.sync(times.digits(LONG_AGO + 1))), "S2")[0] == 200


def test_calls_beyond_the_limit_of_a_second_are_refused(key_ring: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a limit the next call within a second is 429, and the second after it is free again."""
    now = [NOW]
    monkeypatch.setattr("tests.sandbox.signed.time.time", lambda: now[0])
    service = SimulatedService(keys=key_ring, clock=lambda: now[0])
    service.open(MCHID, "S1")
    service.switch("calls_per_second", 2)
    statuses = [service.answer(signed_request(service, "GET", QUERY)).reply.status for _ in range(3)]
    now[0] += 1
    statuses.append(service.answer(signed_request(service, "GET", QUERY)).reply.status)
    assert statuses == [200, 200, 429, 200]


def test_a_second_call_about_an_order_within_a_second_is_throttled(
    key_ring: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the switch the same order again is refused with sub-code 268435472, another order is not."""
    now = [NOW]
    monkeypatch.setattr("tests.sandbox.signed.time.time", lambda: now[0])
    service = SimulatedService(keys=key_ring, clock=lambda: now[0])
    service.switch("same_order_throttled", True)
    for number in ("S1", "S2"):
        service.ready_to_sync(MCHID, number)
    assert sync(service)[2] != "268435472"
    assert sync(service) == (400, "INVALID_REQUEST", "268435472")
    assert sync(service, number="S2")[2] != "268435472"


def test_a_query_may_lag(key_ring: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a lag a query still reads the order as it was, changes nothing by it, and later reads it as it is."""
    now = [NOW]
    monkeypatch.setattr("tests.sandbox.signed.time.time", lambda: now[0])
    service = SimulatedService(keys=key_ring, clock=lambda: now[0])
    service.switch("query_lag", 5.0)
    service.ready_to_sync(MCHID, "S1", at=NOW - 100)
    now[0] += 60
    service.deduct(MCHID, "S1")
    states = []
    for moment in (0, 4, 5):
        now[0] = NOW + 60 + moment
        states.append(json.loads(service.answer(signed_request(service, "GET", QUERY)).reply.body)["state"])
    assert states == ["DOING", "DOING", "DONE"]
    assert service.order(MCHID, "S1").paid_type == "NEWTON"


@pytest.mark.parametrize(("same", "status"), [(True, 200), (False, 404)])
def test_an_encoded_star_is_the_same_or_not(service: SimulatedService, same: bool, status: int) -> None:
    """`%2A` in a path names the order with `*`, or nothing; a raw `*` always names it."""
    service.switch("encoded_star", same)
    service.ready_to_sync(MCHID, "A*1", at=LONG_AGO)
    assert sync(service, number="A%2A1")[0] == status
    service.ready_to_sync(MCHID, "A*1", at=LONG_AGO)
    assert sync(service, number="A*1")[0] == 200


@pytest.mark.parametrize(("choice", "code"), [("direct", "ORDER_NOT_EXIST"), ("common", "INVALID_REQUEST")])
def test_the_error_table_of_payafter_is_that_of_direct_or_the_common_one(
    service: SimulatedService, choice: str, code: str
) -> None:
    """Its table is not published: the codes of the direct endpoint, or the four that every page has."""
    service.switch("sibling_errors", choice)
    assert sync(service, number="S9", base="/v3/payscore/payafter-orders")[1] == code
    assert sync(service, number="S9")[1] == "ORDER_NOT_EXIST"


@pytest.mark.parametrize("signs", [True, False])
def test_whether_refusals_are_signed(service: SimulatedService, signs: bool) -> None:
    """A refusal has the headers of a signature only by the switch."""
    service.switch("signed_refusals", signs)
    reply = service.answer(signed_request(service, "POST", f"{BASE}/S9/sync", PAID)).reply
    assert ("Wechatpay-Signature" in reply.headers) == signs

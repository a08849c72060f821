"""The circuit: while WeChat Pay gives no answer at all nobody calls it, and nothing is lost by that."""

import time
from dataclasses import replace

import pytest
from aws_lambda_powertools.utilities.circuit_breaker import CircuitState

from orders import circuit
from orders.circuit import SILENT_BATCHES, Circuit
from orders.order import Status
from orders.relay import Result
from orders.table import OrdersTable

from .conftest import Shop, a_message


@pytest.fixture
def shop(shop: Shop) -> Shop:
    """A shop whose circuit tries again after a second."""
    name = f"CIRCUIT#{time.monotonic_ns()}"
    quick = Circuit(
        shop.cloud.client("dynamodb"), "orders", on_transition=shop.transitions.append, scale=0.01, name=name
    )
    return replace(shop, relay=replace(shop.relay, circuit=quick))


def outage(shop: Shop, batches: int = SILENT_BATCHES) -> list[list[Result]]:
    """So many batches, each of two orders, while WeChat Pay cannot be reached."""
    shop.wechat_pay.misbehave("connection_refused")
    return [
        shop.run(a_message(shop.order_no(), f"o{number}-1"), a_message(shop.order_no(), f"o{number}-2"))
        for number in range(batches)
    ]


def moves(shop: Shop) -> list[tuple[CircuitState, CircuitState]]:
    """What the circuit did."""
    return [(move.from_state, move.to_state) for move in shop.transitions]


def test_silence_opens_it_and_then_nobody_calls(shop: Shop) -> None:
    """The batch that finds it open asks nothing, says so on the item, and waits for the next try at least."""
    outage(shop)
    assert moves(shop) == [(CircuitState.CLOSED, CircuitState.OPEN)]
    shop.wechat_pay.behave()
    number = shop.order_no()
    [result] = shop.run(a_message(number))
    assert (result.failed, result.problem, result.outcome) == (True, "CIRCUIT_OPEN", None)
    assert result.wait is not None
    assert result.wait >= 1
    assert shop.calls(number) == []
    item = shop.item(number)
    assert (item.status, item.reason, item.outcome_unknown) == (Status.RETRYING, "CIRCUIT_OPEN", False)


def test_the_item_is_told_once_and_forgets_nothing(shop: Shop) -> None:
    """One write in an outage, whatever its length; an outcome that was unknown stays unknown."""
    fresh, asked = shop.order_no(), shop.order_no()
    relay = replace(shop.relay, circuit=_AlwaysOpen())
    for receive_count in (1, 2, 3):
        relay.run([a_message(fresh, "m1", receive_count), a_message(asked, "m2", receive_count + 1)], lambda: 60.0)
    assert (shop.item(fresh).version, shop.item(fresh).outcome_unknown) == (1, False)
    assert (shop.item(asked).version, shop.item(asked).outcome_unknown) == (1, True)
    shop.run(a_message(fresh, "m1", 4), a_message(asked, "m2", 5))
    assert (shop.calls(fresh), shop.calls(asked)) == (["sync"], ["query", "sync"])


def test_a_table_that_does_not_take_the_note_keeps_the_message_waiting(shop: Shop) -> None:
    """The note is a courtesy, the wait is not."""
    table = OrdersTable(shop.cloud.client("dynamodb"), "no-such-table")
    number = shop.order_no()

    class Readable:
        """Reads here, and can be written nowhere."""

        load = shop.table.load
        create = table.create
        save = table.save

    relay = replace(shop.relay, circuit=_AlwaysOpen(), table=Readable())
    [result] = relay.run([a_message(number)], lambda: 60.0)
    assert (result.problem, result.wait, result.order) == ("CIRCUIT_OPEN", 60, None)


def test_one_batch_tries_and_closes_it(shop: Shop) -> None:
    """After its time; the orders of that batch are settled as ever."""
    outage(shop)
    shop.wechat_pay.behave()
    number = shop.order_no()
    time.sleep(1.1)
    [result] = shop.run(a_message(number))
    assert (result.failed, shop.item(number).status) == (False, Status.SYNCED)
    assert moves(shop)[1:] == [
        (CircuitState.OPEN, CircuitState.HALF_OPEN),
        (CircuitState.HALF_OPEN, CircuitState.CLOSED),
    ]


def test_a_try_that_meets_silence_opens_it_again(shop: Shop) -> None:
    """For another minute."""
    outage(shop)
    time.sleep(1.1)
    outage(shop, 1)
    [result] = shop.run(a_message(shop.order_no()))
    assert result.problem == "CIRCUIT_OPEN"
    assert moves(shop)[-1] == (CircuitState.HALF_OPEN, CircuitState.OPEN)


def test_other_environments_see_it_open(shop: Shop) -> None:
    """The state is in the table, beside the orders and under a key of its own."""
    name = f"CIRCUIT#{time.monotonic_ns()}"
    ours = [
        Circuit(shop.cloud.client("dynamodb"), "orders", on_transition=print, scale=0.01, name=name) for _ in range(2)
    ]
    for _ in range(SILENT_BATCHES):
        assert ours[0].guard(lambda: False) is None
    assert ours[1].guard(lambda: True) is not None
    assert circuit.NAME.startswith("CIRCUIT#")


def test_a_refusal_is_an_answer(shop: Shop) -> None:
    """Business goes on: an order that WeChat Pay refuses, or a batch with one answer, is no outage."""
    shop.wechat_pay.misbehave("system_error", times=2 * SILENT_BATCHES)
    for number in range(2 * SILENT_BATCHES):
        shop.run(a_message(shop.order_no(ready=False), f"a{number}"), a_message(shop.order_no(), f"b{number}"))
    assert moves(shop) == []


def test_a_batch_that_asks_nothing_says_nothing(shop: Shop) -> None:
    """Neither the streak of silence nor its end is counted by a merchant without a secret."""
    outage(shop, SILENT_BATCHES - 1)
    shop.run(a_message("X1", mchid="1999999999"))
    assert moves(shop) == []
    outage(shop, 1)
    assert moves(shop) == [(CircuitState.CLOSED, CircuitState.OPEN)]


def test_5xx_from_everywhere_opens_it_too(shop: Shop) -> None:
    """Somebody answers, but nobody who could settle an order."""
    shop.wechat_pay.misbehave("gateway_error")
    for number in range(SILENT_BATCHES):
        shop.run(a_message(shop.order_no(), f"g{number}"))
    assert moves(shop) == [(CircuitState.CLOSED, CircuitState.OPEN)]


def test_waits_for_an_open_circuit_grow(shop: Shop) -> None:
    """A receive is spent on each: they must last longer than the outage."""
    relay = replace(shop.relay, circuit=_AlwaysOpen(), scale=1.0)
    messages = [a_message(shop.order_no(), f"w{count}", receive_count=count) for count in (1, 2, 3, 8, 12)]
    waits = [result.wait for result in relay.run(messages, lambda: 60.0)]
    assert waits == [60, 120, 240, 1800, 1800]


class _AlwaysOpen:
    """A circuit that tries again in half a minute."""

    def look(self) -> None:
        """It is known."""

    def guard(self, work: object) -> float:
        """Never run anything."""
        return 30.0


def test_a_table_that_does_not_answer_keeps_nobody_from_calling() -> None:
    """The circuit's state is a saving, not a permission: unreadable, it counts as closed."""

    class Down:
        """DynamoDB in trouble."""

        meta = type("Meta", (), {"events": type("Events", (), {"register": staticmethod(lambda *_, **__: None)})})

        def __getattr__(self, name: str) -> object:
            raise ConnectionError(name)

    called: list[bool] = []

    def work() -> bool:
        called.append(True)
        return True

    gate = Circuit(Down(), "orders", on_transition=print, name="CIRCUIT#down")  # type: ignore[arg-type]
    assert gate.guard(work) is None
    assert called == [True]

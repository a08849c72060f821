"""The circuit: while WeChat Pay gives no answer at all nobody calls it, and nothing is lost by that."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace

import pytest
from aws_lambda_powertools.utilities.circuit_breaker import CircuitState, base
from aws_lambda_powertools.utilities.circuit_breaker.persistence import base as persistence_base
from botocore.exceptions import ClientError

from orders import circuit
from orders.circuit import RECOVERY, SILENT_BATCHES, Circuit
from orders.order import Contact, Status
from orders.ports import CircuitOpen, Ran
from orders.results import Result, RetryIn
from orders.table import OrdersTable

from .conftest import Shop, a_message

ANSWERED = Ran("results", {"o0": Contact.ANSWER})


def silence(*orders: str) -> Ran[str]:
    """A batch that met silence about these orders."""
    return Ran("results", dict.fromkeys(orders, Contact.SILENCE))


class Clock:
    """A time that only the test moves, for the circuit and for Powertools, which reads `datetime.now()`."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.datetime = SimpleNamespace(now=lambda: datetime.fromtimestamp(self.now, UTC))

    def __call__(self) -> float:
        """Unix seconds."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The circuit's time."""
    clock = Clock()
    for module in (base, persistence_base):
        monkeypatch.setattr(module, "dt", clock)
    return clock


@pytest.fixture
def shop(shop: Shop, clock: Clock) -> Shop:
    """A shop whose circuit goes by the test's clock."""
    return replace(shop, relay=replace(shop.relay, circuit=a_circuit(shop, clock)))


def a_circuit(shop: Shop, clock: Clock, name: str = "") -> Circuit:
    """A circuit of its own; under a name that exists, another environment's view of it."""
    return Circuit(
        shop.cloud.client("dynamodb"),
        "orders",
        on_transition=shop.transitions.append,
        name=name or f"CIRCUIT#{time.monotonic_ns()}",
        clock=clock,
    )


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
    assert isinstance(result.ending, RetryIn)
    assert result.ending.seconds >= 1
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
    assert (shop.calls(fresh), shop.calls(asked)) == (["query", "sync"], ["query", "sync"])


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
    assert (result.problem, result.ending, result.order) == ("CIRCUIT_OPEN", RetryIn(60), None)


def test_one_batch_tries_and_closes_it(shop: Shop, clock: Clock) -> None:
    """After its time; the orders of that batch are settled as ever."""
    outage(shop)
    shop.wechat_pay.behave()
    number = shop.order_no()
    clock.now += RECOVERY
    [result] = shop.run(a_message(number))
    assert (result.failed, shop.item(number).status) == (False, Status.SYNCED)
    assert moves(shop)[1:] == [
        (CircuitState.OPEN, CircuitState.HALF_OPEN),
        (CircuitState.HALF_OPEN, CircuitState.CLOSED),
    ]


def test_a_try_that_meets_silence_opens_it_again(shop: Shop, clock: Clock) -> None:
    """For another minute."""
    outage(shop)
    clock.now += RECOVERY
    outage(shop, 1)
    [result] = shop.run(a_message(shop.order_no()))
    assert result.problem == "CIRCUIT_OPEN"
    assert moves(shop)[-1] == (CircuitState.HALF_OPEN, CircuitState.OPEN)


def test_other_environments_see_it_open(shop: Shop, clock: Clock) -> None:
    """The state is in the table, beside the orders and under a key of its own."""
    name = f"CIRCUIT#{time.monotonic_ns()}"
    ours, theirs = (a_circuit(shop, clock, name) for _ in range(2))
    for number in range(SILENT_BATCHES):
        assert ours.run(partial(silence, f"o{number}")) == silence(f"o{number}")
    assert theirs.run(lambda: ANSWERED) == CircuitOpen(RECOVERY)
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
    endings = [result.ending for result in relay.run(messages, lambda: 60.0)]
    assert endings == [RetryIn(60), RetryIn(120), RetryIn(240), RetryIn(1800), RetryIn(1800)]


class _AlwaysOpen:
    """A circuit that tries again in half a minute."""

    def look(self) -> None:
        """It is known."""

    def run[T](self, work: Callable[[], Ran[T]]) -> Ran[T] | CircuitOpen:
        """Do no work."""
        return CircuitOpen(30.0)


def test_a_table_that_does_not_answer_keeps_nobody_from_calling() -> None:
    """The circuit's state is a saving, not a permission: unreadable, it counts as closed."""

    class Down:
        """DynamoDB in trouble."""

        meta = type("Meta", (), {"events": type("Events", (), {"register": staticmethod(lambda *_, **__: None)})})

        def __getattr__(self, name: str) -> object:
            raise ConnectionError(name)

    called: list[bool] = []

    def work() -> Ran[str]:
        called.append(True)
        return ANSWERED

    gate = Circuit(Down(), "orders", on_transition=print, name="CIRCUIT#down")  # type: ignore[arg-type]
    assert gate.run(work) is ANSWERED
    assert called == [True]


def test_one_order_that_always_fails_opens_nothing(shop: Shop, clock: Clock) -> None:
    """A 500 for one order, however often, says nothing about the others; nor does silence about two."""
    circuit = a_circuit(shop, clock)
    for number in range(4 * SILENT_BATCHES):
        circuit.run(partial(silence, f"o{number % 2}"))
    assert moves(shop) == []
    circuit.run(partial(silence, "another"))
    assert moves(shop) == [(CircuitState.CLOSED, CircuitState.OPEN)]


def test_an_answer_ends_the_count_of_orders(shop: Shop, clock: Clock) -> None:
    """What was silent before it does not count any more."""
    circuit = a_circuit(shop, clock)
    for order in ("o1", "o2", "o3", "o4"):
        circuit.run(partial(silence, order))
        circuit.run(lambda: ANSWERED)
    assert moves(shop) == []


@pytest.mark.parametrize("fails", ["PutItem", "UpdateItem"])
def test_a_table_that_takes_no_election_stops_no_call(shop: Shop, fails: str) -> None:
    """DynamoDB throttles the write by which one batch is chosen to try: the batch calls all the same, and once."""
    name = f"CIRCUIT#{time.time_ns()}"
    item = {"pk": {"S": name}, "state": {"S": "OPEN"}, "opened_at": {"N": "0"}}  # long ago: it is time to try
    shop.cloud.client("dynamodb").put_item(TableName="orders", Item=item)
    dynamodb = shop.cloud.session.client("dynamodb", endpoint_url=shop.cloud.endpoint_url)
    calls: list[str] = []

    def throttled(**_: object) -> None:
        raise ClientError({"Error": {"Code": "ProvisionedThroughputExceededException"}}, fails)

    def work() -> Ran[str]:
        calls.append("called")
        return ANSWERED

    dynamodb.meta.events.register(f"before-call.dynamodb.{fails}", throttled)
    assert Circuit(dynamodb, "orders", on_transition=print, name=name).run(work) is ANSWERED
    assert calls == ["called"]


def test_a_bug_in_the_work_is_told_and_the_work_is_not_done_twice(shop: Shop) -> None:
    """What the batch itself raises is not taken for trouble with the circuit's store."""
    calls: list[str] = []

    def work() -> Ran[str]:
        calls.append("called")
        raise KeyError("a bug")

    with pytest.raises(KeyError, match="a bug"):
        shop.relay.circuit.run(work)
    assert calls == ["called"]


def test_a_report_while_the_circuit_is_open_leaves_a_verdict_alone(shop: Shop) -> None:
    """The rejected order keeps its reason and its error; the redriven message keeps its attempt."""
    number = shop.order_no()
    shop.wechat_pay.misbehave("unsigned_error", status=403, code="NO_AUTH", message="商户信息不合法")
    shop.run(a_message(number))
    before = shop.item(number)
    assert (before.status, before.reason) == (Status.REJECTED, "NO_AUTH")
    shop.wechat_pay.behave()
    relay = replace(shop.relay, circuit=_AlwaysOpen())
    sent_at = time.time() + 3600
    [deferred] = relay.run([replace(a_message(number, "m2"), sent_at=sent_at)], lambda: 60.0)
    assert (deferred.problem, shop.item(number)) == ("CIRCUIT_OPEN", before)
    [settled] = shop.run(replace(a_message(number, "m2", 2), sent_at=sent_at))
    assert (settled.failed, shop.item(number).status) == (False, Status.SYNCED)

"""The circuit breaker: while WeChat Pay answers no call it is not called, and every message is kept."""

import time
from collections.abc import Callable
from copy import replace
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
    """A clock that only the test moves, for the circuit and for Powertools, which reads `datetime.now()`."""

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
    """A shop whose circuit uses the test's clock."""
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
    """The transitions of the circuit."""
    return [(move.from_state, move.to_state) for move in shop.transitions]


def test_silence_opens_the_circuit_and_stops_all_calls(shop: Shop) -> None:
    """A batch that finds the circuit open makes no call, writes why on the item, and waits for the next probe."""
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


def test_an_open_circuit_is_written_on_the_item_once(shop: Shop) -> None:
    """An outage costs one write per order, however long it is; an unknown outcome stays unknown."""
    fresh, doubtful = shop.order_no(), shop.order_no()
    relay = replace(shop.relay, circuit=_AlwaysOpen())
    for receive_count in (1, 2, 3):
        relay.run([a_message(fresh, "m1", receive_count), a_message(doubtful, "m2", receive_count + 1)], lambda: 60.0)
    assert (shop.item(fresh).version, shop.item(fresh).outcome_unknown) == (1, False)
    assert (shop.item(doubtful).version, shop.item(doubtful).outcome_unknown) == (1, True)
    shop.run(a_message(fresh, "m1", 4), a_message(doubtful, "m2", 5))
    assert (shop.calls(fresh), shop.calls(doubtful)) == (["query", "sync"], ["query", "sync"])


def test_a_table_that_does_not_take_the_note_keeps_the_message_waiting(shop: Shop) -> None:
    """If the table does not take the note on the item, the message waits all the same."""
    table = OrdersTable(shop.cloud.client("dynamodb"), "no-such-table")
    number = shop.order_no()

    class Readable:
        """A table that can be read and not written."""

        load = shop.table.load
        create = table.create
        save = table.save

    relay = replace(shop.relay, circuit=_AlwaysOpen(), table=Readable())
    [result] = relay.run([a_message(number)], lambda: 60.0)
    assert (result.problem, result.ending, result.order) == ("CIRCUIT_OPEN", RetryIn(60), None)


def test_one_batch_tries_and_closes_it(shop: Shop, clock: Clock) -> None:
    """After the recovery time one batch probes, its order is settled, and the circuit closes."""
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
    """A probe that meets silence opens the circuit for another minute."""
    outage(shop)
    clock.now += RECOVERY
    outage(shop, 1)
    [result] = shop.run(a_message(shop.order_no()))
    assert result.problem == "CIRCUIT_OPEN"
    assert moves(shop)[-1] == (CircuitState.HALF_OPEN, CircuitState.OPEN)


def test_other_environments_see_it_open(shop: Shop, clock: Clock) -> None:
    """The circuit's state is in the orders table, under a key of its own, for all environments."""
    name = f"CIRCUIT#{time.monotonic_ns()}"
    ours, theirs = (a_circuit(shop, clock, name) for _ in range(2))
    for number in range(SILENT_BATCHES):
        assert ours.run(partial(silence, f"o{number}")) == silence(f"o{number}")
    assert theirs.run(lambda: ANSWERED) == CircuitOpen(RECOVERY)
    assert circuit.NAME.startswith("CIRCUIT#")


def test_a_refusal_is_an_answer(shop: Shop) -> None:
    """An order that WeChat Pay refuses, or a batch with one answer, does not count as silence."""
    shop.wechat_pay.misbehave("system_error", times=2 * SILENT_BATCHES)
    for number in range(2 * SILENT_BATCHES):
        shop.run(a_message(shop.order_no(ready=False), f"a{number}"), a_message(shop.order_no(), f"b{number}"))
    assert moves(shop) == []


def test_a_batch_that_asks_nothing_says_nothing(shop: Shop) -> None:
    """A batch without a call neither counts as silence nor ends it."""
    outage(shop, SILENT_BATCHES - 1)
    shop.run(a_message("X1", mchid="1999999999"))
    assert moves(shop) == []
    outage(shop, 1)
    assert moves(shop) == [(CircuitState.CLOSED, CircuitState.OPEN)]


def test_5xx_from_everywhere_opens_it_too(shop: Shop) -> None:
    """A gateway that answers every call with a 5xx counts as silence."""
    shop.wechat_pay.misbehave("gateway_error")
    for number in range(SILENT_BATCHES):
        shop.run(a_message(shop.order_no(), f"g{number}"))
    assert moves(shop) == [(CircuitState.CLOSED, CircuitState.OPEN)]


def test_waits_for_an_open_circuit_grow(shop: Shop) -> None:
    """The delay of a deferred message doubles with its receive count, up to half an hour."""
    relay = replace(shop.relay, circuit=_AlwaysOpen(), scale=1.0)
    messages = [a_message(shop.order_no(), f"w{count}", receive_count=count) for count in (1, 2, 3, 8, 12)]
    endings = [result.ending for result in relay.run(messages, lambda: 60.0)]
    assert endings == [RetryIn(60), RetryIn(120), RetryIn(240), RetryIn(1800), RetryIn(1800)]


class _AlwaysOpen:
    """A circuit that is open for another half a minute."""

    def look(self) -> None:
        """Do nothing."""

    def run[T](self, work: Callable[[], Ran[T]]) -> Ran[T] | CircuitOpen:
        """Do no work."""
        return CircuitOpen(30.0)


def test_a_table_that_does_not_answer_stops_no_call() -> None:
    """A circuit whose state cannot be read counts as closed."""

    class Down:
        """A DynamoDB client that always fails."""

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
    """Silence about fewer than three orders, however often, does not open the circuit."""
    circuit = a_circuit(shop, clock)
    for number in range(4 * SILENT_BATCHES):
        circuit.run(partial(silence, f"o{number % 2}"))
    assert moves(shop) == []
    circuit.run(partial(silence, "another"))
    assert moves(shop) == [(CircuitState.CLOSED, CircuitState.OPEN)]


def test_an_answer_ends_the_count_of_orders(shop: Shop, clock: Clock) -> None:
    """An answer resets the count of silent batches and orders."""
    circuit = a_circuit(shop, clock)
    for order in ("o1", "o2", "o3", "o4"):
        circuit.run(partial(silence, order))
        circuit.run(lambda: ANSWERED)
    assert moves(shop) == []


@pytest.mark.parametrize("fails", ["PutItem", "UpdateItem"])
def test_a_table_that_takes_no_election_stops_no_call(shop: Shop, fails: str) -> None:
    """If DynamoDB throttles the write that elects the probe, the batch makes its calls all the same, and once."""
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


def test_a_bug_in_the_work_is_raised_and_the_work_is_not_done_twice(shop: Shop) -> None:
    """What the work raises is not taken for a failure of the circuit's store."""
    calls: list[str] = []

    def work() -> Ran[str]:
        calls.append("called")
        raise KeyError("a bug")

    with pytest.raises(KeyError, match="a bug"):
        shop.relay.circuit.run(work)
    assert calls == ["called"]


def test_a_report_while_the_circuit_is_open_leaves_a_verdict_alone(shop: Shop) -> None:
    """A rejected order keeps its reason and its error, and the redriven message keeps its attempt."""
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
    [result] = shop.run(replace(a_message(number, "m2", 2), sent_at=sent_at))
    assert (result.failed, shop.item(number).status) == (False, Status.SYNCED)

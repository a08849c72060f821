"""The outcomes function: a batch of stream records comes in, events go onto the bus."""

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from copy import replace
from types import ModuleType
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber
from jsonschema import Draft202012Validator, FormatChecker

from orders.errors import SettingsError
from orders.items import item_of
from orders.order import Facts, Order, Status
from outcomes.settings import Settings
from sandbox.testbed import EVENTS
from tests.orders.values import PAYMENT, an_order

SCHEMA = json.loads((EVENTS / "outcome.schema.json").read_text(encoding="utf-8"))
ENVIRONMENT = {
    "EVENT_BUS_NAME": "outcomes",
    "POWERTOOLS_SERVICE_NAME": "stack",
    "POWERTOOLS_METRICS_NAMESPACE": "WeChatPayScore",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
}


class FakeBus:
    """EventBridge as boto3 shows it: it keeps each call, and refuses the entries that `refuse` names."""

    def __init__(self) -> None:
        self.calls: list[list[dict[str, Any]]] = []
        self.refuse: Callable[[dict[str, Any]], bool] = lambda _: False
        self.error: Exception | None = None

    def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803  boto3's name
        """Take the entries."""
        self.calls.append(Entries)
        if self.error:
            raise self.error
        failures = [{"ErrorCode": "InternalFailure"} if self.refuse(entry) else {"EventId": "e"} for entry in Entries]
        return {"FailedEntryCount": sum("ErrorCode" in one for one in failures), "Entries": failures}

    @property
    def details(self) -> list[dict[str, Any]]:
        """What was sent, as consumers receive it."""
        return [json.loads(entry["Detail"]) for call in self.calls for entry in call]


@pytest.fixture
def function(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The handler, imported as Lambda imports it."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    sys.modules.pop("outcomes.handler", None)
    yield importlib.import_module("outcomes.handler")
    sys.modules.pop("outcomes.handler", None)


@pytest.fixture
def bus(function: ModuleType, monkeypatch: pytest.MonkeyPatch) -> FakeBus:
    """The bus that the function publishes to."""
    bus = FakeBus()
    monkeypatch.setattr(function.bus, "_client", bus)
    return bus


def _record(number: int, after: Order | None, before: Order | None = None) -> dict[str, Any]:
    images = {name: item_of(order) for name, order in {"NewImage": after, "OldImage": before}.items() if order}
    return {"eventName": "MODIFY", "dynamodb": {"SequenceNumber": f"{number}", "Keys": {"pk": {"S": "x"}}, **images}}


def _numbered(number: int) -> Order:
    """Return a settled order of its own: its number is in its key and its version."""
    payment = replace(PAYMENT, out_order_no=f"A{number}")
    return an_order(Status.SYNCED, attempts=1, version=number, payment=payment)


def _batch(*records: dict[str, Any]) -> dict[str, Any]:
    return {"Records": list(records)}


def test_outcomes_are_published_in_order(function: ModuleType, bus: FakeBus) -> None:
    """A batch is published in the stream's order, ten entries a call; writes without an outcome are left out."""
    orders = [_numbered(number) for number in range(1, 24)]
    retried = an_order(Status.RETRYING, attempts=1)
    batch = _batch(*(_record(order.version, order, retried) for order in orders), _record(99, retried))
    assert function.lambda_handler(batch, None) == {"batchItemFailures": []}
    assert [len(call) for call in bus.calls] == [10, 10, 3]
    assert [detail["version"] for detail in bus.details] == list(range(1, 24))


def test_the_batch_is_repeated_from_the_first_failure(function: ModuleType, bus: FakeBus) -> None:
    """Where EventBridge refuses an entry, Lambda repeats the batch from that record: nothing is lost."""
    bus.refuse = lambda entry: '"version":2' in entry["Detail"]
    batch = _batch(*(_record(n, _numbered(n)) for n in range(1, 13)))
    assert function.lambda_handler(batch, None) == {"batchItemFailures": [{"itemIdentifier": "2"}]}
    assert [len(call) for call in bus.calls] == [10], "nothing is sent after a call of which something was not taken"


def test_an_order_is_never_overtaken_by_itself(function: ModuleType, bus: FakeBus) -> None:
    """Two events of an order never share a call, so a refused one holds back the later one."""
    rejection = an_order(Status.REJECTED, attempts=1, version=1)
    success = an_order(Status.SYNCED, attempts=2, version=2, was_rejected=True)
    batch = _batch(_record(1, rejection), _record(2, _numbered(7)), _record(3, success, rejection))
    bus.refuse = lambda entry: entry["DetailType"] == "OrderRejected"
    assert function.lambda_handler(batch, None) == {"batchItemFailures": [{"itemIdentifier": "1"}]}
    assert [entry["DetailType"] for call in bus.calls for entry in call] == ["OrderRejected", "OrderSynced"]
    bus.calls.clear()
    bus.refuse = lambda _: False
    assert function.lambda_handler(batch, None) == {"batchItemFailures": []}
    assert [[entry["DetailType"] for entry in call] for call in bus.calls] == [
        ["OrderRejected", "OrderSynced"],
        ["OrderRecovered"],
    ]


def test_nothing_overtakes_a_call_that_failed(function: ModuleType, bus: FakeBus) -> None:
    """After a call that EventBridge does not answer nothing more of the batch is sent."""
    bus.error = boto3.client("events", region_name="us-east-1").exceptions.InternalException({}, "PutEvents")
    batch = _batch(*(_record(n, _numbered(n)) for n in range(1, 13)))
    assert function.lambda_handler(batch, None) == {"batchItemFailures": [{"itemIdentifier": "1"}]}
    assert len(bus.calls) == 1


def test_an_unreadable_item_affects_no_other(
    function: ModuleType, bus: FakeBus, capsys: pytest.CaptureFixture[str]
) -> None:
    """An item that cannot be read is logged with its key and counted; the other orders are announced."""
    broken = _record(1, an_order(Status.SYNCED, attempts=1))
    broken["dynamodb"]["NewImage"]["history"] = {"S": "secret words"}
    batch = _batch(broken, _record(2, an_order(Status.SYNCED, attempts=1)))
    assert function.lambda_handler(batch, None) == {"batchItemFailures": []}
    assert len(bus.details) == 1
    output = capsys.readouterr().out
    assert '"OutcomeUnreadable":[1.0]' in output.replace(" ", "")
    assert "secret words" not in output


def test_an_unreadable_item_before_announces_what_comes_after(function: ModuleType, bus: FakeBus) -> None:
    """Where the item before cannot be read, the outcome is announced: rather twice than never."""
    record = _record(1, an_order(Status.SYNCED, attempts=1), an_order(Status.RETRYING))
    record["dynamodb"]["OldImage"]["version"] = {"S": "?"}
    function.lambda_handler(_batch(record), None)
    assert len(bus.details) == 1


def test_other_items_and_deletions_are_left_alone(function: ModuleType, bus: FakeBus) -> None:
    """The circuit's items and deletions announce nothing, and a batch without an outcome makes no call."""
    circuit = {"dynamodb": {"SequenceNumber": "1", "NewImage": {"pk": {"S": "CIRCUIT#1"}, "state": {"S": "open"}}}}
    deletion = {"dynamodb": {"SequenceNumber": "2", "OldImage": item_of(an_order(Status.SYNCED))}}
    assert function.lambda_handler(_batch(circuit, deletion), None) == {"batchItemFailures": []}
    assert bus.calls == []


def test_no_identity_of_the_customer_leaves(
    function: ModuleType, bus: FakeBus, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither the event nor the log has WeChat Pay's answer with the customer's openid."""
    facts = Facts({"openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", "total_amount": 1}, "DONE")
    function.lambda_handler(_batch(_record(1, an_order(Status.SYNCED, attempts=1, facts=facts))), None)
    assert "oUpF8" not in json.dumps(bus.calls, default=str) + capsys.readouterr().out


@pytest.mark.parametrize("status", [Status.SYNCED, Status.PAID_BY_WECHAT, Status.NOTHING_DUE, Status.REJECTED])
def test_every_event_is_as_its_schema_says(function: ModuleType, bus: FakeBus, status: Status) -> None:
    """Every outcome event is valid by the schema in events/, whatever the order has."""
    full = an_order(status, attempts=1, reason="X", event_id="e", facts=Facts({"total_amount": 1}, transaction_id="42"))
    batch = _batch(_record(1, full), _record(2, an_order(status, attempts=1)))
    function.lambda_handler(batch, None)
    for entry in [entry for call in bus.calls for entry in call]:
        event = {
            "source": entry["Source"],
            "detail-type": entry["DetailType"],
            "time": entry["Time"].isoformat(),
            "detail": json.loads(entry["Detail"]),
        }
        Draft202012Validator(SCHEMA, format_checker=FormatChecker()).validate(event)
    assert {entry["EventBusName"] for call in bus.calls for entry in call} == {"outcomes"}


def test_the_request_is_as_aws_has_it(function: ModuleType) -> None:
    """The request fits the model of PutEvents, which the function does not check itself."""
    client = boto3.client("events", region_name="us-east-1")
    with Stubber(client) as stub, pytest.MonkeyPatch.context() as patch:
        patch.setattr(function.bus, "_client", client)
        stub.add_response("put_events", {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}, {"Entries": ANY})
        function.lambda_handler(_batch(_record(1, an_order(Status.SYNCED, attempts=1))), None)


def test_the_bus_must_be_named() -> None:
    """Without the name of the bus the function does not start, and the error names the variable."""
    with pytest.raises(SettingsError, match="EVENT_BUS_NAME"):
        Settings.from_env({"EVENT_BUS_NAME": " "})

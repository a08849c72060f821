"""The entry point: what Lambda hands in, what it gets back, and which log lines and metrics are written."""

import importlib
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from copy import replace
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from aws_lambda_powertools.utilities.circuit_breaker import CircuitState, CircuitTransition

from orders import cases, event, report
from orders.event import Message
from orders.results import Result, RetryNow
from orders.wechat import refusals
from orders.wechat.verdicts import VERDICTS
from sandbox.cloud import Cloud
from sandbox.testbed import APPID, MERCHANT, SERVICE_ID
from sandbox.wechat_pay import Simulator

from .conftest import LONG_AGO, PAID_TIME


@dataclass
class Context:
    """Lambda's context object."""

    seconds: float = 60.0
    aws_request_id: str = "request-1"

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds that are left."""
        return int(self.seconds * 1000)


@dataclass
class Door:
    """The handler, imported as Lambda imports it, and the simulated WeChat Pay."""

    module: ModuleType
    wechat_pay: Simulator
    capsys: pytest.CaptureFixture[str]
    caplog: pytest.LogCaptureFixture

    def invoke(self, event: Any, seconds: float = 60.0) -> Any:
        """Invoke the handler with an event."""
        return self.module.lambda_handler(event, Context(seconds))

    def order_no(self, **state: Any) -> str:
        """A new order that waits for its money."""
        number = f"H{time.monotonic_ns()}"
        self.wechat_pay.ready_to_sync(MERCHANT, number, at=LONG_AGO, **state)
        return number

    def output(self) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Return the log lines since the last call, and the metrics."""
        lines = [{**vars(record), "message": record.getMessage()} for record in self.caplog.records]
        self.caplog.clear()
        metrics: dict[str, Any] = {}
        for line in self.capsys.readouterr().out.splitlines():
            metrics |= json.loads(line) if line.startswith('{"_aws"') else {}
        return [line for line in lines if line["name"] == "orders"], metrics


@pytest.fixture(scope="module")
def module(cloud: Cloud, key_ring: Path) -> Iterator[tuple[ModuleType, Simulator]]:
    """The handler module, imported once with the environment that the template sets."""
    with Simulator(keys=key_ring) as wechat_pay, pytest.MonkeyPatch.context() as patch:
        prefix = f"handler-{time.monotonic_ns()}"
        secret = wechat_pay.merchant(MERCHANT).secret() | {"appid": APPID, "service_id": SERVICE_ID}
        cloud.put_secret(f"{prefix}/{MERCHANT}", secret)
        environment = {
            "ORDERS_TABLE": "orders",
            "ORDER_QUEUE_URL": cloud.client("sqs").get_queue_url(QueueName="orders")["QueueUrl"],
            "MERCHANT_SECRET_PREFIX": prefix,
            "WECHATPAY_BASE_URL": wechat_pay.base_url,
            "WECHATPAY_BACKUP_URL": wechat_pay.backup_url,
            "WECHATPAY_TIMEOUT": "10,30",  # what fits into an invocation of 60 s
            "AWS_ENDPOINT_URL": cloud.endpoint_url,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "sandbox",
            "AWS_SECRET_ACCESS_KEY": "sandbox",
            "POWERTOOLS_SERVICE_NAME": "orders",
            "POWERTOOLS_METRICS_NAMESPACE": "WeChatPayScore",
        }
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.delitem(sys.modules, "orders.handler", raising=False)
        yield importlib.import_module("orders.handler"), wechat_pay
    sys.modules.pop("orders.handler", None)


@pytest.fixture
def door(
    module: tuple[ModuleType, Simulator], capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> Iterator[Door]:
    """The entry point; each test begins with a simulator without faults."""
    handler, wechat_pay = module
    yield Door(handler, wechat_pay, capsys, caplog)
    wechat_pay.behave()


def a_record(number: str, message_id: str = "m1", receive_count: int = 1) -> dict[str, Any]:
    """A record as SQS hands it over."""
    payload = {"mchid": MERCHANT, "out_order_no": number, "detail": {"paid_time": PAID_TIME}}
    attributes = {"ApproximateReceiveCount": str(receive_count)}
    return {"messageId": message_id, "body": json.dumps(payload), "attributes": attributes}


def a_bare_event(number: str) -> dict[str, Any]:
    """An event as EventBridge hands it to a function."""
    payload = {"mchid": MERCHANT, "out_order_no": number, "detail": {"paid_time": PAID_TIME}}
    return {"id": "e1", "source": "pos.x", "detail-type": "Order_Paid", "detail": payload}


def test_a_batch_answers_with_those_that_stay(door: Door) -> None:
    """The failed message is in the answer; each message has one log line and its counts."""
    good = door.order_no()
    answer = door.invoke({"Records": [a_record(good), {**a_record("x", "m2"), "body": "nonsense"}]})
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m2"}]}
    lines, metrics = door.output()
    assert [line["message"] for line in lines] == ["synced", "unreadable, to the dead letters"]
    assert (metrics["Received"], metrics["Synced"], metrics["Unreadable"]) == ([2.0], [1.0], [1.0])
    assert metrics["PaidToSynced"][0] > 0


def test_a_bare_event_answers_with_its_story(door: Door) -> None:
    """A settled bare event returns its order number, status and event id, which `sam local invoke` prints."""
    number = door.order_no()
    story = door.invoke(a_bare_event(number))
    assert (story["out_order_no"], story["status"], story["event_id"]) == (number, "SYNCED", "e1")


def test_a_bare_event_without_an_id_takes_the_requests(door: Door) -> None:
    """A bare event without an id is named by the request id of the invocation."""
    event = a_bare_event(door.order_no())
    del event["id"]
    assert door.invoke(event)["message_id"] == "request-1"


def test_a_bare_event_that_is_not_settled_raises(door: Door) -> None:
    """A bare event without a final status raises, so that its invoker retries it."""
    with pytest.raises(door.module.NotSyncedError, match="ORDER_NOT_EXIST"):
        door.invoke(a_bare_event("NOT-THERE"))


@pytest.mark.filterwarnings("ignore:No application metrics")
@pytest.mark.parametrize(
    "event",
    [{}, {"Records": {}}, {"detail": {}}, None, [], "text", 7, {"Records": [{"eventSource": "aws:s3", "s3": {}}]}],
)
def test_what_is_no_event_of_ours_raises(door: Door, event: Any) -> None:
    """Neither an SQS batch nor an EventBridge event raises UnsupportedEventError."""
    with pytest.raises(door.module.UnsupportedEventError):
        door.invoke(event)


@pytest.mark.parametrize(
    ("state", "line", "counted"),
    [
        ("newton", "the customer has paid twice: refund", "PaidByWeChat"),
        ("nothing due", "nothing was due", "NothingDue"),
        ("revoked", "rejected, to the dead letters", "Rejected"),
        ("deducting", "retrying", "Retrying"),
        ("unknown word", "retrying", "UnknownWord"),
        ("wrong key", "retrying", "SignatureRefused"),
        ("out of time", "deferred", "Deferred"),
    ],
)
def test_each_outcome_is_logged_and_counted(door: Door, state: str, line: str, counted: str) -> None:
    """Each outcome has its log message, as in the runbook, and its metric, as in the alarms."""
    number = door.order_no(total_amount=0) if state == "nothing due" else door.order_no()
    match state:
        case "newton":
            door.wechat_pay.deduct(MERCHANT, number)
        case "revoked":
            door.wechat_pay.cancel(MERCHANT, number)
        case "deducting":
            door.wechat_pay.deducting(MERCHANT, number)
        case "unknown word":
            door.wechat_pay.misbehave("unknown_state")
        case "wrong key":
            door.wechat_pay.misbehave("bad_sign_401")
    door.invoke({"Records": [a_record(number)]}, seconds=1.0 if state == "out of time" else 60.0)
    [record], metrics = door.output()
    assert (record["message"], metrics[counted]) == (line, [1.0])
    assert (record.get("reason") == "OUT_OF_TIME") is (state == "out of time")


@pytest.mark.parametrize(
    ("state", "failing"),
    [
        ("settled", [0.0]),
        ("newton", [0.0]),
        ("nothing due", [0.0]),
        ("revoked", None),
        ("deducting", None),
        ("created", None),
        ("not yet there", None),
        ("throttled", [1.0]),
        ("server error", [1.0]),
        ("unknown word", [1.0]),
        ("wrong key", [1.0]),
        ("out of time", [1.0]),
    ],
)
def test_attempts_that_fail_are_distinguished_from_orders_that_only_wait(
    door: Door, state: str, failing: list[float] | None
) -> None:
    """The metric Failing is 1 for a failed attempt, 0 for one that settled its order, absent for one that waits."""
    if state == "not yet there":
        number = "NOT-THERE-YET"
    elif state == "created":
        number = f"C{time.monotonic_ns()}"
        door.wechat_pay.open(MERCHANT, number)
    else:
        number = door.order_no(total_amount=0) if state == "nothing due" else door.order_no()
    match state:
        case "newton":
            door.wechat_pay.deduct(MERCHANT, number)
        case "revoked":
            door.wechat_pay.cancel(MERCHANT, number)
        case "deducting":
            door.wechat_pay.deducting(MERCHANT, number)
        case "throttled":
            door.wechat_pay.misbehave("frequency_limited")
        case "server error":
            door.wechat_pay.misbehave("system_error")
        case "unknown word":
            door.wechat_pay.misbehave("unknown_state")
        case "wrong key":
            door.wechat_pay.misbehave("bad_sign_401")
    door.output()
    door.invoke({"Records": [a_record(number)]}, seconds=1.0 if state == "out of time" else 60.0)
    _, metrics = door.output()
    assert metrics.get("Failing") == failing


def test_reasons_that_only_wait_are_reasons_of_the_rules() -> None:
    """Each reason that no alarm counts is one that the tables give; renamed there, it would count as failing."""
    reasons = {verdict.reason for verdict in VERDICTS.values()} | {"DEDUCTING", cases.SECOND_REPORT}
    assert reasons >= report.NOT_FAILING
    assert '"DEDUCTING"' in Path(refusals.__file__).read_text(encoding="utf-8")


def test_a_batch_counts_each_attempt(door: Door) -> None:
    """The metric Failing has one value for each order, so that its average is the share of failures."""
    numbers = [door.order_no() for _ in range(3)]
    door.wechat_pay.misbehave("unknown_state", out_order_no=numbers[0])
    door.wechat_pay.misbehave("unknown_state", out_order_no=numbers[2])
    door.output()
    door.invoke({"Records": [a_record(number, f"m{place}") for place, number in enumerate(numbers)]})
    _, metrics = door.output()
    assert sorted(metrics["Failing"]) == [0.0, 1.0, 1.0]


def test_a_duplicate_is_logged_as_settled_and_a_rejected_message_is_not_logged_again(door: Door) -> None:
    """A duplicate has one log line; a rejected message has none until SQS moves it."""
    number, closed = door.order_no(), door.order_no()
    door.wechat_pay.cancel(MERCHANT, closed)
    for receive_count in (1, 2):
        door.invoke({"Records": [a_record(number, "m1", receive_count), a_record(closed, "m2", receive_count)]})
    lines, _ = door.output()
    assert [line["message"] for line in lines[2:]] == ["already settled"]


def test_a_double_payment_is_counted_for_each_delivery_of_its_message(door: Door) -> None:
    """The message that found the double payment counts it again when it comes again; a duplicate of it does not."""
    number = door.order_no()
    door.wechat_pay.deduct(MERCHANT, number)
    counts = []
    for message_id, receive_count in (("m1", 1), ("m1", 2), ("m2", 1)):
        door.output()
        door.invoke({"Records": [a_record(number, message_id, receive_count)]})
        lines, metrics = door.output()
        counts.append((metrics.get("PaidByWeChat", [0])[0], lines[0]["message"]))
    assert counts == [
        (1.0, "the customer has paid twice: refund"),
        (1.0, "a double payment, delivered again: refund"),
        (0, "already settled"),
    ]


def test_a_dead_letter_is_logged_and_counted_once(door: Door) -> None:
    """A rejected and an unreadable message have one line each, though SQS delivers each of them twelve times."""
    closed = door.order_no()
    door.wechat_pay.cancel(MERCHANT, closed)
    counted: Counter[str] = Counter()
    names = ("Received", "Rejected", "Unreadable", "DeadLetter")
    lines: list[dict[str, Any]] = []
    for receive_count in range(1, 13):
        bad = {**a_record("x", "m2", receive_count), "body": '{"event_id": "sale-7", "mchid": 1}'}
        door.invoke({"Records": [a_record(closed, "m1", receive_count), bad]})
        new_lines, metrics = door.output()
        lines += new_lines
        counted.update({name: int(metrics.get(name, [0])[0]) for name in names})
    assert sorted(line["message"] for line in lines) == [
        "rejected, to the dead letters",
        "unreadable, to the dead letters",
    ]
    assert counted == {"Received": 24, "Rejected": 1, "Unreadable": 1, "DeadLetter": 2}
    assert {line["event_id"] for line in lines} == {"m1", "sale-7"}


def test_the_event_id_of_the_pos_is_in_a_short_line(door: Door, capsys: Any) -> None:
    """Every line has the id of the event; that of a settled or duplicate message has 200 bytes at most."""
    event_id = "3f2a77c9-5c4b-4a2e-9e0f-0a9c1d2b3e4f"
    number = door.order_no().ljust(32, "0")[:32]
    door.wechat_pay.ready_to_sync(MERCHANT, number, at=LONG_AGO)
    record = a_record(number)
    record["body"] = json.dumps(json.loads(record["body"]) | {"event_id": event_id})
    bad = {**record, "messageId": "m2", "body": json.dumps({"event_id": event_id, "mchid": "12", "out_order_no": "?"})}
    formatter = door.module.logger.registered_formatter
    for records in ([record], [record], [bad]):
        door.invoke({"Records": records})
        [line] = [one for one in door.caplog.records if one.name == "orders"]
        door.caplog.clear()
        written = formatter.format(line)
        assert f'"event_id":"{event_id}"' in written.replace(": ", ":")
        assert len(written.encode()) <= (200 if records == [record] else 330)


def test_a_message_that_is_given_up_is_logged_as_rejected(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last receive of a failing message is logged with RETRIES_EXHAUSTED, and counted as rejected."""
    monkeypatch.setattr(door.module, "relay", replace(door.module.relay, max_receives=12))
    number = door.order_no()
    door.wechat_pay.misbehave("frequency_limited")
    door.invoke({"Records": [a_record(number, receive_count=12)]})
    [line], metrics = door.output()
    assert (line["message"], line["reason"]) == ("retries exhausted, to the dead letters", "RETRIES_EXHAUSTED")
    assert (line["code"], line["http_status"], metrics["Rejected"]) == ("FREQUENCY_LIMITED", 429, [1.0])
    assert metrics["DeadLetter"] == [1.0]


@pytest.mark.parametrize(("last", "counted"), [(False, None), (True, [1.0])])
def test_a_message_without_an_item_at_its_last_receive_is_a_dead_letter(
    door: Door, last: bool, counted: list[float] | None
) -> None:
    """A message that the table could not record counts as a dead letter at its last receive, and not before."""
    message = Message("m1", a_record(door.order_no())["body"], receive_count=12)
    paid = event.read(message, door.module.relay.clock())
    paid = replace(paid, reporter=replace(paid.reporter, receive_count=12, last=last))
    reports = report.Report(door.module.logger, door.module.metrics)
    reports.add(Result(message, RetryNow(), paid, problem="no answer", reason=cases.TABLE_UNAVAILABLE))
    reports.flush()
    _, metrics = door.output()
    assert metrics["Deferred"] == [1.0]
    assert metrics.get("DeadLetter") == counted


@pytest.mark.parametrize(
    ("fault", "faulty"),
    [("unknown_state", 1.0), ("bad_sign_401", 1.0), ("unreadable", 1.0), ("system_error", None), (None, None)],
)
def test_a_fault_that_a_version_may_cause_is_counted_by_version(
    door: Door, monkeypatch: pytest.MonkeyPatch, fault: str | None, faulty: float | None
) -> None:
    """A wrong signature, an unknown state or an unreadable message counts for the version; an outage does not."""
    monkeypatch.setattr(door.module, "settings", replace(door.module.settings, function_version="7"))
    record = a_record(door.order_no())
    if fault == "unreadable":
        record["body"] = "nonsense"
    elif fault is not None:
        door.wechat_pay.misbehave(fault)
    door.output()
    door.invoke({"Records": [record]})
    blobs = [json.loads(line) for line in door.capsys.readouterr().out.splitlines() if line.startswith('{"_aws"')]
    by_version = [blob for blob in blobs if "Faulty" in blob]
    assert [(blob["service"], blob["version"], blob["Faulty"]) for blob in by_version] == (
        [] if faulty is None else [("orders", "7", [faulty])]
    )
    for blob in blobs:
        [directive] = blob["_aws"]["CloudWatchMetrics"]
        assert [sorted(names) for names in directive["Dimensions"]] == [
            ["service", "version"] if "Faulty" in blob else ["service"]
        ]


def test_a_line_of_metrics_has_a_hundred_values_at_most(door: Door) -> None:
    """CloudWatch takes no more of one metric in a line; of a larger batch every value is written all the same."""
    number = door.order_no()
    door.output()
    door.invoke({"Records": [a_record(number, f"m{message}") for message in range(101)]})
    blobs = [json.loads(line) for line in door.capsys.readouterr().out.splitlines() if line.startswith('{"_aws"')]
    for name in ("SyncLatency", "PaidToSynced", "Failing"):
        values = [blob[name] for blob in blobs if name in blob]
        assert all(len(some) <= 100 for some in values)
        assert sum(map(len, values)) == 101
    assert sum(sum(blob.get("Received", [])) for blob in blobs) == 101


def test_the_days_until_the_keys_end_are_counted_when_a_secret_was_fetched(door: Door) -> None:
    """Each secret that was fetched since the last report has one value, in days; without a fetch there is none."""
    now = door.module.relay.clock()
    for days in (20, 400):
        door.module.key_ends.append(datetime.fromtimestamp(now + days * report.DAY, UTC))
    door.output()
    door.invoke({"Records": [a_record(door.order_no())]})
    _, metrics = door.output()
    assert metrics["KeyDaysLeft"] == pytest.approx([20.0, 400.0], abs=0.1)
    door.invoke({"Records": [a_record(door.order_no())]})
    assert "KeyDaysLeft" not in door.output()[1]


def test_a_self_test_calls_nothing_and_counts_nothing(door: Door) -> None:
    """A request of a self-test returns what passed; it makes no call and writes no line and no metric."""
    door.output()
    calls = len(door.wechat_pay.calls)
    assert door.invoke({"self_test": True})["self_test"] == "passed"
    assert len(door.wechat_pay.calls) == calls
    assert door.output() == ([], {})


def test_what_wechat_pay_says_about_a_field_is_in_the_line(door: Door) -> None:
    """The log line names the field and the issue of WeChat Pay's refusal, which the POS developer has to correct."""
    number = door.order_no()
    record = a_record(number)
    record["body"] = json.dumps(json.loads(record["body"]) | {"detail": {"paid_time": "20200101000000"}})
    door.invoke({"Records": [record]})
    [line], _ = door.output()
    assert "paid_time" in line["field"]
    assert line["issue"]


def test_verdicts_that_contradict_each_other_are_an_alarm(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """If another environment wrote SYNCED and WeChat Pay answers NEWTON, the contradiction is logged and counted."""
    number = door.order_no()
    door.wechat_pay.deduct(MERCHANT, number)
    table = door.module.relay.table
    load = table.load
    raced: Iterator[Any] = iter([lambda _: {}])

    def overtaken(keys: Any) -> Any:
        return next(raced, load)(list(keys))

    other = door.order_no()
    door.invoke({"Records": [a_record(other)]})
    key = f"{MERCHANT}#{number}"
    synced = load([f"{MERCHANT}#{other}"])[f"{MERCHANT}#{other}"]
    table.save(replace(synced, payment=replace(synced.payment, out_order_no=number)))
    monkeypatch.setattr(type(table), "load", lambda _, keys: overtaken(keys))
    door.output()
    assert door.invoke({"Records": [a_record(number)]}) == {"batchItemFailures": []}
    [line], metrics = door.output()
    assert (line["message"], metrics["PaidByWeChat"]) == (
        "verdicts contradict each other, see the order's history",
        [1.0],
    )
    monkeypatch.undo()
    stands = load([key])[key]
    assert (stands.status, stands.history[-1].outcome) == ("SYNCED", "PAID_BY_WECHAT")


def test_transitions_of_the_circuit_are_logged(door: Door) -> None:
    """A circuit that opens is counted for the alarm; every transition has a log line."""
    logger, metric_provider = door.module.logger, door.module.metrics
    for transition in (
        CircuitTransition("CIRCUIT#x", CircuitState.CLOSED, CircuitState.OPEN, 1),
        CircuitTransition("CIRCUIT#x", CircuitState.OPEN, CircuitState.HALF_OPEN, 1),
    ):
        report.report_transition(transition, logger, metric_provider)
    report.Report(logger, metric_provider).flush()
    (opened, changed), metrics = door.output()
    assert opened["message"] == "circuit open: WeChat Pay does not answer, messages are delayed"
    assert (changed["message"], changed["circuit"]) == ("circuit state changed", "HALF_OPEN")
    assert metrics["CircuitOpened"] == [1.0]


def test_a_record_without_a_message_id_is_logged_and_leaves_its_neighbours_alone(door: Door) -> None:
    """A record without an id cannot be in the answer; a record with an id and no body is, each id once."""
    good, twin = door.order_no(), door.order_no()
    broken = {"messageId": "m2", "attributes": None}
    nameless = {"body": "{}"}
    records = [a_record(good), None, broken, nameless, broken, a_record(twin, "m3")]
    assert door.invoke({"Records": records}) == {"batchItemFailures": [{"itemIdentifier": "m2"}]}
    lines, metrics = door.output()
    unreadable = [line for line in lines if line["message"].startswith("unreadable")]
    assert sorted(line["field"] for line in unreadable) == ["Records[1]", "Records[3].messageId", "body", "body"]
    assert (metrics["Received"], metrics["Synced"], metrics["Unreadable"]) == ([6.0], [2.0], [4.0])


@pytest.mark.parametrize("bad_first", [True, False])
def test_two_records_of_one_message_id_keep_both_results(door: Door, bad_first: bool) -> None:
    """Of two records with one id, the readable one is synced and the unreadable one fails."""
    number = door.order_no()
    records = [{**a_record(number), "body": "nonsense"}, a_record(number)]
    answer = door.invoke({"Records": records if bad_first else records[::-1]})
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    lines, metrics = door.output()
    assert {line["message"] for line in lines} == {"synced", "unreadable, to the dead letters"}
    assert (metrics["Synced"], metrics["Unreadable"]) == ([1.0], [1.0])


def test_half_a_character_never_costs_the_log_line(door: Door) -> None:
    """A lone surrogate in the event's id, or in a field that is ignored, does not break the log line."""
    event = a_bare_event(door.order_no()) | {"id": "\ud800"}
    with pytest.raises(door.module.NotSyncedError):
        door.invoke(event)
    [line], _ = door.output()
    assert (line["message"], line["field"], line["message_id"]) == (
        "unreadable, to the dead letters",
        "id",
        "request-1",
    )
    event = a_bare_event(door.order_no()) | {"id": "e\x1b", "account": "\ud800"}
    assert (door.invoke(event)["event_id"], door.invoke(event)["message_id"]) == ("e", "request-1")

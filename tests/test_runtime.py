"""The built function with AWS's runtime client, as on Lambda: environment in, events in, answers out."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from .lambda_runtime import Function, a_function


@pytest.fixture(scope="module")
def function(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Function]:
    """One execution environment for the tests of this module; AWS is down."""
    with a_function(tmp_path_factory.mktemp("runtime") / "output") as function:
        yield function


def a_record(message_id: str, body: str) -> dict[str, Any]:
    """Return a record as SQS delivers it."""
    attributes = {"ApproximateReceiveCount": "1"}
    return {"messageId": message_id, "receiptHandle": f"r-{message_id}", "body": body, "attributes": attributes}


def test_it_answers_with_the_failed_records(function: Function) -> None:
    """The answer names an unreadable record and one that cannot be processed while AWS is down: both stay queued."""
    good = json.dumps({"mchid": "1230000109", "out_order_no": "A1", "detail": {"paid_time": "20260101120000"}})
    kind, answer = function.api.invoke({"Records": [a_record("m1", "nonsense"), a_record("m2", good)]})
    assert (kind, answer) == ("response", {"batchItemFailures": [{"itemIdentifier": "m1"}, {"itemIdentifier": "m2"}]})
    lines = {line["message_id"]: line for line in function.log_lines() if "message_id" in line}
    assert (lines["m1"]["level"], lines["m1"]["field"], lines["m1"]["wait"]) == ("ERROR", "body", 0)
    assert "DynamoDB BatchGetItem failed" in lines["m2"]["problem"]
    assert lines["m2"]["wait"] >= 1


def test_its_metrics_are_log_lines(function: Function) -> None:
    """Metrics are log lines in the embedded metric format, with the namespace and dimension of the alarms."""
    function.api.invoke({"Records": [a_record("m3", "nonsense")]})
    emf = [line for line in function.log_lines() if "_aws" in line and "Received" in line][-1]
    [directive] = emf["_aws"]["CloudWatchMetrics"]
    assert (directive["Namespace"], directive["Dimensions"], emf["service"]) == (
        "WeChatPayScore",
        [["service"]],
        "orders",
    )
    assert (emf["Received"], emf["Unreadable"]) == ([1.0], [1.0])


@pytest.mark.parametrize("event", [{}, {"Records": "none"}, {"hello": "world"}])
def test_an_unsupported_event_is_an_error(function: Function, event: Any) -> None:
    """An event that is neither an SQS batch nor from EventBridge ends as UnsupportedEventError."""
    kind, answer = function.api.invoke(event)
    assert (kind, answer["errorType"]) == ("error", "UnsupportedEventError")


def test_a_bare_event_that_cannot_be_settled_is_an_error(function: Function) -> None:
    """A bare event whose order cannot be settled ends as an error, so that the caller retries it."""
    detail = {"mchid": "1230000109", "out_order_no": "A1", "detail": {"paid_time": "20260101120000"}}
    kind, answer = function.api.invoke({"id": "e1", "source": "pos.x", "detail-type": "Order_Paid", "detail": detail})
    assert (kind, answer["errorType"]) == ("error", "NotSyncedError")
    assert "out_order_no=A1" in answer["errorMessage"]


def test_an_empty_batch_is_an_empty_answer(function: Function) -> None:
    """An empty batch has an answer without failures."""
    assert function.api.invoke({"Records": []}) == ("response", {"batchItemFailures": []})

"""The built function under AWS's own runtime client, as on Lambda: environment in, events in, answers out."""

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sandbox.world import BUILD

ENVIRONMENT = {
    "ORDERS_TABLE": "orders",
    "ORDER_QUEUE_URL": "http://127.0.0.1:9/000000000000/orders",
    "MERCHANT_SECRET_PREFIX": "wechatpay",
    "POWERTOOLS_SERVICE_NAME": "orders",
    "POWERTOOLS_METRICS_NAMESPACE": "WeChatPayScore",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",  # nobody listens there: AWS is down
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",  # Lambda sets both
    "AWS_ACCESS_KEY_ID": "sandbox",
    "AWS_SECRET_ACCESS_KEY": "sandbox",
    "AWS_LAMBDA_FUNCTION_NAME": "orders",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
    "AWS_LAMBDA_FUNCTION_VERSION": "1",
}


@dataclass
class RuntimeApi:
    """Lambda's side: hands out events one by one, takes answers and errors."""

    events: "queue.Queue[Any]" = field(default_factory=queue.Queue)
    answers: "queue.Queue[tuple[str, Any]]" = field(default_factory=queue.Queue)

    def invoke(self, event: Any) -> tuple[str, Any]:
        """Hand out an event; returns `response` or `error`, and its JSON."""
        self.events.put(event)
        return self.answers.get(timeout=15)


def _handler(api: RuntimeApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = json.dumps(api.events.get()).encode()
            self.send_response(200)
            self.send_header("Lambda-Runtime-Aws-Request-Id", "request-1")
            self.send_header("Lambda-Runtime-Deadline-Ms", "9999999999999")
            self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:1:function:orders")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()
            api.answers.put((self.path.rpartition("/")[2], json.loads(content)))

        def log_message(self, *_: Any) -> None:
            """Silent."""

    return Handler


@dataclass(frozen=True)
class Function:
    """The function, running; and where its output goes."""

    api: RuntimeApi
    output: Path

    def logged(self) -> list[dict[str, Any]]:
        """The JSON lines it has written."""
        return [json.loads(line) for line in self.output.read_text().splitlines() if line.startswith("{")]


@pytest.fixture(scope="module")
def function(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Function]:
    """The built function and layer on the path, nothing of the repository's."""
    api = RuntimeApi()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(api))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    output = tmp_path_factory.mktemp("runtime") / "output"
    path = os.pathsep.join([str(BUILD / "OrdersFunction"), str(BUILD / "WeChatPayLayer/python")])
    host, port = server.server_address[:2]
    environment = {**ENVIRONMENT, "PYTHONPATH": path, "AWS_LAMBDA_RUNTIME_API": f"{host!s}:{port}"}
    with output.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-B", "-m", "awslambdaric", "orders.handler.lambda_handler"],
            env=environment,
            stdout=log,
            stderr=log,
        )
        yield Function(api, output)
        process.kill()
        process.wait()
    server.shutdown()
    server.server_close()


def a_record(message_id: str, body: str) -> dict[str, Any]:
    """A record as SQS hands it over."""
    attributes = {"ApproximateReceiveCount": "2"}
    return {"messageId": message_id, "receiptHandle": f"r-{message_id}", "body": body, "attributes": attributes}


def test_it_answers_with_the_failed_records(function: Function) -> None:
    """An unreadable record, and one that waits because AWS is down: both stay in the queue, nothing is lost."""
    good = json.dumps({"mchid": "1230000109", "out_order_no": "A1", "detail": {"paid_time": "20260101120000"}})
    kind, answer = function.api.invoke({"Records": [a_record("m1", "nonsense"), a_record("m2", good)]})
    assert (kind, answer) == ("response", {"batchItemFailures": [{"itemIdentifier": "m1"}, {"itemIdentifier": "m2"}]})
    lines = {line["message_id"]: line for line in function.logged() if "message_id" in line}
    assert (lines["m1"]["level"], lines["m1"]["field"], lines["m1"]["wait"]) == ("ERROR", "body", 0)
    assert "DynamoDB BatchGetItem failed" in lines["m2"]["problem"]
    assert lines["m2"]["wait"] >= 1


def test_its_metrics_are_log_lines(function: Function) -> None:
    """In CloudWatch's embedded metric format, under the namespace and dimension that the alarms watch."""
    function.api.invoke({"Records": [a_record("m3", "nonsense")]})
    emf = [line for line in function.logged() if "_aws" in line][-1]
    [directive] = emf["_aws"]["CloudWatchMetrics"]
    assert (directive["Namespace"], directive["Dimensions"], emf["service"]) == (
        "WeChatPayScore",
        [["service"]],
        "orders",
    )
    assert (emf["Received"], emf["Unreadable"]) == ([1.0], [1.0])


@pytest.mark.parametrize("event", [{}, {"Records": "none"}, {"hello": "world"}])
def test_what_is_no_event_of_ours_is_an_error(function: Function, event: Any) -> None:
    """Named as such to whoever invoked it."""
    kind, answer = function.api.invoke(event)
    assert (kind, answer["errorType"]) == ("error", "UnsupportedEventError")


def test_a_bare_event_that_cannot_be_settled_is_an_error(function: Function) -> None:
    """So that the invoker tries again."""
    detail = {"mchid": "1230000109", "out_order_no": "A1", "detail": {"paid_time": "20260101120000"}}
    kind, answer = function.api.invoke({"id": "e1", "source": "pos.x", "detail-type": "Order_Paid", "detail": detail})
    assert (kind, answer["errorType"]) == ("error", "NotSyncedError")
    assert "out_order_no=A1" in answer["errorMessage"]


def test_an_empty_batch_is_an_empty_answer(function: Function) -> None:
    """Nothing to do, nothing failed."""
    assert function.api.invoke({"Records": []}) == ("response", {"batchItemFailures": []})

"""Run the built function in a process of its own with AWS's runtime client: events in, answers out, as on Lambda."""

import json
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from sandbox.testbed import BUILD
from sandbox.waiting import PATIENCE

PATH = os.pathsep.join([str(BUILD / "OrdersFunction"), str(BUILD / "WeChatPayLayer/python")])  # as on Lambda
DEADLINE = 900  # seconds of an invocation, the maximum of Lambda

ENVIRONMENT = {
    "ORDERS_TABLE": "orders",
    "ORDER_QUEUE_URL": "http://127.0.0.1:9/000000000000/orders",
    "MERCHANT_SECRET_PREFIX": "wechatpay",
    "EVENT_BUS_NAME": "outcomes",
    "POWERTOOLS_SERVICE_NAME": "orders",
    "POWERTOOLS_METRICS_NAMESPACE": "WeChatPayScore",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",  # no server listens there: AWS is down
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
    """Lambda's runtime API: delivers events one by one, and collects answers and errors."""

    events: "queue.Queue[Any]" = field(default_factory=queue.Queue)
    answers: "queue.Queue[tuple[str, Any]]" = field(default_factory=queue.Queue)

    def invoke(self, event: Any) -> tuple[str, Any]:
        """Deliver an event; return `response` or `error`, and its JSON."""
        self.events.put(event)
        return self.answer()

    def answer(self) -> tuple[str, Any]:
        """Return the next answer to an event that was delivered before."""
        return self.answers.get(timeout=PATIENCE)


def _handler(api: RuntimeApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            event = api.events.get()
            if self._is_closed():
                api.events.put(event)  # for the process that replaces this one
                self.close_connection = True
                return
            content = json.dumps(event).encode()
            self.send_response(200)
            self.send_header("Lambda-Runtime-Aws-Request-Id", "request-1")
            self.send_header("Lambda-Runtime-Deadline-Ms", str(int((time.time() + DEADLINE) * 1000)))
            self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:1:function:orders")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _is_closed(self) -> bool:
            """Return whether the process that requested an event has ended: the kernel has closed its side."""
            with suppress(BlockingIOError):
                return not self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            return False

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()
            api.answers.put((self.path.rpartition("/")[2], json.loads(content)))

        def log_message(self, *_: Any) -> None:
            """Write nothing."""

    return Handler


@dataclass
class Function:
    """An execution environment and the file of its output; it can be killed and started again."""

    api: RuntimeApi
    output: Path
    environment: Mapping[str, str]
    process: "subprocess.Popen[bytes] | None" = None

    def start(self, handler: str = "orders.handler") -> None:
        """Start the process; `handler` is the module of the handler, as in Lambda's configuration."""
        with self.output.open("ab") as log:
            command = [sys.executable, "-B", "-m", "awslambdaric", f"{handler}.lambda_handler"]
            self.process = subprocess.Popen(command, env=dict(self.environment), stdout=log, stderr=log)

    def kill(self) -> None:
        """Kill the process with SIGKILL and wait for its end."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def log_lines(self) -> list[dict[str, Any]]:
        """Return the JSON lines of its output."""
        return [json.loads(line) for line in self.output.read_text().splitlines() if line.startswith("{")]


@contextmanager
def a_function(output: Path, **changes: str) -> Iterator[Function]:
    """Start the built function and layer, without the repository on the path, with `changes` to its environment."""
    api = RuntimeApi()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(api))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host, port = server.server_address[:2]
    environment = {**ENVIRONMENT, "PYTHONPATH": PATH, "AWS_LAMBDA_RUNTIME_API": f"{host!s}:{port}", **changes}
    function = Function(api, output, environment)
    function.start()
    try:
        yield function
    finally:
        function.kill()
        server.shutdown()
        server.server_close()

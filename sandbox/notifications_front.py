"""The front of the notifications in the sandbox: an HTTP API in short, which invokes the deployed function.

It turns a request into the event of payload format 2.0, and the function's answer into HTTP, as API Gateway does
(docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html). It always sends the
body as base64, and header names in lower case.
"""

import base64
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from sandbox.browser_guard import Guard

BODY_LIMIT = 10_000_000  # bytes, API Gateway's quota

type Invoke = Callable[[Mapping[str, Any]], Mapping[str, Any] | None]
"""Invokes the function with an event; returns its answer, None if it failed."""


class SimulatedFront:
    """Listens on `address` and `port` (0 takes a free one); use it in a `with` block."""

    def __init__(self, invoke: Invoke, *, address: str = "127.0.0.1", port: int = 0) -> None:
        self._invoke = invoke
        self._server = _FrontServer(invoke, address, port)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Refuse connections from now on."""
        self._server.shutdown()
        self._server.server_close()

    def restart(self) -> None:
        """Listen again, on the same port."""
        address, port = self._server.server_address[:2]
        self._server = _FrontServer(self._invoke, str(address), port)
        self.__enter__()

    @property
    def url(self) -> str:
        """The address that it listens on."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def notify_url(self, mchid: str) -> str:
        """Return the `notify_url` of this merchant's orders."""
        return f"{self.url}/{mchid}"


def event_of(method: str, path: str, headers: Iterable[tuple[str, str]], body: bytes, now: float) -> dict[str, Any]:
    """Return the event of payload format 2.0; headers of one name are joined by commas."""
    joined: dict[str, str] = {}
    for name, value in headers:
        joined[name.lower()] = f"{joined[name.lower()]},{value}" if name.lower() in joined else value
    raw_path, _, query = path.partition("?")
    return {
        "version": "2.0",
        "routeKey": f"{method} /{{mchid}}",
        "rawPath": raw_path,
        "rawQueryString": query,
        "headers": joined,
        "pathParameters": {"mchid": raw_path.removeprefix("/")},
        "requestContext": {
            "apiId": "sandbox",
            "http": {
                "method": method,
                "path": raw_path,
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": joined.get("user-agent", ""),
            },
            "requestId": secrets.token_hex(8),
            "routeKey": f"{method} /{{mchid}}",
            "stage": "$default",
            "timeEpoch": round(now * 1000),
        },
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
    }


class _FrontServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, invoke: Invoke, address: str, port: int) -> None:
        super().__init__((address, port), _FrontHandler)
        self.invoke = invoke
        self.guard = Guard(address, self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:
        """Report nothing: a caller may go away."""


class _FrontHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _FrontServer

    def _serve(self) -> None:
        body = self.rfile.read(min(int(self.headers.get("Content-Length") or "0"), BODY_LIMIT + 1))
        if objection := self.server.guard.objection(self.headers.items()):
            self.close_connection = True
            self._answer(403, {"content-type": "text/plain; charset=utf-8"}, f"{objection}\n".encode())
        elif self.command != "POST" or self.path.count("/") != 1 or len(self.path) < 2:
            self._refuse(404, "Not Found")  # the one route is POST /{mchid}
        elif len(body) > BODY_LIMIT:
            self.close_connection = True
            self._refuse(413, "Request Entity Too Large")
        else:
            self._pass_on(event_of(self.command, self.path, self.headers.items(), body, time.time()))

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _serve  # noqa: N815  as http.server has it

    def _pass_on(self, event: Mapping[str, Any]) -> None:
        answer = self.server.invoke(event)
        if answer is None or not isinstance(answer.get("statusCode"), int):
            self._refuse(500, "Internal Server Error")
            return
        text = str(answer.get("body", ""))
        content = base64.b64decode(text) if answer.get("isBase64Encoded") else text.encode()
        self._answer(answer["statusCode"], answer.get("headers", {}), content)

    def _refuse(self, status: int, message: str) -> None:
        self._answer(status, {"content-type": "application/json"}, json.dumps({"message": message}).encode())

    def _answer(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if status != 204 and self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing: the function logs."""

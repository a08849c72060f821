"""Stands between the function and the embedded AWS, and does there what AWS and the kernel are known to do."""

import json
import threading
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Self

import requests

from sandbox.browser_guard import Guard

Deed = Literal["pass", "throttle", "conflict", "fail", "cut before", "cut after"]
"""What happens to a request: passed on, refused in AWS's words, or cut off before or after AWS has executed it."""

_REFUSALS = {
    "throttle": (400, "ThrottlingException"),
    "conflict": (400, "ConditionalCheckFailedException"),
    "fail": (500, "InternalServerError"),
}


class AwsProxy:
    """Passes requests on; `decide` names each one's deed by its operation, such as `PutItem`.

    `on_cut` runs before a connection is cut: whoever kills the process there leaves it no time to try again.
    `hear` is given each request's `X-Amz-Target` and body.
    """

    def __init__(
        self,
        behind: str,
        decide: Callable[[str], Deed] = lambda _: "pass",
        on_cut: Callable[[], None] = lambda: None,
        hear: Callable[[str, bytes], object] = lambda *_: None,
    ) -> None:
        self.behind = behind
        self.decide = decide
        self.on_cut = on_cut
        self.hear = hear
        self.deeds: Counter[tuple[str, Deed]] = Counter()
        self._server: ThreadingHTTPServer | None = None

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), BaseHTTPRequestHandler)
        self._server.RequestHandlerClass = _handler(self, ("127.0.0.1", self._server.server_address[1]))
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    @property
    def url(self) -> str:
        """Where it listens."""
        assert self._server is not None, "use it in a `with` block"  # noqa: S101
        return f"http://127.0.0.1:{self._server.server_address[1]}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  as socketserver has it
        """A caller that was killed is no news."""


def _handler(proxy: AwsProxy, address: tuple[str, int]) -> type[BaseHTTPRequestHandler]:
    onward = requests.Session()
    onward.trust_env = False
    guard = Guard(*address)
    onward.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=64))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            if objection := guard.objection(self.headers.items()):
                self.close_connection = True
                self._answer(403, {}, f"{objection}\n".encode())
                return
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            target = self.headers.get("X-Amz-Target", "")
            proxy.hear(target, body)
            operation = target.rpartition(".")[2]
            deed = proxy.decide(operation)
            proxy.deeds[operation, deed] += 1
            if deed == "conflict" and operation == "BatchExecuteStatement":  # which answers each statement by itself
                refused = {"Error": {"Code": "DuplicateItem", "Message": deed}}
                answers = [refused] * len(json.loads(body)["Statements"])
                self._answer(200, {}, json.dumps({"Responses": answers}).encode())
                return
            if deed in _REFUSALS:
                status, kind = _REFUSALS[deed]
                self._answer(status, {}, json.dumps({"__type": kind, "message": deed}).encode())
                return
            answer = None if deed == "cut before" else self._passed_on(body)
            if answer is None or deed == "cut after":
                proxy.on_cut()
                self.close_connection = True
                return
            self._answer(answer.status_code, dict(answer.headers), answer.content)

        def _passed_on(self, body: bytes) -> requests.Response:
            own = {"connection", "host"}  # of this hop alone
            headers = {name: value for name, value in self.headers.items() if name.lower() not in own}
            url = proxy.behind + self.path
            return onward.request(self.command, url, data=body, headers=headers, timeout=30, allow_redirects=False)

        def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                if name.lower() not in {"content-length", "transfer-encoding", "connection", "content-encoding"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _serve  # noqa: N815  as http.server has it

        def log_message(self, format: str, *args: object) -> None:
            """Silent: `AwsProxy.deeds` counts."""

    return Handler

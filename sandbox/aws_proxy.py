"""A proxy between the function and the embedded AWS: it fails requests as AWS and the network are known to."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Self

import requests

from sandbox.browser_guard import Guard

ProxyAction = Literal["pass", "throttle", "conflict", "fail", "part", "cut before", "cut after"]
"""What happens to a request: passed on, refused as AWS refuses, or cut off before or after AWS has executed it.

`part`: of PutEvents AWS takes the first entry and refuses the others.
"""

_REFUSALS = {
    "throttle": (400, "ThrottlingException"),
    "conflict": (400, "ConditionalCheckFailedException"),
    "fail": (500, "InternalServerError"),
}


class AwsProxy:
    """Passes requests on, or fails them; `actions` counts what happened, by operation."""

    def __init__(
        self,
        behind: str,
        decide: Callable[[str], ProxyAction] = lambda _: "pass",
        on_cut: Callable[[], None] = lambda: None,
        inspect: Callable[[str, bytes], object] = lambda *_: None,
    ) -> None:
        """Prepare it before the AWS at `behind`.

        Args:
            behind: the URL that requests are passed to.
            decide: returns the action for an operation, such as `PutItem`.
            on_cut: runs before a connection is cut; a process that is killed there has no time to try again.
            inspect: receives each request's `X-Amz-Target` and body before `decide` is called.
        """
        self.behind = behind
        self.decide = decide
        self.on_cut = on_cut
        self.inspect = inspect
        self.actions: Counter[tuple[str, ProxyAction]] = Counter()
        self._server: ThreadingHTTPServer | None = None

    def __enter__(self) -> Self:
        self._server = _ProxyServer(self)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    @property
    def url(self) -> str:
        """The address that it listens on."""
        assert self._server is not None, "use it in a `with` block"  # noqa: S101
        return f"http://127.0.0.1:{self._server.server_address[1]}"


class _ProxyServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, proxy: AwsProxy) -> None:
        super().__init__(("127.0.0.1", 0), _ProxyHandler)
        self.proxy = proxy
        self.guard = Guard("127.0.0.1", self.server_address[1])
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=64))

    def handle_error(self, request: object, client_address: object) -> None:
        """Report nothing: a caller may be killed."""


class _ProxyHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _ProxyServer

    def _serve(self) -> None:
        if objection := self.server.guard.objection(self.headers.items()):
            self.close_connection = True
            self._answer(403, {}, f"{objection}\n".encode())
            return
        proxy, body = self.server.proxy, self.rfile.read(int(self.headers.get("Content-Length", "0")))
        target = self.headers.get("X-Amz-Target", "")
        proxy.inspect(target, body)
        operation = target.rpartition(".")[2]
        action = proxy.decide(operation)
        proxy.actions[operation, action] += 1
        if action == "conflict" and operation == "BatchExecuteStatement":
            self._answer(200, {}, _conflicts(body))
        elif action == "part":
            self._answer(200, {}, _taken_in_part(self._ask(_first_entry(body)).json(), body))
        elif action in _REFUSALS:
            status, kind = _REFUSALS[action]
            self._answer(status, {}, json.dumps({"__type": kind, "message": action}).encode())
        else:
            self._pass_on(body, action)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _serve  # noqa: N815  as http.server has it

    def _pass_on(self, body: bytes, action: ProxyAction) -> None:
        """Pass the request on and the answer back, unless the connection is cut before or after that."""
        answer = None if action == "cut before" else self._ask(body)
        if answer is None or action == "cut after":
            self.server.proxy.on_cut()
            self.close_connection = True
            return
        self._answer(answer.status_code, dict(answer.headers), answer.content)

    def _ask(self, body: bytes) -> requests.Response:
        hop = {"connection", "host", "content-length"}  # headers of this hop alone
        headers = {name: value for name, value in self.headers.items() if name.lower() not in hop}
        url = self.server.proxy.behind + self.path
        return self.server.session.request(
            self.command, url, data=body, headers=headers, timeout=30, allow_redirects=False
        )

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in {"content-length", "transfer-encoding", "connection", "content-encoding"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing: `AwsProxy.actions` counts."""


def _first_entry(body: bytes) -> bytes:
    request = json.loads(body)
    return json.dumps({**request, "Entries": request["Entries"][:1]}).encode()


def _taken_in_part(answer: Mapping[str, Any], body: bytes) -> bytes:
    """Return the answer of PutEvents to all entries, of which the first alone was passed on."""
    others = len(json.loads(body)["Entries"]) - 1
    refusal = {"ErrorCode": "InternalFailure", "ErrorMessage": "part"}
    return json.dumps({"FailedEntryCount": others, "Entries": [*answer["Entries"], *[refusal] * others]}).encode()


def _conflicts(body: bytes) -> bytes:
    """Return the answer of a batch of statements, each of which is answered by itself, with a conflict for all."""
    refusal = {"Error": {"Code": "DuplicateItem", "Message": "conflict"}}
    return json.dumps({"Responses": [refusal] * len(json.loads(body)["Statements"])}).encode()

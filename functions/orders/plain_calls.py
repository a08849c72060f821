"""Calls of DynamoDB whose parameters and answers are JSON as they stand, over kept connections of http.client.

botocore prepares such a call, finds its endpoint and signs it, as any other. Its serializer and parser, which copy each
attribute of each item by its model, its retries and urllib3 are passed by: they take almost half of the CPU time. What
does not end with a whole answer and HTTP 200 is made again by another client of boto3, which retries and explains.
"""

import json
import select
import ssl
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import urlsplit
from weakref import finalize
from zlib import crc32

from botocore import xform_name
from botocore.awsrequest import create_request_object

from wechatpay.heads import PlainHeads

if TYPE_CHECKING:
    from socket import socket

    from botocore.model import OperationModel
    from botocore.signers import RequestSigner

OPERATIONS = ("BatchGetItem", "BatchExecuteStatement")
"""`tests/orders/test_plain_calls.py` compares their bodies and answers with boto3's."""


class Received(NamedTuple):
    """What botocore reads of an HTTP response."""

    status_code: int


class PlainCalls:
    """Makes the calls; safe to use from many threads.

    `timeout` is the seconds to connect and to wait for an answer; `connections` is how many are kept for a host.
    `plain_client` makes the client of boto3 that repeats what failed, with one attempt fewer.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        *,
        timeout: tuple[float, float],
        connections: int,
        plain_client: Callable[[], Any],
    ) -> None:
        self._context = context
        self._timeout = timeout
        self._connections = connections
        self._idle: dict[str, deque[HTTPConnection]] = {}  # by URL of the host
        self._plain_client = plain_client
        self._lock = Lock()
        finalize(self, _close, self._idle)

    @cached_property
    def _client(self) -> Any:  # noqa: ANN401  boto3 makes its clients at run time
        return self._plain_client()

    def register(self, events: Any) -> None:  # noqa: ANN401  its stubs know no handler that returns a value
        """Take the calls of a client's OPERATIONS."""
        for operation in OPERATIONS:
            events.register(f"provide-client-params.dynamodb.{operation}", _keep_parameters)
            events.register_last(f"before-call.dynamodb.{operation}", self._call)

    def _call(
        self,
        model: "OperationModel",
        params: dict[str, Any],
        request_signer: "RequestSigner",
        context: dict[str, Any],
        **_: object,
    ) -> tuple[Received, object]:
        """Make a call that botocore has prepared; raise what botocore raises where that fails."""
        body = json.dumps(context["parameters"], separators=(",", ":")).encode()
        request = create_request_object({**params, "body": body})
        request_signer.sign(model.name, request)
        answer = self._exchange(params["url"], body, dict(request.headers.items()))
        if answer is None:
            with self._lock:  # threads that fail at the same moment make one client
                client = self._client
            answer = getattr(client, xform_name(model.name))(**context["parameters"])
        return Received(200), answer

    def _exchange(self, url: str, body: bytes, headers: dict[str, str]) -> object:
        """Send a request; return the answer, None if there is no whole one with HTTP 200."""
        idle = self._idle.setdefault(url, deque())
        connection = self._take(idle) or self._connection(url)
        try:
            if connection.sock is None:
                connection.connect()
                cast("socket", connection.sock).settimeout(self._timeout[1])
            connection.request("POST", urlsplit(url).path, body, headers)
            response = connection.getresponse()
            content = response.read()
        except (OSError, HTTPException):
            connection.close()
            return None
        if connection.sock is None or len(idle) >= self._connections:
            connection.close()
        else:
            idle.append(connection)
        if response.status != 200 or response.getheader("x-amz-crc32") not in {None, str(crc32(content))}:
            return None
        with suppress(ValueError):
            return json.loads(content)
        return None

    def _connection(self, url: str) -> HTTPConnection:
        host = urlsplit(url)
        connection = (
            HTTPConnection(host.netloc, timeout=self._timeout[0])
            if host.scheme == "http"
            else HTTPSConnection(host.netloc, timeout=self._timeout[0], context=self._context)
        )
        connection.response_class = PlainHeads
        return connection

    def _take(self, idle: deque[HTTPConnection]) -> HTTPConnection | None:
        """Return a connection that stands, None if there is none."""
        while True:
            try:
                connection = idle.pop()
            except IndexError:
                return None
            if _stands(connection):
                return connection
            connection.close()


def _close(idle: Mapping[str, deque[HTTPConnection]]) -> None:
    for connections in idle.values():
        for connection in connections:
            connection.close()


def _stands(connection: HTTPConnection) -> bool:
    """Whether the host has neither closed an idle connection nor sent anything on it."""
    look = select.poll()
    look.register(connection.sock, select.POLLIN)
    return not look.poll(0)


def _keep_parameters(params: Mapping[str, Any], context: dict[str, object], **_: object) -> dict[str, object]:
    """Give botocore nothing to serialize but the names of the tables, by which it finds the endpoint."""
    context["parameters"] = params
    tables = params.get("RequestItems")
    return {"RequestItems": {table: {} for table in tables}} if tables else {}

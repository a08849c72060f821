"""Calls past botocore's serializer, endpoint and parser: the same bytes, the same answers, botocore's own failures."""

import json
import ssl
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from zlib import crc32

import boto3
import pytest
from botocore.exceptions import ClientError

from orders.aws import Aws
from orders.plain_calls import OPERATIONS
from sandbox.waiting import PATIENCE
from tests.wechatpay.wire import Behaviour, Server, begin_and_hang_up, cut_off, hang_up, reset, say

type Call = Callable[[Any], Any]

ATTRIBUTES: dict[str, dict[str, Any]] = {
    "S": {"S": '充电宝 \u2028 \U0001f600 " \\ / \x7f'},
    "N": {"N": "1" * 38},
    "BOOL": {"BOOL": False},
    "NULL": {"NULL": True},
    "M": {"M": {"a b": {"L": [{"S": ""}, {"M": {}}, {"L": []}]}}},
}
STATEMENT = {"Statement": "INSERT INTO \"orders\" VALUE {'pk': ?}", "Parameters": [*ATTRIBUTES.values()]}
KEYS = {"Keys": [{"pk": {"S": "1#2"}}], "ConsistentRead": True}


def _read(client: Any) -> Any:
    return client.batch_get_item(RequestItems={"orders": KEYS})


def _write(client: Any) -> Any:
    return client.batch_execute_statement(Statements=[STATEMENT] * 25)


CALLS: dict[str, Call] = {"BatchGetItem": _read, "BatchExecuteStatement": _write}
ANSWERS: dict[str, list[dict[str, Any]]] = {
    "BatchGetItem": [
        {"Responses": {"orders": [ATTRIBUTES]}, "UnprocessedKeys": {"orders": KEYS}},
        {"Responses": {}, "UnprocessedKeys": {}},
    ],
    "BatchExecuteStatement": [
        {"Responses": [{"TableName": "orders"}, {"Error": {"Code": "DuplicateItem", "Message": "there is one"}}]}
    ],
}


def _answer(value: object, *headers: str, status: str = "200 OK") -> Behaviour:
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(content)}", "x-amzn-RequestId: R1", *headers]
    return say("\r\n".join([*lines, "", ""]).encode() + content)


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A host under AWS_ENDPOINT_URL."""
    server = Server()
    environment = {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_DEFAULT_REGION": "cn-north-1",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_SESSION_TOKEN": "t",
        "_X_AMZN_TRACE_ID": "Root=1-2-3",
        "AWS_LAMBDA_FUNCTION_NAME": "orders",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    yield server
    server.close()


@pytest.fixture
def client(dynamodb: Server) -> Iterator[Any]:
    """The function's client."""
    client = Aws(ssl.create_default_context(), connections=1).client("dynamodb")
    yield client
    client.close()


def _headers(request: bytes) -> Mapping[str, str]:
    lines = request.partition(b"\r\n\r\n")[0].decode().splitlines()
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}


def _signed(request: bytes) -> Mapping[str, str]:
    """Return what a request's signature is of, but for the time and what depends on it."""
    headers = _headers(request)
    names = headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    return {name: headers[name] for name in names if not name.startswith(("x-amz-date", "amz-sdk", "user-agent"))}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_call_is_the_one_that_boto3_makes(dynamodb: Server, client: Any, operation: str) -> None:
    """Method, path, signed headers and JSON are those of boto3, and so is the answer, but for its headers."""
    for value in ANSWERS[operation]:
        dynamodb.requests.clear()
        dynamodb.script = [_answer(value), _answer(value)]
        plain = boto3.client("dynamodb")
        ours, theirs = CALLS[operation](client), CALLS[operation](plain)
        plain.close()
        theirs.pop("ResponseMetadata")
        assert ours == theirs
        first, second = dynamodb.requests
        assert first.splitlines()[0] == second.splitlines()[0]
        assert _signed(first) == _signed(second)
        bodies = [json.loads(request.partition(b"\r\n\r\n")[2]) for request in (first, second)]
        assert bodies[0] == bodies[1]


def test_calls_share_a_connection(dynamodb: Server, client: Any) -> None:
    """A connection is kept as long as the host keeps it, and a call is sent once."""
    dynamodb.script = [_answer({"Responses": {}})] * 3
    for _ in range(3):
        assert _read(client)["Responses"] == {}
    assert (dynamodb.connections, len(dynamodb.requests)) == (1, 3)


@pytest.mark.parametrize("close", ["Connection: close", ""])
def test_a_connection_that_the_host_closed_is_not_used_again(dynamodb: Server, client: Any, close: str) -> None:
    """Whether the host says so or does it, the next call has a connection of its own, and is sent once."""

    def answer_and_close(connection: Any) -> bool:
        _answer({"Responses": {}}, *([close] if close else []))(connection)
        return False

    dynamodb.script = [answer_and_close] * 3
    for _ in range(3):
        assert _read(client)["Responses"] == {}
    assert (dynamodb.connections, len(dynamodb.requests)) == (3, 3)


WRONG = {"Responses": {"orders": [{"pk": {"S": "wrong"}}]}}
FAILURES: dict[str, Behaviour] = {
    "it hangs up": hang_up,
    "it resets": reset,
    "half a status line": begin_and_hang_up,
    "half a body": cut_off,
    "no JSON": _answer(b"<html>"),
    "another checksum": _answer(WRONG, "x-amz-crc32: 1"),
    "it is busy": _answer(
        {"__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException", "message": "slow down"},
        status="400 Bad Request",
    ),
    "it fails": _answer({"__type": "InternalServerError"}, status="500 Internal Server Error"),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("again", [False, True], ids=["first call", "kept connection"])
def test_what_is_not_answered_is_made_again_by_botocore(
    dynamodb: Server, client: Any, failure: Behaviour, again: bool
) -> None:
    """After a broken answer, a wrong checksum, a throttle or a failure the call is made again."""
    right = {"Responses": {"orders": [{"pk": {"S": "1#2"}}]}}
    content = json.dumps(right).encode()
    dynamodb.script = [_answer({"Responses": {}})] if again else []
    dynamodb.script += [failure, _answer(content, f"x-amz-crc32: {crc32(content)}")]
    if again:
        _read(client)
    assert _read(client)["Responses"] == right["Responses"]
    assert dynamodb.script == []


def test_a_call_has_no_more_attempts_than_were_asked_for(dynamodb: Server, client: Any) -> None:
    """Where every attempt fails, the third is the last, and the error is botocore's."""
    dynamodb.script = [FAILURES["it is busy"]] * 9
    with pytest.raises(ClientError, match="ThrottlingException"):
        _read(client)
    assert len(dynamodb.requests) == 3


def test_a_refusal_is_botocores_error(dynamodb: Server, client: Any) -> None:
    """What botocore explains, it explains as ever: the code and the text of a refusal."""
    refusal = _answer({"__type": "x#ValidationException", "message": "no such table"}, status="400 Bad Request")
    dynamodb.script = [refusal, refusal]
    with pytest.raises(ClientError) as caught:
        _write(client)
    assert caught.value.response["Error"] == {"Code": "ValidationException", "Message": "no such table"}
    assert dynamodb.script == []


def test_a_proxy_has_every_call(dynamodb: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a proxy stands before the host, botocore makes the calls through it."""
    proxy = Server()
    proxy.script = [_answer({"Responses": {}})]
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://dynamodb.test")
    client = Aws(ssl.create_default_context(), connections=1).client("dynamodb")
    assert _read(client)["Responses"] == {}
    client.close()
    assert proxy.requests[0].startswith(b"POST http://dynamodb.test/ ")
    proxy.close()


def test_no_more_connections_are_kept_than_were_asked_for(dynamodb: Server, client: Any) -> None:
    """Of two calls at a time one keeps its connection, so that the next two need one more."""
    for connections in (2, 3):
        both = Barrier(2)

        def answer_together(connection: Any, both: Barrier = both) -> bool:
            both.wait(PATIENCE)
            return _answer({"Responses": {}})(connection)

        dynamodb.script = [answer_together] * 2
        with ThreadPoolExecutor(2) as threads:
            assert all(answer["Responses"] == {} for answer in threads.map(_read, [client] * 2))
        assert dynamodb.connections == connections

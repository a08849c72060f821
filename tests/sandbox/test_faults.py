"""Each fault of the simulator does on the wire what its description says. Read here with bare sockets."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from sandbox.waiting import until
from sandbox.wechat_pay import Simulator
from sandbox.wechat_pay.faults import KINDS, When
from sandbox.wechat_pay.random_faults import DRAWN
from tests.sandbox.signed import BASE, LONG_AGO, MCHID, PAID, QUERY, Connection, situations


@pytest.fixture
def connection(wechat_pay: Simulator) -> Iterator[Connection]:
    """A connection to the main host; S1 waits for its money."""
    wechat_pay.ready_to_sync(MCHID, "S1", at=LONG_AGO)
    with Connection(wechat_pay) as connection:
        yield connection


def synced(connection: Connection) -> tuple[int, dict[str, str], bytes]:
    """One sync of S1, whole."""
    connection.ask("POST", f"{BASE}/S1/sync", PAID)
    return connection.answer()


def queried(connection: Connection) -> dict[str, Any]:
    """S1 as a query shows it."""
    connection.ask("GET", QUERY)
    status, _, body = connection.answer()
    assert status == 200
    words: dict[str, Any] = json.loads(body)
    return words


def test_headers_come_one_byte_at_a_time(connection: Connection, wechat_pay: Simulator) -> None:
    """Under `drip_headers` every byte of the head arrives on its own, and the answer is whole."""
    wechat_pay.misbehave("drip_headers", seconds=0.0005)
    connection.ask("POST", f"{BASE}/S1/sync", PAID)
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    began, reads, received = time.monotonic(), 0, b""
    while b"\r\n\r\n" not in received:
        received += connection.socket.recv(65_536)
        reads += 1
    assert reads > 20
    assert time.monotonic() - began >= 0.0005 * len(received.partition(b"\r\n\r\n")[0])
    connection.buffered = received
    status, _, body = connection.answer()
    assert (status, json.loads(body)["state"]) == (200, "DONE")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_comes_one_byte_at_a_time(connection: Connection, wechat_pay: Simulator, chunked: bool) -> None:
    """Under `drip_body` the body arrives byte by byte, by Content-Length or in chunks of one byte."""
    wechat_pay.misbehave("drip_body", seconds=0.0002, chunked=chunked)
    began = time.monotonic()
    connection.ask("POST", f"{BASE}/S1/sync", PAID)
    _, headers = connection.head()
    if chunked:
        assert headers["transfer-encoding"] == "chunked"
        assert "content-length" not in headers
        coded = connection.until(b"0\r\n\r\n")
        body = b"".join(coded.split(b"\r\n")[1:-3:2])
    else:
        body = connection.body(int(headers["content-length"]))
    assert json.loads(body)["state"] == "DONE"
    assert time.monotonic() - began >= 0.0002 * len(body)


def test_a_drip_ends_when_the_host_closes(connection: Connection, wechat_pay: Simulator) -> None:
    """A host that closes ends its threads, however long a drip would take."""
    wechat_pay.misbehave("drip_headers", seconds=30.0)
    before = threading.active_count()
    connection.ask("POST", f"{BASE}/S1/sync", PAID)
    assert connection.socket.recv(1) == b"H"
    for host in wechat_pay._hosts.values():
        host.close()
    until(lambda: threading.active_count() <= before, state="its threads have ended", instead=threading.enumerate)


def test_headers_can_be_large(connection: Connection, wechat_pay: Simulator) -> None:
    """Under `big_headers` the headers have the number and size of the options; signature and body are unchanged."""
    cases: list[tuple[dict[str, Any], int, int]] = [
        ({}, 10, 1_024_000),
        ({"bytes": 1 << 20, "lines": 1}, 1, 1 << 20),
        ({"bytes": 8, "lines": 150}, 150, 0),
    ]
    for options, lines, least in cases:
        wechat_pay.misbehave("big_headers", times=1, **options)
        connection.ask("GET", QUERY)
        _, headers, body = connection.answer()
        padding = [text for name, text in headers.items() if name.startswith("x-padding")]
        assert (len(padding), sum(map(len, padding)) >= least) == (lines, True)
        assert "wechatpay-signature" in headers
        assert json.loads(body)["state"] == "DOING"


def test_trailers_can_be_large(connection: Connection, wechat_pay: Simulator) -> None:
    """Under `big_trailers` the body is chunked and whole, and large trailers follow it."""
    wechat_pay.misbehave("big_trailers", bytes=70_000, lines=3)
    connection.ask("GET", QUERY)
    assert connection.head()[1]["transfer-encoding"] == "chunked"
    coded, trailers = connection.until(b"\r\n0\r\n"), connection.until(b"\r\n\r\n")
    length, _, rest = coded.partition(b"\r\n")
    assert json.loads(rest[: int(length, 16)])["state"] == "DOING"
    assert len(trailers) > 210_000


@pytest.mark.parametrize("status", [100, 103])
def test_interim_answers_precede_the_real_one(connection: Connection, wechat_pay: Simulator, status: int) -> None:
    """`interim_answers` come in the number, status and size of the options before the real answer."""
    wechat_pay.misbehave("interim_answers", count=4, status=status, bytes=1000)
    connection.ask("POST", f"{BASE}/S1/sync", PAID)
    interim = [connection.head() for _ in range(4)]
    assert [code for code, _ in interim] == [status] * 4
    assert all(len(headers["x-padding"]) == 1000 for _, headers in interim)
    assert connection.answer()[0] == 200


def test_interim_answers_can_go_on_for_ever(connection: Connection, wechat_pay: Simulator) -> None:
    """With `endless`, interim answers go on and no real answer follows."""
    wechat_pay.misbehave("interim_answers", endless=True)
    connection.ask("POST", f"{BASE}/S1/sync", PAID)
    assert {connection.head()[0] for _ in range(1000)} == {103}


@pytest.mark.parametrize("fault", ["system_error", "gateway_408", "html_200"])
def test_the_way_strikes_what_another_fault_has_said(connection: Connection, wechat_pay: Simulator, fault: str) -> None:
    """A fault of delivery strikes the answer of another fault too: a slow 500 is `system_error` and `slow`."""
    wechat_pay.misbehave(fault)
    wechat_pay.misbehave("interim_answers", count=1)
    connection.ask("POST", f"{BASE}/S1/sync", PAID)
    assert connection.head()[0] == 103
    assert connection.answer()[0] in {500, 408, 200}
    assert wechat_pay.order(MCHID, "S1").state == "DOING"


def test_a_refusal_takes_the_same_way(connection: Connection, wechat_pay: Simulator) -> None:
    """A refusal is delivered under the same faults as an answer: after an interim answer, or not at all."""
    wechat_pay.misbehave("interim_answers", times=1, count=1)
    connection.ask("POST", f"{BASE}/S2/sync", PAID)
    assert (connection.head()[0], connection.answer()[0]) == (103, 404)
    wechat_pay.misbehave("reset_before_answer", processed=True)
    connection.ask("POST", f"{BASE}/S2/sync", PAID)
    with pytest.raises((ConnectionError, EOFError)):
        connection.head()


@pytest.mark.parametrize("status", [407, 408, 409, 413, 421, 425])
@pytest.mark.parametrize(("name", "state"), [("gateway_408", "DOING"), ("gateway_408_after", "DONE")])
def test_a_gateway_refuses_without_a_code(
    connection: Connection, wechat_pay: Simulator, name: str, state: str, status: int
) -> None:
    """A gateway answers with a page or an empty body, unsigned, instead of the operation or after it."""
    wechat_pay.misbehave(name, times=1, status=status)
    got, headers, body = synced(connection)
    assert (got, headers["content-type"], body[:6]) == (status, "text/html", b"<html>")
    assert not any(name.startswith("wechatpay-") for name in headers)
    assert wechat_pay.order(MCHID, "S1").state == state
    wechat_pay.ready_to_sync(MCHID, "S1", at=LONG_AGO)
    wechat_pay.misbehave(name, times=1, status=status, body="")
    assert synced(connection)[::2] == (status, b"")


def test_a_captive_portal_says_200(connection: Connection, wechat_pay: Simulator) -> None:
    """`html_200` answers 200 in HTML, unsigned, and executes nothing."""
    wechat_pay.misbehave("html_200")
    status, headers, body = synced(connection)
    assert (status, headers["content-type"], body[:6]) == (200, "text/html", b"<html>")
    assert "wechatpay-signature" not in headers
    assert wechat_pay.order(MCHID, "S1").state == "DOING"


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("system_error_400", "SYSTEM_ERROR", "系统异常"),
        ("sign_error_400", "SIGN_ERROR", "验签失败"),
        ("wrong_platform_serial", "PARAM_ERROR", "平台证书序列号Wechatpay-Serial错误"),
        ("paid_time_ahead", "PARAM_ERROR", "参数错误"),
    ],
)
def test_a_refusal_has_its_code_under_400(
    connection: Connection, wechat_pay: Simulator, name: str, code: str, words: str
) -> None:
    """A refusal in the operation's place has its code and message under 400, and nothing is executed."""
    wechat_pay.misbehave(name)
    status, _, body = synced(connection)
    assert (status, json.loads(body)["code"]) == (400, code)
    assert words in json.loads(body)["message"]
    assert wechat_pay.order(MCHID, "S1").state == "DOING"


def test_a_time_is_ahead_only_once(connection: Connection, wechat_pay: Simulator) -> None:
    """`paid_time_ahead` refuses one sync; the second is executed."""
    wechat_pay.misbehave("paid_time_ahead")
    assert json.loads(synced(connection)[2])["detail"]["field"] == "/detail/paid_time"
    assert synced(connection)[0] == 200


def test_a_fault_of_sync_never_strikes_a_query(connection: Connection, wechat_pay: Simulator) -> None:
    """A fault of sync never strikes a query, even where it is set for one."""
    for operation in (None, "query"):
        wechat_pay.misbehave("paid_time_ahead", operation=operation)
        assert queried(connection)["state"] == "DOING"


def test_a_state_is_refused_as_a_parameter(connection: Connection, wechat_pay: Simulator) -> None:
    """`param_error_done` answers PARAM_ERROR where the state forbids a sync, and lets an open order be synced."""
    wechat_pay.misbehave("param_error_done")
    assert synced(connection)[0] == 200
    assert json.loads(synced(connection)[2])["code"] == "PARAM_ERROR"
    wechat_pay.open(MCHID, "S1")
    assert json.loads(synced(connection)[2])["code"] == "PARAM_ERROR"


def test_a_refusal_can_have_unsafe_text(connection: Connection, wechat_pay: Simulator) -> None:
    """`dirty_words` has escape sequences, U+202E, line breaks and a lone surrogate in half a megabyte."""
    wechat_pay.misbehave("dirty_words")
    status, _, body = synced(connection)
    words = json.loads(body)
    assert (status, len(words["message"])) == (400, 500_000)
    for text in (words["code"], words["message"], words["detail"]["field"]):
        assert all(dirt in text for dirt in ("\x1b[2J", "\u202e", "\r\n"))
    assert "\ud800" in words["message"]
    assert '\n{"level":"ERROR"' in words["message"]


@pytest.mark.parametrize(
    ("name", "options", "changes"),
    [
        ("collection_empty", {}, {"collection": []}),
        ("collection_null", {}, {"collection": None}),
        ("collection_unreadable", {}, {"collection": "x"}),
        ("collection_unreadable", {"value": {"state": 7}}, {"collection": {"state": 7}}),
        ("no_collection", {}, {"collection": "absent"}),
        ("total_amount_missing", {}, {"total_amount": "absent"}),
        ("unknown_state", {"state": "MELTED"}, {"state": "MELTED"}),
        (
            "foreign_words",
            {},
            {
                "state": "USER_PAID",
                "pay_type": "MchChannelPayType",
                "pay_succ_time": "20260101120000",
                "collection": "absent",
            },
        ),
    ],
)
def test_a_fault_changes_one_field_of_a_verified_order(
    connection: Connection, wechat_pay: Simulator, name: str, options: dict[str, Any], changes: dict[str, Any]
) -> None:
    """A fault of the order's fields changes the one field and nothing else, before the answer is signed."""
    synced(connection)
    whole = queried(connection)
    wechat_pay.misbehave(name, **options)
    expected = {member: value for member, value in {**whole, **changes}.items() if value != "absent"}
    assert queried(connection) == expected


@pytest.mark.parametrize("details", [None, "x", [{}], [7], {"seq": 1}])
def test_a_fault_replaces_the_details_of_a_collection(
    connection: Connection, wechat_pay: Simulator, details: object
) -> None:
    """`details_unreadable` puts its option in the place of the details, [null] by default."""
    synced(connection)
    wechat_pay.misbehave("details_unreadable", details=details)
    assert queried(connection)["collection"]["details"] == ([None] if details is None else details)


def test_an_open_order_is_answered_in_foreign_words(connection: Connection, wechat_pay: Simulator) -> None:
    """`foreign_words` names an open order as payafter does, FINISHED, or as no endpoint does."""
    wechat_pay.misbehave("foreign_words", times=1)
    assert (queried(connection)["state"], queried(connection)["state"]) == ("FINISHED", "DOING")
    wechat_pay.misbehave("foreign_words", words="unknown", times=1)
    assert queried(connection)["collection"]["state"] == "WAIT_PAY"


def test_an_order_without_collection_is_not_given_one_before_it_is_done(
    connection: Connection, wechat_pay: Simulator
) -> None:
    """`collection_empty` adds `collection: []` to an order without anything due, nothing to an open one."""
    wechat_pay.misbehave("collection_empty")
    wechat_pay.ready_to_sync(MCHID, "S1", total_amount=0, at=LONG_AGO)
    assert queried(connection)["collection"] == []
    wechat_pay.open(MCHID, "S1")
    assert "collection" not in queried(connection)


def test_an_answer_is_nested_deeply(connection: Connection, wechat_pay: Simulator) -> None:
    """`nested_answer` adds a member that is nested as deeply as the option says, a thousand levels by default."""
    cases: list[tuple[dict[str, Any], int]] = [({}, 1000), ({"depth": 5}, 5)]
    for options, depth in cases:
        wechat_pay.misbehave("nested_answer", times=1, **options)
        connection.ask("GET", QUERY)
        body = connection.answer()[2]
        assert body.endswith(b',"nested":' + b"[" * depth + b"]" * depth + b"}")


def test_an_answer_is_signed_by_another_key(connection: Connection, wechat_pay: Simulator) -> None:
    """`wrong_signature` signs by another key under the right serial, so that no key of the merchant verifies it."""
    wechat_pay.misbehave("wrong_signature")
    _, headers, body = synced(connection)
    assert headers["wechatpay-serial"] == wechat_pay.platform.public_key_id
    message = f"{headers['wechatpay-timestamp']}\n{headers['wechatpay-nonce']}\n".encode() + body + b"\n"
    assert headers["wechatpay-signature"] == wechat_pay.platform.sign("another key", message)
    assert headers["wechatpay-signature"] != wechat_pay.platform.sign(wechat_pay.platform.public_key_id, message)


@pytest.mark.parametrize(
    "name", [name for name in DRAWN if KINDS[name].when is not When.WIRE] + ["reset_before_answer"]
)
def test_no_fault_breaks_the_simulator(wechat_pay: Simulator, name: str) -> None:
    """After a fault has struck a query and a sync in each state, the answer on a new connection is honest."""
    quick: dict[str, Any] = {"seconds": 0.0} if "seconds" in KINDS[name].options else {}
    for prepare in situations(wechat_pay).values():
        prepare()
        for method, target, body in (("GET", QUERY, b""), ("POST", f"{BASE}/S1/sync", PAID)):
            if KINDS[name].operations and method == "GET":
                continue
            wechat_pay.misbehave(name, times=1, **quick)
            with Connection(wechat_pay) as connection, suppress(ConnectionError, EOFError):
                connection.ask(method, target, body)
                connection.head()
            wechat_pay.end_faults()
        with Connection(wechat_pay) as honest:
            assert queried(honest)["out_order_no"] == "S1"

"""The proxy for clients with fixed hosts: what it serves under which name, and that it is never an open proxy."""

import json
import socket
import ssl
import threading
from contextlib import suppress
from typing import Any

import pytest

from sandbox.waiting import until
from sandbox.wechat_pay import Simulator, proxy
from sandbox.wechat_pay.connect_request import HEAD_LIMIT, ProxyRefusal, read_name
from sandbox.wechat_pay.proxy_authority import NAMES
from tests.sandbox.signed import LONG_AGO, MCHID, PAID, QUERY, Connection
from tests.sandbox.tunnels import ESTABLISHED, MAIN, Tunnel, ask_for, connect, read_all, trusting

SERVED = "api.mch.weixin.qq.com, api2.mch.weixin.qq.com, apihk.mch.weixin.qq.com on port 443"


@pytest.fixture
def order(wechat_pay: Simulator) -> Simulator:
    """WeChat Pay with the order S1, which waits for its money."""
    wechat_pay.ready_to_sync(MCHID, "S1", at=LONG_AGO)
    return wechat_pay


@pytest.mark.parametrize(("name", "host"), NAMES.items())
def test_each_name_leads_to_its_host(order: Simulator, name: str, host: str) -> None:
    """A tunnel to each of WeChat Pay's names verifies under that name, speaks HTTP/1.1, and ends at its host."""
    with Tunnel(order, name) as tunnel:
        tunnel.ask("GET", QUERY)
        status, _, body = tunnel.answer()
        assert isinstance(tunnel.socket, ssl.SSLSocket)
        certificate = tunnel.socket.getpeercert()
    assert (status, json.loads(body)["state"]) == (200, "DOING")
    assert [call.host for call in order.calls] == [host]
    assert certificate is not None
    assert certificate["subjectAltName"] == (("DNS", name),)


def test_a_client_that_prefers_http_2_gets_http_1(order: Simulator) -> None:
    """A client that offers h2 and http/1.1 gets http/1.1, as Go's does."""
    context = trusting(order)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with connect(order) as raw:
        raw.sendall(f"CONNECT {MAIN}:443 HTTP/1.1\r\n\r\n".encode())
        assert raw.recv(len(ESTABLISHED), socket.MSG_WAITALL) == ESTABLISHED
        with context.wrap_socket(raw, server_hostname=MAIN) as tunnel:
            assert tunnel.selected_alpn_protocol() == "http/1.1"


def test_a_tunnel_stays_open_and_takes_requests_ahead(order: Simulator) -> None:
    """A tunnel answers many requests, and those that were sent before the answers came, in their order."""
    with Tunnel(order) as tunnel:
        tunnel.socket.sendall(
            tunnel.encode("GET", QUERY) + tunnel.encode("POST", "/v3/payscore/serviceorder/S1/sync", PAID)
        )
        states = [json.loads(tunnel.answer()[2])["state"] for _ in range(2)]
        tunnel.ask("GET", QUERY)
        states.append(json.loads(tunnel.answer()[2])["state"])
    assert states == ["DOING", "DONE", "DONE"]


def test_a_body_may_come_in_chunks_and_after_a_wait(order: Simulator) -> None:
    """A chunked body is read, and a caller that waits for 100 Continue gets it, as at the plain host."""
    with Tunnel(order) as tunnel:
        framing = {"Transfer-Encoding": "chunked", "Content-Length": None, "Expect": "100-continue"}
        head = tunnel.encode("POST", "/v3/payscore/serviceorder/S1/sync", PAID, headers=framing).removesuffix(PAID)
        tunnel.socket.sendall(head)
        assert tunnel.head()[0] == 100
        tunnel.socket.sendall(b"10\r\n" + PAID[:16] + b"\r\n" + f"{len(PAID) - 16:x}\r\n".encode() + PAID[16:])
        tunnel.socket.sendall(b"\r\n0\r\n\r\n")
        assert json.loads(tunnel.answer()[2])["state"] == "DONE"


def test_a_body_that_does_not_end_is_refused_with_an_answer(order: Simulator) -> None:
    """A request whose length cannot be read is answered before its tunnel ends."""
    with Tunnel(order) as tunnel:
        tunnel.socket.sendall(tunnel.encode("POST", "/v3/payscore/serviceorder", PAID, headers={"Content-Length": "x"}))
        status, headers, _ = tunnel.answer()
        assert (status, headers["connection"]) == (400, "close")
        assert tunnel.socket.recv(1) == b""


def test_tls_may_begin_in_the_same_packet(order: Simulator) -> None:
    """The first bytes of TLS may come together with the CONNECT, and the head byte by byte."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = trusting(order).wrap_bio(incoming, outgoing, server_hostname=MAIN)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    with connect(order) as raw:
        for letter in "CONNECT api.mch":
            raw.sendall(letter.encode())
        raw.sendall(b".weixin.qq.com:443 HTTP/1.1\r\n\r\n" + outgoing.read())
        assert raw.recv(len(ESTABLISHED), socket.MSG_WAITALL) == ESTABLISHED
        while tls.version() is None or outgoing.pending == 0:
            incoming.write(raw.recv(65_536))
            with suppress(ssl.SSLWantReadError):
                tls.do_handshake()
        assert tls.selected_alpn_protocol() is None  # it offered none


# ---- what it refuses ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "status", "words"),
    [
        ("CONNECT example.com:443 HTTP/1.1", 403, f"this proxy serves {SERVED} only, not example.com:443: name other"),
        ("CONNECT api.mch.weixin.qq.com:80 HTTP/1.1", 403, "not api.mch.weixin.qq.com:80"),
        ("CONNECT api.mch.weixin.qq.com HTTP/1.1", 403, "not api.mch.weixin.qq.com:"),
        ("CONNECT api.mch.weixin.qq.com.example.com:443 HTTP/1.1", 403, "only, not"),
        ("CONNECT 127.0.0.1:22 HTTP/1.1", 403, "not 127.0.0.1:22"),
        ("CONNECT [::1]:443 HTTP/1.1", 403, "not [::1]:443"),
        ("GET http://example.com/?secret=1 HTTP/1.1", 403, "not GET http://example.com/: set HTTPS_PROXY and not"),
        ("GET https://api.mch.weixin.qq.com/v3/certificates HTTP/1.1", 403, "let the client open a tunnel"),
        ("POST / HTTP/1.1", 403, "not POST /: set HTTPS_PROXY"),
        ("CONNECT ex\x1b[31mample\u202e:443 HTTP/1.1", 403, "not ex?[31mample???:443"),
        ("CONNECT api.mch.weixin.qq.com:443 HTTP/2", 400, f"this is an HTTP proxy: send CONNECT for {SERVED}"),
        ("\x16\x03\x01 TLS", 400, "this is an HTTP proxy"),
        ("", 400, "this is an HTTP proxy"),
    ],
)
def test_every_other_request_is_refused_in_one_line(line: str, status: int, words: str) -> None:
    """A request for anything but a tunnel to WeChat Pay's three names is refused in one printable line."""
    refusal = read_name(f"{line}\r\nHost: x\r\n\r\n".encode())
    assert isinstance(refusal, ProxyRefusal)
    assert refusal.status == status
    assert words in refusal.line
    assert refusal.line.isascii()
    assert refusal.line.isprintable()
    assert len(refusal.line) < 400


def test_a_name_is_read_in_any_case() -> None:
    """The name of a host is the same in capitals."""
    assert read_name(b"CONNECT API.Mch.Weixin.QQ.com:443 HTTP/1.0\r\n\r\n") == MAIN


def test_a_refusal_is_an_answer_that_ends_the_connection(wechat_pay: Simulator) -> None:
    """A refusal has its line as reason and as body, and closes the connection."""
    answer = ask_for(wechat_pay, "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n" + "x" * 1000)
    head, _, body = answer.partition(b"\r\n\r\n")
    line = body.decode().rstrip("\n")
    assert head.decode().startswith(f"HTTP/1.1 403 Forbidden: {line}\r\n")
    assert b"Connection: close" in head
    assert b" 400 " in ask_for(wechat_pay, "nonsense\r\n\r\n")
    assert b" 431 " in ask_for(wechat_pay, f"CONNECT {MAIN}:443 HTTP/1.1\r\nX: {'x' * HEAD_LIMIT}\r\n\r\n")
    assert wechat_pay.calls == []


def test_a_caller_that_leaves_before_its_request_is_forgotten(wechat_pay: Simulator) -> None:
    """A connection that ends in the middle of the head, or of the handshake, disturbs no other."""
    for start in (b"", b"CONN", f"CONNECT {MAIN}:443 HTTP/1.1\r\n\r\nnonsense".encode()):
        with connect(wechat_pay) as raw:
            raw.sendall(start)
    with connect(wechat_pay) as raw:
        raw.sendall(f"CONNECT {MAIN}:443 HTTP/1.1\r\n\r\n".encode())
        assert raw.recv(len(ESTABLISHED), socket.MSG_WAITALL) == ESTABLISHED
        with pytest.raises(ssl.SSLCertVerificationError):
            ssl.create_default_context().wrap_socket(raw, server_hostname=MAIN)
    with Tunnel(wechat_pay) as tunnel:
        tunnel.ask("GET", QUERY)
        assert tunnel.answer()[0] == 404


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"Host": "api2.mch.weixin.qq.com"}, "answers as api.mch.weixin.qq.com:443 only"),
        ({"Host": "evil.example.com"}, "answers as api.mch.weixin.qq.com:443 only"),
        ({"Origin": "https://evil.example.com"}, "takes no requests of web pages"),
        ({"Sec-Fetch-Site": "cross-site"}, "takes no requests of web pages"),
    ],
)
def test_no_web_page_reaches_a_host_through_it(order: Simulator, headers: dict[str, str], words: str) -> None:
    """In a tunnel too, a request of a web page or for another name is refused."""
    with Tunnel(order) as tunnel:
        tunnel.socket.sendall(tunnel.encode("GET", QUERY, headers=headers))
        status, _, body = tunnel.answer()
    assert status == 403
    assert words in body.decode()
    assert order.calls == []


# ---- faults ----------------------------------------------------------------------------------------------------------


def test_a_host_that_refuses_connections_refuses_tunnels(order: Simulator) -> None:
    """While a host refuses connections its tunnels end, and a new one is refused with the remedy, until `behave`."""
    with Tunnel(order) as tunnel, Tunnel(order, "api2.mch.weixin.qq.com") as backup:
        order.misbehave("connection_refused", host="main")
        assert read_all(tunnel.socket) == b""
        with Tunnel(order) as refused:
            assert refused.greeting.startswith(b"HTTP/1.1 503 Service Unavailable: api.mch.weixin.qq.com refuses")
            assert b"end it by `behave`" in refused.greeting
        backup.ask("GET", QUERY)
        assert backup.answer()[0] == 200
    order.misbehave("connection_refused", host="overseas")
    with Tunnel(order, "apihk.mch.weixin.qq.com") as refused:
        assert b" 503 " in refused.greeting
    order.behave()
    for name in NAMES:
        with Tunnel(order, name) as tunnel:
            tunnel.ask("GET", QUERY)
            assert tunnel.answer()[0] == 200


def outcome(connection: Connection) -> str:
    """How a query ends: the answer's size and how its connection goes on, or the error."""
    with connection:
        connection.ask("GET", QUERY)
        try:
            status, headers, body = connection.answer()
        except (ConnectionResetError, EOFError) as error:
            return type(error).__name__
        return f"{status} {'chunked' if 'transfer-encoding' in headers else len(body)}"


@pytest.mark.parametrize(
    ("fault", "options"),
    [
        ("reset_before_answer", {}),
        ("reset_after_processing", {}),
        ("truncated_body", {}),
        ("slow", {"seconds": 0.01}),
        ("drip_headers", {"seconds": 0.0001}),
        ("drip_body", {"seconds": 0.0001, "chunked": True}),
        ("huge_body", {}),
        ("gateway_error", {}),
    ],
)
def test_a_fault_works_through_it_as_at_the_host(order: Simulator, fault: str, options: dict[str, Any]) -> None:
    """A call ends through the proxy as it does at the plain host, whatever fault strikes it."""
    order.misbehave(fault, **options)
    assert outcome(Tunnel(order)) == outcome(Connection(order))


def test_a_silent_host_is_silent_through_it(order: Simulator) -> None:
    """A silent host keeps a tunnel open without an answer, until it closes."""
    order.misbehave("silence")
    with Tunnel(order) as tunnel:
        tunnel.ask("GET", QUERY)
        assert until(lambda: order.calls or None)
        order.refuse(frozenset({"main"}))
        with pytest.raises((ConnectionResetError, EOFError)):
            tunnel.answer()


# ---- its port --------------------------------------------------------------------------------------------------------


def test_it_serves_a_bounded_number_of_connections(order: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above its limit a connection is refused in one line; once one has ended, the next is served."""
    monkeypatch.setattr(proxy, "CONNECTIONS", 2)
    with Tunnel(order), Tunnel(order):
        assert b" 503 Service Unavailable: this proxy serves at most 2 connections: close some" in ask_for(order, "")

    def is_served() -> bool:
        with Tunnel(order) as tunnel:
            return tunnel.greeting == ESTABLISHED

    assert until(lambda: is_served() or None)


def test_it_ends_with_the_simulator_and_leaves_no_thread() -> None:
    """The end of the simulator ends the tunnels, closes the port, and leaves no thread behind."""
    before = threading.active_count()
    with Simulator() as simulator:
        tunnel, waiting = Tunnel(simulator), connect(simulator)
        until(lambda: len(simulator._proxy._server.open_connections) == 2 or None)  # type: ignore[union-attr]
    with tunnel, waiting:
        assert read_all(tunnel.socket) == read_all(waiting) == b""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", simulator._proxy.port)).close()
    assert until(lambda: threading.active_count() <= before or None)


def test_it_comes_back_on_its_port(wechat_pay: Simulator) -> None:
    """A proxy that was closed opens on the same port again."""
    url = wechat_pay.proxy_url
    with wechat_pay._proxy:
        pass
    assert wechat_pay.proxy_url == url
    with Tunnel(wechat_pay) as tunnel:
        assert tunnel.greeting == ESTABLISHED

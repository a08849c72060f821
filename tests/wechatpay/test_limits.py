"""One limit of time and one of bytes for a call, kept at the socket, however slow or long the other side is.

What would take a minute is given up; the proof is that the server sees the client close long before that.
"""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox.waiting import PATIENCE, until
from wechatpay import addresses
from wechatpay.connections import Session
from wechatpay.errors import UnansweredError
from wechatpay.hosts import Hosts
from wechatpay.limits import ANSWER_LIMIT, HEAD_LIMIT, LATE_LIMIT, OverdueError, Try, trying
from wechatpay.transport import Reply, Route, exchange

from .wire import OK, Drip, Server, loopback_certificate, say

CONNECT, READ = 0.4, 0.4  # seconds: limits that are reached, by what would take a minute
HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def call(
    url: str, session: requests.Session, *, body: bytes = b"{}", timeout: tuple[float, float] = (CONNECT, READ)
) -> Reply:
    """Make one call."""

    def prepare(host: str) -> requests.PreparedRequest:
        return requests.Request("POST", f"{host}/v3/x", data=body).prepare()

    route = Route(
        session, Hosts(url, url), (url, url), timeout, time.monotonic() + 2 * timeout[0] + timeout[1], time.time
    )
    return exchange(route, prepare, repeatable=False)


@pytest.fixture
def session() -> Iterator[Session]:
    """Connections of the library's own."""
    with Session() as session:
        yield session


INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
DRIPS = {
    "status line": Drip(b"", b"H"),
    "header": Drip(HEAD + b"X: "),
    "headers": Drip(HEAD, b"X: y\r\n"),
    "100": Drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "103": Drip(b"", INTERIM),
    "header of an interim answer": Drip(b"HTTP/1.1 103 Early Hints\r\nX: "),
    "body": Drip(HEAD + b"Content-Length: 100000\r\n\r\n"),
    "body without a length": Drip(HEAD + b"\r\n"),
    "chunk sizes": Drip(CHUNKED, b"1\r\n.\r\n"),
    "chunk size": Drip(CHUNKED, b"0"),
    "chunk extension": Drip(CHUNKED + b"1;"),
    "trailer": Drip(CHUNKED + b"1\r\n.\r\n0\r\nX: "),
    "trailers": Drip(CHUNKED + b"1\r\n.\r\n0\r\n", b"X: y\r\n"),
}


@pytest.mark.parametrize("drip", DRIPS.values(), ids=DRIPS)
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_an_answer_that_drips_is_given_up(
    session: Session, drip: Drip, tls: bool, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer of which each byte comes in time and the whole does not is given up; the request may have arrived."""
    drip = Drip(drip.head, drip.piece)
    with ExitStack() as stack:
        server = Server(_tls(certificate, monkeypatch) if tls else None)
        stack.callback(server.close)
        server.script = [drip]
        with pytest.raises(UnansweredError, match=r"no whole answer within 0.4 s") as caught:
            call(server.url, session, timeout=(PATIENCE, READ))
    assert caught.value.sent is True
    assert drip.was_cut_short


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for 127.0.0.1: making a key takes a tenth of a second."""
    return loopback_certificate(tmp_path_factory.mktemp("tls"))


def _tls(pem: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


def test_an_answer_that_arrived_whole_is_used_however_late_it_is_read(session: Session, main: Server) -> None:
    """An answer that arrived within its time is read after it, on a machine that is slow to read."""
    attempt = Try(time.time, PATIENCE, PATIENCE)
    main.script = [say(HEAD + b"Content-Length: 20000\r\n\r\n" + b"x" * 20_000)]
    request = requests.Request("GET", f"{main.url}/v3/x").prepare()
    with trying(attempt):
        response = session.send(request, timeout=(PATIENCE, PATIENCE), stream=True)
    _until(lambda: _readable(response) >= 20_000)
    attempt._end = 0.0  # the limit is over, and everything has arrived
    content = b""
    while part := response.raw.read1(65_536):
        content += part
    response.close()
    assert len(content) == 20_000


def test_what_keeps_coming_after_the_limit_is_not_read(session: Session, main: Server) -> None:
    """At most `LATE_LIMIT` bytes are read after the limit of time from a server that keeps sending."""
    attempt = Try(time.time, PATIENCE, PATIENCE)
    main.script = [say(HEAD + b"Content-Length: 1000000\r\n\r\n" + b"x" * 1_000_000)]
    request = requests.Request("GET", f"{main.url}/v3/x").prepare()
    with trying(attempt):
        response = session.send(request, timeout=(PATIENCE, PATIENCE), stream=True)
    _until(lambda: _readable(response) >= 60_000)
    attempt._end = 0.0
    parts: list[bytes] = []
    with pytest.raises(OverdueError):
        parts.extend(iter(lambda: response.raw.read1(65_536), b""))
    response.close()
    assert sum(map(len, parts)) < 2 * LATE_LIMIT


def _readable(response: requests.Response) -> int:
    """Bytes of the body that have arrived at this machine."""
    raw: Any = response.raw
    buffered = getattr(raw, "_fp", raw).fp  # urllib3's response, or http.client's alone
    connection: socket.socket = buffered.raw._connection
    waiting = connection.recv(65_536, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    return len(waiting) + len(buffered.peek())


def _until(state: Callable[[], bool]) -> None:
    """Wait for a state of a real server."""

    def look() -> bool:
        with suppress(BlockingIOError):
            return state()
        return False

    until(look, state="what the server has sent has arrived")


class Silent:
    """A listener that accepts as `handle` says, each connection on a thread of its own."""

    def __init__(self, handle: Callable[[socket.socket], None]) -> None:
        self._handle = handle
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            self._handle(connection)

    def close(self) -> None:
        """Refuse from now on."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def listener() -> Iterator[Callable[[Callable[[socket.socket], Any]], Silent]]:
    """Make listeners that end with the test."""
    with ExitStack() as stack:

        def listen(handle: Callable[[socket.socket], Any]) -> Silent:
            server = Silent(handle)
            stack.callback(server.close)
            return server

        yield listen


def _record(drip: Drip) -> Callable[[socket.socket], Any]:
    """Answer the ClientHello with a TLS record that never ends."""

    def handle(connection: socket.socket) -> None:
        connection.recv(65_536)
        drip(connection)

    return handle


def test_a_tls_handshake_that_drips_is_given_up(session: Session, listener: Any) -> None:
    """A TLS handshake is within the limit of connecting; nothing was sent."""
    drip = Drip(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc", b"\x00")
    server = listener(_record(drip))
    with pytest.raises(UnansweredError, match=r"no connection within 0.4 s") as caught:
        call(f"https://127.0.0.1:{server.port}", session)
    assert caught.value.sent is False
    assert drip.was_cut_short


@pytest.mark.parametrize(
    "drip",
    [
        Drip(b"HTTP/1.1 200 Connection established\r\nX: "),
        Drip(b"HTTP/1.1 200 Connection established\r\n", b"X: y\r\n"),
        Drip(b"", INTERIM),
    ],
    ids=["header", "headers", "103"],
)
def test_a_proxy_that_drips_its_answer_to_connect_is_given_up(session: Session, listener: Any, drip: Drip) -> None:
    """A proxy's answer to CONNECT is within the limit of connecting; nothing was sent to WeChat Pay."""
    drip = Drip(drip.head, drip.piece)
    proxy = listener(_record(drip))
    session.proxies = {"https": f"http://127.0.0.1:{proxy.port}"}
    with pytest.raises(UnansweredError, match=r"no connection within 0.4 s") as caught:
        call("https://127.0.0.1:9", session)
    assert caught.value.sent is False
    assert drip.was_cut_short


def test_tls_through_a_tls_proxy_is_limited_as_a_whole(
    session: Session, certificate: Path, monkeypatch: pytest.MonkeyPatch, listener: Any
) -> None:
    """TLS in TLS takes many small operations, which share the limit of connecting."""
    context = _tls(certificate, monkeypatch)
    drip = Drip(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc", b"\x00")

    def proxy(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as outer:
            outer.recv(65_536)
            outer.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            outer.recv(65_536)
            drip(outer)

    session.proxies = {"https": f"https://127.0.0.1:{listener(proxy).port}"}
    with pytest.raises(UnansweredError, match=r"no connection within 1 s") as caught:
        call("https://127.0.0.1:9", session, timeout=(1.0, READ))
    assert caught.value.sent is False
    assert drip.was_cut_short


def test_a_server_that_never_reads_is_given_up(session: Session, listener: Any) -> None:
    """Sending is within the limit of the answer; part of the request may have arrived."""
    client_has_closed = threading.Event()
    server = listener(lambda _: client_has_closed.wait(PATIENCE))
    with pytest.raises(UnansweredError, match=r"no whole answer within 0.4 s") as caught:
        call(f"http://127.0.0.1:{server.port}", session, body=b"x" * 50_000_000, timeout=(PATIENCE, READ))
    client_has_closed.set()
    assert caught.value.sent is True


def test_a_slow_reader_does_not_prolong_the_sending(
    session: Session, certificate: Path, monkeypatch: pytest.MonkeyPatch, listener: Any
) -> None:
    """All pieces of a request share one limit over TLS, where `sendall` would give each a limit of its own."""
    context = _tls(certificate, monkeypatch)
    reads = []

    def slowly(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with context.wrap_socket(connection, server_side=True) as served:
            try:
                while part := served.recv(4096):
                    reads.append(part)
                    time.sleep(0.05)  # a slow reader
            except OSError:
                pass

    server = listener(slowly)
    with pytest.raises(UnansweredError) as caught:
        call(f"https://127.0.0.1:{server.port}", session, body=b"x" * 50_000_000, timeout=(PATIENCE, READ))
    assert caught.value.sent is True
    assert sum(map(len, reads)) < 25_000_000


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Names and what they resolve to: a list of (address, port), or something to call."""
    names: dict[str, Any] = {}
    release = threading.Event()
    names["wait"] = lambda: release.wait(PATIENCE)
    real = socket.getaddrinfo

    def resolve(host: str, *args: Any, **kwargs: Any) -> Any:
        if host not in names:
            return real(host, *args, **kwargs)
        addresses_of_host = names[host]
        if callable(addresses_of_host):
            addresses_of_host()
            return []
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses_of_host]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)  # passes other names on
    monkeypatch.setattr(addresses, "_resolver", addresses._Resolver())
    yield names
    release.set()


def test_a_name_that_does_not_resolve_in_time_is_given_up(session: Session, resolver: dict[str, Any]) -> None:
    """Resolving a name is within the limit of connecting, although `getaddrinfo` has no time-out."""
    resolver["pay.test"] = resolver["wait"]
    with pytest.raises(UnansweredError, match=r"no connection within 0.4 s") as caught:
        call("http://pay.test", session)
    assert caught.value.sent is False


def test_resolutions_are_shared_and_bounded(session: Session, resolver: dict[str, Any]) -> None:
    """Calls share the resolution of a name; at most `LOOKUPS` of them run at a time."""
    lookups: list[str] = []

    def hang() -> None:
        lookups.append("pay.test")
        resolver["wait"]()

    resolver["pay.test"] = hang
    for _ in range(3):
        with pytest.raises(UnansweredError):
            call("http://pay.test", session, timeout=(0.05, READ))
    assert len(lookups) == 1
    for number in range(addresses.LOOKUPS - 1):
        resolver[f"pay{number}.test"] = resolver["wait"]
        with pytest.raises(UnansweredError):
            call(f"http://pay{number}.test", session, timeout=(0.05, READ))
    with pytest.raises(UnansweredError, match="name resolutions hang") as caught:
        call("http://another.test", session, timeout=(PATIENCE, READ))
    assert caught.value.sent is False


def test_a_stuck_resolution_is_not_joined_for_ever(resolver: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that comes after `SHARED` seconds starts a resolution of its own."""
    monkeypatch.setattr(addresses, "SHARED", 0.0)
    resolver["pay.test"] = resolver["wait"]
    question = ("pay.test", 80, socket.AF_UNSPEC, socket.SOCK_STREAM)
    with pytest.raises(TimeoutError):
        addresses._resolver.resolve(question, lambda: 0.05)
    resolver["pay.test"] = [("127.0.0.1", 80)]
    assert [address for *_, address in addresses._resolver.resolve(question, lambda: PATIENCE)] == [("127.0.0.1", 80)]


@pytest.fixture
def dead_address() -> Iterator[tuple[str, int]]:
    """An address whose connections are never accepted: its backlog is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(8):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            with suppress(BlockingIOError):
                waiting.connect(listener.getsockname())
        yield listener.getsockname()


def test_four_dead_addresses_leave_time_for_a_good_one(
    session: Session, main: Server, resolver: dict[str, Any], dead_address: tuple[str, int]
) -> None:
    """Each address takes no more than its share of what remains."""
    port = int(main.url.rpartition(":")[2])
    resolver["pay.test"] = [dead_address] * 4 + [("127.0.0.1", port)]
    main.script = [OK]
    limits = (2.0, PATIENCE)  # seconds to connect: four fifths of them are waited for the dead addresses
    assert call(f"http://pay.test:{port}", session, timeout=limits).content == b"ok"


def test_dead_addresses_together_take_the_limit_of_one_connection(
    session: Session, resolver: dict[str, Any], dead_address: tuple[str, int]
) -> None:
    """All addresses share the limit of connecting: three hundred of them would take two minutes."""
    resolver["pay.test"] = [dead_address] * 300
    start = time.monotonic()
    with pytest.raises(UnansweredError, match=r"no connection within 0.4 s") as caught:
        call("http://pay.test", session)
    assert caught.value.sent is False
    assert time.monotonic() - start < 60  # of the two minutes that they would take one by one


def test_a_try_without_remaining_time_sends_nothing(session: Session, main: Server) -> None:
    """Nothing is sent over a kept connection when no time remains."""
    main.script = [OK, OK]
    call(main.url, session, timeout=(PATIENCE, PATIENCE))
    attempt = Try(time.time, PATIENCE, PATIENCE, until=time.monotonic())
    request = requests.Request("GET", f"{main.url}/v3/x").prepare()
    with trying(attempt), pytest.raises(requests.ConnectionError):
        session.send(request, timeout=(PATIENCE, PATIENCE), stream=True)
    assert (attempt.observed, attempt.sent, len(main.requests)) == (True, False, 1)


def test_all_tries_of_a_call_share_one_limit(listener: Any, resolver: dict[str, Any], session: Session) -> None:
    """A main host that cannot be reached and a backup that drips take 2 * connect + read together."""
    resolver["main.test"] = resolver["wait"]
    drip = Drip(HEAD + b"X: ", pause=0.1)
    server = listener(_record(drip))
    resolver["backup.test"] = [("127.0.0.1", server.port)]
    hosts = Hosts("http://main.test", "http://backup.test")

    def prepare(host: str) -> requests.PreparedRequest:
        return requests.Request("POST", f"{host}/v3/x", data=b"{}").prepare()

    end = time.monotonic() + 2.0 + READ
    route = Route(session, hosts, hosts.order(0.0), (1.0, READ), end, time.time)
    start = time.monotonic()
    with pytest.raises(UnansweredError) as caught:
        exchange(route, prepare, repeatable=True)
    assert caught.value.sent is True
    assert drip.was_cut_short
    assert time.monotonic() - start < 60  # of the two minutes that the drip lasts


@pytest.mark.parametrize(
    "flood",
    [
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 60_000 + b"\r\n",
        INTERIM * 100,
    ],
    ids=["headers", "interim answers"],
)
def test_what_comes_before_the_body_is_bounded(session: Session, main: Server, flood: bytes) -> None:
    """Headers and interim answers that are small and in time are given up when they are too long together."""
    poured: list[int] = []

    def pour(connection: socket.socket) -> bool:
        with suppress(OSError):
            for _ in range(1000):
                connection.sendall(flood)
                poured.append(len(flood))
        return False

    main.script = [pour]
    attempt_limit = f"the answer is longer than {HEAD_LIMIT} bytes"
    with pytest.raises(UnansweredError, match=attempt_limit) as caught:
        call(main.url, session, timeout=(PATIENCE, PATIENCE))
    assert caught.value.sent is True


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (HEAD + b"\r\n", b"x" * 65_536),
        (CHUNKED, b"8\r\n........\r\n" * 10_000),
        (CHUNKED + b"1;", b"x" * 65_536),
        (CHUNKED + b"0\r\n", (b"X: " + b"y" * 60_000 + b"\r\n")),
    ],
    ids=["body", "chunks", "chunk extension", "trailers"],
)
def test_what_follows_the_head_is_bounded(session: Session, main: Server, head: bytes, piece: bytes) -> None:
    """Body, chunk sizes, chunk extensions and trailers are limited together."""

    def pour(connection: socket.socket) -> bool:
        with suppress(OSError):
            connection.sendall(head)
            for _ in range(1000):
                connection.sendall(piece)
        return False

    main.script = [pour]
    with pytest.raises(UnansweredError) as caught:
        call(main.url, session, timeout=(PATIENCE, PATIENCE))
    assert caught.value.sent is True


def test_the_longest_answer_is_read(session: Session, main: Server) -> None:
    """An answer of 1 MiB after 48 KiB of headers is read."""
    headers = b"".join(b"X-%d: %s\r\n" % (number, b"y" * 1000) for number in range(48))
    length = b"Content-Length: %d\r\n\r\n" % ANSWER_LIMIT
    main.script = [say(HEAD + headers + length + b"x" * ANSWER_LIMIT)]
    assert len(call(main.url, session, timeout=(PATIENCE, PATIENCE)).content) == ANSWER_LIMIT


@pytest.mark.parametrize("status", [b"100 Continue", b"102 Processing", b"103 Early Hints", b"199 X"])
def test_an_interim_answer_is_not_the_answer(session: Session, main: Server, status: bytes) -> None:
    """Every 1xx but 101 is skipped, and the connection is kept."""
    interim = b"HTTP/1.1 " + status + b"\r\nX: y\r\n\r\n"
    main.script = [say(interim + interim + HEAD + b"Content-Length: 2\r\n\r\nok"), OK]
    for _ in range(2):
        reply = call(main.url, session, timeout=(PATIENCE, PATIENCE))
        assert (reply.status, reply.content, reply.headers.get("X")) == (200, b"ok", None)
    assert main.connections == 1


def test_switching_protocols_is_an_answer_that_was_not_asked_for(session: Session, main: Server) -> None:
    """A 101 is returned without waiting for a body, and its connection is not used again."""
    main.script = [say(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"), OK]
    reply = call(main.url, session, timeout=(PATIENCE, PATIENCE))
    assert (reply.status, reply.content) == (101, b"")
    assert call(main.url, session, timeout=(PATIENCE, PATIENCE)).status == 200
    assert main.connections == 2

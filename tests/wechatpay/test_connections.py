"""What the connections lean on, and that they belong to one process."""

import gc
import hashlib
import http.client
import inspect
import logging
import os
import ssl
import threading
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool, _close_pool_connections
from urllib3.poolmanager import PoolManager

from sandbox.waiting import PATIENCE, NotReachedError, until
from wechatpay import connections
from wechatpay.connections import POOL_SIZE, Session

from .wire import OK, Drip, Server, loopback_certificate


def _any(owner: Any) -> Any:
    """Let a type checker pass over what stubs leave out."""
    return owner


# What `wechatpay.connections` overrides or is called by, and the version of each that was read. A changed source is
# read again, and the override with it.
READ: dict[Callable[..., Any], str] = {
    HTTPConnection._new_conn: "83e6a5dd7db98a0a",
    HTTPConnection.connect: "b70c63e7308857b1",
    HTTPConnection.request: "751c8aa0eb50e741",
    HTTPConnection.getresponse: "b00fb0a4b235caa1",
    HTTPConnection.close: "8fe19deb36fa4b24",
    _any(HTTPConnection).is_connected.fget: "2a727e90f341c6eb",
    HTTPSConnection.connect: "2a2e1795406d7f38",
    HTTPSConnection._connect_tls_proxy: "3a32edb139845f44",
    HTTPConnectionPool._get_conn: "78fb22fdf2f90a26",
    HTTPConnectionPool._put_conn: "f4b8abb8b95650c7",
    HTTPConnectionPool._make_request: "34d8501e40be381b",
    HTTPConnectionPool.urlopen: "6e4cd79631f91d15",
    HTTPConnectionPool._new_pool_queue: "5b304317a92319b4",
    _close_pool_connections: "b3129a509e217050",
    HTTPSConnectionPool._prepare_proxy: "905ee19370068d43",
    HTTPSConnectionPool._validate_conn: "1733e081ae57da06",
    PoolManager._new_pool: "6b5c00b2084b0ba4",
    _any(HTTPAdapter).__setstate__: "7b53db652d49de4c",
    HTTPAdapter.init_poolmanager: "dcc10b3b4da2db73",
    HTTPAdapter.proxy_manager_for: "a463432b830fda67",
    HTTPAdapter.cert_verify: "d5b2e7394e8c45f2",
    HTTPAdapter.build_response: "e10fa3a87ef21620",
    HTTPAdapter.build_connection_pool_key_attributes: "5c4516bca20d82d0",
    HTTPAdapter.send: "a8b4a1d8c114e29d",
}


@pytest.mark.parametrize("function", READ, ids=lambda function: str(function.__qualname__))
def test_the_pinned_libraries_are_those_that_were_read(function: Callable[..., Any]) -> None:
    """urllib3 2.8.0 and requests 2.34.2: where an overridden function changes, the override is read again."""
    digest = hashlib.sha256(inspect.getsource(function).encode()).hexdigest()[:16]
    assert digest == READ[function], f"{function.__qualname__} of urllib3 {version('urllib3')} has changed: read it"


def test_http_client_calls_what_is_overridden() -> None:
    """Of whatever 3.13 it is: `begin` and `_tunnel` read the status by `_read_status`, from the file of `makefile`."""
    assert "_read_status" in http.client.HTTPResponse.begin.__code__.co_names
    assert "makefile" in http.client.HTTPResponse.__init__.__code__.co_names
    assert {"_read_status", "response_class", "send"} <= set(_any(http.client.HTTPConnection)._tunnel.__code__.co_names)
    assert "response_class" in http.client.HTTPConnection.getresponse.__code__.co_names
    assert "send" in _any(http.client.HTTPConnection)._send_output.__code__.co_names


@pytest.fixture
def session() -> Iterator[Session]:
    """Connections of the library's own."""
    with Session() as session:
        yield session


def get(session: requests.Session, server: Server) -> requests.Response:
    """Make one call over the session as requests has it."""
    response = session.get(f"{server.url}/v3/x", timeout=PATIENCE)
    assert response.content == b"ok"
    return response


def test_the_session_works_as_any_other(session: Session, main: Server) -> None:
    """Without a client, with requests' own time-outs."""
    main.script = [OK] * 4
    for timeout in (None, 300, PATIENCE, (PATIENCE, PATIENCE)):
        assert session.get(f"{main.url}/v3/x", timeout=timeout).text == "ok"
    assert main.connections == 1


def test_its_timeouts_are_limits_of_the_whole(session: Session, main: Server) -> None:
    """A session without a client is bounded as well."""
    drip = Drip(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    main.script = [drip]
    with pytest.raises(requests.ConnectionError, match=r"Read timed out"):
        _ = session.get(f"{main.url}/v3/x", timeout=(PATIENCE, 0.3)).content  # a limit that is reached
    assert drip.was_cut_short


def test_headers_and_body_leave_in_one_piece(session: Session, main: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """One system call, one packet, one TLS record."""
    pieces: list[int] = []
    real = connections._send

    def counted(connection: Any, data: Any, attempt: Any) -> None:
        pieces.append(len(data))
        real(connection, data, attempt)

    monkeypatch.setattr(connections, "_send", counted)
    main.script = [OK]
    session.post(f"{main.url}/v3/x", data=b"{}", timeout=PATIENCE)
    assert len(pieces) == 1


def test_more_connections_than_the_pool_keeps_are_closed_without_a_word(
    session: Session, main: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """urllib3 warns of each."""
    everyone = threading.Barrier(POOL_SIZE + 5)

    def together(connection: Any) -> bool:
        everyone.wait(PATIENCE)
        return OK(connection)

    main.script = [together] * (POOL_SIZE + 5)
    threads = [threading.Thread(target=get, args=(session, main)) for _ in range(POOL_SIZE + 5)]
    with caplog.at_level(logging.WARNING):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
    assert caplog.records == []
    pools = _any(session.get_adapter(main.url)).poolmanager.pools
    assert [pools[key].pool.qsize() for key in list(pools.keys())] == [POOL_SIZE]


@pytest.fixture(params=["plain", "tls"])
def host(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A host that answers any number of calls, with TLS and without."""
    context = None
    if request.param == "tls":
        pem = loopback_certificate(tmp_path)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(pem))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
    server = Server(context)
    server.script = [OK] * 100
    yield server
    server.close()


def in_a_child(work: Callable[[], object]) -> None:
    """Fork, work in the child, and fail where it fails or hangs."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException as error:  # noqa: BLE001  a child must never become a second pytest
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
        finally:
            os._exit(1)
    try:
        _, status = until(
            lambda: seen if (seen := os.waitpid(child, os.WNOHANG))[0] else None, state="the child has ended"
        )
    except NotReachedError:
        os.kill(child, 9)
        os.waitpid(child, 0)
        raise
    assert status == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_has_connections_of_its_own(session: Session, host: Server) -> None:
    """Sharing one would give each the other's answers; over TLS it would end the parent's connection."""
    get(session, host)
    for made in (2, 3, 4):
        in_a_child(lambda: (get(session, host), get(session, host), gc.collect()))
        assert host.connections == made
    get(session, host)
    assert host.connections == 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_so_it_has_over_a_session_of_ones_own(main: Server) -> None:
    """Once a client uses it."""
    main.script = [OK] * 10
    with requests.Session() as session:
        connections.keep_in_one_process(session)
        get(session, main)
        for made in (2, 3):
            in_a_child(lambda: (get(session, main), get(session, main)))
            assert main.connections == made
        get(session, main)
        assert main.connections == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_holds_no_descriptor_of_its_parents_connections(session: Session, host: Server) -> None:
    """Else the server would not see them end when the parent closes them."""
    before = set(connections._sockets)
    get(session, host)
    (connection,) = set(connections._sockets) - before
    descriptor = connection.fileno()

    def closed() -> None:
        try:
            os.fstat(descriptor)
        except OSError:
            return
        raise AssertionError("the descriptor is open")

    in_a_child(closed)
    assert os.fstat(descriptor)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_fork_in_the_middle_of_calls_does_not_hang(session: Session, host: Server) -> None:
    """Whatever locks other threads hold at that moment: of the pools, of the resolver, of the parser of bundles."""
    host.script = [OK] * 100_000
    stop = threading.Event()

    def busy() -> None:
        while not stop.is_set():
            get(session, host)

    threads = [threading.Thread(target=busy) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            in_a_child(lambda: get(session, host))
    finally:
        stop.set()
        for thread in threads:
            thread.join(PATIENCE)

"""The connections of a session: kept, limited, and of one process only."""

import gc
import logging
import os
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox.waiting import PATIENCE, NotReachedError, until
from wechatpay import connections, forks, http1, sockets
from wechatpay.connections import POOL_SIZE, Session

from .wire import OK, Drip, Server, loopback_certificate


def _any(owner: Any) -> Any:
    """Let a type checker pass over what stubs leave out."""
    return owner


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
    """A session without a client takes every form of time-out that requests takes."""
    main.script = [OK] * 4
    for timeout in (None, 300, PATIENCE, (PATIENCE, PATIENCE)):
        assert session.get(f"{main.url}/v3/x", timeout=timeout).text == "ok"
    assert main.connections == 1


def test_its_timeouts_are_limits_of_the_whole(session: Session, main: Server) -> None:
    """The read time-out of a session without a client limits the whole answer."""
    drip = Drip(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    main.script = [drip]
    with pytest.raises(requests.ConnectionError, match=r"Read timed out"):
        _ = session.get(f"{main.url}/v3/x", timeout=(PATIENCE, 0.3)).content  # a limit that is reached
    assert drip.was_cut_short


def test_headers_and_body_leave_in_one_piece(session: Session, main: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request with a body is one system call, one packet, one TLS record."""
    pieces: list[int] = []
    send_all = sockets.send_all

    def count(connection: Any, data: Any, attempt: Any) -> None:
        pieces.append(len(data))
        send_all(connection, data, attempt)

    monkeypatch.setattr(http1, "send_all", count)
    main.script = [OK]
    session.post(f"{main.url}/v3/x", data=b"{}", timeout=PATIENCE)
    assert len(pieces) == 1


def test_more_connections_than_the_pool_keeps_are_closed_without_a_log_line(
    session: Session, main: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """A full pool closes a connection silently, where urllib3 would log a warning."""
    barrier = threading.Barrier(POOL_SIZE + 5)

    def together(connection: Any) -> bool:
        barrier.wait(PATIENCE)
        return OK(connection)

    main.script = [together] * (POOL_SIZE + 5)
    threads = [threading.Thread(target=get, args=(session, main)) for _ in range(POOL_SIZE + 5)]
    with caplog.at_level(logging.WARNING):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
    ours = {thread.name for thread in threads}
    assert [record.getMessage() for record in caplog.records if record.threadName in ours] == []
    pools = _any(session.get_adapter(main.url)).poolmanager.pools
    assert [len(pools[key].pool._connections) for key in list(pools.keys())] == [POOL_SIZE]


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
            lambda: ending if (ending := os.waitpid(child, os.WNOHANG))[0] else None, state="the child has ended"
        )
    except NotReachedError:
        os.kill(child, 9)
        os.waitpid(child, 0)
        raise
    assert status == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_has_connections_of_its_own(session: Session, host: Server) -> None:
    """A child makes connections of its own, and the parent's connection still works afterwards, TLS included."""
    get(session, host)
    for count in (2, 3, 4):
        in_a_child(lambda: (get(session, host), get(session, host), gc.collect()))
        assert host.connections == count
    get(session, host)
    assert host.connections == 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_has_connections_of_its_own_over_a_plain_session(main: Server) -> None:
    """A child over a `requests.Session` that is kept in one process makes connections of its own."""
    main.script = [OK] * 10
    with requests.Session() as session:
        connections.keep_in_one_process(session)
        get(session, main)
        for count in (2, 3):
            in_a_child(lambda: (get(session, main), get(session, main)))
            assert main.connections == count
        get(session, main)
        assert main.connections == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_holds_no_descriptor_of_its_parents_connections(session: Session, host: Server) -> None:
    """The child closes its copies, so that the server sees the end when the parent closes a connection."""
    before = set(forks._sockets)
    get(session, host)
    (connection,) = set(forks._sockets) - before
    descriptor = _any(connection).fileno()

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
    """A child that is forked while other threads call does not wait for a lock that one of them holds."""
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

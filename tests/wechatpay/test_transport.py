"""What is sent, how often and over which connection, against a server that does exactly what its script says."""

import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox.waiting import PATIENCE, until
from wechatpay.connections import Session
from wechatpay.errors import UnansweredError
from wechatpay.hosts import Hosts
from wechatpay.limits import ANSWER_LIMIT
from wechatpay.tls import tls_context
from wechatpay.transport import Reply, Route, exchange

from .wire import (
    MOVED,
    OK,
    Behaviour,
    Server,
    begin_and_hang_up,
    cut_off,
    early_hints_and_hang_up,
    hang_up,
    loopback_certificate,
    reset,
    say,
    stay_silent,
)

TIMEOUT = (PATIENCE, PATIENCE)
BRIEF = (PATIENCE, 0.3)  # seconds: for calls that meet a silence, and nothing else


class Line:
    """A caller that numbers its requests, so that each try can be seen, with a clock that only the test moves."""

    def __init__(self, main: Server, backup: Server, session: requests.Session | None = None) -> None:
        self.session = session or Session()
        self.hosts = Hosts(main.url, backup.url)
        self.now = 1_800_000_000.0
        self.tries = 0

    def call(self, *, repeatable: bool = False, body: bytes = b"{}", timeout: tuple[float, float] = TIMEOUT) -> Reply:
        """Make one call."""

        def prepare(host: str) -> requests.PreparedRequest:
            self.tries += 1
            return requests.Request("POST", f"{host}/v3/x", headers={"Try": str(self.tries)}, data=body).prepare()

        route = Route(
            self.session, self.hosts, self.hosts.order(self.now), timeout, time.monotonic() + PATIENCE, lambda: self.now
        )
        return exchange(route, prepare, repeatable=repeatable)


@pytest.fixture
def line(main: Server, backup: Server) -> Iterator[Line]:
    """A caller with connections of the library's own."""
    line = Line(main, backup)
    yield line
    line.session.close()


def test_a_connection_is_kept_and_used_again(line: Line, main: Server) -> None:
    """Two calls in a row share one connection."""
    main.script = [OK, OK]
    assert (line.call().content, line.call().content) == (b"ok", b"ok")
    assert main.connections == 1


@pytest.mark.parametrize(("idle", "connections"), [(6.9, 1), (7.0, 2), (100_000.0, 2), (-60.0, 2)])
def test_an_idle_connection_is_dropped_after_seven_seconds_of_wall_clock(
    line: Line, main: Server, idle: float, connections: int
) -> None:
    """WeChat Pay closes at 8 s, unnoticed by a frozen environment; a clock that was set back counts as too long."""
    main.script = [OK, OK]
    line.call()
    line.now += idle
    line.call()
    assert main.connections == connections


@pytest.mark.parametrize("death", [hang_up, reset])
def test_a_reused_connection_that_died_unheard_costs_one_fresh_try(line: Line, main: Server, death: Behaviour) -> None:
    """A call that may be executed twice is sent once more, newly signed, on a connection that has not served before."""
    main.script = [OK, death, OK]
    line.call()
    assert line.call(repeatable=True).status == 200
    assert line.tries == 3
    assert b"Try: 3" in main.requests[2]
    assert main.connections == 2


@pytest.mark.parametrize("death", [hang_up, reset])
def test_what_must_not_be_executed_twice_is_not_sent_twice(line: Line, main: Server, death: Behaviour) -> None:
    """The server may have executed the call before the connection closed: the caller has to query first."""
    main.script = [OK, death, OK]
    line.call()
    with pytest.raises(UnansweredError) as caught:
        line.call()
    assert (caught.value.sent, line.tries, len(main.requests)) == (True, 2, 2)


def test_the_second_death_is_the_last(line: Line, main: Server, backup: Server) -> None:
    """A call is sent again once at most; after that its request may have arrived."""
    main.script = [OK, hang_up, hang_up]
    line.call()
    with pytest.raises(UnansweredError) as caught:
        line.call(repeatable=True)
    assert (caught.value.sent, line.tries, backup.connections) == (True, 3, 0)


@pytest.mark.parametrize("behaviour", [hang_up, reset, stay_silent, begin_and_hang_up, cut_off])
def test_a_fresh_connection_gets_no_second_try(line: Line, main: Server, backup: Server, behaviour: Behaviour) -> None:
    """A call that failed on a fresh connection may have been executed: the caller has to query first."""
    main.script = [behaviour]
    with pytest.raises(UnansweredError) as caught:
        line.call(repeatable=True, timeout=BRIEF if behaviour is stay_silent else TIMEOUT)
    assert caught.value.sent is True
    until(lambda: main.requests or None, state="the request has arrived")
    assert (len(main.requests), len(backup.requests)) == (1, 0)


@pytest.mark.parametrize("behaviour", [stay_silent, begin_and_hang_up, cut_off, early_hints_and_hang_up])
def test_a_reused_connection_that_was_heard_or_timed_out_gets_no_second_try(
    line: Line, main: Server, behaviour: Behaviour
) -> None:
    """A byte of an answer, an interim one included, or a read time-out: WeChat Pay may have executed the call."""
    main.script = [OK, behaviour]
    line.call()
    with pytest.raises(UnansweredError) as caught:
        line.call(repeatable=True, timeout=BRIEF if behaviour is stay_silent else TIMEOUT)
    assert caught.value.sent is True
    until(lambda: len(main.requests) >= 2, state="the request has arrived")
    assert len(main.requests) == 2


def test_a_host_that_refuses_connections_is_replaced_by_its_backup(line: Line, main: Server, backup: Server) -> None:
    """A call whose connection is refused is signed again and sent to the backup host, once."""
    main.close()
    backup.script = [OK]
    assert line.call().status == 200
    assert line.tries == 2


def test_where_no_host_can_be_reached_nothing_was_sent(line: Line, main: Server, backup: Server) -> None:
    """`sent` is False where both hosts refuse the connection."""
    main.close()
    backup.close()
    with pytest.raises(UnansweredError) as caught:
        line.call()
    assert (caught.value.sent, line.tries) == (False, 2)
    assert (caught.value.method, caught.value.path) == ("POST", "/v3/x")


def test_an_unheard_death_and_a_refused_retry_still_may_have_arrived(line: Line, main: Server, backup: Server) -> None:
    """`sent` stays True because of an earlier try, although the last try was not sent."""
    main.script = [OK, hang_up]
    line.call()
    main.close()
    backup.close()
    with pytest.raises(UnansweredError) as caught:
        line.call(repeatable=True)
    assert caught.value.sent is True


def test_a_redirect_is_not_followed(line: Line, main: Server) -> None:
    """A redirect is returned as an answer, without its body."""
    main.script = [MOVED]
    reply = line.call()
    assert (reply.status, reply.content) == (302, b"")


def test_an_endless_answer_is_given_up(line: Line, main: Server) -> None:
    """At most 1 MiB of a body is read; the request may have arrived."""
    body = b"x" * (ANSWER_LIMIT + 1)
    main.script = [say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)]
    with pytest.raises(UnansweredError) as caught:
        line.call()
    assert caught.value.sent is True


def test_a_session_of_ones_own_is_judged_by_its_errors(main: Server, backup: Server) -> None:
    """A plain requests.Session uses the backup host where connecting failed, and sends nothing twice otherwise."""
    line = Line(main, backup, requests.Session())
    main.script = [OK, hang_up]
    line.call()
    with pytest.raises(UnansweredError) as caught:
        line.call()
    assert (caught.value.sent, line.tries) == (True, 2)
    main.close()
    backup.script = [OK]
    line.session.close()
    assert line.call().status == 200
    line.session.close()


@pytest.fixture
def tls_host(tmp_path: Path) -> Iterator[tuple[Server, Path]]:
    """A host with TLS, and the file of its certificate."""
    pem = loopback_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server = Server(context)
    yield server, pem
    server.close()


def test_a_host_with_an_unknown_certificate_gets_nothing(tls_host: tuple[Server, Path]) -> None:
    """TLS verification is on: the handshake with an unknown certificate fails, and nothing is sent."""
    server, _ = tls_host
    line = Line(server, server)
    cause = r"\(SSLError: certificate verify failed: self-signed certificate\)"
    with pytest.raises(UnansweredError, match=cause) as caught:
        line.call()
    assert (caught.value.sent, server.requests) == (False, [])
    line.session.close()


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_the_environments_ca_bundle_is_trusted(
    tls_host: tuple[Server, Path], monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """The bundle of a proxy that inspects TLS is configured by the usual environment variables."""
    server, pem = tls_host
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, str(pem))
    line = Line(server, server)
    server.script = [OK, OK]
    assert (line.call().status, line.call().status) == (200, 200)
    assert server.connections == 1
    line.session.close()


def test_a_bundle_is_parsed_once_by_all_threads(tls_host: tuple[Server, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that need the same bundle at the same moment share one context; another bundle has another."""
    _, pem = tls_host
    parsed: list[object] = []
    create = ssl.create_default_context

    def count(**options: Any) -> ssl.SSLContext:
        if options.get("cafile") == str(pem):
            parsed.append(options["cafile"])
        time.sleep(0.05)  # gives a second parser the time to begin; on a slow machine it proves less, and never fails
        return create(**options)

    monkeypatch.setattr(ssl, "create_default_context", count)  # counts this bundle alone
    with ThreadPoolExecutor(8) as pool:
        contexts = set(pool.map(lambda _: tls_context(str(pem)), range(8)))
    assert (len(contexts), parsed) == (1, [str(pem)])
    assert tls_context() not in contexts


def test_a_shared_context_verifies_as_any_other() -> None:
    """The shared TLS context verifies certificates and host names."""
    context = tls_context()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_a_directory_of_authorities_is_taken_as_well(tmp_path: Path) -> None:
    """A directory in OpenSSL's hashed form is accepted; nothing in it is parsed before it is needed."""
    assert tls_context(str(tmp_path)).get_ca_certs() == []


def test_the_environment_is_read_once_for_a_host(line: Line, main: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxies of a host are read from the environment for the first call alone."""
    urls: list[object] = []
    merge = requests.Session.merge_environment_settings

    def record(self: Any, url: Any, *arguments: Any) -> Any:
        if str(url).startswith(main.url):
            urls.append(url)
        return merge(self, url, *arguments)

    monkeypatch.setattr(requests.Session, "merge_environment_settings", record)  # records this host alone
    main.script = [OK, OK]
    assert (line.call().status, line.call().status) == (200, 200)
    assert len(urls) == 1

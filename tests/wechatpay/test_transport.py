"""What is sent, how often, over which connection: proven against a server that does exactly what its script says."""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from wechatpay.errors import UnansweredError
from wechatpay.transport import ANSWER_LIMIT, Reply, Session, exchange

from .wire import (
    MOVED,
    OK,
    Deed,
    Server,
    begin_and_hang_up,
    cut_off,
    drip,
    hang_up,
    reset,
    say,
    stay_silent,
)

TIMEOUT = (1.0, 0.4)


@pytest.fixture
def main() -> Iterator[Server]:
    """The main host."""
    server = Server()
    yield server
    server.close()


@pytest.fixture
def backup() -> Iterator[Server]:
    """The backup host."""
    server = Server()
    yield server
    server.close()


class Line:
    """A caller: prepares numbered requests, so that each try shows, and has a clock that only the test moves."""

    def __init__(self, main: Server, backup: Server, session: requests.Session | None = None) -> None:
        self.session = session or Session()
        self.hosts = (main.url, backup.url)
        self.now = 1_800_000_000.0
        self.tries = 0

    def call(self) -> Reply:
        """Make one call."""
        return exchange(self.session, self._prepare, self.hosts, TIMEOUT, lambda: self.now)

    def _prepare(self, host: str) -> requests.PreparedRequest:
        self.tries += 1
        return requests.Request("POST", f"{host}/v3/x", headers={"Try": str(self.tries)}, data=b"{}").prepare()


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
    """WeChat Pay closes at 8 s, and a frozen environment knows nothing of it; a clock that jumps back is no proof."""
    main.script = [OK, OK]
    line.call()
    line.now += idle
    line.call()
    assert main.connections == connections


@pytest.mark.parametrize("death", [hang_up, reset])
def test_a_reused_connection_that_died_unheard_costs_one_fresh_try(line: Line, main: Server, death: Deed) -> None:
    """The call goes out again once, newly signed, on a connection that has never served."""
    main.script = [OK, death, OK]
    line.call()
    assert line.call().status == 200
    assert line.tries == 3
    assert b"Try: 3" in main.requests[2]
    assert main.connections == 2


def test_the_second_death_is_the_last(line: Line, main: Server, backup: Server) -> None:
    """One re-send, not more; and the request may have arrived."""
    main.script = [OK, hang_up, hang_up]
    line.call()
    with pytest.raises(UnansweredError) as caught:
        line.call()
    assert (caught.value.sent, line.tries, backup.connections) == (True, 3, 0)


@pytest.mark.parametrize("deed", [hang_up, reset, stay_silent, begin_and_hang_up, cut_off])
def test_a_fresh_connection_gets_no_second_try(line: Line, main: Server, backup: Server, deed: Deed) -> None:
    """What failed on a fresh connection may have been executed: nobody sends it again but the caller, after asking."""
    main.script = [deed]
    with pytest.raises(UnansweredError) as caught:
        line.call()
    assert caught.value.sent is True
    assert (len(main.requests), len(backup.requests)) == (1, 0)


@pytest.mark.parametrize("deed", [stay_silent, begin_and_hang_up, cut_off])
def test_a_reused_connection_that_was_heard_or_timed_out_gets_no_second_try(
    line: Line, main: Server, deed: Deed
) -> None:
    """A byte of an answer, or a read timeout, means that WeChat Pay may have executed the call."""
    main.script = [OK, deed]
    line.call()
    with pytest.raises(UnansweredError) as caught:
        line.call()
    assert caught.value.sent is True
    assert len(main.requests) == 2


def test_a_host_that_refuses_connections_is_replaced_by_its_backup(line: Line, main: Server, backup: Server) -> None:
    """Once, newly signed."""
    main.close()
    backup.script = [OK]
    assert line.call().status == 200
    assert line.tries == 2


def test_where_no_host_can_be_reached_nothing_was_sent(line: Line, main: Server, backup: Server) -> None:
    """`sent` False is a promise."""
    main.close()
    backup.close()
    with pytest.raises(UnansweredError) as caught:
        line.call()
    assert (caught.value.sent, line.tries) == (False, 2)
    assert (caught.value.method, caught.value.path) == ("POST", "/v3/x")


def test_an_unheard_death_and_a_refused_retry_still_may_have_arrived(line: Line, main: Server, backup: Server) -> None:
    """The earlier try counts: `sent` stays True although the last try never left."""
    main.script = [OK, hang_up]
    line.call()
    main.close()
    backup.close()
    with pytest.raises(UnansweredError) as caught:
        line.call()
    assert caught.value.sent is True


def test_a_redirect_is_not_followed(line: Line, main: Server) -> None:
    """It is an answer like any other, without a body worth reading."""
    main.script = [MOVED]
    reply = line.call()
    assert (reply.status, reply.content) == (302, b"")


def test_an_endless_answer_is_given_up(line: Line, main: Server) -> None:
    """Not more than 1 MiB is read."""
    body = b"x" * (ANSWER_LIMIT + 1)
    main.script = [say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)]
    with pytest.raises(UnansweredError) as caught:
        line.call()
    assert caught.value.sent is True


def test_a_dripping_answer_is_given_up(line: Line, main: Server) -> None:
    """Each byte comes in time, the whole does not."""
    main.script = [drip]
    with pytest.raises(UnansweredError):
        line.call()


def test_a_session_of_ones_own_is_judged_by_its_errors(main: Server, backup: Server) -> None:
    """A plain requests.Session fails over where connecting failed, and never sends a second time otherwise."""
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


def _certificate(directory: Path) -> Path:
    """A key and a certificate of its own for 127.0.0.1, in one file."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    address = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    certificate = builder.add_extension(address, critical=False).sign(key, hashes.SHA256())
    path = directory / "host.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(secret + certificate.public_bytes(Encoding.PEM))
    return path


@pytest.fixture
def tls_host(tmp_path: Path) -> Iterator[tuple[Server, Path]]:
    """A host with TLS, and the file of its certificate."""
    pem = _certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server = Server(context)
    yield server, pem
    server.close()


def test_a_host_with_an_unknown_certificate_gets_nothing(tls_host: tuple[Server, Path]) -> None:
    """TLS verification is on: the handshake fails, and nothing was sent."""
    server, _ = tls_host
    line = Line(server, server)
    with pytest.raises(UnansweredError) as caught:
        line.call()
    assert (caught.value.sent, server.requests) == (False, [])
    line.session.close()


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_the_environments_ca_bundle_is_trusted(
    tls_host: tuple[Server, Path], monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """A proxy that inspects TLS is configured as everywhere else."""
    server, pem = tls_host
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, str(pem))
    line = Line(server, server)
    server.script = [OK, OK]
    assert (line.call().status, line.call().status) == (200, 200)
    assert server.connections == 1
    line.session.close()

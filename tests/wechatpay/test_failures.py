"""What failed tries prove, and in which words it is told: true evidence, and nothing of the call."""

import logging
import os
import socket
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from sandbox.waiting import PATIENCE
from wechatpay import failures
from wechatpay.connections import Session, discreet
from wechatpay.errors import UnansweredError
from wechatpay.hosts import Hosts
from wechatpay.transport import Reply, Route, exchange

from .wire import OK, Server, begin_and_hang_up, cut_off, hang_up, reset, say, stay_silent

PROXIES = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",
)
OPENID, BODY = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", b'{"name": "SECRET-OF-THE-BODY"}'
BRIEF = 0.3  # seconds: for answers of which none comes
TARGET = f"/v3/payscore/serviceorder?openid={OPENID}"


def call(session: requests.Session, host: str, backup: str = "", *, read: float = PATIENCE) -> Reply:
    """Make a call that holds an openid in its query and a name in its body."""

    def prepare(host: str) -> requests.PreparedRequest:
        request = requests.PreparedRequest()
        request.method, request.url, request.body = "POST", host + TARGET, BODY
        request.headers = requests.structures.CaseInsensitiveDict({"Content-Length": str(len(BODY))})
        return request

    hosts = Hosts(host, backup or host)
    return exchange(
        Route(session, hosts, hosts.order(0.0), (PATIENCE, read), time.monotonic() + PATIENCE, lambda: 0.0),
        prepare,
        repeatable=False,
    )


@pytest.fixture(params=[Session, requests.Session], ids=["ours", "plain"])
def session(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[requests.Session]:
    """Both kinds of sessions, in an environment without proxies, bundles and names."""
    resolve = socket.getaddrinfo

    def known(host: Any, *args: Any, **kwargs: Any) -> Any:
        if str(host).endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return resolve(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", known)
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    with request.param() as session:
        yield session


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that refuses connections, and that no one else takes meanwhile."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def _dead_proxy(monkeypatch: pytest.MonkeyPatch, port: int) -> str:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
    return "https://pay.test"


def _dead_forward_proxy(monkeypatch: pytest.MonkeyPatch, port: int) -> str:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
    return "http://pay.test"


def _missing_bundle(monkeypatch: pytest.MonkeyPatch, port: int) -> str:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "missing.pem")
    return f"https://127.0.0.1:{port}"


def _unreadable_bundle(monkeypatch: pytest.MonkeyPatch, port: int) -> str:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", os.devnull)
    return f"https://127.0.0.1:{port}"


def _proxy(url: str) -> Callable[[pytest.MonkeyPatch, int], str]:
    def prepared(monkeypatch: pytest.MonkeyPatch, _: int) -> str:
        monkeypatch.setenv("HTTPS_PROXY", url)
        return "https://pay.test"

    return prepared


def _host(url: str) -> Callable[[pytest.MonkeyPatch, int], str]:
    return lambda _, port: url.format(port)


NEVER_SENT = {
    "unknown scheme": (_host("ftp://pay.test"), "the URL has a scheme that is not served"),
    "no scheme": (_host("pay.test"), "the URL has (no scheme|a scheme that is not served)"),
    "refused": (_host("http://127.0.0.1:{}"), "Connection refused"),
    "refused over tls": (_host("https://127.0.0.1:{}"), "Connection refused"),
    "unknown name": (_host("http://pay.invalid"), "Name or service not known"),
    "impossible name": (_host("http://" + "x" * 70 + ".test"), "a URL is malformed"),
    "dead proxy": (_dead_proxy, "Connection refused"),
    "dead forwarding proxy": (_dead_forward_proxy, "Connection refused"),
    "proxy without a host": (_proxy("http://user:SECRET@:1"), "the proxy's URL is malformed|a URL is malformed"),
    "proxy with a bad port": (_proxy("http://user:SECRET@proxy.test:x"), "a URL is malformed"),
    "proxy with an unknown scheme": (_proxy("ftp://user:SECRET@proxy.test"), "Proxy URL had unsupported scheme ftp"),
    "unknown proxy": (_proxy("http://proxy.invalid:1"), "Name or service not known"),
    "missing bundle": (_missing_bundle, "missing.pem"),
}


@pytest.mark.parametrize(("prepared", "words"), NEVER_SENT.values(), ids=NEVER_SENT)
def test_sent_is_false_where_nothing_left_this_machine(
    session: requests.Session,
    monkeypatch: pytest.MonkeyPatch,
    closed_port: int,
    prepared: Callable[[pytest.MonkeyPatch, int], str],
    words: str,
) -> None:
    """By whatever session, and the cause is told in words."""
    host = prepared(monkeypatch, closed_port)
    with pytest.raises(UnansweredError, match=words) as caught:
        call(session, host)
    assert caught.value.sent is False
    assert "nothing was sent" in str(caught.value)
    assert "SECRET" not in str(caught.value)


def test_a_bundle_without_certificates_sends_nothing(
    session: requests.Session, monkeypatch: pytest.MonkeyPatch, main: Server
) -> None:
    """The file is there and holds no authority."""
    host = _unreadable_bundle(monkeypatch, int(main.url.rpartition(":")[2]))
    with pytest.raises(UnansweredError) as caught:
        call(session, host)
    assert (caught.value.sent, main.requests) == (False, [])


ANSWERED_BADLY = {
    "closed": (hang_up, "the connection was closed without an answer"),
    "reset": (reset, "Connection reset by peer"),
    "cut off": (cut_off, "the answer was cut off"),
    "no HTTP": (say(b"SSH-2.0-SECRET-OF-THE-ANSWER\r\n"), "what came is not an HTTP answer"),
    "half a status line": (begin_and_hang_up, "what came is not an HTTP answer"),
    "too many headers": (say(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200), "what came is not an HTTP answer"),
    "two lengths": (say(b"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nok"), "InvalidHeader"),
    "bad chunks": (say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nSECRET\r\n"), "the answer was cut off"),
    "bad gzip": (say(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 6\r\n\r\nSECRET"), "DecodeError"),
}


@pytest.mark.parametrize(("behaviour", "words"), ANSWERED_BADLY.values(), ids=ANSWERED_BADLY)
def test_sent_is_true_where_the_request_may_have_arrived(
    session: requests.Session, main: Server, behaviour: Any, words: str
) -> None:
    """The words say what happened, and nothing that came."""
    main.script = [behaviour]
    with pytest.raises(UnansweredError, match=words) as caught:
        call(session, main.url)
    assert caught.value.sent is True
    assert "the request may have arrived" in str(caught.value)
    assert "SECRET" not in str(caught.value)


def test_a_proxy_that_dies_after_it_has_connected_may_have_passed_the_request_on(
    session: requests.Session, main: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although urllib3 says that it was unable to connect to the proxy."""
    monkeypatch.setenv("HTTP_PROXY", main.url)
    main.script = [hang_up]
    with pytest.raises(UnansweredError) as caught:
        call(session, "http://pay.test")
    assert caught.value.sent is True
    assert OPENID.encode() in main.requests[0]


def test_a_proxy_that_refuses_to_connect_has_passed_nothing_on(
    session: requests.Session, main: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own words are told."""
    monkeypatch.setenv("HTTPS_PROXY", main.url)
    main.script = [say(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")] * 2
    with pytest.raises(UnansweredError, match="Tunnel connection failed: 407 Proxy Authentication Required") as caught:
        call(session, "https://pay.test")
    assert caught.value.sent is False


def test_a_redirect_to_nowhere_is_an_answer_or_may_have_been_executed(session: requests.Session, main: Server) -> None:
    """A plain session parses `Location` although it does not follow it."""
    main.script = [say(b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\nContent-Length: 0\r\n\r\n")]
    try:
        assert call(session, main.url).status == 302
    except UnansweredError as error:
        assert error.sent is True  # noqa: PT017  either is true


@pytest.mark.parametrize("death", [hang_up, stay_silent])
def test_a_session_that_repeats_by_itself_proves_nothing(main: Server, death: Any) -> None:
    """Its last try may have failed to connect, an earlier one may have arrived."""

    def die_for_good(connection: socket.socket) -> bool:
        main.close()
        return bool(death(connection))

    main.script = [die_for_good]
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=Retry(2, backoff_factor=0, allowed_methods=None)))
        with pytest.raises(UnansweredError) as caught:
            call(session, main.url, read=BRIEF if death is stay_silent else PATIENCE)
    assert caught.value.sent is True


def _texts(error: BaseException) -> str:
    """Everything that a traceback, or a crash reporter without local variables, would show."""
    texts, chain = ["".join(traceback.format_exception(error))], [error]
    while chain:
        each = chain.pop()
        texts.append(f"{each!r} {each} {each.args!r} {vars(each)!r}")
        chain += [link for link in (each.__cause__, each.__context__) if link is not None]
    return "\n".join(texts)


FAULTS = {**{name: behaviour for name, (behaviour, _) in ANSWERED_BADLY.items()}, "silent": stay_silent}


@pytest.mark.parametrize("behaviour", FAULTS.values(), ids=FAULTS)
def test_no_traceback_and_no_log_line_shows_query_or_body(
    session: requests.Session, main: Server, behaviour: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Of urllib3 and http.client neither, at whatever level."""
    main.script = [behaviour]
    with caplog.at_level(logging.DEBUG), pytest.raises(UnansweredError) as caught:
        call(session, main.url, read=BRIEF if behaviour is stay_silent else PATIENCE)
    logged = "\n".join(logging.Formatter().format(record) for record in caplog.records)
    for text in (_texts(caught.value), logged):
        assert OPENID not in text
        assert "SECRET" not in text
    assert "Starting new HTTP connection" in logged


@pytest.mark.parametrize(("prepared", "_words"), NEVER_SENT.values(), ids=NEVER_SENT)
def test_nor_where_nothing_was_sent(
    session: requests.Session,
    monkeypatch: pytest.MonkeyPatch,
    closed_port: int,
    prepared: Callable[[pytest.MonkeyPatch, int], str],
    _words: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The same."""
    host = prepared(monkeypatch, closed_port)
    with caplog.at_level(logging.DEBUG), pytest.raises(UnansweredError) as caught:
        call(session, host)
    logged = "\n".join(logging.Formatter().format(record) for record in caplog.records)
    for text in (_texts(caught.value), logged):
        assert OPENID not in text
        assert "SECRET" not in text


def test_a_retry_that_urllib3_logs_shows_no_query(main: Server, caplog: pytest.LogCaptureFixture) -> None:
    """A warning, as it stands in the log of every function whose session repeats."""
    main.script = [hang_up, OK]
    with requests.Session() as session, caplog.at_level(logging.DEBUG):
        session.mount("http://", HTTPAdapter(max_retries=Retry(2, backoff_factor=0, allowed_methods=None)))
        assert call(session, main.url).status == 200
    logged = "\n".join(record.getMessage() for record in caplog.records)
    assert "Retrying (" in logged
    assert '"POST /… HTTP/1.1" 200' in logged
    assert OPENID not in logged


def test_headers_that_cannot_be_parsed_are_not_logged(main: Server, caplog: pytest.LogCaptureFixture) -> None:
    """urllib3 warns with the URL, a traceback and what it could not parse."""
    main.script = [say(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nno header SECRET\r\n\r\n")]
    with Session() as session, caplog.at_level(logging.DEBUG):
        assert call(session, main.url).status == 200
    logged = "\n".join(logging.Formatter().format(record) for record in caplog.records)
    assert "Failed to parse headers" in logged
    assert "SECRET" not in logged
    assert OPENID not in logged


def test_what_others_log_over_urllib3_is_left_alone(main: Server, caplog: pytest.LogCaptureFixture) -> None:
    """The log of a session that has nothing to do with WeChat Pay."""
    main.script = [OK]
    with requests.Session() as session, caplog.at_level(logging.DEBUG, logger="urllib3"):
        session.get(f"{main.url}/reports?month=5")
    assert '"GET /reports?month=5 HTTP/1.1" 200' in caplog.text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('https://pay.test:443 "POST /v3/x?a=b HTTP/1.1" 200 None', 'https://pay.test:443 "POST /… HTTP/1.1" 200 None'),
        (
            "Max retries exceeded with url: /v3/x?a=b (Caused by X('y'))",
            "Max retries exceeded with url: /… (Caused by X('y'))",
        ),
        ("(url=http://pay.test/v3/x?a=b): z", "(url=http://pay.test/…): z"),
        ("http://pay.test?a=b", "http://pay.test/…"),
        ("Incremented Retry for (url='/v3/x'): Retry(total=1)", "Incremented Retry for (url='/…'): Retry(total=1)"),
        ("Starting new HTTPS connection (1): pay.test:443", "Starting new HTTPS connection (1): pay.test:443"),
    ],
)
def test_a_log_line_keeps_host_and_method(text: str, expected: str) -> None:
    """What an operator compares; paths hold order numbers, queries openids."""
    assert discreet(text) == expected


def test_words_are_cleaned_and_bounded() -> None:
    """A proxy's reason is a stranger's word."""
    said = failures.words(
        requests.exceptions.ProxyError(OSError("Tunnel connection failed: 407 \x1b[31m" + "x" * 5000))
    )
    assert said.isprintable()
    assert len(said) == 200


def test_a_file_that_does_not_exist_is_named(tmp_path: Path) -> None:
    """It is the remedy."""
    error = FileNotFoundError(2, "No such file or directory", str(tmp_path / "ca.pem"))
    assert failures.words(error) == f"FileNotFoundError: No such file or directory: {tmp_path / 'ca.pem'}"

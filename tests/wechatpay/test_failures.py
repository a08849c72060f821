"""What a failed try proves, and in which words: evidence that is true, and nothing of the call or the answer."""

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
from wechatpay.connections import Session
from wechatpay.errors import UnansweredError
from wechatpay.hosts import Hosts
from wechatpay.transport import Reply, Route, exchange

from .wire import Server, begin_and_hang_up, cut_off, hang_up, reset, say, stay_silent

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

    def resolve_or_refuse(host: Any, *args: Any, **kwargs: Any) -> Any:
        if str(host).endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return resolve(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", resolve_or_refuse)  # passes other names on
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    with request.param() as session:
        yield session


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that refuses connections and that no other process takes meanwhile."""
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
    def configure(monkeypatch: pytest.MonkeyPatch, _: int) -> str:
        monkeypatch.setenv("HTTPS_PROXY", url)
        return "https://pay.test"

    return configure


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


@pytest.mark.parametrize(("configure", "words"), NEVER_SENT.values(), ids=NEVER_SENT)
def test_sent_is_false_where_nothing_left_this_machine(
    session: requests.Session,
    monkeypatch: pytest.MonkeyPatch,
    closed_port: int,
    configure: Callable[[pytest.MonkeyPatch, int], str],
    words: str,
) -> None:
    """Over both kinds of sessions, `sent` is False, and the cause is given in harmless words."""
    host = configure(monkeypatch, closed_port)
    with pytest.raises(UnansweredError, match=words) as caught:
        call(session, host)
    assert caught.value.sent is False
    assert "nothing was sent" in str(caught.value)
    assert "SECRET" not in str(caught.value)


def test_a_bundle_without_certificates_sends_nothing(
    session: requests.Session, monkeypatch: pytest.MonkeyPatch, main: Server
) -> None:
    """A bundle that can be opened and holds no certificate authority makes the call fail before it is sent."""
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
    """Over both kinds of sessions, `sent` is True, and the words repeat nothing of the answer."""
    main.script = [behaviour]
    with pytest.raises(UnansweredError, match=words) as caught:
        call(session, main.url)
    assert caught.value.sent is True
    assert "the request may have arrived" in str(caught.value)
    assert "SECRET" not in str(caught.value)


def test_a_proxy_that_dies_after_it_has_connected_may_have_passed_the_request_on(
    session: requests.Session, main: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`sent` is True, although urllib3 says that it was unable to connect to the proxy."""
    monkeypatch.setenv("HTTP_PROXY", main.url)
    main.script = [hang_up]
    with pytest.raises(UnansweredError) as caught:
        call(session, "http://pay.test")
    assert caught.value.sent is True
    assert OPENID.encode() in main.requests[0]


def test_a_proxy_that_refuses_to_connect_has_passed_nothing_on(
    session: requests.Session, main: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`sent` is False, and the proxy's own status and reason are given."""
    monkeypatch.setenv("HTTPS_PROXY", main.url)
    main.script = [say(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")] * 2
    with pytest.raises(UnansweredError, match="Tunnel connection failed: 407 Proxy Authentication Required") as caught:
        call(session, "https://pay.test")
    assert caught.value.sent is False


def test_a_redirect_to_nowhere_is_an_answer_or_may_have_been_executed(session: requests.Session, main: Server) -> None:
    """A malformed `Location` is an answer, or with a plain session, which parses it, an error with `sent` True."""
    main.script = [say(b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\nContent-Length: 0\r\n\r\n")]
    try:
        assert call(session, main.url).status == 302
    except UnansweredError as error:
        assert error.sent is True  # noqa: PT017  either is true


@pytest.mark.parametrize("death", [hang_up, stay_silent])
def test_a_session_that_repeats_by_itself_proves_nothing(main: Server, death: Any) -> None:
    """`sent` is True: the last try of such a session failed to connect, an earlier one may have arrived."""

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
    """Return what a traceback, or a crash reporter without local variables, shows of an error."""
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
    """No error and no log line at any level, of urllib3 included, shows a query, a body or an answer."""
    main.script = [behaviour]
    with caplog.at_level(logging.DEBUG), pytest.raises(UnansweredError) as caught:
        call(session, main.url, read=BRIEF if behaviour is stay_silent else PATIENCE)
    log = "\n".join(logging.Formatter().format(record) for record in caplog.records)
    for text in (_texts(caught.value), log):
        assert OPENID not in text
        assert "SECRET" not in text
    assert "Starting new HTTP connection" in log


@pytest.mark.parametrize(("configure", "_words"), NEVER_SENT.values(), ids=NEVER_SENT)
def test_no_traceback_and_no_log_line_shows_query_or_body_where_nothing_was_sent(
    session: requests.Session,
    monkeypatch: pytest.MonkeyPatch,
    closed_port: int,
    configure: Callable[[pytest.MonkeyPatch, int], str],
    _words: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A call that failed before it was sent shows neither its query nor its body nor a proxy's password."""
    host = configure(monkeypatch, closed_port)
    with caplog.at_level(logging.DEBUG), pytest.raises(UnansweredError) as caught:
        call(session, host)
    log = "\n".join(logging.Formatter().format(record) for record in caplog.records)
    for text in (_texts(caught.value), log):
        assert OPENID not in text
        assert "SECRET" not in text


def test_words_are_cleaned_and_bounded() -> None:
    """The reason of a proxy is untrusted text."""
    text = failures.words(
        requests.exceptions.ProxyError(OSError("Tunnel connection failed: 407 \x1b[31m" + "x" * 5000))
    )
    assert text.isprintable()
    assert len(text) == 200


def test_a_file_that_does_not_exist_is_named(tmp_path: Path) -> None:
    """The words for a missing file contain its name."""
    error = FileNotFoundError(2, "No such file or directory", str(tmp_path / "ca.pem"))
    assert failures.words(error) == f"FileNotFoundError: No such file or directory: {tmp_path / 'ca.pem'}"

"""The console's gate: which requests it takes, and what every answer forbids a browser to do."""

import re
import socket
from pathlib import Path

import pytest
import requests
from starlette.datastructures import Headers

from sandbox.console import app, htmx
from sandbox.console.gate import SECURITY_HEADERS, Gate

GATE = Gate(4514)
HOST = {"host": "127.0.0.1:4514"}


@pytest.mark.parametrize("host", ["127.0.0.1:4514", "localhost:4514", "LOCALHOST:4514", "[::1]:4514"])
def test_the_gate_takes_the_names_of_loopback_with_its_port(host: str) -> None:
    """A person may type each name of loopback, with the port."""
    assert GATE.objection("GET", Headers({"host": host})) is None


@pytest.mark.parametrize(
    "host", ["", "127.0.0.1", "127.0.0.1:80", "evil.example", "evil.example:4514", "127.0.0.1.evil.example:4514"]
)
def test_a_name_that_is_bound_to_loopback_is_refused(host: str) -> None:
    """A request for another name is refused: a page has had that name bound again to loopback."""
    objection = GATE.objection("GET", Headers({"host": host} if host else {}))
    assert objection is not None
    assert "http://127.0.0.1:4514/" in objection


def test_two_hosts_are_refused() -> None:
    """A request with two Host headers is refused."""
    assert GATE.objection("GET", Headers(raw=[(b"host", b"127.0.0.1:4514"), (b"host", b"evil.example")]))


@pytest.mark.parametrize(
    ("site", "is_taken"),
    [("none", True), ("same-origin", True), ("same-site", False), ("cross-site", False), ("x", False)],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_only_a_person_or_the_console_itself_may_send(method: str, site: str, is_taken: bool) -> None:
    """A request that another site has caused is refused, whatever its method; another port is another site here."""
    headers = Headers({**HOST, "origin": "http://127.0.0.1:4514", "sec-fetch-site": site})
    assert (GATE.objection(method, headers) is None) is is_taken


@pytest.mark.parametrize(
    "origin",
    [None, "null", "http://127.0.0.1:4566", "https://127.0.0.1:4514", "http://evil.example", "http://localhost:4514"],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_a_change_needs_the_consoles_own_origin(method: str, origin: str | None) -> None:
    """A request that may change something needs the origin that it is sent to, exactly."""
    assert GATE.objection(method, Headers({**HOST, **({"origin": origin} if origin else {})})) is not None


def test_a_program_may_read() -> None:
    """A program that sends none of a browser's headers may read pages, as curl does."""
    assert GATE.objection("GET", Headers(HOST)) is None


# ---- on the wire -----------------------------------------------------------------------------------------------------


def post(console: str, path: str, fields: dict[str, str], **headers: str) -> requests.Response:
    """Send a form of the console's own origin, without following the answer."""
    origin = {"Origin": console.rstrip("/"), **{name.replace("_", "-"): value for name, value in headers.items()}}
    return requests.post(console + path, data=fields, headers=origin, timeout=60, allow_redirects=False)


@pytest.mark.parametrize("path", ["", "till", "static/console.css", "no-such-page", "frame/jobs"])
def test_every_answer_has_the_headers_of_security(console: str, path: str) -> None:
    """Pages, parts, files and refusals alike forbid scripts inline, content from elsewhere, and frames."""
    answer = requests.get(console + path, timeout=60)
    assert {name: answer.headers.get(name) for name in SECURITY_HEADERS} == dict(SECURITY_HEADERS)
    assert "server" not in answer.headers


def test_a_refusal_by_the_gate_is_one_line_with_the_headers(console: str) -> None:
    """What the gate refuses is 403 with one line that says what to open, and it has the same headers."""
    answer = requests.get(console, headers={"Host": "evil.example"}, timeout=60)
    assert answer.status_code == 403
    assert len(answer.text.splitlines()) == 1
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert "unsafe" not in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("token", ["", "0" * 64, "ü"])
def test_a_form_without_its_sessions_token_does_nothing(console: str, token: str) -> None:
    """A form of the right origin without the token of its session is answered with one line, and changes nothing."""
    answer = post(console, "switches/misbehave", {"name": "system_error", "token": token}, HX_Request="true")
    assert "Nothing was done: this page is of an earlier run" in answer.text
    assert "system_error" not in requests.get(console + "switches/active", timeout=60).text


def test_the_token_of_another_session_does_nothing(console: str) -> None:
    """A token is of one session: with the cookie of another it is refused."""
    page = requests.get(console + "till", timeout=60)
    [token, *_] = re.findall(r'name="token" value="([0-9a-f]{64})"', page.text)
    answer = post(console, "frame/dismiss", {"token": token}, HX_Request="true", Cookie=f"{_cookie(page)}={'a' * 32}")
    assert "Nothing was done" in answer.text
    own = post(console, "frame/dismiss", {"token": token}, Cookie=f"{_cookie(page)}={page.cookies[_cookie(page)]}")
    assert own.status_code == 303


def _cookie(page: requests.Response) -> str:
    [name] = page.cookies.keys()
    return name


def test_cookies_are_of_this_port_and_for_no_other_site(console: str) -> None:
    """Cookies are SameSite=Strict and not readable by scripts; the session's has the port in its name."""
    answer = requests.get(console, timeout=60)
    assert f"console-{console.rstrip('/').rpartition(':')[2]}=" in answer.headers["Set-Cookie"]
    assert {"httponly", "samesite=strict"} <= set(answer.headers["Set-Cookie"].lower().split("; "))


def test_it_listens_on_loopback_alone(console: str) -> None:
    """No other address of this machine answers on the console's port."""
    port = int(console.rstrip("/").rpartition(":")[2])
    with socket.socket() as other, pytest.raises(OSError, match="refused"):
        other.connect(("127.0.0.2", port))


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "nowhere", 404), ("DELETE", "till", 405), ("GET", "till/send", 405)]
)
def test_what_the_console_does_not_have_is_told_in_one_line(console: str, method: str, path: str, status: int) -> None:
    """A path or method that does not exist is answered with one line that says what to open."""
    answer = requests.request(method, console + path, headers={"Origin": console.rstrip("/")}, timeout=60)
    assert (answer.status_code, len(answer.text.splitlines())) == (status, 1)
    assert f"open {console}" in answer.text


def test_a_form_that_is_too_large_is_refused(console: str) -> None:
    """A form beyond the limit is refused before it is read whole."""
    assert post(console, "till/own", {"text": "x" * (app.LONGEST_FORM + 1)}).status_code == 413


@pytest.mark.parametrize("referer", ["//evil.example/", "http://evil.example/till", "javascript:alert(1)"])
def test_no_answer_leads_elsewhere(console: str, referer: str) -> None:
    """An action without script leads back to a page of the console, whatever the referrer says."""
    answer = post(console, "frame/dismiss", {"token": ""}, Referer=referer)
    assert answer.headers["Location"] == "/frame"


# ---- the files -------------------------------------------------------------------------------------------------------


def test_htmx_is_the_file_that_npm_has() -> None:
    """The file of htmx is the pinned one, unchanged, and NOTICE names it."""
    import hashlib

    assert hashlib.sha256(htmx.FILE.read_bytes()).hexdigest() == htmx.SHA256
    assert htmx.PACKAGE.replace("@", " ") in (Path(__file__).parents[2] / "NOTICE").read_text(encoding="utf-8")


def test_no_file_of_the_console_names_another_host() -> None:
    """Templates, styles and scripts name no other host; htmx's own file names none that it loads from."""
    folder = app.STATIC.parent
    files = [*folder.glob("templates/*.html"), *folder.glob("static/*.css"), *folder.glob("static/*.js")]
    texts = {path.name: path.read_text(encoding="utf-8") for path in files if path != htmx.FILE}
    assert [name for name, text in texts.items() if re.search(r"(?:https?:)?//\w|@import|url\(", text)] == []


def test_no_template_has_inline_scripts_or_styles() -> None:
    """No template has an inline script, a style or a handler, which the policy would forbid."""
    for path in (app.STATIC.parent / "templates").glob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"<style|\sstyle=|\son\w+=|hx-on|javascript:|<script(?! src=)", text), path.name

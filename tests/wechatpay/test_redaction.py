"""Log lines of urllib3 during a call: without order numbers, openids and answers, and left alone otherwise."""

import logging
import time

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from sandbox.waiting import PATIENCE
from wechatpay.connections import Session
from wechatpay.hosts import Hosts
from wechatpay.redaction import redact
from wechatpay.transport import Reply, Route, exchange

from .wire import OK, Server, hang_up, say

OPENID = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"


def call(session: requests.Session, host: str) -> Reply:
    """Make a call that holds an openid in its query."""

    def prepare(host: str) -> requests.PreparedRequest:
        return requests.Request("POST", f"{host}/v3/payscore/serviceorder?openid={OPENID}").prepare()

    route = Route(
        session, Hosts(host, host), (host, host), (PATIENCE, PATIENCE), time.monotonic() + PATIENCE, time.time
    )
    return exchange(route, prepare, repeatable=False)


def test_a_retry_that_urllib3_logs_shows_no_query(main: Server, caplog: pytest.LogCaptureFixture) -> None:
    """The warning of urllib3 about a retry is log without the query."""
    main.script = [hang_up, OK]
    with requests.Session() as session, caplog.at_level(logging.DEBUG):
        session.mount("http://", HTTPAdapter(max_retries=Retry(2, backoff_factor=0, allowed_methods=None)))
        assert call(session, main.url).status == 200
    log = "\n".join(record.getMessage() for record in caplog.records)
    assert "Retrying (" in log
    assert '"POST /… HTTP/1.1" 200' in log
    assert OPENID not in log


def test_headers_that_cannot_be_parsed_are_not_log(main: Server, caplog: pytest.LogCaptureFixture) -> None:
    """The warning of urllib3 about such headers is log without URL, traceback and headers."""
    main.script = [say(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nno header SECRET\r\n\r\n")]
    with Session() as session, caplog.at_level(logging.DEBUG):
        assert session.get(f"{main.url}/v3/x?openid={OPENID}").status_code == 200
    log = "\n".join(logging.Formatter().format(record) for record in caplog.records)
    assert "Failed to parse headers" in log
    assert "SECRET" not in log
    assert OPENID not in log


def test_log_lines_of_other_users_of_urllib3_are_left_alone(main: Server, caplog: pytest.LogCaptureFixture) -> None:
    """A session outside of this library logs its URLs as before."""
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
    """A redacted line keeps host, method and status, and loses paths and queries."""
    assert redact(text) == expected

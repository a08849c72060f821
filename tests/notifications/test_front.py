"""What a front hands over: raw bytes in either encoding, header names in any case, one path, a bounded body."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications import front
from notifications.endings import Reason, Refused
from notifications.front import BODY_LIMIT, Request
from sandbox.notifications_front import event_of

NOW = 1_790_000_000.0
SIGNED = dict.fromkeys(front.SIGNED_BY, "x") | {"wechatpay-timestamp": str(int(NOW))}


def an_event(**changes: Any) -> dict[str, Any]:
    """Return an event of an HTTP API, as AWS documents it."""
    event = event_of("POST", "/1230000109", [("Wechatpay-Nonce", "n")], b'{"a":"\xe4\xba\xba"}', NOW)
    return event | changes


def a_function_url_event() -> dict[str, Any]:
    """Return an event of a Function URL: the body of a JSON request is text."""
    context = an_event()["requestContext"] | {"domainName": "x.lambda-url.us-east-1.on.aws", "routeKey": "$default"}
    event = an_event(body='{"a":"人"}', isBase64Encoded=False, requestContext=context, routeKey="$default")
    return {name: value for name, value in event.items() if name != "pathParameters"}


@pytest.mark.parametrize("event", [an_event(), a_function_url_event()], ids=["http-api", "function-url"])
def test_both_fronts_give_the_raw_bytes(event: dict[str, Any]) -> None:
    """The body's bytes are those that WeChat Pay signed, whether the front sends text or base64."""
    request = front.read(event)
    assert isinstance(request, Request)
    assert (request.mchid, request.body) == ("1230000109", '{"a":"人"}'.encode())
    assert (request.headers, request.arrived_at) == ({"wechatpay-nonce": "n"}, NOW)


@given(st.binary(max_size=200))
def test_any_bytes_pass_unchanged(body: bytes) -> None:
    """A body of any bytes is handed on as it came."""
    request = front.read(event_of("POST", "/1", [], body, NOW))
    assert isinstance(request, Request)
    assert request.body == body


def test_header_names_are_read_in_any_case() -> None:
    """An HTTP API lower-cases header names; a test event may not."""
    request = front.read(an_event(headers={"WECHATPAY-SERIAL": "s", "Other": None}))
    assert isinstance(request, Request)
    assert request.headers == {"wechatpay-serial": "s"}


def _http(method: str) -> dict[str, Any]:
    return {"requestContext": {"http": {"method": method}}}


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (None, Reason.UNREADABLE_REQUEST),
        ([], Reason.UNREADABLE_REQUEST),
        ({}, Reason.UNREADABLE_REQUEST),
        ({"Records": []}, Reason.UNREADABLE_REQUEST),
        (an_event(requestContext=None), Reason.UNREADABLE_REQUEST),
        (an_event(requestContext={"http": "POST"}), Reason.UNREADABLE_REQUEST),
        (an_event(rawPath="/"), Reason.WRONG_PATH),
        (an_event(rawPath="/1230000109/"), Reason.WRONG_PATH),
        (an_event(rawPath="/../wechatpay"), Reason.WRONG_PATH),
        (an_event(rawPath=f"/{'1' * 33}"), Reason.WRONG_PATH),
        (an_event(rawPath="/１２３"), Reason.WRONG_PATH),
        (an_event(rawPath=7), Reason.WRONG_PATH),
        (an_event(**_http("GET")), Reason.WRONG_METHOD),
        (an_event(body="*", isBase64Encoded=True), Reason.UNREADABLE_REQUEST),
        (an_event(body="\ud800", isBase64Encoded=False), Reason.UNREADABLE_REQUEST),
        (an_event(body="a" * (BODY_LIMIT + 1), isBase64Encoded=False), Reason.BODY_TOO_LARGE),
        (an_event(body="人" * (BODY_LIMIT // 2), isBase64Encoded=False), Reason.BODY_TOO_LARGE),
        (an_event(body=base64.b64encode(bytes(BODY_LIMIT + 1)).decode()), Reason.BODY_TOO_LARGE),
        (an_event(body="A" * 6_000_000), Reason.BODY_TOO_LARGE),
    ],
)
def test_what_is_no_notification_is_refused_by_a_word(event: object, reason: Reason) -> None:
    """Events of other services, other paths and methods, unreadable and large bodies are refused before any key."""
    request = front.read(event)
    assert isinstance(request, Refused)
    assert request.reason is reason


def test_the_largest_body_is_read() -> None:
    """A body of the limit is read in both encodings."""
    for event in (
        an_event(body="a" * BODY_LIMIT, isBase64Encoded=False),
        an_event(body=base64.b64encode(b"a" * BODY_LIMIT).decode()),
    ):
        assert isinstance(front.read(event), Request)


def _request(body: bytes = b"{}", **headers: str | None) -> Request:
    values = SIGNED | {name.replace("_", "-"): value for name, value in headers.items()}
    return Request("1", {name: value for name, value in values.items() if value is not None}, body)


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (_request(), None),
        (_request(wechatpay_serial=None), Reason.UNSIGNED),
        (_request(wechatpay_signature=None), Reason.UNSIGNED),
        (_request(b""), Reason.UNSIGNED),
        (_request(wechatpay_timestamp="yesterday"), Reason.UNSIGNED),
        (_request(wechatpay_timestamp="1" * 5000), Reason.UNSIGNED),
        (_request(wechatpay_timestamp=str(int(NOW) - 300)), None),
        (_request(wechatpay_timestamp=str(int(NOW) - 302)), Reason.STALE),
        (_request(wechatpay_timestamp=str(int(NOW) + 302)), Reason.STALE),
    ],
)
def test_what_cannot_verify_is_refused_before_a_key_is_fetched(request_: Request, reason: Reason | None) -> None:
    """A request without a signature, or signed more than five minutes ago, needs no key to be refused."""
    assert front.objection(request_, NOW) is reason


@pytest.mark.parametrize("value", [None, "1790000000000", 0, -1, 10**20, 1.5])
def test_a_front_without_a_clock_says_nothing(value: object) -> None:
    """The time of receipt is known only if the front gives milliseconds."""
    context = an_event()["requestContext"] | {"timeEpoch": value}
    request = front.read(an_event(requestContext=context))
    assert isinstance(request, Request)
    assert request.arrived_at is None

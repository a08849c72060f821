"""Requests are routed by the registry of endpoints: a function that is entered is all that a new endpoint needs."""

import json
from pathlib import Path

import pytest

from sandbox.wechat_pay import Simulator, routes
from sandbox.wechat_pay.endpoints import ROOMS
from sandbox.wechat_pay.exchange import Exchange, Executed
from sandbox.wechat_pay.message import ok
from sandbox.wechat_pay.routes import ROUTES, Operation, operation
from sandbox.wechat_pay.service import SimulatedService
from tests.sandbox.signed import signed_request


@pytest.fixture
def service(key_ring: Path) -> SimulatedService:
    """WeChat Pay without a network."""
    return SimulatedService(keys=key_ring)


def status_and_code(service: SimulatedService, method: str, target: str, body: bytes = b"") -> tuple[int, str]:
    """Ask once, and return status and code of the answer."""
    reply = service.answer(signed_request(service, method, target, body)).reply
    return reply.status, json.loads(reply.body).get("code", "")


def test_every_endpoint_is_a_function_of_a_room() -> None:
    """The endpoints are functions of the rooms; an operation has the name of its function."""
    names = {(room.__name__, name) for room in ROOMS for name in vars(room)}
    assert len({(route.method, route.template) for route in ROUTES}) == len(ROUTES)
    for route in ROUTES:
        module = getattr(route.execute, "__module__", "")
        assert (module, getattr(route.execute, "__name__", "")) in names
        assert route.name == getattr(route.execute, "__name__", "").strip("_")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("template", sorted({route.template for route in ROUTES}))
def test_a_known_path_under_another_method_is_405(service: SimulatedService, method: str, template: str) -> None:
    """A path that WeChat Pay has is refused with 405 under another method."""
    assert status_and_code(service, method, template.replace("{", "").replace("}", "")) == (405, "METHOD_NOT_ALLOWED")


@pytest.mark.parametrize(
    "target", ["/", "/v3/payscore", "/v3/payscore/serviceorder/S1/sync/x", "/v3/serviceorder//sync"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_an_unknown_path_is_404(service: SimulatedService, method: str, target: str) -> None:
    """A path that WeChat Pay does not have is refused with 404, under every method."""
    assert status_and_code(service, method, target) == (404, "RESOURCE_NOT_EXISTS")


def test_a_function_that_is_entered_is_an_endpoint(service: SimulatedService, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new endpoint gets its path's values, decoded, and its parameters; a fault strikes it by its name."""
    monkeypatch.setattr(routes, "ROUTES", list(ROUTES))

    @operation("POST", "/v3/payscore/greetings/{person}/say")
    def greet(exchange: Exchange) -> Executed:
        return Executed(ok({"words": f"{exchange.parameters['words']}, {exchange.path['person']}"}))

    target, body = "/v3/payscore/greetings/A%7CB/say", b'{"words":"Hello"}'
    reply = service.answer(signed_request(service, "POST", target, body)).reply
    assert json.loads(reply.body) == {"words": "Hello, A|B"}
    service.misbehave("system_error", operation="greet")
    assert status_and_code(service, "POST", target, body) == (500, "SYSTEM_ERROR")
    assert [call.operation for call in service.calls] == ["greet", "greet"]


def test_a_path_with_a_placeholder_gives_way_to_one_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """A literal path is chosen before a template that fits as well."""
    monkeypatch.setattr(routes, "ROUTES", [])

    @operation("GET", "/v3/things/{thing}")
    def one(exchange: Exchange) -> Executed:
        return Executed(ok({}))

    @operation("GET", "/v3/things/search")
    def search(exchange: Exchange) -> Executed:
        return Executed(ok({}))

    wechat_pay = SimulatedService()
    for target, name in (("/v3/things/search", "search"), ("/v3/things/7", "one")):
        assert routes.read_operation(signed_request(wechat_pay, "GET", target)).name == name


def test_a_path_is_entered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second function under the same method and path is refused."""
    monkeypatch.setattr(routes, "ROUTES", list(ROUTES))
    with pytest.raises(ValueError, match="GET /v3/certificates is entered twice"):
        operation("GET", "/v3/certificates")(lambda exchange: Executed(ok({})))


def test_a_request_without_an_endpoint_is_no_operation(wechat_pay: Simulator) -> None:
    """A call to an unknown path is recorded without an operation's name."""
    wechat_pay.answer(signed_request(wechat_pay, "GET", "/v3/unknown"))
    assert [(call.operation, call.status) for call in wechat_pay.calls] == [("", 404)]
    assert (Operation().name, Operation().endpoint) == ("", "")


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("body", [b"{}", b"no JSON"])
def test_refusals_are_signed_where_the_switch_says_so(key_ring: Path, signed: bool, body: bytes) -> None:
    """The switch `signed_refusals` has WeChat Pay's own refusals signed with the key that was asked for."""
    service = SimulatedService(keys=key_ring)
    service.switches = type(service.switches)(signed_refusals=signed)
    target = "/v3/payscore/serviceorder/S1/sync"
    headers = [service.answer(signed_request(service, "POST", target, body)).reply.headers]
    service.misbehave("system_error")
    headers.append(service.answer(signed_request(service, "POST", target, body)).reply.headers)
    serials = [one.get("Wechatpay-Serial") for one in headers]
    assert serials == [service.platform.public_key_id if signed else None] * 2
    service.behave()
    service.misbehave("unsigned_error")
    reply = service.answer(signed_request(service, "POST", target, b"{}")).reply
    assert "Wechatpay-Serial" not in reply.headers

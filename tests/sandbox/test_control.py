"""The control port answers while the hosts refuse connections."""

from typing import Any

import pytest
import requests

from sandbox.wechat_pay import Simulator


def do(wechat_pay: Simulator, verb: str, **arguments: Any) -> requests.Response:
    """Send a verb as a till in another process does."""
    return requests.post(f"{wechat_pay.control_url}/__sandbox__/{verb}", json=arguments, timeout=60)


def look(wechat_pay: Simulator, view: str) -> Any:
    """Return a view."""
    return requests.get(f"{wechat_pay.control_url}/__sandbox__/{view}", timeout=60).json()


@pytest.mark.parametrize("host", ["both", "main", "backup"])
def test_an_outage_that_began_by_http_ends_by_http(wechat_pay: Simulator, host: str) -> None:
    """While hosts refuse connections the control port answers, and `behave` opens them on the same ports."""
    urls = {"main": wechat_pay.base_url, "backup": wechat_pay.backup_url}
    assert do(wechat_pay, "misbehave", name="connection_refused", host=host).status_code == 200
    for name, url in urls.items():
        if host in {name, "both"}:
            with pytest.raises(requests.ConnectionError):
                requests.get(url, timeout=60)
        else:
            assert requests.get(url, timeout=60).status_code == 404
    assert do(wechat_pay, "ready_to_sync", mchid="1230000109", out_order_no="S1").status_code == 200
    assert requests.get(f"{wechat_pay.control_url}/__sandbox__/ledger", timeout=60).json()[0]["out_order_no"] == "S1"
    assert do(wechat_pay, "behave").status_code == 200
    for url in urls.values():
        assert requests.get(url, timeout=60).status_code == 404


@pytest.mark.parametrize("more", [{"times": 1}, {"operation": "sync"}, {"out_order_no": "S1"}])
def test_what_an_outage_cannot_have_is_refused(wechat_pay: Simulator, more: dict[str, Any]) -> None:
    """An outage strikes a host and not a call, so options of a call are refused and the hosts stay open."""
    answer = do(wechat_pay, "misbehave", name="connection_refused", **more)
    assert answer.status_code == 400
    assert "end it by behave" in answer.json()["error"]
    assert requests.get(wechat_pay.base_url, timeout=60).status_code == 404


def test_users_and_wechat_pay_step_by_http(wechat_pay: Simulator) -> None:
    """A user opens and closes the service, and an order's answers are filled: each step answers with its facts."""
    mchid = "1230000109"
    opened = do(wechat_pay, "open_service", mchid=mchid, openid="user-1").json()
    closed = do(wechat_pay, "close_service", mchid=mchid, openid="user-1").json()
    assert (opened["openid"], opened["state"], closed["state"]) == ("user-1", "AVAILABLE", "UNAVAILABLE")
    assert do(wechat_pay, "ready_to_sync", mchid=mchid, out_order_no="S1").status_code == 200
    assert do(wechat_pay, "fill", mchid=mchid, out_order_no="S1").json()["out_order_no"] == "S1"


@pytest.mark.parametrize(
    ("verb", "arguments", "words"),
    [
        ("open_service", {"authorization_code": "A1"}, "has not applied for A1"),
        ("close_service", {"openid": "user-9"}, "has no such permission"),
        ("finish_refund", {"out_refund_no": "R1"}, "退款单不存在"),
        ("finish_refund", {}, "out_refund_no"),
        ("fill", {"out_order_no": "S9"}, "has no order"),
    ],
)
def test_a_step_that_cannot_be_is_refused_with_the_reason(
    wechat_pay: Simulator, verb: str, arguments: dict[str, str], words: str
) -> None:
    """What does not exist cannot change; the answer says what is missing."""
    answer = do(wechat_pay, verb, mchid="1230000109", **arguments)
    assert (answer.status_code, words in answer.json()["error"]) == (400, True), answer.text


def test_the_control_port_is_no_host_of_wechat_pay(wechat_pay: Simulator) -> None:
    """The control port answers a path of WeChat Pay with 404 and the paths that it has."""
    answer = requests.get(f"{wechat_pay.control_url}/v3/payscore/serviceorder", timeout=60)
    assert answer.status_code == 404
    assert "/__sandbox__/calls" in answer.json()["error"]
    assert requests.put(f"{wechat_pay.control_url}/__sandbox__/behave", json={}, timeout=60).status_code == 404
    assert wechat_pay.calls == []

"""The simulator follows WeChat Pay's official rules. Requests are signed here by hand, not by our library."""

import base64
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sandbox.waiting import PATIENCE
from sandbox.wechat_pay import FAULTS, SimulatedRefusal, Simulator, examples
from sandbox.wechat_pay.keys import sign

MCHID = "1230000109"
BASE = "/v3/payscore/serviceorder"
WHO = {"appid": "wxd678efh567hg6787", "service_id": "500001"}
LONG_AGO = 1_764_547_200.0
PAID = {**WHO, "type": "Order_Paid", "detail": {"paid_time": "20260101120000"}}
SCHEME = "WECHATPAY2-SHA256-RSA2048"


class SigningMerchant:
    """A merchant that signs by hand, and can do it wrong."""

    def __init__(self, wechat_pay: Simulator) -> None:
        self.wechat_pay = wechat_pay
        self.merchant = wechat_pay.merchant(MCHID)

    def headers(self, method: str, target: str, body: bytes, **wrong: Any) -> dict[str, str]:
        """The headers of a signed request; `wrong` replaces parts of the authorization."""
        fields = {
            "mchid": MCHID,
            "nonce_str": "593BEC0C930BF1AFEB40B4A08C8FB242",
            "timestamp": str(int(time.time())),
            "serial_no": self.merchant.serial_no,
        } | wrong
        message = f"{method}\n{target}\n{fields['timestamp']}\n{fields['nonce_str']}\n".encode() + body + b"\n"
        fields.setdefault("signature", sign(self.merchant.key, message))
        value = ",".join(f'{name}="{text}"' for name, text in fields.items())
        return {
            "Authorization": f"{SCHEME} {value}",
            "Accept": "application/json",
            "User-Agent": "till/1",
            "Content-Type": "application/json",
            "Wechatpay-Serial": self.wechat_pay.platform.public_key_id,
        }

    def call(self, method: str, target: str, body: Any = None, **wrong: Any) -> requests.Response:
        """One signed call."""
        content = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
        return self.send(method, target, content, **wrong)

    def send(self, method: str, target: str, content: bytes, **wrong: Any) -> requests.Response:
        """One signed call with exactly this body."""
        headers = self.headers(method, target, content, **wrong)
        return requests.request(
            method, self.wechat_pay.base_url + target, data=content, headers=headers, timeout=PATIENCE
        )


@pytest.fixture
def caller(wechat_pay: Simulator) -> SigningMerchant:
    """The merchant."""
    return SigningMerchant(wechat_pay)


def refusal_of(response: requests.Response) -> tuple[int, str, str]:
    """Status, code and message of a refusal."""
    words = response.json()
    return response.status_code, words["code"], words["message"]


def test_an_order_passes_every_step_by_signed_calls(caller: SigningMerchant, wechat_pay: Simulator) -> None:
    """An order is created, confirmed, completed and synced by signed calls at the official paths."""
    created = caller.call("POST", BASE, examples.create("S1", service_introduction="充电宝")).json()
    assert (created["state"], created["service_introduction"]) == ("CREATED", "充电宝")
    wechat_pay.confirm(MCHID, "S1")
    completed = caller.call("POST", f"{BASE}/S1/complete", examples.complete(3900, time.time())).json()
    assert (completed["state_description"], completed["collection"]["state"]) == ("MCH_COMPLETE", "USER_PAYING")
    now = time.strftime("%Y%m%d%H%M%S", time.gmtime(time.time() + 8 * 3600 + 1))
    synced = caller.call("POST", f"{BASE}/S1/sync", {**PAID, "detail": {"paid_time": now}}).json()
    assert synced["state"] == "DONE"
    assert synced["collection"]["details"] == [{"seq": 1, "amount": 3900, "paid_type": "MCH", "paid_time": now}]
    assert "state_description" not in synced
    assert caller.call("GET", f"{BASE}?service_id=500001&appid={WHO['appid']}&out_order_no=S1").json() == synced


def test_answers_are_signed_with_the_key_that_was_asked_for(caller: SigningMerchant, wechat_pay: Simulator) -> None:
    """An answer is signed, with the key that `Wechatpay-Serial` asks for, over timestamp, nonce and body."""
    wechat_pay.ready_to_sync(MCHID, "S1", at=LONG_AGO)
    answer = caller.call("POST", f"{BASE}/S1/sync", PAID)
    assert answer.headers["Wechatpay-Serial"] == wechat_pay.platform.public_key_id
    message = f"{answer.headers['Wechatpay-Timestamp']}\n{answer.headers['Wechatpay-Nonce']}\n".encode()
    key = wechat_pay._ring.key("platform").public_key()
    signature = base64.b64decode(answer.headers["Wechatpay-Signature"])
    key.verify(signature, message + answer.content + b"\n", padding.PKCS1v15(), hashes.SHA256())
    assert answer.headers["Request-ID"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"timestamp": "1000000000"}, "HTTP头Authorization中的timestamp与发起请求的时间不得超过5分钟"),
        ({"timestamp": "now"}, "HTTP头Authorization值格式错误"),
        ({"mchid": "4711"}, "商户号不存在"),
        ({"serial_no": "F" * 40}, "商户证书序列号有误。"),
        ({"signature": base64.b64encode(b"x" * 256).decode()}, "错误的签名，导致验签失败。"),
        ({"signature": "nonsense"}, "错误的签名，导致验签失败。"),
        ({"extra": "field"}, "HTTP头Authorization值格式错误"),
    ],
)
def test_a_wrong_authorization_is_a_sign_error(caller: SigningMerchant, wrong: dict[str, str], message: str) -> None:
    """A wrong authorization is refused as SIGN_ERROR with the official message; the timestamp is checked first."""
    assert refusal_of(caller.call("GET", f"{BASE}?x=1", **wrong)) == (401, "SIGN_ERROR", message)


@pytest.mark.parametrize("change", ["method", "path", "query", "body"])
def test_a_signature_covers_what_is_on_the_wire(caller: SigningMerchant, wechat_pay: Simulator, change: str) -> None:
    """A signature for one request is refused for another method, path, query or body."""
    body = json.dumps(PAID).encode()
    headers = caller.headers("POST", f"{BASE}/S1/sync", body)
    method, target = ("PUT" if change == "method" else "POST"), f"{BASE}/{'S2' if change == 'path' else 'S1'}/sync"
    target += "?x=1" if change == "query" else ""
    sent = body + b" " if change == "body" else body
    answer = requests.request(method, wechat_pay.base_url + target, data=sent, headers=headers, timeout=PATIENCE)
    assert answer.status_code == (405 if change == "method" else 401)


@pytest.mark.parametrize(
    ("header", "value"), [("Accept", "text/html"), ("User-Agent", ""), ("Content-Type", "text/plain")]
)
def test_a_request_without_the_official_headers_is_refused(
    caller: SigningMerchant, wechat_pay: Simulator, header: str, value: str
) -> None:
    """A request without the official headers is refused as INVALID_REQUEST."""
    body = json.dumps(PAID).encode()
    headers = caller.headers("POST", f"{BASE}/S1/sync", body) | {header: value}
    answer = requests.post(f"{wechat_pay.base_url}{BASE}/S1/sync", data=body, headers=headers, timeout=PATIENCE)
    assert refusal_of(answer)[:2] == (400, "INVALID_REQUEST")


@pytest.mark.parametrize(
    ("before", "code", "message"),
    [
        (lambda w: None, "ORDER_NOT_EXIST", "订单不存在"),
        (lambda w: w.open(MCHID, "S1"), "INVALID_ORDER_STATE", "单据状态错误"),
        (lambda w: (w.open(MCHID, "S1"), w.confirm(MCHID, "S1")), "INVALID_ORDER_STATE", "单据状态错误"),
        (lambda w: (w.ready_to_sync(MCHID, "S1"), w.deduct(MCHID, "S1")), "ORDER_DONE", "订单已完成"),
        (lambda w: (w.ready_to_sync(MCHID, "S1"), w.cancel(MCHID, "S1")), "ORDER_CANCELED", "单据已取消"),
        (lambda w: (w.open(MCHID, "S1"), w.expire(MCHID, "S1")), "INVALID_ORDER_STATE", "单据状态错误"),
        (
            lambda w: (w.ready_to_sync(MCHID, "S1"), w.deducting(MCHID, "S1")),
            "INVALID_REQUEST",
            "单据正在扣款中，请稍后再试",
        ),
        (lambda w: w.ready_to_sync(MCHID, "S1", appid="wx-other"), "NO_AUTH", "商户信息不合法"),
    ],
)
def test_a_sync_is_refused_as_the_orders_state_demands(
    caller: SigningMerchant, wechat_pay: Simulator, before: Callable[[Simulator], object], code: str, message: str
) -> None:
    """A sync is refused with the official code and message of the order's state, unsigned."""
    before(wechat_pay)
    answer = caller.call("POST", f"{BASE}/S1/sync", PAID)
    assert refusal_of(answer)[1:] == (code, message)
    assert "Wechatpay-Signature" not in answer.headers


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"type": "Order_Refunded"}, "/type"),
        ({"detail": {}}, "/detail/paid_time"),
        ({"detail": {"paid_time": "2026-01-01"}}, "/detail/paid_time"),
        ({"detail": {"paid_time": "20260230000000"}}, "/detail/paid_time"),
        ({"detail": {"paid_time": "20200101000000"}}, "/detail/paid_time"),
        ({"detail": {"paid_time": "21260101000000"}}, "/detail/paid_time"),
        ({"appid": ""}, "/appid"),
        ({"service_id": 7}, "/service_id"),
    ],
)
def test_a_wrong_parameter_is_named(
    caller: SigningMerchant, wechat_pay: Simulator, changes: dict[str, Any], field: str
) -> None:
    """A wrong parameter is refused as PARAM_ERROR that names it; paid_time is after completion, not in the future."""
    wechat_pay.ready_to_sync(MCHID, "S1", at=LONG_AGO)
    answer = caller.call("POST", f"{BASE}/S1/sync", {**PAID, **changes})
    assert refusal_of(answer)[:2] == (400, "PARAM_ERROR")
    assert answer.json()["detail"]["field"] == field


def test_null_is_refused(caller: SigningMerchant, wechat_pay: Simulator) -> None:
    """A null anywhere in a body is refused (doc 4012081709)."""
    wechat_pay.ready_to_sync(MCHID, "S1", at=LONG_AGO)
    assert refusal_of(caller.call("POST", f"{BASE}/S1/sync", {**PAID, "attach": None}))[:2] == (400, "INVALID_REQUEST")


def test_states_follow_the_official_machine(wechat_pay: Simulator) -> None:
    """A step that the order's state does not allow is refused, in Python as over HTTP."""
    wechat_pay.open(MCHID, "S1")
    for step in (wechat_pay.complete, wechat_pay.deduct):
        with pytest.raises(SimulatedRefusal, match="INVALID_ORDER_STATE"):
            step(MCHID, "S1")
    wechat_pay.confirm(MCHID, "S1")
    assert wechat_pay.complete(MCHID, "S1", total_amount=0).state == "DONE"
    with pytest.raises(SimulatedRefusal, match="ORDER_DONE"):
        wechat_pay.cancel(MCHID, "S1")
    assert "collection" not in wechat_pay.order(MCHID, "S1").answer()


def test_money_that_wechat_pay_collects_has_a_transaction_id(wechat_pay: Simulator) -> None:
    """Money that WeChat Pay collects is NEWTON, with the transaction id that a refund needs."""
    wechat_pay.ready_to_sync(MCHID, "S1", total_amount=4200)
    detail = wechat_pay.deduct(MCHID, "S1").answer()["collection"]["details"][0]
    assert (detail["paid_type"], detail["amount"], len(detail["transaction_id"])) == ("NEWTON", 4200, 24)


def test_a_till_in_another_process_gives_the_same_commands(wechat_pay: Simulator) -> None:
    """A till in another process uses the same verbs and views below /__sandbox__/."""

    def do(verb: str, **arguments: Any) -> Any:
        return requests.post(f"{wechat_pay.base_url}/__sandbox__/{verb}", json=arguments, timeout=PATIENCE).json()

    assert do("ready_to_sync", mchid=MCHID, out_order_no="S1")["collection_state"] == "USER_PAYING"
    assert do("deduct", mchid=MCHID, out_order_no="S1")["paid_type"] == "NEWTON"
    assert "ORDER_DONE" in do("cancel", mchid=MCHID, out_order_no="S1")["error"]
    assert "no fault is named" in do("misbehave", name="sulk")["error"]
    assert "there is no" in do("merchant")["error"]
    assert do("behave") == {}
    look = f"{wechat_pay.base_url}/__sandbox__/"
    assert requests.get(look + "ledger", timeout=PATIENCE).json()[0]["out_order_no"] == "S1"
    assert requests.get(look + "calls", timeout=PATIENCE).json() == []
    assert requests.get(look + f"secret?mchid={MCHID}", timeout=PATIENCE).json() == wechat_pay.merchant(MCHID).secret()


def test_a_host_that_refuses_connections_comes_back_on_its_port(caller: SigningMerchant, wechat_pay: Simulator) -> None:
    """A host that refuses connections returns on its port; meanwhile the other host answers."""
    address = wechat_pay.base_url
    wechat_pay.misbehave("connection_refused", host="main")
    with pytest.raises(requests.ConnectionError):
        requests.get(address, timeout=PATIENCE)
    assert requests.get(wechat_pay.backup_url, timeout=PATIENCE).status_code == 404
    wechat_pay.behave()
    assert wechat_pay.base_url == address
    assert requests.get(address, timeout=PATIENCE).status_code == 404


def test_a_fault_strikes_the_calls_that_it_was_set_for(caller: SigningMerchant, wechat_pay: Simulator) -> None:
    """A fault strikes the number of calls, the operation and the order that it was set for."""
    for number in ("S1", "S2"):
        wechat_pay.ready_to_sync(MCHID, number, at=LONG_AGO)
    wechat_pay.misbehave("system_error", times=1, operation="sync", out_order_no="S2")
    codes = [caller.call("POST", f"{BASE}/{number}/sync", PAID).status_code for number in ("S1", "S2", "S2")]
    assert codes == [200, 500, 200]


def test_an_unknown_fault_is_refused_with_all_names() -> None:
    """An unknown fault raises ValueError that lists all names."""
    with pytest.raises(ValueError, match="no fault is named 'sulk'") as caught:
        Simulator().misbehave("sulk")
    assert [name for name in FAULTS if name not in str(caught.value)] == []


def test_keys_survive_a_restart(tmp_path: Path) -> None:
    """Keys in a folder are the same after a restart, and readable by their owner alone."""
    first, second = Simulator(keys=tmp_path), Simulator(keys=tmp_path)
    assert first.merchant(MCHID).secret() == second.merchant(MCHID).secret()
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.glob("*.pem"))


def test_a_rotated_key_replaces_the_old_one(caller: SigningMerchant, wechat_pay: Simulator) -> None:
    """After a rotation the old key's serial is refused."""
    old = {"serial_no": caller.merchant.serial_no}
    caller.merchant.rotate_key()
    assert refusal_of(caller.call("GET", f"{BASE}?x=1", **old))[2] == "商户证书序列号有误。"


def test_a_notification_is_signed_and_encrypted(wechat_pay: Simulator) -> None:
    """A notification is signed, and encrypted with AES-256-GCM under the merchant's APIv3 key."""
    wechat_pay.ready_to_sync(MCHID, "S1")
    wechat_pay.deduct(MCHID, "S1")
    headers, body = wechat_pay.notification(MCHID, "S1")
    resource = json.loads(body)["resource"]
    sealed = base64.b64decode(resource["ciphertext"])
    key = wechat_pay.merchant(MCHID).apiv3_key.encode()
    plain = AESGCM(key).decrypt(resource["nonce"].encode(), sealed, resource["associated_data"].encode())
    assert json.loads(plain) == wechat_pay.order(MCHID, "S1").answer()
    assert headers["Wechatpay-Serial"] == wechat_pay.platform.public_key_id


def test_an_order_is_a_value(wechat_pay: Simulator) -> None:
    """An order that was returned does not change when the simulator's order does."""
    before = wechat_pay.ready_to_sync(MCHID, "S1")
    wechat_pay.deduct(MCHID, "S1")
    assert before == replace(before)
    assert before.state == "DOING"

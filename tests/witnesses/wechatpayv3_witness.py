"""Runs in a throw-away environment with wechatpayv3: reads a task on stdin, prints one JSON line a check."""
# The peer is not installed where mypy runs.
# mypy: ignore-errors

import json
import sys
from base64 import b64decode

import requests
from wechatpayv3 import WeChatPay, WeChatPayType
from wechatpayv3.utils import load_private_key, rsa_sign

TASK = json.load(sys.stdin)


def check(what: str, passed: object, detail: object = "") -> None:
    """Print one finding."""
    print(json.dumps({"what": what, "passed": bool(passed), "detail": str(detail)[:200]}), flush=True)


def client(mode: str) -> WeChatPay:
    """Their client; its host is written into it, so requests are led elsewhere beneath it."""
    secret = TASK["secret"]
    keys = {}
    if mode == "public key":
        ((keys["public_key_id"], keys["public_key"]),) = secret["platform_keys"].items()
    return WeChatPay(
        wechatpay_type=WeChatPayType.NATIVE,
        mchid=secret["mchid"],
        private_key=secret["private_key"],
        cert_serial_no=secret["serial_no"],
        appid=TASK["appid"],
        apiv3_key=secret["apiv3_key"],
        **keys,
    )


class Detour(requests.adapters.HTTPAdapter):
    """Sends what is meant for WeChat Pay to the simulator."""

    def send(self, request: requests.PreparedRequest, **options: object) -> requests.Response:
        """Change the host, nothing else."""
        request.url = request.url.replace("https://api.mch.weixin.qq.com", TASK["base_url"])
        return super().send(request, **options)


def session() -> requests.Session:
    """Every session of requests takes the detour."""
    made = original()
    made.mount("https://", Detour())
    made.trust_env = False
    return made


original = requests.sessions.Session
requests.sessions.Session = session

for mode in ("public key", "platform certificate"):
    peer = client(mode)
    status, text = peer.payscore_query(service_id=TASK["service_id"], out_order_no=TASK["waiting"])
    check(f"query, {mode}", status == 200 and json.loads(text)["state"] == "DOING", text)
status, text = peer.payscore_sync(TASK["waiting"], TASK["service_id"], detail={"paid_time": TASK["paid_time"]})
check("sync", status == 200 and json.loads(text)["state"] == "DONE", text)

order = json.dumps({"name": "tampered_body", "times": 1}).encode()
requests.post(f"{TASK['base_url']}/__sandbox__/misbehave", order, timeout=5)
try:
    peer.payscore_query(service_id=TASK["service_id"], out_order_no=TASK["waiting"])
except Exception as error:  # noqa: BLE001  it raises nothing more exact
    check("a tampered answer is refused", "verify" in str(error), error)
else:
    check("a tampered answer is refused", False, "it was accepted")

opened = client("public key").callback(TASK["notification"]["headers"], TASK["notification"]["body"])
check("a notification opens", opened and opened["resource"]["out_order_no"] == TASK["waiting"], opened)

for ours in TASK["requests"]:
    message = "\n".join(
        [ours["method"], ours["target"], ours["timestamp"], ours["nonce"], b64decode(ours["body"]).decode()]
    )
    signed = rsa_sign(load_private_key(TASK["secret"]["private_key"]), message + "\n")
    check(f"our signature is theirs: {ours['what']}", signed == ours["signature"])

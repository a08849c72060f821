"""Runs in a throw-away environment with wechatpayv3: reads a task on stdin, prints one JSON line a check."""
# The peer is not installed where mypy runs.
# mypy: ignore-errors

import json
import os
import sys
from base64 import b64decode

from wechatpayv3 import WeChatPay, WeChatPayType
from wechatpayv3.core import Core
from wechatpayv3.utils import load_public_key, rsa_verify

TASK = json.load(sys.stdin)
os.environ["no_proxy"] = "127.0.0.1"
# `Core.__init__` sets its https host and downloads certificates from it at once; a property outlives that assignment.
Core._gate_way = property(lambda _: TASK["base_url"], lambda *_: None)


def check(what: str, passed: object, detail: object = "") -> None:
    """Print one finding."""
    print(json.dumps({"what": what, "passed": bool(passed), "detail": str(detail)[:200]}), flush=True)


def client(mode: str, platform_keys: dict[str, str]) -> WeChatPay:
    """Their client; without a public key it downloads the certificates itself."""
    secret, keys = TASK["secret"], {}
    if mode == "public key":
        ((keys["public_key_id"], keys["public_key"]),) = platform_keys.items()
    return WeChatPay(
        wechatpay_type=WeChatPayType.NATIVE,
        mchid=secret["mchid"],
        private_key=secret["private_key"],
        cert_serial_no=secret["serial_no"],
        appid=TASK["appid"],
        apiv3_key=secret["apiv3_key"],
        **keys,
    )


def refusal(peer: WeChatPay, number: str) -> str:
    """Why they refuse the answer about this order."""
    try:
        peer.payscore_query(service_id=TASK["service_id"], out_order_no=number)
    except Exception as error:  # noqa: BLE001  it raises nothing more exact
        return str(error)
    return "it was accepted"


for mode, given in TASK["modes"].items():
    peer, number = client(mode, given["platform_keys"]), given["waiting"]
    status, text = peer.payscore_query(service_id=TASK["service_id"], out_order_no=number)
    check(f"query, {mode}", status == 200 and json.loads(text)["state"] == "DOING", text)
    status, text = peer.payscore_sync(number, TASK["service_id"], detail={"paid_time": TASK["paid_time"]})
    check(f"sync, {mode}", status == 200 and json.loads(text)["state"] == "DONE", text)
    reason = refusal(peer, given["tampered"])
    check(f"a tampered answer is refused, {mode}", reason == "failed to verify the signature", reason)
    opened = peer.callback(given["notification"]["headers"], given["notification"]["body"])
    check(f"a notification opens, {mode}", opened and opened["resource"]["out_order_no"] == number, opened)

key = load_public_key(TASK["merchant_public_key"])
for ours in TASK["requests"]:
    # theirs is written for answers, three lines; a request's first three go in as the first of them
    start, body = "\n".join([ours["method"], ours["target"], ours["timestamp"]]), b64decode(ours["body"]).decode()
    accepted = rsa_verify(start, ours["nonce"], body, ours["signature"], key)
    changed = rsa_verify(start, ours["nonce"], body + " ", ours["signature"], key)
    check(f"our request is accepted, changed it is not: {ours['what']}", accepted and not changed, (accepted, changed))

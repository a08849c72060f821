"""Checks with wechatpayv3: reads a task on stdin, prints one line of JSON for each check."""
# The client is not installed where mypy runs.
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
# `Core.__init__` assigns its https host and downloads certificates from it at once; a property ignores that assignment.
Core._gate_way = property(lambda _: TASK["base_url"], lambda *_: None)


def check(what: str, passed: object, detail: object = "") -> None:
    """Print one check."""
    print(json.dumps({"what": what, "passed": bool(passed), "detail": str(detail)[:200]}), flush=True)


def client(mode: str, platform_keys: dict[str, str]) -> WeChatPay:
    """Return their client; without a public key it downloads the certificates itself."""
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


def refusal(wechat_pay: WeChatPay, number: str) -> str:
    """Return why their client refuses the answer about this order."""
    try:
        wechat_pay.payscore_query(service_id=TASK["service_id"], out_order_no=number)
    except Exception as error:  # noqa: BLE001  it raises no narrower class
        return str(error)
    return "it was accepted"


for mode, orders in TASK["modes"].items():
    wechat_pay, number = client(mode, orders["platform_keys"]), orders["waiting"]
    status, text = wechat_pay.payscore_query(service_id=TASK["service_id"], out_order_no=number)
    check(f"query, {mode}", status == 200 and json.loads(text)["state"] == "DOING", text)
    status, text = wechat_pay.payscore_sync(number, TASK["service_id"], detail={"paid_time": TASK["paid_time"]})
    check(f"sync, {mode}", status == 200 and json.loads(text)["state"] == "DONE", text)
    reason = refusal(wechat_pay, orders["tampered"])
    check(f"a tampered answer is refused, {mode}", reason == "failed to verify the signature", reason)
    opened = wechat_pay.callback(orders["notification"]["headers"], orders["notification"]["body"])
    check(f"a notification opens, {mode}", opened and opened["resource"]["out_order_no"] == number, opened)

key = load_public_key(TASK["merchant_public_key"])
for request in TASK["requests"]:
    # rsa_verify is made for answers, which have three lines; the first three of a request go in as the first of them
    start, body = (
        "\n".join([request["method"], request["target"], request["timestamp"]]),
        b64decode(request["body"]).decode(),
    )
    accepted = rsa_verify(start, request["nonce"], body, request["signature"], key)
    changed = rsa_verify(start, request["nonce"], body + " ", request["signature"], key)
    check(
        f"our request verifies, a changed one does not: {request['what']}",
        accepted and not changed,
        (accepted, changed),
    )

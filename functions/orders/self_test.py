"""The self-test of a version before it gets traffic: reads an event, signs its sync, verifies an answer; calls nothing.

It uses throw-away keys and the code, the layer and the architecture of the version that runs it. `orders.handler`
imports it when a deployment asks for it, so that no cold start pays for it.
"""

import json
import time
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import rsa

import wechatpay
from orders import event
from orders.event import Message
from orders.wechat import requests
from wechatpay.message import SCHEME, answer_message
from wechatpay.verification import verify

PAYLOAD = {
    "mchid": "1900000109",
    "out_order_no": "SELF-TEST",
    "event_id": "self-test",
    "detail": {"paid_time": "20260101120000"},
}
"""A payload as the README has it."""

_PLATFORM = "PUB_KEY_ID_0119000001092026010100000000000001"
_ANSWER = b'{"out_order_no":"SELF-TEST"}'


class SelfTestError(Exception):
    """This version cannot do its work; the text says at which step."""


@dataclass(frozen=True, slots=True)
class _Defaults:
    """What a merchant's secret adds to the event."""

    appid: str = "wxd678efh567hg6787"
    service_id: str = "500001"
    endpoint: str = "direct"


def run() -> dict[str, str]:
    """Read, sign, verify, and refuse what was altered; return what passed.

    Raises:
        SelfTestError: an altered answer was trusted, or the event was misread.
        Exception: any other failure of a step, as that step raises it.
    """
    now = time.time()
    paid = event.read(Message("self-test", json.dumps(PAYLOAD)), now)
    if (paid.payment.out_order_no, paid.reporter.event_id) != (PAYLOAD["out_order_no"], PAYLOAD["event_id"]):
        raise SelfTestError(f"the event was misread as {paid.payment.out_order_no!r} of {paid.reporter.event_id!r}")
    merchant_key, platform_key = _key(), _key()
    client = wechatpay.Client(
        mchid=paid.payment.mchid,
        serial_no="3775B6A45ACD588826D15E583A95F5DD00000001",
        private_key=merchant_key,
        platform_keys={_PLATFORM: platform_key.public_key()},
    )
    payment = requests.with_defaults(paid.payment, _Defaults())
    client.payscore.sign_sync(**requests.sync_payment(payment))
    _verify(client, platform_key, now)
    return {"self_test": "passed", "steps": "read, sign, verify", "library": wechatpay.__version__}


def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def _verify(client: wechatpay.Client, platform_key: rsa.RSAPrivateKey, now: float) -> None:
    """Verify an answer that WeChat Pay could have signed; the same signature over other bytes must be refused."""
    platform = wechatpay.Merchant(mchid=client.mchid, serial_no="1" * 40, private_key=platform_key)
    timestamp, nonce = str(int(now)), "SELFTEST"
    headers = {
        "Wechatpay-Serial": _PLATFORM,
        "Wechatpay-Timestamp": timestamp,
        "Wechatpay-Nonce": nonce,
        "Wechatpay-Signature": platform.sign(answer_message(timestamp, nonce, _ANSWER)),
        "Wechatpay-Signature-Type": SCHEME,
    }
    verify(headers, _ANSWER, client.platform_keys, now)
    try:
        verify(headers, _ANSWER + b" ", client.platform_keys, now)
    except wechatpay.UntrustedError:
        return
    raise SelfTestError("an answer that was altered after it was signed is trusted")

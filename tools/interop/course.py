"""One client in one key mode: a simulator of its own, its files and environment, and the results of its steps."""

import base64
import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import wechatpay
from sandbox.client_environment import AUTHORITIES
from sandbox.wechat_pay import Simulator, credentials, examples
from sandbox.wechat_pay.keys import Mode
from sandbox.wechat_pay.proxy_authority import CERTIFICATE
from tools.interop.notifications import FORGERIES, REPLAY, TRUE, notifications

MCHID = "1230000109"
LIMIT = 120  # seconds for a client's steps
CERTIFICATES = "certificates"  # a step of its own: the simulator has seen the download
END = "end"
STEPS = (
    *("create", "confirm", "complete", "sync", "query", "cancel"),
    *(TRUE, *FORGERIES, REPLAY, "tampered answer", CERTIFICATES, "our requests", END),
)
ORDERS = {"paid": "INTEROP-PAID", "cancelled": "INTEROP-CANCELLED", "tampered": "INTEROP-T", "notified": "INTEROP-N"}


@dataclass(frozen=True, slots=True)
class Run:
    """What a client did: the result of each step, the calls that the simulator answered, and the seconds it took."""

    results: Mapping[str, str]
    calls: int = 0
    seconds: float = 0.0


def run(command: list[str], mode: Mode, directory: Path) -> Run:
    """Run a client against a simulator; its environment has the proxy and the authority, nothing else changes."""
    with Simulator(keys=directory / "keys") as wechat_pay:
        credentials.write(directory / mode, wechat_pay.credentials(MCHID, mode))
        task = _task(wechat_pay, mode, directory / mode)
        before, began = len(wechat_pay.calls), time.monotonic()
        results = dict(_steps(command, task, _environment(wechat_pay, directory / mode)))
        calls = wechat_pay.calls[before:]
        if any(call.operation == "certificates" and call.status == 200 for call in calls):
            results[CERTIFICATES] = "ok"
        return Run(results, len(calls), time.monotonic() - began)


def _environment(wechat_pay: Simulator, folder: Path) -> dict[str, str]:
    authority = str(folder / CERTIFICATE)
    return {**os.environ, "HTTPS_PROXY": wechat_pay.proxy_url, **dict.fromkeys(AUTHORITIES, authority)}


def _steps(command: list[str], task: Mapping[str, Any], environment: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield each step with its result, and whether the client ran to its end."""
    text = json.dumps(task)
    try:
        done = subprocess.run(
            command, input=text, env=environment, capture_output=True, text=True, check=False, timeout=LIMIT
        )
    except subprocess.TimeoutExpired:
        yield END, "it hangs"
        return
    for line in done.stdout.splitlines():
        if line.startswith("{"):
            entry = json.loads(line)
            yield str(entry["step"]), str(entry["result"])
    yield END, " ".join(done.stderr.split())[-200:] or f"exit status {done.returncode}" if done.returncode else "ok"


def _task(wechat_pay: Simulator, mode: Mode, folder: Path) -> dict[str, Any]:
    """Return the input of a client's program."""
    merchant = wechat_pay.merchant(MCHID)
    public = merchant.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for name in ("tampered", "notified"):
        wechat_pay.ready_to_sync(MCHID, ORDERS[name])
    wechat_pay.deduct(MCHID, ORDERS["notified"])
    requests = list(_requests(wechat_pay))
    wechat_pay.misbehave("tampered_body", out_order_no=ORDERS["tampered"])
    serial = next(iter(merchant.platform_keys(mode)))
    completion = examples.complete(3900, time.time())
    return {
        **examples.WHO,
        "mchid": MCHID,
        "mode": mode,
        "folder": str(folder),
        "control_url": wechat_pay.control_url,
        "notify_url": examples.create("")["notify_url"],
        "merchant_public_key": public.decode(),
        "orders": ORDERS,
        "creations": {ORDERS[name]: examples.create(ORDERS[name]) for name in ("paid", "cancelled")},
        "completion": {name: completion[name] for name in ("post_payments", "total_amount")},
        "notifications": notifications(wechat_pay, MCHID, ORDERS["notified"], serial),
        "requests": requests,
    }


def _requests(wechat_pay: Simulator) -> Iterator[dict[str, str]]:
    """Yield our own calls, as the simulator received them."""
    client = wechatpay.Client(**wechat_pay.merchant(MCHID).secret(), base_url=wechat_pay.base_url)
    node = client.v3.payscore.serviceorder._out_order_no_.sync
    calls: tuple[Callable[[], object], ...] = (
        lambda: node.post(out_order_no="X1", json={"service_introduction": "充电宝租借"}),
        lambda: node.post(out_order_no="A|1*", json={"type": "Order_Paid"}),
        lambda: client.v3.payscore.serviceorder.get(params={"out_order_no": "A|1*", "appid": "微信"}),
    )
    for call in calls:
        with suppress(wechatpay.RefusedError):  # there is no such order; the simulator verifies the signature first
            call()
        request = wechat_pay.calls[-1]
        parts = dict(re.findall(r'(\w+)="([^"]*)"', request.headers["Authorization"]))
        yield {
            "method": request.method,
            "target": request.target,
            "timestamp": parts["timestamp"],
            "nonce": parts["nonce_str"],
            "signature": parts["signature"],
            "body": base64.b64encode(request.body).decode(),
        }

"""`python -m tests.witnesses`: wechatpayv3 (PyPI) and wechatpay-axios-plugin (npm) talk to our simulator and judge us.

Each runs in a throw-away environment of its own and needs the way out to its registry; where that or node is missing,
the peer is skipped and the reason printed. 0 only if every check passed.
"""

import base64
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import ops  # noqa: F401  finds the library
import wechatpay
from sandbox.wechat_pay import Simulator

HERE = Path(__file__).parent
MCHID = "1230000109"
PEERS = {"wechatpayv3": "2.0.4", "wechatpay-axios-plugin": "0.9.6"}
LONG_AGO = 1_764_547_200.0  # 2025-12-01, before the payment
PAID_TIME = "20260101120000"
PATIENCE = 300  # seconds for an installation on a slow line
# What pip and npm say where the registry cannot be reached; whatever else they say is a failure.
UNREACHABLE = re.compile(
    r"NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|ProxyError|SSLError"
    r"|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT|ERR_SOCKET_TIMEOUT"
)


class Missing(Exception):  # noqa: N818  no error: a reason to skip
    """Something that this machine does not have."""


class Broken(Exception):  # noqa: N818  told as a failed check
    """An installation that failed although its registry answers."""


def main() -> int:
    """Hear both witnesses."""
    failed = 0
    for peer, hear in {"wechatpayv3": _python, "wechatpay-axios-plugin": _node}.items():
        name = f"{peer} {PEERS[peer]}"
        try:
            with tempfile.TemporaryDirectory() as directory:
                for finding in _testimony(hear(Path(directory)), peer):
                    failed += not finding["passed"]
                    told = "ok    " if finding["passed"] else "FAILED"
                    detail = "" if finding["passed"] else " ".join(finding["detail"].split())
                    print(f"{told} {name}: {finding['what']} {detail}".rstrip(), flush=True)
        except Missing as reason:
            print(f"skipped {name}: {reason}", flush=True)
        except Broken as reason:
            failed += 1
            print(f"FAILED {name}: it can be installed: {reason}", flush=True)
    return 1 if failed else 0


def _python(directory: Path) -> list[str]:
    """The command of the Python witness."""
    python = directory / "bin/python"
    subprocess.run([sys.executable, "-m", "venv", directory], check=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1"]
    lock = HERE.parents[1] / "requirements-witness.lock"
    _install("PyPI", [*pip, "--no-deps", "--require-hashes", "-r", str(lock)], directory)
    return [str(python), str(HERE / "wechatpayv3_witness.py")]


def _node(directory: Path) -> list[str]:
    """The command of the JavaScript witness."""
    if missing := [name for name in ("node", "npm") if shutil.which(name) is None]:
        raise Missing(f"{' and '.join(missing)} not on PATH")
    (directory / "package.json").write_text('{"private": true}')  # or npm looks for a project further up
    npm = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1"]
    _install("npm's registry", [*npm, f"wechatpay-axios-plugin@{PEERS['wechatpay-axios-plugin']}"], directory)
    shutil.copy(HERE / "axios_witness.cjs", directory)
    return ["node", str(directory / "axios_witness.cjs")]


def _install(registry: str, command: list[str], directory: Path) -> None:
    """Install, or tell a registry out of reach from an installation that fails."""
    try:
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise Missing(f"{registry} did not deliver within {PATIENCE} s") from None
    if done.returncode:
        if sign := UNREACHABLE.search(done.stdout + done.stderr):
            raise Missing(f"{registry} cannot be reached ({sign[0]})")
        raise Broken(" ".join(done.stderr.split())[-300:])


def _testimony(command: list[str], peer: str) -> Iterator[dict[str, Any]]:
    """What the peer finds, and then what our simulator saw of it."""
    with Simulator() as wechat_pay:
        task = _task(wechat_pay)
        before = len(wechat_pay.calls)
        try:
            said = subprocess.run(
                command, input=json.dumps(task), capture_output=True, text=True, check=False, timeout=120
            )
        except subprocess.TimeoutExpired:
            yield {"what": "it speaks to the end", "passed": False, "detail": "it hangs"}
            return
        lines = [json.loads(line) for line in said.stdout.splitlines() if line.startswith("{")]
        yield from lines
        if said.returncode or len(lines) != 4 * len(task["modes"]) + len(task["requests"]):
            yield {"what": "it speaks to the end", "passed": False, "detail": said.stderr[-300:]}
        seen = [(call.operation, call.out_order_no, call.status) for call in wechat_pay.calls[before:]]
        expected = list(_expected(task, downloads=peer == "wechatpayv3"))
        yield {"what": "the simulator answered 200 to each call", "passed": seen == expected, "detail": str(seen)}
        states = {mode["waiting"]: wechat_pay.order(MCHID, mode["waiting"]).state for mode in task["modes"].values()}
        yield {"what": "the orders are DONE", "passed": set(states.values()) == {"DONE"}, "detail": str(states)}


def _expected(task: dict[str, Any], *, downloads: bool) -> Iterator[tuple[str, str, int]]:
    """The calls of one witness; with the public key nobody has a reason to download certificates."""
    for mode, given in task["modes"].items():
        if downloads and mode == "platform certificate":
            yield "certificates", "", 200
        yield "query", given["waiting"], 200
        yield "sync", given["waiting"], 200
        yield "query", given["tampered"], 200


def _task(wechat_pay: Simulator) -> dict[str, Any]:
    """What waits for each kind of platform key, and requests of ours to judge."""
    merchant = wechat_pay.merchant(MCHID)
    public = merchant.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return {
        "base_url": wechat_pay.base_url,
        "secret": merchant.secret(),
        "merchant_public_key": public.decode(),
        "appid": "wxd678efh567hg6787",
        "service_id": "500001",
        "paid_time": PAID_TIME,
        "modes": {
            "public key": _mode(wechat_pay, "K", merchant.platform_keys("public_key")),
            "platform certificate": _mode(wechat_pay, "C", merchant.platform_keys("certificate")),
        },
        "requests": list(_requests(wechat_pay)),
    }


def _mode(wechat_pay: Simulator, letter: str, platform_keys: dict[str, str]) -> dict[str, Any]:
    """An order that waits, one whose answers are tampered with, and a notification."""
    waiting, tampered = f"{letter}-WAITING", f"{letter}-TAMPERED"
    for number in (waiting, tampered):
        wechat_pay.ready_to_sync(MCHID, number, at=LONG_AGO)
    wechat_pay.misbehave("tampered_body", out_order_no=tampered)
    headers, body = wechat_pay.notification(MCHID, waiting, serial=next(iter(platform_keys)))
    return {
        "platform_keys": platform_keys,
        "waiting": waiting,
        "tampered": tampered,
        "notification": {"headers": headers, "body": body.decode()},
    }


def _requests(wechat_pay: Simulator) -> Iterator[dict[str, str]]:
    """Our own calls, as they stood on the wire."""
    client = wechatpay.Client(**wechat_pay.merchant(MCHID).secret(), base_url=wechat_pay.base_url)
    node = client.v3.payscore.serviceorder._out_order_no_.sync
    calls: dict[str, Callable[[], object]] = {
        "a body in Chinese": lambda: node.post(out_order_no="X1", json={"service_introduction": "充电宝租借"}),
        "a path with | and *": lambda: node.post(out_order_no="A|1*", json={"type": "Order_Paid"}),
        "a query": lambda: client.v3.payscore.serviceorder.get(params={"out_order_no": "A|1*", "appid": "微信"}),
    }
    for what, call in calls.items():
        with suppress(wechatpay.RefusedError):  # there is no such order; who signed is looked at first
            call()
        request = wechat_pay.calls[-1]
        parts = dict(re.findall(r'(\w+)="([^"]*)"', request.headers["Authorization"]))
        yield {
            "what": what,
            "method": request.method,
            "target": request.target,
            "timestamp": parts["timestamp"],
            "nonce": parts["nonce_str"],
            "signature": parts["signature"],
            "body": base64.b64encode(request.body).decode(),
        }


if __name__ == "__main__":
    sys.exit(main())

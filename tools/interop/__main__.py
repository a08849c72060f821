"""`make interop`: wechatpayv3 (PyPI) and wechatpay-axios-plugin (npm) against our simulator and our requests.

Each client is installed into a temporary environment of its own. It calls the simulator, and verifies requests that our
library signed. A client is skipped, with the reason, if its registry cannot be reached or node is missing. The exit
status is 0 if every check of the clients that ran has passed.
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

import wechatpay
from sandbox.wechat_pay import Simulator

HERE = Path(__file__).parent
MCHID = "1230000109"
CLIENTS = {"wechatpayv3": "2.0.4", "wechatpay-axios-plugin": "0.9.6"}
LONG_AGO = 1_764_547_200.0  # 2025-12-01, before the payment
PAID_TIME = "20260101120000"
INSTALLATION_LIMIT = 300  # seconds, for a slow network
# What pip and npm print if the registry cannot be reached; any other failure is a failed check.
UNREACHABLE = re.compile(
    r"NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|ProxyError|SSLError"
    r"|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT|ERR_SOCKET_TIMEOUT"
)


class UnavailableError(Exception):
    """This machine lacks what a client needs: node, or a registry that answers. The client is skipped."""


class InstallationError(Exception):
    """The registry answers, and the installation failed. It counts as a failed check."""


def main() -> int:
    """Run the checks of both clients and print one line each; 1 if one failed."""
    failures = 0
    for client, install in {"wechatpayv3": _install_python, "wechatpay-axios-plugin": _install_node}.items():
        name = f"{client} {CLIENTS[client]}"
        try:
            with tempfile.TemporaryDirectory() as directory:
                for check in _checks(install(Path(directory)), client):
                    failures += not check["passed"]
                    verdict = "ok    " if check["passed"] else "FAILED"
                    detail = "" if check["passed"] else " ".join(check["detail"].split())
                    print(f"{verdict} {name}: {check['what']} {detail}".rstrip(), flush=True)
        except UnavailableError as reason:
            print(f"skipped {name}: {reason}", flush=True)
        except InstallationError as reason:
            failures += 1
            print(f"FAILED {name}: it can be installed: {reason}", flush=True)
    return 1 if failures else 0


def _install_python(directory: Path) -> list[str]:
    """Install wechatpayv3; return the command that runs its checks."""
    python = directory / "bin/python"
    subprocess.run([sys.executable, "-m", "venv", directory], check=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1"]
    lock = HERE.parents[1] / "requirements/interop.lock"
    _install("PyPI", [*pip, "--no-deps", "--require-hashes", "-r", str(lock)], directory)
    return [str(python), str(HERE / "wechatpayv3_client.py")]


def _install_node(directory: Path) -> list[str]:
    """Install wechatpay-axios-plugin; return the command that runs its checks."""
    if missing := [name for name in ("node", "npm") if shutil.which(name) is None]:
        raise UnavailableError(f"{' and '.join(missing)} not on PATH")
    (directory / "package.json").write_text('{"private": true}')  # without it npm uses a project in a parent folder
    npm = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1"]
    _install("npm's registry", [*npm, f"wechatpay-axios-plugin@{CLIENTS['wechatpay-axios-plugin']}"], directory)
    shutil.copy(HERE / "axios_client.cjs", directory)
    return ["node", str(directory / "axios_client.cjs")]


def _install(registry: str, command: list[str], directory: Path) -> None:
    """Run an installation.

    Raises:
        UnavailableError: The registry cannot be reached, or is too slow.
        InstallationError: The installation failed for another reason.
    """
    try:
        run = subprocess.run(
            command, cwd=directory, capture_output=True, text=True, check=False, timeout=INSTALLATION_LIMIT
        )
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"{registry} did not deliver within {INSTALLATION_LIMIT} s") from None
    if run.returncode:
        if error := UNREACHABLE.search(run.stdout + run.stderr):
            raise UnavailableError(f"{registry} cannot be reached ({error[0]})")
        raise InstallationError(" ".join(run.stderr.split())[-300:])


def _checks(command: list[str], client: str) -> Iterator[dict[str, Any]]:
    """Yield the client's own checks, then those of the simulator's records of its calls."""
    with Simulator() as wechat_pay:
        task = _task(wechat_pay)
        before = len(wechat_pay.calls)
        try:
            run = subprocess.run(
                command, input=json.dumps(task), capture_output=True, text=True, check=False, timeout=120
            )
        except subprocess.TimeoutExpired:
            yield {"what": "it runs to the end", "passed": False, "detail": "it hangs"}
            return
        lines = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
        yield from lines
        if run.returncode or len(lines) != 4 * len(task["modes"]) + len(task["requests"]):
            yield {"what": "it runs to the end", "passed": False, "detail": run.stderr[-300:]}
        calls = [(call.operation, call.out_order_no, call.status) for call in wechat_pay.calls[before:]]
        expected = list(_expected_calls(task, downloads=client == "wechatpayv3"))
        yield {"what": "the simulator answered 200 to each call", "passed": calls == expected, "detail": str(calls)}
        states = {mode["waiting"]: wechat_pay.order(MCHID, mode["waiting"]).state for mode in task["modes"].values()}
        yield {"what": "the orders are DONE", "passed": set(states.values()) == {"DONE"}, "detail": str(states)}


def _expected_calls(task: dict[str, Any], *, downloads: bool) -> Iterator[tuple[str, str, int]]:
    """Yield the calls of one client; with the public key no client needs to download certificates."""
    for mode, orders in task["modes"].items():
        if downloads and mode == "platform certificate":
            yield "certificates", "", 200
        yield "query", orders["waiting"], 200
        yield "sync", orders["waiting"], 200
        yield "query", orders["tampered"], 200


def _task(wechat_pay: Simulator) -> dict[str, Any]:
    """Return the input of a client's checks: orders for each kind of platform key, and our requests to verify."""
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
    """Create an order to sync, one whose answers are tampered with, and a notification."""
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
    """Yield our own calls, as the simulator received them."""
    client = wechatpay.Client(**wechat_pay.merchant(MCHID).secret(), base_url=wechat_pay.base_url)
    node = client.v3.payscore.serviceorder._out_order_no_.sync
    calls: dict[str, Callable[[], object]] = {
        "a body in Chinese": lambda: node.post(out_order_no="X1", json={"service_introduction": "充电宝租借"}),
        "a path with | and *": lambda: node.post(out_order_no="A|1*", json={"type": "Order_Paid"}),
        "a query": lambda: client.v3.payscore.serviceorder.get(params={"out_order_no": "A|1*", "appid": "微信"}),
    }
    for what, call in calls.items():
        with suppress(wechatpay.RefusedError):  # there is no such order; the simulator verifies the signature first
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

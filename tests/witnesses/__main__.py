"""`python -m tests.witnesses`: wechatpayv3 (PyPI) and wechatpay-axios-plugin (npm) talk to our simulator and judge us.

Each runs in a throw-away environment of its own, so it needs the way out to both registries; what is missing is named.
0 only if every check passed.
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

HERE = Path(__file__).parent
MCHID = "1230000109"
PEERS = {"wechatpayv3": "2.0.4", "wechatpay-axios-plugin": "0.9.6"}
LONG_AGO = 1_764_547_200.0


class Missing(Exception):  # noqa: N818  no error: a reason to skip
    """Something that this machine does not have."""


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
                    print(f"{told} {name}: {finding['what']} {'' if finding['passed'] else finding['detail']}".rstrip())
        except Missing as reason:
            print(f"skipped {name}: {reason}")
    return 1 if failed else 0


def _python(directory: Path) -> list[str]:
    """The command of the Python witness."""
    python = directory / "bin/python"
    subprocess.run([sys.executable, "-m", "venv", directory], check=True)
    install = [str(python), "-m", "pip", "install", "--quiet", f"wechatpayv3=={PEERS['wechatpayv3']}"]
    if subprocess.run(install, capture_output=True, check=False).returncode:
        raise Missing("it could not be installed: no way out to PyPI?")
    return [str(python), str(HERE / "wechatpayv3_witness.py")]


def _node(directory: Path) -> list[str]:
    """The command of the JavaScript witness."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        raise Missing("npm and node are not installed")
    install = ["npm", "install", "--silent", "--no-audit", f"wechatpay-axios-plugin@{PEERS['wechatpay-axios-plugin']}"]
    if subprocess.run(install, cwd=directory, capture_output=True, check=False).returncode:
        raise Missing("it could not be installed: no way out to npm's registry?")
    shutil.copy(HERE / "axios_witness.cjs", directory)
    return ["node", str(directory / "axios_witness.cjs")]


def _testimony(command: list[str], peer: str) -> Iterator[dict[str, Any]]:
    from sandbox.wechat_pay import Simulator

    with Simulator() as wechat_pay:
        task = json.dumps(_task(wechat_pay, f"{peer[:12]}-1"))
        said = subprocess.run(command, input=task, capture_output=True, text=True, check=False, timeout=120)
        lines = [json.loads(line) for line in said.stdout.splitlines() if line.startswith("{")]
        yield from lines
        if said.returncode or not lines:
            yield {"what": "it speaks to the end", "passed": False, "detail": said.stderr[-300:]}


def _task(wechat_pay: Any, number: str) -> dict[str, Any]:
    """An order that waits, a notification about it, and requests of ours to judge."""
    merchant = wechat_pay.merchant(MCHID)
    wechat_pay.ready_to_sync(MCHID, number, at=LONG_AGO)
    headers, body = wechat_pay.notification(MCHID, number)
    public = merchant.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return {
        "base_url": wechat_pay.base_url,
        "secret": merchant.secret(),
        "certificates": wechat_pay.platform.certificates,
        "merchant_public_key": public.decode(),
        "appid": "wxd678efh567hg6787",
        "service_id": "500001",
        "waiting": number,
        "paid_time": "20260101120000",
        "notification": {"headers": headers, "body": body.decode()},
        "requests": list(_requests(wechat_pay)),
    }


def _requests(wechat_pay: Any) -> Iterator[dict[str, str]]:
    """Our own calls, as they stood on the wire."""
    import wechatpay

    client = wechatpay.Client(**wechat_pay.merchant(MCHID).secret(), base_url=wechat_pay.base_url)
    node = client.v3.payscore.serviceorder._out_order_no_.sync
    calls: dict[str, Callable[[], object]] = {
        "a body in Chinese": lambda: node.post(out_order_no="X1", json={"service_introduction": "充电宝租借"}),
        "a path with | and *": lambda: node.post(out_order_no="A|1*", json={"type": "Order_Paid"}),
        "a query": lambda: client.v3.payscore.serviceorder.get(params={"out_order_no": "A|1*", "appid": "微信"}),
    }
    for what, call in calls.items():
        with suppress(wechatpay.RefusedError):  # the order may not exist; the signature is looked at first
            call()
        request = wechat_pay.calls[-1]
        assert request.status != 401, request
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

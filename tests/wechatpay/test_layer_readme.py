"""The layer's README: every example runs, in its order, against a WeChat Pay that signs."""

import ast
import asyncio
import inspect
import re
from functools import partial
from pathlib import Path
from types import CodeType, SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

import wechatpay
from sandbox.wechat_pay import Simulator

README = (Path(__file__).parents[2] / "layers/wechatpay/README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
MCHID = "1230000109"


def _files(wechat_pay: Simulator, folder: Path) -> dict[str, str]:
    """Put the merchant's files into the folder; return his environment."""
    merchant = wechat_pay.merchant(MCHID)
    ((public_key_id, public_key),) = merchant.platform_keys("public_key").items()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, MCHID)])
    like = x509.load_pem_x509_certificate(next(iter(wechat_pay.platform.certificates.values())).encode())
    begin, end, serial = like.not_valid_before_utc, like.not_valid_after_utc, int(merchant.serial_no, 16)
    certificate = x509.CertificateBuilder(name, name, merchant.key.public_key(), serial, begin, end)
    (folder / "apiclient_key.pem").write_text(merchant.private_key)
    (folder / "pub_key.pem").write_text(public_key)
    (folder / "apiclient_cert.pem").write_bytes(
        certificate.sign(merchant.key, hashes.SHA256()).public_bytes(Encoding.PEM)
    )
    return {
        "WECHATPAY_SERIAL_NO": merchant.serial_no,
        "WECHATPAY_PUBLIC_KEY_ID": public_key_id,
        "WECHATPAY_APIV3_KEY": merchant.apiv3_key,
    }


def _run(code: CodeType, namespace: dict[str, Any]) -> None:
    awaited = eval(code, namespace)  # noqa: S307  our own README
    if inspect.iscoroutine(awaited):
        asyncio.run(awaited)


def test_every_example_runs(wechat_pay: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is printed; only the host is the simulator's."""
    monkeypatch.chdir(tmp_path)
    for name, value in _files(wechat_pay, tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(wechatpay, "Client", partial(wechatpay.Client, base_url=wechat_pay.base_url))
    wechat_pay.ready_to_sync(MCHID, "1234", appid="wx…", at=1_700_000_000.0)
    wechat_pay.misbehave("ok_on_replay")
    headers, body = wechat_pay.notification(MCHID, "1234")
    namespace: dict[str, Any] = {"request": SimpleNamespace(headers=headers, body=body)}
    assert len(EXAMPLES) >= 7
    for position, example in enumerate(EXAMPLES):
        code = compile(example, f"README example {position + 1}", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        _run(code, namespace)
    assert namespace["order"].package == "XXXXXXXX"
    assert wechat_pay.order(MCHID, "5678").state == "REVOKED"
    assert {call.status for call in wechat_pay.calls} == {200, 404}


def test_every_public_error_is_in_the_table() -> None:
    """With what may be repeated."""
    errors = {name for name in wechatpay.__all__ if name.endswith("Error")}
    assert {name for name in errors if f"| `{name}` |" in README} == errors - {"WeChatPayError"}

"""The library's README: every example runs, in its order, against the simulator of WeChat Pay."""

import ast
import asyncio
import hashlib
import inspect
import json
import re
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import CodeType, SimpleNamespace
from typing import Any, ClassVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

import wechatpay
from sandbox.wechat_pay import FAULTS, Simulator
from wechatpay.endpoints import ENDPOINTS
from wechatpay.paths import expand

README = (Path(__file__).parents[2] / "layers/wechatpay/README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
MCHID = "1230000109"


def _files(wechat_pay: Simulator, folder: Path) -> dict[str, str]:
    """Put the merchant's files into the folder; return the environment variables of the README."""
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
    result = eval(code, namespace)  # noqa: S307  our own README
    if inspect.iscoroutine(result):
        asyncio.run(result)


def _on_these_ports(example: str, wechat_pay: Simulator) -> str:
    """Replace the ports of `make sandbox` by those of a simulator."""
    urls = {4510: wechat_pay.base_url, 4511: wechat_pay.backup_url, 4512: wechat_pay.control_url}
    for port, url in urls.items():
        example = example.replace(f"http://127.0.0.1:{port}", url)
    return example


def test_every_example_runs(
    wechat_pay: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each example runs as it is printed, on the simulator's hosts, and the first one prints what stands below it."""
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
        code = compile(
            _on_these_ports(example, wechat_pay),
            f"README example {position + 1}",
            "exec",
            flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
        )
        _run(code, namespace)
        if position == 0:
            (output,) = re.findall(r"```text\n(.*?)```", README, re.DOTALL)
            assert capsys.readouterr().out.split()[:-1] == output.split()[:-1]  # the last word is the call's own id
    assert namespace["order"].package
    assert wechat_pay.order(MCHID, "5678").state == "REVOKED"
    assert {call.status for call in wechat_pay.calls} == {200, 404}


def test_every_public_error_is_in_the_table() -> None:
    """The README says of each error whether the call may be repeated."""
    errors = {name for name in wechatpay.__all__ if name.endswith("Error")}
    assert {name for name in errors if f"| `{name}` |" in README} == errors - {"WeChatPayError"}


def test_the_table_of_endpoints_is_the_librarys() -> None:
    """The README's table has each endpoint's path, fields, form of a time, and what a successful sync answers."""
    times = {False: "digits", True: "RFC 3339"}
    answers = {"order": "the order", "acknowledgement": "the order's numbers", "nothing": "nothing (204)"}

    def code(names: tuple[str, ...]) -> str:
        return " ".join(f"`{name}`" for name in names)

    for name, row in ENDPOINTS.items():
        cells = [code((name,)), code((row.path,)), code(row.required), code(row.optional)]
        line = " | ".join([*cells, times[row.rfc_3339], answers[row.sync_answer]]).replace("|  |", "| |")
        assert f"| {line} |" in README


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_the_words_of_an_order_are_those_of_the_table(wechat_pay: Simulator, endpoint: Any) -> None:
    """What the simulator answers in each state stands in the column of its family."""
    payafter = endpoint == "payafter"
    answers = []
    wechat_pay.open(MCHID, "A", endpoint=endpoint)
    answers.append(wechat_pay.order(MCHID, "A").answer())
    wechat_pay.confirm(MCHID, "A")
    answers.append(wechat_pay.order(MCHID, "A").answer())
    wechat_pay.complete(MCHID, "A")
    answers.append(wechat_pay.order(MCHID, "A").answer())
    wechat_pay.deduct(MCHID, "A")
    answers.append(wechat_pay.order(MCHID, "A").answer())
    rows = re.findall(
        r"^\| (created|confirmed|to be paid|collected)[^|]* \| ([^|]+) \| ([^|]+) \|$", README, re.MULTILINE
    )
    cells = [row[2 if payafter else 1] for row in rows]
    assert len(cells) == len(answers)
    for cell, answer in zip(cells, answers, strict=True):
        words = [answer["state"], answer.get("state_description", ""), answer.get("collection", {}).get("state", "")]
        assert [word for word in words if word not in cell] == []


BILL = "交易时间,公众账号ID\n".encode()


class BillHost(BaseHTTPRequestHandler):
    """Where bills are downloaded: the request must be signed, the answer is not."""

    requests: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        """Send the bill."""
        self.requests.append(self.headers["Authorization"])
        self.send_response(200)
        self.end_headers()
        self.wfile.write(BILL)

    def log_message(self, format: str, *args: object) -> None:
        """Write nothing."""


@pytest.mark.parametrize("digest", ["right", "wrong"])
def test_a_bill_is_downloaded_as_the_readme_says(
    wechat_pay: Simulator, monkeypatch: pytest.MonkeyPatch, digest: str
) -> None:
    """The library returns nothing unsigned; the digest in a signed answer proves the file."""
    host = HTTPServer(("127.0.0.1", 0), BillHost)
    threading.Thread(target=host.handle_request, daemon=True).start()
    url = f"http://127.0.0.1:{host.server_port}/v3/billdownload/file?token=xx"
    hashed = hashlib.sha1(BILL if digest == "right" else b"", usedforsecurity=False).hexdigest().upper()
    bill = json.dumps({"hash_type": "SHA1", "hash_value": hashed, "download_url": url}).encode()
    answer = wechatpay.Answer(200, {}, bill, "08F5-0", "S", "GET", "/v3/bill/tradebill")
    monkeypatch.setattr(wechatpay.Client, "call", lambda *_: answer)
    client = wechatpay.Client(**wechat_pay.merchant(MCHID).secret(), base_url=wechat_pay.base_url)
    (example,) = [example for example in EXAMPLES if "def download_bill" in example]
    namespace: dict[str, Any] = {"wechatpay": wechatpay}
    exec(example, namespace)  # noqa: S102  our own README
    try:
        if digest == "right":
            assert namespace["download_bill"](client, "2026-01-01") == BILL
        else:
            with pytest.raises(ValueError, match="not the bill"):
                namespace["download_bill"](client, "2026-01-01")
        assert BillHost.requests.pop().startswith(f'WECHATPAY2-SHA256-RSA2048 mchid="{MCHID}"')
    finally:
        host.server_close()


def test_the_readme_says_what_is_repeated_and_what_is_not_supported() -> None:
    """The README has the words that a reader searches for."""
    for words in ("`UnansweredError` with `sent` True, query first", "v3/billdownload/file", "notification_async"):
        assert words in README


def test_the_readme_begins_with_the_missing_sandbox() -> None:
    """After the first example comes WeChat Pay's own sentence, with its page, and the way to the simulator."""
    first = re.findall(r"^## (.+)$", README, re.MULTILINE)[0]
    section = README.partition(f"## {first}\n")[2].partition("\n## ")[0]
    assert first == "WeChat Pay has no sandbox; this repository has one"
    for words in (
        "> APIv3暂未提供独立的沙箱测试环境",
        "(doc 4012073699)",
        "`make sandbox`",
        'base_url="http://127.0.0.1:4510"',
    ):
        assert words in section
    assert len(FAULTS) > 50  # "more than fifty named ways"


def test_the_differences_from_the_php_library_are_true_here(wechat_pay: Simulator) -> None:
    """The column of this library in the table of differences: literal paths, `*`, path values, keys and redirects."""
    secret = wechat_pay.merchant(MCHID).secret()
    client = wechatpay.Client(**secret, base_url=wechat_pay.base_url)
    assert str(client.chain("v3/x/A1B2")) == str(client["v3/x/A1B2"]) == "v3/x/A1B2"
    assert expand("v3/x/{number}", {"number": "A|B*C"}) == "/v3/x/A%7CB*C"
    for path in ("v3/x/{number}", "v3/x", "v3/{no}/{number}"):
        with pytest.raises(TypeError):
            client.chain(path).get(no="1")
    with pytest.raises(ValueError, match="no must be one path segment"):
        client.chain("v3/{no}").get(no="")
    small = rsa.generate_private_key(public_exponent=65537, key_size=3072)
    with pytest.raises(wechatpay.InvalidKeyError, match="private_key"):
        wechatpay.Client(**secret | {"private_key": small}, base_url=wechat_pay.base_url)
    wechat_pay.misbehave("redirect")
    with pytest.raises(wechatpay.RefusedError, match="302"):
        client.chain("v3/certificates").get()
    assert [call.status for call in wechat_pay.calls] == [302]


@pytest.mark.parametrize(
    "name", ["base_url", "timeout", "platform_keys", "apiv3_key", "certificate_store", "async_threads"]
)
def test_an_argument_that_the_readme_names_is_one_of_the_client(name: str) -> None:
    """An argument of `Client` that the README describes exists."""
    assert name in inspect.signature(wechatpay.Client).parameters

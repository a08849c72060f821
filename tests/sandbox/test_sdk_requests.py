"""What WeChat Pay's own SDKs put on the wire is taken, at the plain host and through the proxy.

Header values, the sequence of the authorization's fields and the form of the JSON are those of wechatpay-go 0.2.21,
wechatpay-java 0.2.17 (okhttp), wechatpay-php 1.4.12 (Guzzle) and wechatpay-node-v3 2.2.1; the signatures are made here.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest

from sandbox.wechat_pay import Simulator, examples
from sandbox.wechat_pay.keys import sign
from tests.sandbox.signed import BASE, LONG_AGO, MCHID, WHO, Connection
from tests.sandbox.tunnels import MAIN, Tunnel

type Json = Callable[[Any], str]

GO_SEQUENCE = ("mchid", "nonce_str", "timestamp", "serial_no", "signature")  # Java's and node-v3's too
PHP_SEQUENCE = ("mchid", "serial_no", "timestamp", "nonce_str", "signature")


def compact(value: Any) -> str:
    """JSON of Gson without its escaping of HTML, and of JavaScript."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def go_json(value: Any) -> str:
    """JSON of Go's encoder: HTML characters as escapes, keys in the sequence of a struct, a line end after it."""
    text = compact(value).replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")
    return f"{text}\n"


def php_json(value: Any) -> str:
    """JSON of PHP's json_encode: everything but ASCII as escapes, and an escape before each slash."""
    return json.dumps(value, separators=(",", ":")).replace("/", r"\/")


@dataclass(frozen=True)
class Sdk:
    """How one SDK writes its requests; `headers` are in the sequence on the wire, `{…}` is filled in."""

    name: str
    headers: Mapping[str, str]
    json: Json = compact
    sequence: tuple[str, ...] = GO_SEQUENCE
    lower_serial: bool = False
    with_body: Mapping[str, str] = field(default_factory=dict)  # in place of those of `headers`


GO = Sdk(
    "wechatpay-go",
    {
        "Host": "{host}",
        "User-Agent": "WechatPay-Go/0.2.21 (linux) GO/go1.22.5",
        "Content-Length": "{length}",
        "Accept": "*/*",
        "Authorization": "{authorization}",
        "Content-Type": "application/json",
        "Wechatpay-Serial": "{platform}",
        "Accept-Encoding": "gzip",
    },
    json=go_json,
)
JAVA_AGENT = (
    "WechatPay-Java/0.2.17 (Linux/5.15.0-91-generic) Java/17.0.15 Credential/WechatPay2Credential "
    "Validator/WechatPay2Validator okhttp3/null"
)
JAVA = Sdk(
    "wechatpay-java",
    {
        "Authorization": "{authorization}",
        "Accept": "application/json",
        "User-Agent": JAVA_AGENT,
        "Wechatpay-Serial": "{platform}",
        "Content-Type": "application/json",
        "Content-Length": "{length}",
        "Host": "{host}",
        "Connection": "Keep-Alive",
        "Accept-Encoding": "gzip",
    },
    with_body={"Content-Type": "application/json; charset=utf-8"},
)
JAVA_DOWNLOAD = Sdk(
    "wechatpay-java's download of certificates",
    {**JAVA.headers, "Accept": " */*", "Wechatpay-Serial": ""},  # it has no certificate to name yet
)
PHP = Sdk(
    "wechatpay-php",
    {
        "Host": "{host}",
        "Accept": "application/json, text/plain, application/x-gzip, application/pdf, image/png, image/*;q=0.5",
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "wechatpay-php/1.4.12 GuzzleHttp/7 curl/7.88.1 (Linux/5.15.0-91-generic) PHP/8.2.20",
        "Authorization": "{authorization}",
        "Content-Length": "{length}",
        "Wechatpay-Serial": "{platform}",
    },
    json=php_json,
    sequence=PHP_SEQUENCE,
)
NODE = Sdk(
    "wechatpay-node-v3",
    {
        "Host": "{host}",
        "Accept": "application/json",
        "User-Agent": "127.0.0.1",
        "Authorization": "{authorization}",
        "Accept-Encoding": "gzip",
        "Content-Type": "application/json",
        "Content-Length": "{length}",
        "Connection": "close",
    },
    lower_serial=True,
)
SDKS = (GO, JAVA, PHP, NODE)


@pytest.fixture(params=["plain", "proxy"])
def connect(request: pytest.FixtureRequest, wechat_pay: Simulator) -> Callable[[], Connection]:
    """A new connection to the main host: by its own port, or by the proxy under WeChat Pay's name."""
    return lambda: Tunnel(wechat_pay) if request.param == "proxy" else Connection(wechat_pay)


def encode(sdk: Sdk, wechat_pay: Simulator, method: str, target: str, body: bytes, host: str) -> bytes:
    """The bytes of one request as the SDK writes it, signed now."""
    merchant, now = wechat_pay.merchant(MCHID), str(int(time.time()))
    signature = sign(merchant.key, f"{method}\n{target}\n{now}\nNONCE\n".encode() + body + b"\n")
    serial = merchant.serial_no.lower() if sdk.lower_serial else merchant.serial_no
    pairs = {"mchid": MCHID, "nonce_str": "NONCE", "timestamp": now, "serial_no": serial, "signature": signature}
    values = {
        "host": host,
        "length": str(len(body)),
        "platform": wechat_pay.platform.public_key_id,
        "authorization": "WECHATPAY2-SHA256-RSA2048 " + ",".join(f'{name}="{pairs[name]}"' for name in sdk.sequence),
    }
    headers = {**sdk.headers, **(sdk.with_body if body else {})}
    lines = [f"{name}: {text.format(**values)}" for name, text in headers.items() if body or name != "Content-Length"]
    return "\r\n".join([f"{method} {target} HTTP/1.1", *lines, "", ""]).encode() + body


class Caller:
    """One SDK on connections to a host."""

    def __init__(self, sdk: Sdk, wechat_pay: Simulator, connect: Callable[[], Connection]) -> None:
        self._sdk, self._wechat_pay, self._connect = sdk, wechat_pay, connect

    def call(self, method: str, target: str, fields: object = None) -> Any:
        """Send one request, and return its answer's JSON; it must be a 2xx that is signed."""
        body = b"" if fields is None else self._sdk.json(fields).encode()
        with self._connect() as connection:
            host = MAIN if isinstance(connection, Tunnel) else self._wechat_pay.base_url.removeprefix("http://")
            connection.socket.sendall(encode(self._sdk, self._wechat_pay, method, target, body, host))
            status, headers, content = connection.answer()
        assert status in {200, 204}, content.decode()
        assert headers["wechatpay-signature"]
        return json.loads(content) if content else None


CREATION = examples.create("SDK-1", service_introduction="充电宝 <A&B>", notify_url="https://shop.example.com/notify/1")


@pytest.mark.parametrize("sdk", SDKS, ids=lambda sdk: sdk.name)
def test_an_order_goes_its_way(sdk: Sdk, wechat_pay: Simulator, connect: Callable[[], Connection]) -> None:
    """Create, query, complete, sync and cancel work in the bytes of each SDK, and texts arrive as they were meant."""
    caller = Caller(sdk, wechat_pay, connect)
    assert caller.call("POST", BASE, CREATION)["service_introduction"] == "充电宝 <A&B>"
    wechat_pay.confirm(MCHID, "SDK-1")
    payments = [{"name": "租金/小时", "amount": 3900, "count": 1}]
    completion = examples.complete(3900, time.time(), post_payments=payments)
    assert caller.call("POST", f"{BASE}/SDK-1/complete", completion)["state_description"] == "MCH_COMPLETE"
    query = urlencode(sorted({**WHO, "out_order_no": "SDK-1"}.items()), quote_via=quote_plus)
    assert caller.call("GET", f"{BASE}?{query}")["post_payments"][0]["name"] == "租金/小时"
    wechat_pay.ready_to_sync(MCHID, "SDK-2", at=LONG_AGO)
    assert caller.call("POST", f"{BASE}/SDK-2/sync", examples.sync("20260101120000"))["state"] == "DONE"
    caller.call("POST", BASE, {**CREATION, "out_order_no": "SDK-3"})
    caller.call("POST", f"{BASE}/SDK-3/cancel", examples.cancel(reason="顾客取消"))
    assert wechat_pay.order(MCHID, "SDK-3").state == "REVOKED"


@pytest.mark.parametrize("sdk", [*SDKS, JAVA_DOWNLOAD], ids=lambda sdk: sdk.name)
def test_certificates_are_downloaded(sdk: Sdk, wechat_pay: Simulator, connect: Callable[[], Connection]) -> None:
    """The download of the platform certificates works in the bytes of each SDK."""
    [entry] = Caller(sdk, wechat_pay, connect).call("GET", "/v3/certificates")["data"]
    assert entry["serial_no"] == wechat_pay.platform.certificate_serial

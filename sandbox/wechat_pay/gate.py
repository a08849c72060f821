"""The gate: who calls, and is it signed over exactly what arrived (docs 4012365336, 4012072670)?"""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from sandbox.wechat_pay.answers import malformed_request, wrong_signature
from sandbox.wechat_pay.keys import SimulatedMerchant

SCHEME = "WECHATPAY2-SHA256-RSA2048"
WINDOW = 300  # seconds between the request's timestamp and our clock, either way

_PAIR = re.compile(r'([a-z_]+)="([^"]*)"')
_FIELDS = {"mchid", "nonce_str", "signature", "timestamp", "serial_no"}


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it stood on the wire: `target` is path and query, not decoded."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


def admit(request: Request, merchants: Mapping[str, SimulatedMerchant], now: float) -> str:
    """Return the mchid that signed this request; raises the official Refusal otherwise, the first that applies."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    if not headers.get("user-agent") or "application/json" not in headers.get("accept", ""):
        raise malformed_request("Http头缺少Accept或User-Agent")
    if request.body and headers.get("content-type", "").partition(";")[0] != "application/json":
        raise malformed_request("HTTP 请求不符合微信支付 APIv3 接口规则")
    given = _parsed(headers.get("authorization", ""))
    if abs(now - int(given["timestamp"])) > WINDOW:
        raise wrong_signature("HTTP头Authorization中的timestamp与发起请求的时间不得超过5分钟")
    merchant = merchants.get(given["mchid"])
    if merchant is None:
        raise wrong_signature("商户号不存在", "271302144")
    if given["serial_no"] != merchant.serial_no:
        raise wrong_signature("商户证书序列号有误。")
    if not _signed(merchant.key.public_key(), given["signature"], _message(request, given)):
        raise wrong_signature("错误的签名，导致验签失败。")
    return given["mchid"]


def _parsed(authorization: str) -> dict[str, str]:
    scheme, _, rest = authorization.partition(" ")
    if scheme != SCHEME:
        raise wrong_signature("HTTP头Authorization认证类型不正确")
    pairs = [part.strip() for part in rest.split(",")]
    found = [_PAIR.fullmatch(pair) for pair in pairs]
    given = {match[1]: match[2] for match in found if match}
    if None in found or given.keys() != _FIELDS or not re.fullmatch(r"[0-9]{10}", given["timestamp"]):
        raise wrong_signature("HTTP头Authorization值格式错误")
    return given


def _message(request: Request, given: Mapping[str, str]) -> bytes:
    lines = (request.method, request.target, given["timestamp"], given["nonce_str"])
    return "".join(f"{line}\n" for line in lines).encode() + request.body + b"\n"


def _signed(key: rsa.RSAPublicKey, signature: str, message: bytes) -> bool:
    try:
        key.verify(base64.b64decode(signature, validate=True), message, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


def json_object(body: bytes) -> dict[str, Any]:
    """Read a body as WeChat Pay does: an object without any null; INVALID_REQUEST otherwise."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise malformed_request("HTTP 请求不符合微信支付 APIv3 接口规则") from None
    if not isinstance(value, dict) or _holds_null(value):
        raise malformed_request("HTTP 请求不符合微信支付 APIv3 接口规则")
    return value


def _holds_null(value: object) -> bool:
    parts = [value]
    while parts:
        part = parts.pop()
        if part is None:
            return True
        parts += part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    return False

"""Authenticate a request: its signature must cover exactly what arrived (docs 4012365336, 4012072670)."""

import base64
import re
from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from sandbox.wechat_pay import refusals
from sandbox.wechat_pay.accept import admits_json
from sandbox.wechat_pay.keys import SCHEME, SimulatedMerchant
from sandbox.wechat_pay.message import Request
from sandbox.wechat_pay.refusals import wrong_signature
from sandbox.wechat_pay.switches import DEFAULTS, Switches

WINDOW = 300  # seconds between the request's timestamp and WeChat Pay's clock, either way

_PAIR = re.compile(r'([a-z_]+)="([^"]*)"')
_FIELDS = {"mchid", "nonce_str", "signature", "timestamp", "serial_no"}


def authenticate(
    request: Request, merchants: Mapping[str, SimulatedMerchant], now: float, switches: Switches = DEFAULTS
) -> str:
    """Return the mchid that signed this request; raise the first official refusal that applies otherwise."""
    _require_headers(request)
    fields = authorization_fields(request.header("Authorization"))
    if abs(now - int(fields["timestamp"])) > WINDOW:
        raise wrong_signature("HTTP头Authorization中的timestamp与发起请求的时间不得超过5分钟")
    merchant = merchants.get(fields["mchid"])
    if merchant is None:
        raise wrong_signature("商户号不存在", "271302144")
    serial = fields["serial_no"].upper() if switches.lower_case_serials else fields["serial_no"]
    if serial != merchant.serial_no:
        raise wrong_signature("商户证书序列号有误。")
    if not _verify(merchant.key.public_key(), fields["signature"], signed_text(request, fields)):
        raise wrong_signature("错误的签名，导致验签失败。")
    return fields["mchid"]


def require_framing(request: Request, largest: int) -> None:
    """Refuse a body that could not be read, or of more than so many bytes."""
    if request.framing == "too large" or len(request.body) > largest:
        raise refusals.TOO_LARGE
    if request.framing == "wrong":
        raise refusals.NOT_A_REQUEST


def _require_headers(request: Request) -> None:
    """Refuse a request whose headers are not as the rules of APIv3 say (doc 4012081709)."""
    if not request.header("User-Agent").strip() or not request.header("Accept").strip():
        raise refusals.HEADER_MISSING
    content_type = request.header("Content-Type").partition(";")[0].strip().lower()
    if not admits_json(request.header("Accept")) or (request.body and content_type != "application/json"):
        raise refusals.NOT_A_REQUEST


def authorization_fields(authorization: str) -> dict[str, str]:
    """Read the header Authorization; raise the official refusal where it is malformed."""
    scheme, _, rest = authorization.partition(" ")
    if scheme != SCHEME:
        raise wrong_signature("HTTP头Authorization认证类型不正确")
    pairs = [_PAIR.fullmatch(part.strip()) for part in rest.split(",")]
    fields = {match[1]: match[2] for match in pairs if match}
    if None in pairs or fields.keys() != _FIELDS or not re.fullmatch(r"[0-9]{10}", fields["timestamp"]):
        raise wrong_signature("HTTP头Authorization值格式错误")
    return fields


def signed_text(request: Request, fields: Mapping[str, str]) -> bytes:
    """Return the text that the signature must cover (doc 4012365336)."""
    lines = (request.method, request.target, fields["timestamp"], fields["nonce_str"])
    return "".join(f"{line}\n" for line in lines).encode() + request.body + b"\n"


def _verify(key: rsa.RSAPublicKey, signature: str, message: bytes) -> bool:
    try:
        key.verify(base64.b64decode(signature, validate=True), message, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True

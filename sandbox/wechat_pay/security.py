"""What is not about orders: platform certificates to download, the echo, and WeChat Pay's ways of encrypting."""

import base64
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sandbox.wechat_pay import answers
from sandbox.wechat_pay.answers import Reply, wrong_parameter
from sandbox.wechat_pay.gate import Request, json_object
from sandbox.wechat_pay.keys import Platform, SimulatedMerchant, encrypt

PATHS: Mapping[tuple[str, str], str] = {
    ("GET", "/v3/certificates"): "certificates",
    ("POST", "/v3/security/echo"): "echo",
}


def seal(merchant: SimulatedMerchant, plain: bytes, associated_data: str) -> dict[str, str]:
    """Encrypt under the merchant's APIv3 key, AES-256-GCM (doc 4012071382)."""
    nonce = secrets.token_hex(6)
    sealed = AESGCM(merchant.apiv3_key.encode()).encrypt(nonce.encode(), plain, associated_data.encode())
    return {
        "algorithm": "AEAD_AES_256_GCM",
        "ciphertext": base64.b64encode(sealed).decode(),
        "nonce": nonce,
        "associated_data": associated_data,
    }


def certificates(platform: Platform, merchant: SimulatedMerchant) -> Reply:
    """Every platform certificate, encrypted (doc 4012551764)."""
    return answers.ok({"data": [_entry(merchant, *held) for held in platform.certificates.items()]})


def _entry(merchant: SimulatedMerchant, serial: str, pem: str) -> dict[str, Any]:
    valid = x509.load_pem_x509_certificate(pem.encode())
    beijing = timedelta(hours=8)
    return {
        "serial_no": serial,
        "effective_time": f"{valid.not_valid_before_utc + beijing:%Y-%m-%dT%H:%M:%S}+08:00",
        "expire_time": f"{valid.not_valid_after_utc + beijing:%Y-%m-%dT%H:%M:%S}+08:00",
        "encrypt_certificate": seal(merchant, pem.encode(), "certificate"),
    }


def echo(platform: Platform, merchant: SimulatedMerchant, request: Request) -> Reply:
    """Send back what was said, and what was encrypted, encrypted for the merchant (doc 4014551946)."""
    serial = {name.lower(): value for name, value in request.headers.items()}.get("wechatpay-serial", "")
    if serial not in {platform.public_key_id, *platform.certificates}:
        raise wrong_parameter("Wechatpay-Serial", serial, "平台证书序列号Wechatpay-Serial错误", "header")
    said = json_object(request.body)
    if not isinstance(said.get("echo_message"), str):
        raise wrong_parameter("/echo_message", said.get("echo_message"), "必填")
    answer = {"echo_message": said["echo_message"]}
    if sealed := said.get("encrypted_echo_message"):
        try:
            plain = platform.decrypt(serial, sealed)
        except ValueError:
            raise wrong_parameter("/encrypted_echo_message", "", "解密失败") from None
        answer["encrypted_echo_message"] = encrypt(merchant.key.public_key(), plain)
    return answers.ok(answer)

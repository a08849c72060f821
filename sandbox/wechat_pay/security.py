"""Platform certificates to download, the echo, and WeChat Pay's ways of encrypting."""

import base64
import secrets
from datetime import timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sandbox.wechat_pay.body import json_object
from sandbox.wechat_pay.keys import SimulatedMerchant, SimulatedPlatform, encrypt
from sandbox.wechat_pay.message import Request, SimulatedReply, ok
from sandbox.wechat_pay.refusals import SimulatedRefusal, wrong_parameter, wrong_signature

NO_APIV3_KEY = wrong_signature("商户未设置APIv3密钥。")
NO_CERTIFICATES = SimulatedRefusal(
    404,
    "RESOURCE_NOT_EXISTS",
    "无可用的平台证书，请在商户平台-API安全申请使用微信支付公钥。",  # a link follows there
)


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


def certificates(platform: SimulatedPlatform, merchant: SimulatedMerchant) -> SimulatedReply:
    """Answer with every platform certificate, encrypted (doc 4012551764); a merchant may have none."""
    if not merchant.has_apiv3_key:
        raise NO_APIV3_KEY
    if merchant.kind == "public_key" or not platform.certificates:
        raise NO_CERTIFICATES
    return ok({"data": [_entry(merchant, *certificate) for certificate in platform.certificates.items()]})


def _entry(merchant: SimulatedMerchant, serial: str, pem: str) -> dict[str, Any]:
    valid = x509.load_pem_x509_certificate(pem.encode())
    beijing = timedelta(hours=8)
    return {
        "serial_no": serial,
        "effective_time": f"{valid.not_valid_before_utc + beijing:%Y-%m-%dT%H:%M:%S}+08:00",
        "expire_time": f"{valid.not_valid_after_utc + beijing:%Y-%m-%dT%H:%M:%S}+08:00",
        "encrypt_certificate": seal(merchant, pem.encode(), "certificate"),
    }


def echo(platform: SimulatedPlatform, merchant: SimulatedMerchant, request: Request) -> SimulatedReply:
    """Send back the message, and what was encrypted, encrypted for the merchant (doc 4014551946)."""
    serial = request.header("Wechatpay-Serial")
    if serial not in platform.keys(merchant.kind):
        raise wrong_parameter("Wechatpay-Serial", serial, "平台证书序列号Wechatpay-Serial错误", "header")
    fields = json_object(request.body)
    if not isinstance(fields.get("echo_message"), str):
        raise wrong_parameter("/echo_message", fields.get("echo_message"), "必填")
    answer = {"echo_message": fields["echo_message"]}
    if sealed := fields.get("encrypted_echo_message"):
        try:
            plain = platform.decrypt(serial, sealed)
        except ValueError:
            raise wrong_parameter("/encrypted_echo_message", "", "解密失败") from None
        answer["encrypted_echo_message"] = encrypt(merchant.key.public_key(), plain)
    return ok(answer)

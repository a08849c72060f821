"""Keys of a merchant and of its WeChat Pay, and the secret that holds them: no network, no store."""

from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sandbox.testbed import MERCHANT
from tests.wechatpay.conftest import CERTIFICATE_SERIAL, PUBLIC_KEY_ID, certificate_pem, public_pem, rsa_key


class KeyMaterial:
    """A merchant's key with its serial, and WeChat Pay's keys for that merchant."""

    def __init__(self) -> None:
        self.serial_no = "3775B6A45ACD588826D15E583A95F5DD00000001"
        self.merchant, self.platform, self.certificate = rsa_key(), rsa_key(), rsa_key()


def a_secret(keys: KeyMaterial, merchant: rsa.RSAPrivateKey | None = None) -> dict[str, Any]:
    """The secret of a merchant in migration, with every field."""
    key = merchant or keys.merchant
    return {
        "mchid": MERCHANT,
        "serial_no": keys.serial_no,
        "private_key": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        "platform_keys": {
            PUBLIC_KEY_ID: public_pem(keys.platform),
            CERTIFICATE_SERIAL: certificate_pem(keys.certificate, CERTIFICATE_SERIAL),
        },
        "apiv3_key": "0123456789abcdef" * 2,
        "appid": "wx1",
        "service_id": "500001",
        "endpoint": "partner",
    }

"""The echo, the encryption of sensitive fields, and the check of the merchant's certificate."""

import asyncio

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

import wechatpay
from sandbox.wechat_pay import Simulator

from .conftest import certificate_pem, public_pem

MCHID = "1230000109"


@pytest.fixture(params=["public_key", "certificate", "both"])
def client(request: pytest.FixtureRequest, wechat_pay: Simulator) -> wechatpay.Client:
    """A client with each kind of platform keys."""
    secret = wechat_pay.merchant(MCHID).secret(request.param)
    return wechatpay.Client(**secret, base_url=wechat_pay.base_url)


def test_an_echo_proves_both_sides(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """An echo is signed both ways, and its header names the key that WeChat Pay is to use."""
    assert client.security.echo("你好").json() == {"echo_message": "你好"}
    assert asyncio.run(client.security.echo_async()).status == 200
    assert wechat_pay.calls[0].headers["Wechatpay-Serial"] == client.encryption_serial


def test_an_echo_tells_a_wrong_key(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """With another merchant key the echo raises RefusedError with WeChat Pay's SIGN_ERROR."""
    wechat_pay.merchant(MCHID).rotate_key()
    with pytest.raises(wechatpay.RefusedError, match="SIGN_ERROR"):
        client.security.echo()


def test_another_echo_is_no_echo(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """An echo of another text raises MalformedError."""
    wechat_pay.misbehave("accepted_202")
    with pytest.raises(wechatpay.MalformedError, match="echo"):
        client.security.echo()


def test_a_sensitive_field_is_read_at_the_other_end_and_back(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """A field can be encrypted for WeChat Pay, and decrypted where WeChat Pay encrypted it for the merchant."""
    answer = client.v3.security.echo.post(
        json={"echo_message": "-", "encrypted_echo_message": client.encrypt("张三")},
        headers={"Wechatpay-Serial": client.encryption_serial},
    )
    assert client.decrypt(answer.json()["encrypted_echo_message"]) == "张三"
    assert client.encrypt("张三") != client.encrypt("张三"), "OAEP is not deterministic"


def test_a_field_is_encrypted_for_a_key_that_is_held(client: wechatpay.Client) -> None:
    """Encrypting for a key that is not held raises ValueError naming it."""
    with pytest.raises(ValueError, match="PUB_KEY_ID_OTHER"):
        client.encrypt("张三", serial="PUB_KEY_ID_OTHER")
    assert client.encrypt("张三", serial=next(iter(client.platform_keys)))


# ---- the merchant's own certificate ----------------------------------------------------------------------------------


def apiclient_cert(key: rsa.RSAPrivateKey, serial: str, common_name: str) -> str:
    """Return apiclient_cert.pem as the certificate tool makes it: the subject's common name is the mchid."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    like = x509.load_pem_x509_certificate(certificate_pem(key, serial).encode())
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), like.serial_number, like.not_valid_before_utc, like.not_valid_after_utc
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def test_a_merchant_fits_its_own_certificate(merchant: wechatpay.Merchant, merchant_key: rsa.RSAPrivateKey) -> None:
    """`Merchant.check` accepts the merchant's own certificate, however its PEM was pasted, without a call."""
    merchant.check()
    pem = apiclient_cert(merchant_key, merchant.serial_no, merchant.mchid)
    merchant.check(pem)
    merchant.check(pem.replace("\n", "\\n"))


def test_what_does_not_fit_is_named(
    merchant: wechatpay.Merchant, merchant_key: rsa.RSAPrivateKey, foreign_key: rsa.RSAPrivateKey
) -> None:
    """`Merchant.check` names what does not fit: the pair of keys, the serial, or the mchid."""
    serial, mchid = merchant.serial_no, merchant.mchid
    with pytest.raises(wechatpay.InvalidKeyError, match="does not belong to private_key"):
        merchant.check(apiclient_cert(foreign_key, serial, mchid))
    with pytest.raises(wechatpay.InvalidKeyError, match=r"serial_no is .*, the certificate's is 5AAA"):
        merchant.check(apiclient_cert(merchant_key, "5AAA", mchid))
    with pytest.raises(wechatpay.InvalidKeyError, match="issued to '1900000109'"):
        merchant.check(apiclient_cert(merchant_key, serial, "1900000109"))
    with pytest.raises(wechatpay.InvalidKeyError, match="certificate is damaged or not a certificate"):
        merchant.check("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----")


def test_the_merchants_serial_is_not_one_of_wechat_pays(wechat_pay: Simulator) -> None:
    """The constructor refuses a platform certificate's serial as the merchant's own."""
    secret = wechat_pay.merchant(MCHID).secret("certificate")
    with pytest.raises(wechatpay.InvalidKeyError, match="serial_no is among platform_keys"):
        wechatpay.Client(**secret | {"serial_no": wechat_pay.platform.certificate_serial})


def test_the_merchants_key_is_not_one_of_wechat_pays(wechat_pay: Simulator) -> None:
    """The constructor refuses the merchant's own public key as WeChat Pay's."""
    secret = wechat_pay.merchant(MCHID).secret()
    own = public_pem(wechat_pay.merchant(MCHID).key)
    with pytest.raises(wechatpay.InvalidKeyError, match="is the merchant's own key: give WeChat Pay's"):
        wechatpay.Client(**secret | {"platform_keys": {"PUB_KEY_ID_01": own}})

"""Certificates of the simulator are what the merchant platform gives: chain, serial, names."""

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID

from sandbox.wechat_pay import Simulator

MCHID = "1230000109"


def _common_name(name: x509.Name) -> object:
    return name.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value


def test_a_merchants_certificate_is_a_pair_with_its_key(wechat_pay: Simulator) -> None:
    """A merchant's API certificate has its public key, `serial_no` and mchid, and Tenpay's root has signed it."""
    merchant = wechat_pay.merchant(MCHID)
    certificate = x509.load_pem_x509_certificate(merchant.certificate.encode())
    assert f"{certificate.serial_number:X}" == merchant.serial_no
    assert _common_name(certificate.subject) == MCHID
    assert _common_name(certificate.issuer) == "Tenpay.com Root CA"
    key = load_pem_private_key(merchant.private_key.encode(), None)
    assert certificate.public_key() == key.public_key()
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(wechat_pay.platform.root_certificate.encode()))
    assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days == 1826


def test_a_new_key_comes_with_a_new_certificate(wechat_pay: Simulator) -> None:
    """After a rotation the certificate is that of the new key; without one it stays the same to the byte."""
    merchant = wechat_pay.merchant(MCHID)
    first = merchant.certificate
    assert merchant.certificate == first
    merchant.rotate_key()
    assert merchant.certificate != first
    second = x509.load_pem_x509_certificate(merchant.certificate.encode())
    assert f"{second.serial_number:X}" == merchant.serial_no


def test_a_platform_certificate_is_issued_by_tenpays_root(wechat_pay: Simulator) -> None:
    """The chain check of doc 4012069411 passes for a platform certificate."""
    [pem] = wechat_pay.platform.certificates.values()
    certificate = x509.load_pem_x509_certificate(pem.encode())
    root = x509.load_pem_x509_certificate(wechat_pay.platform.root_certificate.encode())
    certificate.verify_directly_issued_by(root)
    root.verify_directly_issued_by(root)
    assert f"{certificate.serial_number:X}" == wechat_pay.platform.certificate_serial


def test_a_key_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    """A key ring leaves only whole files that no one else may read."""
    with Simulator(keys=tmp_path) as simulator:
        simulator.merchant(MCHID).secret()
    files = list(tmp_path.iterdir())
    assert {path.suffix for path in files} == {".pem"}
    assert {path.stat().st_mode & 0o077 for path in files} == {0}

"""The merchant's key: loaded in every usual form, checked at once, never shown."""

import base64
import copy
import logging
import pickle
import traceback
from contextlib import suppress
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wechatpay.conftest import rsa_key
from wechatpay.errors import InvalidKeyError
from wechatpay.merchant import Merchant

SERIAL = "3775B6A45ACD588826D15E583A95F5DD00000001"


def merchant_with(private_key: Any, *, mchid: Any = "1230000109", serial_no: Any = SERIAL) -> Merchant:
    """Make a merchant with this key."""
    return Merchant(mchid=mchid, serial_no=serial_no, private_key=private_key)


def refusal(private_key: Any, **arguments: Any) -> str:
    """Return the text of the error about a key that cannot be used."""
    with pytest.raises(InvalidKeyError) as caught:
        merchant_with(private_key, **arguments)
    return str(caught.value)


def pem_of(key: Any, format_: PrivateFormat = PrivateFormat.PKCS8, encryption: Any = None) -> str:
    """Write a private key as PEM."""
    pem: bytes = key.private_bytes(Encoding.PEM, format_, encryption or NoEncryption())
    return pem.decode()


@pytest.mark.parametrize("format_", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL], ids=["PKCS#8", "PKCS#1"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\\n", " ", ""])
@pytest.mark.parametrize("bom", ["", "\ufeff"], ids=["", "BOM"])
def test_the_key_is_taken_in_every_usual_form(
    merchant_key: rsa.RSAPrivateKey, format_: PrivateFormat, line_end: str, bom: str
) -> None:
    """A key in every usual form is loaded and signs what its public half verifies."""
    merchant = merchant_with(bom + pem_of(merchant_key, format_).strip().replace("\n", line_end))
    signature = base64.b64decode(merchant.sign(b"message"))
    merchant_key.public_key().verify(signature, b"message", padding.PKCS1v15(), hashes.SHA256())
    assert merchant.public_key == merchant_key.public_key()


def test_a_key_object_is_taken_as_it_is(merchant: Merchant, merchant_key: rsa.RSAPrivateKey) -> None:
    """A key object makes the same signatures as its PEM, because the scheme is deterministic."""
    assert merchant_with(merchant_key).sign(b"message") == merchant.sign(b"message")


def test_base64_alone_and_bytes_are_taken(merchant_pem: str) -> None:
    """A key is loaded from base64 without BEGIN and END lines, and from bytes."""
    bare = "".join(merchant_pem.strip().splitlines()[1:-1])
    assert merchant_with(bare).sign(b"") == merchant_with(merchant_pem.encode()).sign(b"")


@pytest.mark.parametrize("bits", [1024, 3072, 4096])
def test_only_2048_bits_are_taken(bits: int) -> None:
    """A key of another size than 2048 bits is refused: WeChat Pay issues no other (doc 4013053057)."""
    key = rsa_key(bits)
    assert refusal(pem_of(key)) == f"private_key has {bits} bits: WeChat Pay takes RSA with 2048 bits only"
    assert refusal(key) == refusal(pem_of(key))


def test_another_kind_of_thing_is_named(merchant_key: rsa.RSAPrivateKey, platform_pem: str, certificate: str) -> None:
    """A certificate, a public key, another algorithm and an encrypted key are refused by their kind."""
    assert refusal(certificate) == "private_key is a certificate (apiclient_cert.pem): give apiclient_key.pem"
    assert refusal(platform_pem) == "private_key is a public key: give apiclient_key.pem"
    assert "is not an RSA key" in refusal(pem_of(ec.generate_private_key(ec.SECP256R1())))
    assert "is not an RSA key" in refusal(pem_of(ed25519.Ed25519PrivateKey.generate()))
    for format_ in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
        assert "is encrypted" in refusal(pem_of(merchant_key, format_, BestAvailableEncryption(b"secret")))
    assert "must be the text of a PEM file" in refusal(merchant_key.public_key())


def test_a_key_cut_off_when_copied_is_refused(merchant_pem: str) -> None:
    """The error about a key without its end, or with missing lines, says so."""
    assert "cut off" in refusal(merchant_pem[:1000])
    lines = merchant_pem.strip().splitlines()
    assert "damaged" in refusal("\n".join(lines[:9] + lines[-1:]))


def damaged(key: rsa.RSAPrivateKey, *names: str) -> str:
    """Write a key some of whose numbers are wrong by a bit."""
    numbers = key.private_numbers()
    values = {name: getattr(numbers, name) for name in ("d", "p", "q", "dmp1", "dmq1", "iqmp")}
    values["n"] = numbers.public_numbers.n
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    for name in names:
        size = (values[name].bit_length() + 7) // 8
        der = der.replace(values[name].to_bytes(size), (values[name] ^ 4).to_bytes(size))
    return f"-----BEGIN PRIVATE KEY-----\n{base64.encodebytes(der).decode()}-----END PRIVATE KEY-----"


@pytest.mark.parametrize("names", [["n"], ["d", "p"], ["d", "q"], ["d", "dmp1"], ["d", "dmq1"], ["d", "iqmp"]])
def test_the_self_check_finds_a_damaged_key(merchant_key: rsa.RSAPrivateKey, names: list[str]) -> None:
    """One signature finds the damage that the skipped test of the primes would have found."""
    assert merchant_with(damaged(merchant_key)).sign(b"") == merchant_with(merchant_key).sign(b"")
    assert "damaged" in refusal(damaged(merchant_key, *names))


def test_a_key_whose_halves_do_not_fit_is_refused(merchant_key: rsa.RSAPrivateKey) -> None:
    """A key object whose public half does not verify its signatures is refused."""
    numbers = merchant_key.private_numbers()
    public = rsa.RSAPublicNumbers(3, numbers.public_numbers.n)
    crt = numbers.dmp1, numbers.dmq1, numbers.iqmp
    wrong = rsa.RSAPrivateNumbers(numbers.p, numbers.q, numbers.d, *crt, public_numbers=public)
    key = wrong.private_key(unsafe_skip_rsa_key_validation=True)
    assert refusal(key) == "private_key is damaged: it does not sign what its public half verifies"


@pytest.mark.parametrize("mchid", ["", "1230000109 ", "12a", "1" * 33, "１２３", None, 1230000109])
def test_a_merchant_number_is_digits(merchant_pem: str, mchid: Any) -> None:
    """A merchant number that is not 1 to 32 ASCII digits is refused."""
    assert refusal(merchant_pem, mchid=mchid) == "mchid must be 1 to 32 digits"


def test_the_serial_is_that_of_the_merchants_certificate(merchant_pem: str) -> None:
    """WeChat Pay's key id, and text that is not hexadecimal, are refused as serial."""
    assert "WeChat Pay's key id" in refusal(merchant_pem, serial_no="PUB_KEY_ID_0112300001092024110110039720000001")
    for serial_no in ("", "37:75:B6", 'a"b', "x" * 65, None, 3775):
        assert "40 hexadecimal digits" in refusal(merchant_pem, serial_no=serial_no)


@pytest.mark.parametrize(
    ("serial_no", "text"),
    [
        (str(int(SERIAL, 16)), "is decimal"),
        (hex(int(SERIAL, 16)), "begins with 0x"),
        (f"0X{SERIAL}", "begins with 0x"),
        (SERIAL[1:], "has 39 of 40 hexadecimal digits"),
        (f"{SERIAL}0", "has other characters, or too many"),
        (f"serial={SERIAL}", "has other characters"),
        (f"{SERIAL}\n", "has other characters"),
        (":".join(SERIAL[n : n + 2] for n in range(0, 40, 2)), "has other characters"),
        ("３" * 40, "has other characters"),
        ("", "is empty"),
        (int(SERIAL, 16), "is not text but int"),
        ("pub_key_id_0112300001092024110110039720000001", "is WeChat Pay's key id"),
    ],
)
def test_the_error_says_what_happened_to_a_serial(merchant_pem: str, serial_no: Any, text: str) -> None:
    """A serial that a spreadsheet or another program changed is refused, where WeChat Pay would say SIGN_ERROR."""
    assert refusal(merchant_pem, serial_no=serial_no).startswith(f"serial_no {text}")


def test_a_serial_is_written_in_upper_case(merchant_pem: str) -> None:
    """A serial in lower case becomes upper case, as WeChat Pay writes it."""
    assert merchant_with(merchant_pem, serial_no=SERIAL.lower()).serial_no == SERIAL


def test_the_key_is_found_behind_its_certificate(merchant_pem: str, certificate: str) -> None:
    """A key is loaded from a file that begins with its certificate."""
    assert merchant_with(certificate + merchant_pem).sign(b"") == merchant_with(merchant_pem).sign(b"")


def fragments(pem: str) -> list[str]:
    """Return the beginning of each line of a key."""
    return [line[:16] for line in pem.strip().splitlines()[1:-1]]


def test_the_key_shows_in_nothing_that_prints(merchant: Merchant, merchant_key: rsa.RSAPrivateKey) -> None:
    """The key is in no `repr`, no log line and no public attribute of a merchant."""
    assert repr(merchant) == f"Merchant(mchid='1230000109', serial_no='{merchant.serial_no}')"
    assert str(merchant) == f"{merchant}" == repr(merchant)
    record = logging.LogRecord("wechatpay", logging.INFO, "", 0, "%s %r", (merchant, merchant), None)
    assert str(merchant_key.private_numbers().d)[:16] not in record.getMessage()
    assert not hasattr(merchant, "__dict__")
    assert {name for name in dir(merchant) if not name.startswith("_")} == {
        "mchid",
        "serial_no",
        "sign",
        "decrypt",
        "check",
        "public_key",
    }


def test_the_key_shows_in_no_traceback(merchant_pem: str) -> None:
    """The traceback of an error about a key contains no piece of it, its causes included."""
    for damaged_pem in (merchant_pem[:900], merchant_pem.replace("A", "B"), merchant_pem.replace("PRIVATE", "PUBLIC")):
        with pytest.raises(InvalidKeyError) as caught:
            merchant_with(damaged_pem)
        text = "".join(traceback.format_exception(caught.value))
        assert [fragment for fragment in fragments(damaged_pem) if fragment in text] == []


def test_a_merchant_is_not_pickled_but_may_be_copied(merchant: Merchant) -> None:
    """Pickling a merchant raises TypeError: it would carry the key elsewhere; copies sign the same."""
    with pytest.raises(TypeError, match="cannot pickle"):
        pickle.dumps(merchant)
    assert copy.deepcopy(merchant).sign(b"") == copy.copy(merchant).sign(b"") == merchant.sign(b"")


@settings(max_examples=100, deadline=None)
@given(changes=st.lists(st.tuples(st.integers(0, 1100), st.integers(0, 255)), min_size=1, max_size=20))
def test_nothing_but_the_one_error_comes_out(merchant_key: rsa.RSAPrivateKey, changes: list[tuple[int, int]]) -> None:
    """A key with any bytes changed still signs correctly, or raises InvalidKeyError and nothing else."""
    der = bytearray(merchant_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    for position, value in changes:
        der[position] = value
    with suppress(InvalidKeyError):
        merchant = merchant_with(base64.b64encode(der).decode())
        signature = base64.b64decode(merchant.sign(b"x"))
        merchant.public_key.verify(signature, b"x", padding.PKCS1v15(), hashes.SHA256())

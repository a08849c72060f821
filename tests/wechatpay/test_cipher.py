"""What WeChat Pay encrypts opens; what anybody changed does not."""

import base64
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from wechatpay.cipher import Cipher, decrypt, encrypt
from wechatpay.errors import InvalidKeyError, UndecryptableError

KEY = "a7xK29fQp0LmZ3vT8bNc6RwYd5HsJ1uE"
PREVIOUS = "Zq8WnB2kXv5Lc0PdT7yHm4RjF9sGa1eU"
NONCE = "fdasflkja484"
TEXT = '{"out_order_no":"1234","service_introduction":"充电宝"}'.encode()


def sealed(text: bytes, *, key: str = KEY, nonce: str = NONCE, associated_data: str = "payscore") -> str:
    """Encrypt as WeChat Pay does."""
    return base64.b64encode(AESGCM(key.encode()).encrypt(nonce.encode(), text, associated_data.encode())).decode()


def test_a_resource_opens_with_the_apiv3_key() -> None:
    """AES-256-GCM over nonce and associated data (doc 4012071382)."""
    assert Cipher(KEY).open(ciphertext=sealed(TEXT), nonce=NONCE, associated_data="payscore") == TEXT


def test_the_associated_data_may_be_empty() -> None:
    """As it is in notifications of PayScore."""
    assert Cipher(KEY).open(ciphertext=sealed(TEXT, associated_data=""), nonce=NONCE) == TEXT


def by_openssl(openssl: Path, mode: str, data: bytes, *options: str) -> bytes:
    """Encrypt with `openssl enc` and our key."""
    command = [str(openssl), "enc", f"-aes-256-{mode}", "-nopad", "-K", KEY.encode().hex(), *options]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


def product(factor: int, other: int) -> int:
    """Multiply in the field of GCM, as NIST SP 800-38D writes it down."""
    total = 0
    for bit in range(127, -1, -1):
        total ^= other if factor >> bit & 1 else 0
        other = other >> 1 ^ (0xE1 << 120 if other & 1 else 0)
    return total


def padded(data: bytes) -> bytes:
    """Fill up to whole blocks."""
    return data + bytes(-len(data) % 16)


@pytest.mark.parametrize("associated_data", ["", "payscore", "transaction and more than a block"])
def test_what_openssl_sealed_opens(openssl: Path, associated_data: str) -> None:
    """A known answer from elsewhere: `openssl` encrypts, the tag is computed after the standard's own text."""
    aad, nonce = associated_data.encode(), NONCE.encode()
    ciphertext = by_openssl(openssl, "ctr", TEXT, "-iv", (nonce + b"\0\0\0\2").hex())
    subkey, mask = (int.from_bytes(by_openssl(openssl, "ecb", block)) for block in (bytes(16), nonce + b"\0\0\0\1"))
    covered = padded(aad) + padded(ciphertext) + (8 * len(aad)).to_bytes(8) + (8 * len(ciphertext)).to_bytes(8)
    digest = 0
    for start in range(0, len(covered), 16):
        digest = product(digest ^ int.from_bytes(covered[start : start + 16]), subkey)
    whole = base64.b64encode(ciphertext + (digest ^ mask).to_bytes(16)).decode()
    assert whole == sealed(TEXT, associated_data=associated_data)
    assert Cipher(KEY).open(ciphertext=whole, nonce=NONCE, associated_data=associated_data) == TEXT


@pytest.mark.parametrize("keys", [[KEY, PREVIOUS], [PREVIOUS, KEY], (PREVIOUS, KEY)])
def test_the_previous_key_still_opens(keys: Any) -> None:
    """A changed APIv3 key has no period of overlap: notifications under the old one are still on their way."""
    assert Cipher(keys).open(ciphertext=sealed(TEXT), nonce=NONCE, associated_data="payscore") == TEXT


def test_a_wrong_key_opens_nothing() -> None:
    """And the error asks the question that helps (doc 4013053274)."""
    with pytest.raises(UndecryptableError, match=r"^none of our 1 APIv3 keys opens it: was the key changed"):
        Cipher(PREVIOUS).open(ciphertext=sealed(TEXT), nonce=NONCE, associated_data="payscore")


@pytest.mark.parametrize(
    "changed",
    [
        {"nonce": "fdasflkja485"},
        {"nonce": ""},
        {"nonce": "n" * 300},
        {"associated_data": ""},
        {"associated_data": "\ud800"},
        {"ciphertext": ""},
        {"ciphertext": "AAAA"},
        {"ciphertext": "not base64!"},
        {"ciphertext": "密文"},
        {"ciphertext": sealed(TEXT)[:-4]},
        {"ciphertext": base64.b64encode(TEXT + bytes(16)).decode()},
    ],
)
def test_what_was_changed_does_not_open(changed: dict[str, str]) -> None:
    """Nonce, associated data, ciphertext and tag belong together."""
    given_ = {"ciphertext": sealed(TEXT), "nonce": NONCE, "associated_data": "payscore"} | changed
    with pytest.raises(UndecryptableError):
        Cipher(KEY).open(**given_)


@given(position=st.integers(0, len(TEXT) + 15), flipped=st.integers(1, 255))
def test_no_byte_may_differ(position: int, flipped: int) -> None:
    """In the ciphertext as in its tag."""
    content = bytearray(base64.b64decode(sealed(TEXT)))
    content[position] ^= flipped
    with pytest.raises(UndecryptableError):
        Cipher(KEY).open(ciphertext=base64.b64encode(content).decode(), nonce=NONCE, associated_data="payscore")


@pytest.mark.parametrize("key", ["", KEY[:-1], KEY + "1", "密" * 11, [KEY, "short"], [b"x" * 32], [None]])
def test_an_apiv3_key_has_32_bytes(key: Any) -> None:
    """The v2 key looks alike; the error never shows what was given."""
    with pytest.raises(InvalidKeyError, match=r"^apiv3_key must have exactly 32 bytes") as caught:
        Cipher(key)
    assert KEY[:-1] not in str(caught.value)


def test_no_key_at_all_is_told() -> None:
    """An empty list opens nothing."""
    with pytest.raises(InvalidKeyError, match=r"^apiv3_key is missing$"):
        Cipher([])


def test_keys_are_counted_not_shown() -> None:
    """Whatever prints the cipher."""
    assert repr(Cipher([KEY, PREVIOUS])) == "Cipher(2 keys)"
    assert not hasattr(Cipher(KEY), "__dict__")


def test_a_sensitive_field_is_read_by_its_addressee_alone(
    merchant_key: rsa.RSAPrivateKey, foreign_key: rsa.RSAPrivateKey
) -> None:
    """Encrypted anew each time (doc 4013053257)."""
    ciphertext = encrypt("张三", merchant_key.public_key())
    assert decrypt(ciphertext, merchant_key) == "张三"
    assert encrypt("张三", merchant_key.public_key()) != ciphertext
    with pytest.raises(UndecryptableError, match=r"^the field was not encrypted for this merchant's key$"):
        decrypt(ciphertext, foreign_key)


def test_a_sensitive_field_is_what_openssl_takes_for_oaep(
    openssl: Path, merchant_key: rsa.RSAPrivateKey, merchant_pem: str, tmp_path: Path
) -> None:
    """RSA-OAEP with SHA-1, OpenSSL's default, is what WeChat Pay's documentation calls it."""
    (tmp_path / "key.pem").write_text(merchant_pem)
    command = [str(openssl), "pkeyutl", "-decrypt", "-inkey", str(tmp_path / "key.pem")]
    sealed_ = base64.b64decode(encrypt("13800000000", merchant_key.public_key()))
    options = ["-pkeyopt", "rsa_padding_mode:oaep"]
    opened = subprocess.run([*command, *options], input=sealed_, capture_output=True, check=True).stdout
    assert opened == b"13800000000"


def test_a_sensitive_field_fits_or_is_refused(merchant_key: rsa.RSAPrivateKey) -> None:
    """214 bytes of UTF-8 are what a key of 2048 bits carries."""
    assert decrypt(encrypt("x" * 214, merchant_key.public_key()), merchant_key) == "x" * 214
    with pytest.raises(ValueError, match="Encryption failed"):
        encrypt("x" * 215, merchant_key.public_key())


@pytest.mark.parametrize("ciphertext", ["", "not base64!", "AAAA", "密文", "A" * 344])
def test_what_is_no_ciphertext_is_told(merchant_key: rsa.RSAPrivateKey, ciphertext: str) -> None:
    """By the one error."""
    with pytest.raises(UndecryptableError):
        decrypt(ciphertext, merchant_key)


def test_a_ciphertext_is_base64_to_the_letter(merchant_key: rsa.RSAPrivateKey) -> None:
    """With a blank in it, it is not what WeChat Pay wrote."""
    resource, name = sealed(TEXT), encrypt("张三", merchant_key.public_key())
    with pytest.raises(UndecryptableError, match=r"^the ciphertext is not base64$"):
        Cipher(KEY).open(ciphertext=f"{resource[:8]} {resource[8:]}", nonce=NONCE, associated_data="payscore")
    with pytest.raises(UndecryptableError, match=r"^the field was not encrypted"):
        decrypt(f"{name[:8]} {name[8:]}", merchant_key)


def test_a_field_that_is_no_text_is_told(merchant_key: rsa.RSAPrivateKey) -> None:
    """Bytes that are no UTF-8 are not a name."""
    oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)  # noqa: S303  as WeChat Pay has it
    with pytest.raises(UndecryptableError):
        decrypt(base64.b64encode(merchant_key.public_key().encrypt(b"\xff", oaep)).decode(), merchant_key)

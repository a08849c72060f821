"""A ciphertext of WeChat Pay is decrypted; one that was changed is not."""

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


def encrypt_resource(text: bytes, *, key: str = KEY, nonce: str = NONCE, associated_data: str = "payscore") -> str:
    """Encrypt as WeChat Pay does."""
    return base64.b64encode(AESGCM(key.encode()).encrypt(nonce.encode(), text, associated_data.encode())).decode()


def test_a_resource_opens_with_the_apiv3_key() -> None:
    """A resource is decrypted with AES-256-GCM, its nonce and its associated data (doc 4012071382)."""
    assert Cipher(KEY).open(ciphertext=encrypt_resource(TEXT), nonce=NONCE, associated_data="payscore") == TEXT


def test_the_associated_data_may_be_empty() -> None:
    """A resource without associated data, as in notifications of PayScore, is decrypted."""
    assert Cipher(KEY).open(ciphertext=encrypt_resource(TEXT, associated_data=""), nonce=NONCE) == TEXT


def by_openssl(openssl: Path, mode: str, data: bytes, *options: str) -> bytes:
    """Encrypt with `openssl enc` and our key."""
    command = [str(openssl), "enc", f"-aes-256-{mode}", "-nopad", "-K", KEY.encode().hex(), *options]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


def product(factor: int, other: int) -> int:
    """Multiply in the field of GCM (NIST SP 800-38D)."""
    total = 0
    for bit in range(127, -1, -1):
        total ^= other if factor >> bit & 1 else 0
        other = other >> 1 ^ (0xE1 << 120 if other & 1 else 0)
    return total


def pad(data: bytes) -> bytes:
    """Fill up with zeros to whole blocks."""
    return data + bytes(-len(data) % 16)


@pytest.mark.parametrize("associated_data", ["", "payscore", "transaction and more than a block"])
def test_what_openssl_encrypted_is_decrypted(openssl: Path, associated_data: str) -> None:
    """A resource is decrypted that `openssl` encrypted, with a tag computed from the text of the standard."""
    aad, nonce = associated_data.encode(), NONCE.encode()
    ciphertext = by_openssl(openssl, "ctr", TEXT, "-iv", (nonce + b"\0\0\0\2").hex())
    subkey, mask = (int.from_bytes(by_openssl(openssl, "ecb", block)) for block in (bytes(16), nonce + b"\0\0\0\1"))
    covered = pad(aad) + pad(ciphertext) + (8 * len(aad)).to_bytes(8) + (8 * len(ciphertext)).to_bytes(8)
    digest = 0
    for start in range(0, len(covered), 16):
        digest = product(digest ^ int.from_bytes(covered[start : start + 16]), subkey)
    whole = base64.b64encode(ciphertext + (digest ^ mask).to_bytes(16)).decode()
    assert whole == encrypt_resource(TEXT, associated_data=associated_data)
    assert Cipher(KEY).open(ciphertext=whole, nonce=NONCE, associated_data=associated_data) == TEXT


@pytest.mark.parametrize("keys", [[KEY, PREVIOUS], [PREVIOUS, KEY], (PREVIOUS, KEY)])
def test_the_previous_key_still_opens(keys: Any) -> None:
    """A resource under the previous APIv3 key is decrypted: a changed key has no period of overlap."""
    assert Cipher(keys).open(ciphertext=encrypt_resource(TEXT), nonce=NONCE, associated_data="payscore") == TEXT


def test_a_wrong_key_opens_nothing() -> None:
    """The error for a wrong APIv3 key asks whether the key was changed (doc 4013053274)."""
    with pytest.raises(UndecryptableError, match=r"^none of our 1 APIv3 keys opens it: was the key changed"):
        Cipher(PREVIOUS).open(ciphertext=encrypt_resource(TEXT), nonce=NONCE, associated_data="payscore")


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
        {"ciphertext": encrypt_resource(TEXT)[:-4]},
        {"ciphertext": base64.b64encode(TEXT + bytes(16)).decode()},
    ],
)
def test_what_was_changed_does_not_open(changed: dict[str, str]) -> None:
    """A change of nonce, associated data, ciphertext or tag raises UndecryptableError."""
    arguments = {"ciphertext": encrypt_resource(TEXT), "nonce": NONCE, "associated_data": "payscore"} | changed
    with pytest.raises(UndecryptableError):
        Cipher(KEY).open(**arguments)


@given(position=st.integers(0, len(TEXT) + 15), flipped=st.integers(1, 255))
def test_no_byte_may_differ(position: int, flipped: int) -> None:
    """A change of any byte of ciphertext or tag raises UndecryptableError."""
    content = bytearray(base64.b64decode(encrypt_resource(TEXT)))
    content[position] ^= flipped
    with pytest.raises(UndecryptableError):
        Cipher(KEY).open(ciphertext=base64.b64encode(content).decode(), nonce=NONCE, associated_data="payscore")


@pytest.mark.parametrize("key", ["", KEY[:-1], KEY + "1", "密" * 11, [KEY, "short"], [b"x" * 32], [None]])
def test_an_apiv3_key_has_32_bytes(key: Any) -> None:
    """An APIv3 key of another length, such as a v2 key, is refused without being shown."""
    with pytest.raises(InvalidKeyError, match=r"^apiv3_key must have exactly 32 bytes") as caught:
        Cipher(key)
    assert KEY[:-1] not in str(caught.value)


def test_an_empty_list_of_keys_is_refused() -> None:
    """A cipher needs at least one key."""
    with pytest.raises(InvalidKeyError, match=r"^apiv3_key is missing$"):
        Cipher([])


def test_keys_are_counted_not_shown() -> None:
    """The `repr` of a cipher has the number of its keys, not the keys."""
    assert repr(Cipher([KEY, PREVIOUS])) == "Cipher(2 keys)"
    assert not hasattr(Cipher(KEY), "__dict__")


def test_a_sensitive_field_is_read_by_its_addressee_alone(
    merchant_key: rsa.RSAPrivateKey, foreign_key: rsa.RSAPrivateKey
) -> None:
    """A field is decrypted by its merchant alone, and has another ciphertext each time (doc 4013053257)."""
    ciphertext = encrypt("张三", merchant_key.public_key())
    assert decrypt(ciphertext, merchant_key) == "张三"
    assert encrypt("张三", merchant_key.public_key()) != ciphertext
    with pytest.raises(UndecryptableError, match=r"^the field was not encrypted for this merchant's key$"):
        decrypt(ciphertext, foreign_key)


def test_a_sensitive_field_is_what_openssl_takes_for_oaep(
    openssl: Path, merchant_key: rsa.RSAPrivateKey, merchant_pem: str, tmp_path: Path
) -> None:
    """An encrypted field is decrypted by `openssl` as RSA-OAEP with SHA-1, WeChat Pay's scheme."""
    (tmp_path / "key.pem").write_text(merchant_pem)
    command = [str(openssl), "pkeyutl", "-decrypt", "-inkey", str(tmp_path / "key.pem")]
    ciphertext = base64.b64decode(encrypt("13800000000", merchant_key.public_key()))
    options = ["-pkeyopt", "rsa_padding_mode:oaep"]
    plaintext = subprocess.run([*command, *options], input=ciphertext, capture_output=True, check=True).stdout
    assert plaintext == b"13800000000"


def test_a_sensitive_field_fits_or_is_refused(merchant_key: rsa.RSAPrivateKey) -> None:
    """A field of 214 bytes of UTF-8 is encrypted, a longer one raises ValueError."""
    assert decrypt(encrypt("x" * 214, merchant_key.public_key()), merchant_key) == "x" * 214
    with pytest.raises(ValueError, match="Encryption failed"):
        encrypt("x" * 215, merchant_key.public_key())


@pytest.mark.parametrize("ciphertext", ["", "not base64!", "AAAA", "密文", "A" * 344])
def test_what_is_no_ciphertext_is_refused(merchant_key: rsa.RSAPrivateKey, ciphertext: str) -> None:
    """Text that is not a ciphertext raises UndecryptableError."""
    with pytest.raises(UndecryptableError):
        decrypt(ciphertext, merchant_key)


def test_a_ciphertext_is_base64_to_the_letter(merchant_key: rsa.RSAPrivateKey) -> None:
    """A ciphertext with a blank in it is refused."""
    resource, name = encrypt_resource(TEXT), encrypt("张三", merchant_key.public_key())
    with pytest.raises(UndecryptableError, match=r"^the ciphertext is not base64$"):
        Cipher(KEY).open(ciphertext=f"{resource[:8]} {resource[8:]}", nonce=NONCE, associated_data="payscore")
    with pytest.raises(UndecryptableError, match=r"^the field was not encrypted"):
        decrypt(f"{name[:8]} {name[8:]}", merchant_key)


def test_a_field_that_is_no_text_is_refused(merchant_key: rsa.RSAPrivateKey) -> None:
    """A field whose plaintext is not UTF-8 raises UndecryptableError."""
    oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)  # noqa: S303  as WeChat Pay has it
    with pytest.raises(UndecryptableError):
        decrypt(base64.b64encode(merchant_key.public_key().encrypt(b"\xff", oaep)).decode(), merchant_key)

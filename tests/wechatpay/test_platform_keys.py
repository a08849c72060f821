"""WeChat Pay's keys: both kinds at once, each under the serial that answers name."""

import copy
import pickle
from datetime import UTC
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wechatpay.conftest import CERTIFICATE_SERIAL, PUBLIC_KEY_ID, certificate_pem, public_pem, rsa_key
from wechatpay.errors import InvalidKeyError
from wechatpay.platform_keys import PlatformKeys


def refusal(serial: Any, value: Any) -> str:
    """Return the text of the error about an entry that cannot be used."""
    with pytest.raises(InvalidKeyError) as caught:
        PlatformKeys({serial: value})
    return str(caught.value)


def test_a_merchant_in_migration_holds_both_kinds(
    platform_keys: PlatformKeys, platform_key: rsa.RSAPrivateKey, certificate_key: rsa.RSAPrivateKey
) -> None:
    """Public keys and certificates are keys side by side, by their serials."""
    assert dict(platform_keys) == {
        PUBLIC_KEY_ID: platform_key.public_key(),
        CERTIFICATE_SERIAL: certificate_key.public_key(),
    }
    assert len(platform_keys) == 2
    assert platform_keys.public_key_id == PUBLIC_KEY_ID


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\\n", " ", ""])
def test_a_public_key_is_read_however_it_was_pasted(platform_pem: str, line_end: str) -> None:
    """A public key is loaded in every usual form of PEM."""
    pasted = "\ufeff" + platform_pem.strip().replace("\n", line_end)
    assert PlatformKeys({PUBLIC_KEY_ID: pasted}) == PlatformKeys({PUBLIC_KEY_ID: platform_pem})


def test_other_spellings_of_a_key_are_taken(platform_key: rsa.RSAPrivateKey, platform_pem: str) -> None:
    """A public key is loaded from PKCS#1, bytes, base64 alone or a key object."""
    key = platform_key.public_key()
    bare = "".join(platform_pem.strip().splitlines()[1:-1])
    for value in (key.public_bytes(Encoding.PEM, PublicFormat.PKCS1), platform_pem.encode(), bare, key):
        assert PlatformKeys({PUBLIC_KEY_ID: value})[PUBLIC_KEY_ID] == key


@pytest.mark.parametrize("written", [str.upper, str.lower])
def test_a_certificate_is_found_by_the_serial_that_answers_write(certificate: str, written: Any) -> None:
    """A certificate is found by its serial in upper case, however the serial was configured."""
    assert list(PlatformKeys({written(CERTIFICATE_SERIAL): certificate})) == [CERTIFICATE_SERIAL]


def test_a_serial_keeps_its_leading_zero(certificate_key: rsa.RSAPrivateKey) -> None:
    """A serial is text: its leading zero is part of it."""
    serial = "0A" * 20
    assert list(PlatformKeys({serial: certificate_pem(certificate_key, serial)})) == [serial]


def test_a_certificate_under_another_name_is_refused(certificate: str) -> None:
    """A certificate under another serial is refused; the error has its own serial."""
    assert refusal("5F" * 20, certificate) == (
        f"platform_keys['{'5F' * 20}'] holds the certificate {CERTIFICATE_SERIAL}: use that as its name"
    )


def test_another_kind_of_thing_is_named(merchant_pem: str, certificate: str) -> None:
    """A value of another kind is refused, with the entry and the remedy."""
    curve = ec.generate_private_key(ec.SECP256R1()).public_key()
    curve_pem = curve.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    entry = f"platform_keys['{PUBLIC_KEY_ID}']"
    assert refusal(PUBLIC_KEY_ID, merchant_pem).startswith(f"{entry} is a private key: give WeChat Pay's public key")
    assert refusal(PUBLIC_KEY_ID, curve_pem) == f"{entry} is not an RSA key"
    assert refusal(PUBLIC_KEY_ID, "") == f"{entry} is empty"
    assert refusal(PUBLIC_KEY_ID, certificate[:500]).startswith(f"{entry} has no END line")
    damaged = certificate.replace(certificate[100:120], "")
    assert refusal(CERTIFICATE_SERIAL, damaged).endswith("is damaged or not a certificate")
    assert refusal(PUBLIC_KEY_ID, "AAAA") == f"{entry} is damaged or not a public key"


@pytest.mark.parametrize("bits", [1024, 4096])
def test_only_2048_bits_are_taken(bits: int) -> None:
    """A key of another size than 2048 bits is refused in both kinds."""
    key = rsa_key(bits)
    assert f"has {bits} bits" in refusal(PUBLIC_KEY_ID, public_pem(key))
    assert f"has {bits} bits" in refusal(CERTIFICATE_SERIAL, certificate_pem(key, CERTIFICATE_SERIAL))


@pytest.mark.parametrize("serial", ["", "71:32:D7", "PUB KEY", "x" * 129, None, 0x7132, "签名"])
def test_a_name_is_a_serial(platform_pem: str, serial: Any) -> None:
    """A name that is not ASCII letters, digits and underscores is refused: it is sent as a header."""
    assert "a name must be PUB_KEY_ID_… or the serial" in refusal(serial, platform_pem)


@pytest.mark.parametrize("name", [CERTIFICATE_SERIAL, "WECHATPAY", "0112300001092024110110039720000001"])
def test_a_public_key_is_named_by_its_id(platform_pem: str, name: str) -> None:
    """A public key under another name than its id is refused: no answer would find it."""
    assert refusal(name, platform_pem).endswith(
        "a public key, not a certificate: its name must be its id, PUB_KEY_ID_…"
    )


def test_names_become_upper_case(platform_pem: str) -> None:
    """Names become upper case, as answers have them."""
    assert list(PlatformKeys({PUBLIC_KEY_ID.lower(): platform_pem})) == [PUBLIC_KEY_ID]


def test_the_block_that_the_name_promises_is_taken(
    platform_pem: str, certificate: str, certificate_key: rsa.RSAPrivateKey
) -> None:
    """Of several blocks, the public key is loaded for an id, and the certificate with the serial for a serial."""
    other = certificate_pem(certificate_key, "5F" * 20)
    assert PlatformKeys({PUBLIC_KEY_ID: certificate + platform_pem}) == PlatformKeys({PUBLIC_KEY_ID: platform_pem})
    for chain in (certificate + other, other + certificate, platform_pem + other + certificate):
        assert PlatformKeys({CERTIFICATE_SERIAL: chain}) == PlatformKeys({CERTIFICATE_SERIAL: certificate})


def test_certificates_have_a_first_and_a_last_moment(platform_keys: PlatformKeys) -> None:
    """The validity of a certificate is that of its X.509; a public key has none."""
    assert list(platform_keys.validities) == [CERTIFICATE_SERIAL]
    begin, end = platform_keys.validities[CERTIFICATE_SERIAL]
    assert ((end - begin).days, begin.tzinfo) == (1825, UTC)


def test_an_apiv3_key_pasted_as_a_name_is_not_repeated(platform_pem: str) -> None:
    """A name that may be an APIv3 key, which has 32 characters, is not in the text of an error."""
    for name in ("a7xK29fQp0LmZ3vT8bNc6RwYd5HsJ1uE", "0123456789abcdef" * 2):
        for value in (platform_pem, "nonsense!", ""):
            assert name not in refusal(name, value)
            assert name.upper() not in refusal(name, value)


def test_a_key_pasted_as_a_name_is_not_repeated(merchant_pem: str) -> None:
    """A name that is a private key, because the two were swapped, is not in the text of an error."""
    assert merchant_pem[60:80] not in refusal(merchant_pem, PUBLIC_KEY_ID)


@pytest.mark.parametrize("keys", ["-----BEGIN PUBLIC KEY-----", ["x"], None])
def test_what_is_no_mapping_is_refused(keys: Any) -> None:
    """Keys that are not a mapping from serials are refused."""
    with pytest.raises(InvalidKeyError, match="must map serials to keys"):
        PlatformKeys(keys)


def test_keys_are_parsed_once(platform_keys: PlatformKeys, platform_pem: str) -> None:
    """`PlatformKeys.of` returns parsed keys as they are."""
    assert PlatformKeys.of(platform_keys) is platform_keys
    assert PlatformKeys.of({PUBLIC_KEY_ID: platform_pem}).public_key_id == PUBLIC_KEY_ID


def test_sensitive_fields_are_encrypted_with_the_newest_key(
    platform_pem: str, certificate: str, certificate_key: rsa.RSAPrivateKey
) -> None:
    """A field is encrypted with the public key, or the certificate that expires last (doc 4013053257)."""
    newer = "5F" * 20
    both = {CERTIFICATE_SERIAL: certificate, newer: certificate_pem(certificate_key, newer, days=3000)}
    assert PlatformKeys(both).encryption_serial == newer
    assert PlatformKeys(dict(reversed(both.items()))).encryption_serial == newer
    assert PlatformKeys(both | {PUBLIC_KEY_ID: platform_pem}).encryption_serial == PUBLIC_KEY_ID
    assert PlatformKeys({newer: certificate_key.public_key()}).encryption_serial == newer
    assert PlatformKeys({}).encryption_serial is None


def test_pure_certificate_mode_asks_for_no_public_key(certificate: str) -> None:
    """Certificates alone have no key id to send as `Wechatpay-Serial`."""
    assert PlatformKeys({CERTIFICATE_SERIAL: certificate}).public_key_id is None


def test_only_names_are_shown(platform_keys: PlatformKeys) -> None:
    """The `repr` has the serials alone; parsed keys can be copied, not pickled."""
    assert repr(platform_keys) == f"PlatformKeys({PUBLIC_KEY_ID}, {CERTIFICATE_SERIAL})"
    assert copy.deepcopy(platform_keys) == platform_keys
    with pytest.raises(TypeError, match="cannot pickle"):
        pickle.dumps(platform_keys)


@settings(max_examples=150, deadline=None)
@given(position=st.integers(60, 900), text=st.text(alphabet="ABCab01+/=\n ", min_size=1, max_size=8))
def test_nothing_but_the_one_error_comes_out(certificate: str, position: int, text: str) -> None:
    """A certificate with any characters changed is loaded under its serial, or raises InvalidKeyError."""
    try:
        keys = PlatformKeys({CERTIFICATE_SERIAL: certificate[:position] + text + certificate[position + len(text) :]})
    except InvalidKeyError:
        return
    assert list(keys) == [CERTIFICATE_SERIAL]

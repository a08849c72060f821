"""Verifying signatures: every attack by name; each ends in the same error."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wechatpay.conftest import CERTIFICATE_SERIAL, NOW, PUBLIC_KEY_ID, Sign
from wechatpay.errors import Reason, UntrustedError
from wechatpay.platform_keys import PlatformKeys
from wechatpay.verification import verify

VECTORS = Path(__file__).parent / "vectors"
BODY = '{"out_order_no": "1234", "state": "DONE", "description": "充电宝"}'.encode()
REQUIRED = ["Wechatpay-Serial", "Wechatpay-Timestamp", "Wechatpay-Nonce", "Wechatpay-Signature"]


def refused(headers: Mapping[str, str], body: bytes, keys: PlatformKeys, now: float = NOW) -> UntrustedError:
    """Return the error that must come."""
    with pytest.raises(UntrustedError) as caught:
        verify(headers, body, keys, now)
    return caught.value


def test_an_answer_signed_with_the_public_key_is_trusted(signed: Sign, platform_keys: PlatformKeys) -> None:
    """Verification returns the serial of the key that signed."""
    assert verify(signed(BODY), BODY, platform_keys, NOW) == PUBLIC_KEY_ID


def test_an_answer_signed_with_a_platform_certificate_is_trusted(
    signed: Sign, platform_keys: PlatformKeys, certificate_key: rsa.RSAPrivateKey
) -> None:
    """The key is chosen by `Wechatpay-Serial` among several of both kinds, as a merchant in migration has them."""
    headers = signed(BODY, key=certificate_key, serial=CERTIFICATE_SERIAL)
    assert verify(headers, BODY, platform_keys, NOW) == CERTIFICATE_SERIAL


def test_the_documentations_answer_is_trusted() -> None:
    """The sample answer of the documentation verifies with the documentation's key."""
    sample = json.loads((VECTORS / "answer.json").read_text(encoding="utf-8"))
    serial = sample["headers"]["Wechatpay-Serial"]
    keys = PlatformKeys({serial: sample["public_key"]})
    assert serial == verify(sample["headers"], sample["body"].encode(), keys, 1722850421)


def test_an_empty_body_is_signed_too(signed: Sign, platform_keys: PlatformKeys) -> None:
    """The signature of a 204 covers an empty body; an unsigned one is refused."""
    assert verify(signed(b""), b"", platform_keys, NOW) == PUBLIC_KEY_ID
    assert refused({}, b"", platform_keys).reason == "unsigned"


@pytest.mark.parametrize("spelling", [str.lower, str.upper, str.title], ids=["lower", "upper", "title"])
def test_header_names_ignore_case(signed: Sign, platform_keys: PlatformKeys, spelling: type[str]) -> None:
    """Header names are accepted in any case: API Gateway and HTTP/2 use lower case."""
    headers = {spelling(name): value for name, value in signed(BODY).items()}
    assert verify(headers, BODY, platform_keys, NOW) == PUBLIC_KEY_ID


def test_an_absent_signature_type_counts_as_rsa(signed: Sign, platform_keys: PlatformKeys) -> None:
    """An answer without `Wechatpay-Signature-Type` is verified as RSA."""
    headers = signed(BODY)
    del headers["Wechatpay-Signature-Type"]
    assert verify(headers, BODY, platform_keys, NOW) == PUBLIC_KEY_ID


@pytest.mark.parametrize("kind", ["WECHATPAY2-SM2-WITH-SM3", "wechatpay2-sha256-rsa2048", "", "x" * 10_000])
def test_another_signature_type_is_refused(signed: Sign, platform_keys: PlatformKeys, kind: str) -> None:
    """A signature of another type is refused, and the error names that type."""
    error = refused(signed(BODY) | {"Wechatpay-Signature-Type": kind}, BODY, platform_keys)
    assert error.reason == "signature_type"
    assert repr(kind[:64]) in str(error)
    assert len(str(error)) < 200


@pytest.mark.parametrize(
    "body",
    [
        BODY.replace(b"DONE", b"DOIN"),
        BODY + b" ",
        BODY[:-1],
        b"",
        json.dumps(json.loads(BODY)).encode(),
        json.dumps(json.loads(BODY), ensure_ascii=False, separators=(",", ":")).encode(),
    ],
    ids=["tampered", "a blank more", "truncated", "emptied", "re-serialised", "re-serialised compactly"],
)
def test_other_bytes_than_those_signed_are_refused(signed: Sign, platform_keys: PlatformKeys, body: bytes) -> None:
    """A body in other bytes is refused, even one with the same meaning."""
    error = refused(signed(BODY), body, platform_keys)
    assert (error.reason, error.serial) == ("signature", PUBLIC_KEY_ID)


@settings(max_examples=150, deadline=None)
@given(position=st.integers(0, len(BODY) - 1), flipped=st.integers(1, 255))
def test_no_single_byte_may_differ(signed: Sign, platform_keys: PlatformKeys, position: int, flipped: int) -> None:
    """A change of any byte of the body is refused."""
    body = bytearray(BODY)
    body[position] ^= flipped
    assert refused(signed(BODY), bytes(body), platform_keys).reason == "signature"


@pytest.mark.parametrize("changed", ["Wechatpay-Timestamp", "Wechatpay-Nonce"])
def test_the_signature_covers_timestamp_and_nonce(signed: Sign, platform_keys: PlatformKeys, changed: str) -> None:
    """An answer whose timestamp or nonce was changed is refused."""
    headers = signed(BODY) | {changed: str(NOW + 1)}
    assert refused(headers, BODY, platform_keys).reason == "signature"


def test_a_line_of_the_body_cannot_be_moved_into_the_nonce(signed: Sign, platform_keys: PlatformKeys) -> None:
    """A nonce with a line end is refused: the signed message would be the same with another body."""
    body = b'{"state": "DOING"}\n{"state": "DONE"}'
    first, rest = body.split(b"\n")
    headers = signed(body)
    headers["Wechatpay-Nonce"] += f"\n{first.decode()}"
    assert refused(headers, rest, platform_keys).reason == "signature"


@pytest.mark.parametrize("seconds", [-400, -301, 301, 400, 86_400 * 365])
def test_a_stale_answer_is_refused(signed: Sign, platform_keys: PlatformKeys, seconds: int) -> None:
    """An answer more than 300 s from our clock is refused; the error has both times."""
    error = refused(signed(BODY, at=NOW + seconds), BODY, platform_keys)
    assert error.reason == "stale"
    assert str(NOW) in str(error)
    assert str(NOW + seconds) in str(error)


@pytest.mark.parametrize("seconds", [-300, -299, 0, 299, 300])
def test_clocks_may_differ_by_five_minutes(signed: Sign, platform_keys: PlatformKeys, seconds: int) -> None:
    """A timestamp up to 300 s from our clock is accepted, before and after."""
    assert verify(signed(BODY, at=NOW + seconds), BODY, platform_keys, NOW) == PUBLIC_KEY_ID


@pytest.mark.parametrize(
    "timestamp", ["now", "-1", "1.8e9", "1800000000.0", "１８０００００００", "9" * 13, " 1800000000"]
)
def test_a_timestamp_must_be_a_number(signed: Sign, platform_keys: PlatformKeys, timestamp: str) -> None:
    """A timestamp that is not whole seconds in ASCII digits is refused."""
    assert refused(signed(BODY) | {"Wechatpay-Timestamp": timestamp}, BODY, platform_keys).reason == "timestamp"


@pytest.mark.parametrize("missing", REQUIRED)
@pytest.mark.parametrize("how", ["absent", "empty"])
def test_each_missing_header_is_named(signed: Sign, platform_keys: PlatformKeys, missing: str, how: str) -> None:
    """An answer without one of the four headers is refused, and the error names the header."""
    headers = signed(BODY)
    headers[missing] = ""
    if how == "absent":
        del headers[missing]
    error = refused(headers, BODY, platform_keys)
    assert error.reason == "unsigned"
    assert missing in str(error)


def test_an_unknown_serial_is_refused_and_told_beside_those_held(signed: Sign, platform_keys: PlatformKeys) -> None:
    """An unknown serial is refused as opaque text; the error has it and those that are trusted."""
    error = refused(signed(BODY, serial="PUB_KEY_ID_UNKNOWN"), BODY, platform_keys)
    assert error.reason == "unknown_serial"
    assert error.serial == "PUB_KEY_ID_UNKNOWN"
    assert error.held == (PUBLIC_KEY_ID, CERTIFICATE_SERIAL)
    assert all(serial in str(error) for serial in (error.serial, *error.held))


def test_a_foreign_key_under_our_serial_is_refused(
    signed: Sign, platform_keys: PlatformKeys, foreign_key: rsa.RSAPrivateKey
) -> None:
    """A signature of another key under WeChat Pay's serial is refused."""
    assert refused(signed(BODY, key=foreign_key), BODY, platform_keys).reason == "signature"


def test_a_key_verifies_under_its_own_serial_alone(signed: Sign, platform_keys: PlatformKeys) -> None:
    """A genuine signature under the serial of another trusted key is refused."""
    assert refused(signed(BODY, serial=CERTIFICATE_SERIAL), BODY, platform_keys).reason == "signature"


def test_while_certificates_are_replaced_both_are_trusted(
    signed: Sign, certificate: str, certificate_key: rsa.RSAPrivateKey, foreign_key: rsa.RSAPrivateKey
) -> None:
    """Old and new key are trusted together (doc 4012068829); after the old one is removed, it is unknown."""
    new, old = "5F" * 20, CERTIFICATE_SERIAL
    during = PlatformKeys({old: certificate, new: foreign_key.public_key()})
    after = PlatformKeys({new: foreign_key.public_key()})
    by_old = signed(BODY, key=certificate_key, serial=old)
    by_new = signed(BODY, key=foreign_key, serial=new)
    assert old == verify(by_old, BODY, during, NOW)
    assert new == verify(by_new, BODY, during, NOW)
    assert new == verify(by_new, BODY, after, NOW)
    assert refused(by_old, BODY, after).reason == "unknown_serial"


def test_a_probe_is_told_from_an_attack(signed: Sign, platform_keys: PlatformKeys) -> None:
    """A signature that WeChat Pay makes wrong on purpose has a reason of its own (doc 4013053249)."""
    headers = signed(BODY)
    headers["Wechatpay-Signature"] = f"WECHATPAY/SIGNTEST/{headers['Wechatpay-Signature']}"
    assert refused(headers, BODY, platform_keys).reason == "probe"


@pytest.mark.parametrize(
    "signature",
    ["a", "====", "not base64!", "c2lnbmVk", "签名", "\ud800", "A" * 353, "A" * 344, "\n"],
    ids=["a letter", "padding", "not base64", "too short", "Chinese", "surrogate", "undecodable", "zeros", "line end"],
)
def test_what_is_no_signature_is_refused(signed: Sign, platform_keys: PlatformKeys, signature: str) -> None:
    """A signature that cannot be decoded is refused like a forged one."""
    error = refused(signed(BODY) | {"Wechatpay-Signature": signature}, BODY, platform_keys)
    assert error.reason == "signature"


def test_the_request_id_is_kept_for_the_search_that_follows(signed: Sign, platform_keys: PlatformKeys) -> None:
    """An UntrustedError has the Request-ID, which WeChat Pay's support asks for."""
    assert refused(signed(b""), BODY, platform_keys).request_id == "08F5B8C2B506102C18FDDFEEA30620BE821E28EDC405-0"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"Wechatpay-Nonce": "", "Wechatpay-Signature": ""},
            "not signed: Wechatpay-Nonce, Wechatpay-Signature missing (a proxy may have dropped the headers)",
        ),
        (
            {"Wechatpay-Signature-Type": "WECHATPAY2-SM2-WITH-SM3"},
            "signed with 'WECHATPAY2-SM2-WITH-SM3', only WECHATPAY2-SHA256-RSA2048 is verified",
        ),
        ({"Wechatpay-Timestamp": "now"}, "Wechatpay-Timestamp is not a number of seconds"),
        (
            {"Wechatpay-Serial": "x" * 100},
            f"signed with the key '{'x' * 64}', which is not among ours: {PUBLIC_KEY_ID}, {CERTIFICATE_SERIAL}",
        ),
        (
            {"Wechatpay-Timestamp": str(NOW - 301)},
            f"signed at {NOW - 301}, our clock says {NOW}: more than 300 s apart",
        ),
        (
            {"Wechatpay-Signature": "WECHATPAY/SIGNTEST/x"},
            "signed wrongly on purpose, to test that signatures are verified here",
        ),
        (
            {"Wechatpay-Signature": "AAAA"},
            f"the signature is not that of the key {PUBLIC_KEY_ID} over these {len(BODY)} bytes",
        ),
    ],
    ids=["unsigned", "signature_type", "timestamp", "unknown_serial", "stale", "probe", "signature"],
)
def test_the_error_says_what_to_look_at(
    signed: Sign, platform_keys: PlatformKeys, changes: dict[str, str], text: str, request: pytest.FixtureRequest
) -> None:
    """Each reason has one line of text that names what to check."""
    error = refused(signed(BODY) | changes, BODY, platform_keys)
    assert str(error) == text
    assert error.reason == request.node.callspec.id


def test_without_any_key_the_error_says_so(signed: Sign) -> None:
    """Without platform keys the error says that none are trusted; without Request-ID it has none."""
    headers = signed(BODY)
    del headers["Request-ID"]
    error = refused(headers, BODY, PlatformKeys({}))
    assert str(error).endswith("which is not among ours: none")
    assert (error.held, error.request_id) == ((), "")


def test_a_signature_is_base64_to_the_letter(signed: Sign, platform_keys: PlatformKeys) -> None:
    """A genuine signature with a blank in it is refused."""
    headers = signed(BODY)
    headers["Wechatpay-Signature"] = f"{headers['Wechatpay-Signature'][:9]} {headers['Wechatpay-Signature'][9:]}"
    assert refused(headers, BODY, platform_keys).reason == "signature"


def test_no_error_text_holds_signature_or_body(signed: Sign, platform_keys: PlatformKeys) -> None:
    """The error of a refused answer contains neither signature nor nonce nor body."""
    headers = signed(BODY)
    for now in (NOW, NOW + 400):
        text = str(refused(headers, BODY + b"!", platform_keys, now))
        assert headers["Wechatpay-Signature"] not in text
        assert headers["Wechatpay-Nonce"] not in text
        assert "DONE" not in text


def test_every_reason_is_explained() -> None:
    """Every reason is explained where it is defined."""
    import wechatpay.errors

    source = Path(str(wechatpay.errors.__file__)).read_text(encoding="utf-8")
    assert [reason for reason in get_args(Reason) if f"- `{reason}`:" not in source] == []


@settings(max_examples=200, deadline=None)
@given(
    changes=st.dictionaries(st.sampled_from([*REQUIRED, "Wechatpay-Signature-Type"]), st.text(), min_size=1),
    body=st.binary(max_size=50),
)
def test_nothing_but_the_one_error_comes_out(
    signed: Sign, platform_keys: PlatformKeys, changes: dict[str, str], body: bytes
) -> None:
    """Any headers with a body that was not signed raise UntrustedError and nothing else."""
    assert refused(signed(BODY) | changes, body + b"!", platform_keys).reason in get_args(Reason)

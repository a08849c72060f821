"""Notifications: verified first, then decrypted."""

import base64
import copy
import json
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wechatpay.conftest import CERTIFICATE_SERIAL, NOW, PUBLIC_KEY_ID, Sign
from wechatpay.errors import InvalidKeyError, MalformedError, UndecryptableError, UntrustedError, WeChatPayError
from wechatpay.notification import Notification
from wechatpay.platform_keys import PlatformKeys

KEY = "a7xK29fQp0LmZ3vT8bNc6RwYd5HsJ1uE"
PREVIOUS = "Zq8WnB2kXv5Lc0PdT7yHm4RjF9sGa1eU"
KNOWN = json.loads((Path(__file__).parent / "vectors/notification.json").read_text(encoding="utf-8"))


def sealed(
    resource: bytes, *, key: str = KEY, nonce: str = "fdasflkja484", associated_data: str = ""
) -> dict[str, str]:
    """Encrypt a resource as WeChat Pay does."""
    content = AESGCM(key.encode()).encrypt(nonce.encode(), resource, associated_data.encode())
    return {"ciphertext": base64.b64encode(content).decode(), "nonce": nonce, "associated_data": associated_data}


def body_of(*, resource: Any = None, key: str = KEY, envelope: Any = None, **sealing: Any) -> bytes:
    """Return a notification; arguments replace what the documentation's example has, None removes it."""
    content = json.dumps(KNOWN["resource"] if resource is None else resource, ensure_ascii=False).encode()
    inner = {**KNOWN["envelope"]["resource"], **sealed(content, key=key), **sealing}
    outer = {**KNOWN["envelope"], "resource": {name: value for name, value in inner.items() if value is not None}}
    outer |= envelope or {}
    return json.dumps({name: value for name, value in outer.items() if value is not None}, ensure_ascii=False).encode()


type Open = Callable[..., Notification]


@pytest.fixture(scope="session")
def opened(signed: Sign, platform_keys: PlatformKeys) -> Open:
    """A function that opens a body which WeChat Pay has signed now."""

    def open_(body: bytes, **changes: Any) -> Notification:
        words: dict[str, Any] = {"platform_keys": platform_keys, "apiv3_key": KEY, "clock": lambda: NOW} | changes
        headers = words.pop("headers", None)
        return Notification.open(signed(body) if headers is None else headers, body, **words)

    return open_


def test_the_documentations_notification_opens(opened: Open) -> None:
    """The documentation's example opens, with all its contradictions (doc 4012587960)."""
    notification = opened(body_of())
    assert notification.id == "EV-2018022511223320873"
    assert notification.event_type == "PAYSCORE.USER_PAID"
    assert notification.resource_type == "encrypt-resource"
    assert notification.original_type == "payscore"
    assert notification.summary == "支付成功"
    assert notification.create_time == datetime(2015, 5, 20, 5, 29, 35, tzinfo=UTC)
    assert notification.serial == PUBLIC_KEY_ID
    assert notification.resource == KNOWN["resource"]


def test_a_certificates_signature_opens_it_too(opened: Open, signed: Sign, certificate_key: rsa.RSAPrivateKey) -> None:
    """A notification signed with a platform certificate verifies while both kinds of keys are held (doc 4012154180)."""
    body = body_of()
    headers = signed(body, key=certificate_key, serial=CERTIFICATE_SERIAL)
    assert opened(body, headers=headers).serial == CERTIFICATE_SERIAL


def test_keys_may_be_given_as_pem(opened: Open, platform_pem: str) -> None:
    """Platform keys can be PEM, as a merchant's secret has them."""
    assert opened(body_of(), platform_keys={PUBLIC_KEY_ID: platform_pem}).serial == PUBLIC_KEY_ID


def test_header_names_ignore_case(opened: Open, signed: Sign) -> None:
    """Header names ignore case: API Gateway writes them in lower case."""
    body = body_of()
    assert opened(body, headers={name.lower(): value for name, value in signed(body).items()}).id


def test_the_previous_apiv3_key_still_opens(opened: Open) -> None:
    """A sequence of APIv3 keys opens what the previous key encrypted."""
    body = body_of(key=PREVIOUS)
    assert opened(body, apiv3_key=[KEY, PREVIOUS]).id
    with pytest.raises(UndecryptableError):
        opened(body)


def test_associated_data_and_longer_nonces_are_taken(opened: Open) -> None:
    """Associated data and nonces of 12 and 16 characters are accepted, as the documentation has both."""
    content = json.dumps(KNOWN["resource"]).encode()
    assert opened(body_of(**sealed(content, nonce="n" * 16, associated_data="payscore"))).resource == KNOWN["resource"]
    assert opened(body_of(associated_data=None)).resource == KNOWN["resource"]


def test_what_may_be_absent_is_empty(opened: Open) -> None:
    """Fields that decide nothing may be absent and are empty then."""
    notification = opened(body_of(envelope={"summary": None, "resource_type": None}, original_type=None))
    assert (notification.summary, notification.resource_type, notification.original_type) == ("", "", "")


def test_an_unknown_event_passes(opened: Open) -> None:
    """A notification of an unknown event type opens."""
    assert opened(body_of(envelope={"event_type": "PAYSCORE.TOMORROW", "new": 1})).event_type == "PAYSCORE.TOMORROW"


@pytest.mark.parametrize("seconds", [-400, 400])
def test_a_stale_notification_is_refused(opened: Open, signed: Sign, seconds: int) -> None:
    """A notification signed more than 300 s ago raises UntrustedError: every re-send is newly signed."""
    body = body_of()
    with pytest.raises(UntrustedError) as caught:
        opened(body, headers=signed(body, at=NOW + seconds))
    assert caught.value.reason == "stale"


def test_a_notification_is_verified_before_it_is_opened(opened: Open, signed: Sign) -> None:
    """A notification that does not verify raises UntrustedError whether or not it could be decrypted."""
    for body in (b"", b"not JSON", body_of(key=PREVIOUS), body_of()):
        with pytest.raises(UntrustedError) as caught:
            opened(body, headers=signed(body + b" "))
        assert caught.value.reason == "signature"
        with pytest.raises(UntrustedError) as caught:
            opened(body, headers={})
        assert caught.value.reason == "unsigned"


def test_a_probe_is_refused(opened: Open, signed: Sign) -> None:
    """A probe with a wrong signature raises UntrustedError (doc 4013053249)."""
    body = body_of()
    with pytest.raises(UntrustedError) as caught:
        opened(body, headers=signed(body) | {"Wechatpay-Signature": "WECHATPAY/SIGNTEST/c2ln"})
    assert caught.value.reason == "probe"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "the notification is not JSON"),
        (b"\xff", "the notification is not JSON (not UTF-8)"),
        (b"[" * 100_000, "the notification is not JSON (nested too deeply)"),
        (b"[]", "the notification is not a JSON object"),
        (b"null", "the notification is not a JSON object"),
        (b"{}", "the notification has no resource"),
        (body_of(envelope={"resource": "text"}), "the notification has no resource"),
        (body_of(envelope={"id": None}), "the notification's id is missing"),
        (body_of(envelope={"id": 7}), "the notification's id is not text"),
        (body_of(envelope={"event_type": None}), "the notification's event_type is missing"),
        (body_of(envelope={"summary": {}}), "the notification's summary is not text"),
        (body_of(envelope={"create_time": None}), "the notification's create_time is missing"),
        (body_of(envelope={"create_time": "yesterday"}), "the notification's create_time is not RFC 3339"),
        (body_of(envelope={"create_time": "2015-02-30T13:29:35+08:00"}), "the notification's create_time is not RFC"),
        (body_of(envelope={"create_time": "2015-05-20T13:29:35"}), "the notification's create_time has no offset"),
        (body_of(algorithm=None), "the notification's algorithm is missing"),
        (body_of(ciphertext=None), "the notification's ciphertext is missing"),
        (body_of(nonce=12), "the notification's nonce is not text"),
        (b'{"resource":' + b"[" * 1_000 + b"]" * 1_000 + b"}", "the notification is not JSON (nested too deeply)"),
        (body_of(**sealed(b"[" * 1_000 + b"]" * 1_000)), "the notification's resource is not JSON (nested too deeply)"),
        (body_of(**sealed(b'{"a":' * 300_000)), "the notification's resource is not JSON (nested too deeply)"),
        (body_of(resource=[1]), "the notification's resource is not a JSON object"),
        (body_of(**sealed(b"DONE?")), "the notification's resource is not JSON (Expecting value at character 0)"),
    ],
)
def test_what_is_not_as_documented_is_told(opened: Open, body: bytes, text: str) -> None:
    """A verified notification of another shape raises MalformedError naming the field."""
    with pytest.raises(MalformedError) as caught:
        opened(body)
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize("changed", [{"nonce": "another12345"}, {"associated_data": "x"}, {"ciphertext": "AAAA"}])
def test_what_does_not_open_is_told(opened: Open, changed: dict[str, str]) -> None:
    """A resource that no key opens raises UndecryptableError."""
    with pytest.raises(UndecryptableError, match="was the key changed"):
        opened(body_of(**changed))


def test_another_algorithm_is_told(opened: Open) -> None:
    """Another algorithm, such as SM4, raises UndecryptableError naming it."""
    with pytest.raises(
        UndecryptableError, match=r"^the resource is encrypted with 'AEAD_SM4_GCM', only AEAD_AES_256_GCM is opened$"
    ):
        opened(body_of(algorithm="AEAD_SM4_GCM"))


@pytest.mark.parametrize("body", ["{}", {}, None, bytearray(b"{}")])
def test_a_body_is_the_raw_bytes(opened: Open, signed: Sign, body: Any) -> None:
    """A body that is not bytes raises TypeError: decoded text is no longer what was signed."""
    with pytest.raises(TypeError, match=r"^body must be the raw bytes of the request, not "):
        opened(body, headers=signed(b"{}"))


def test_keys_of_ours_that_cannot_be_used_are_told(opened: Open) -> None:
    """Keys of the caller that cannot be used raise InvalidKeyError."""
    with pytest.raises(InvalidKeyError, match="apiv3_key must have exactly 32 bytes"):
        opened(body_of(), apiv3_key="short")
    with pytest.raises(InvalidKeyError, match="is empty"):
        opened(body_of(), platform_keys={PUBLIC_KEY_ID: ""})


def test_a_notification_does_not_show_whom_it_is_about(opened: Open) -> None:
    """The repr of a notification does not show its resource."""
    notification = opened(body_of())
    assert "oUpF8uMuAJO" not in repr(notification)
    assert "EV-2018022511223320873" in repr(notification)


def test_a_notification_is_a_value(opened: Open) -> None:
    """Notifications are frozen, hashable and compare by value."""
    notification = opened(body_of())
    assert notification == copy.deepcopy(notification) == opened(body_of())
    assert len({notification, opened(body_of())}) == 1
    with pytest.raises(FrozenInstanceError):
        notification.id = "x"  # type: ignore[misc]


def test_the_clock_is_the_systems_unless_another_is_given(signed: Sign, platform_keys: PlatformKeys) -> None:
    """The clock is the system's by default."""
    body = body_of()
    with pytest.raises(UntrustedError) as caught:
        Notification.open(signed(body, at=1_000_000_000), body, platform_keys=platform_keys, apiv3_key=KEY)
    assert caught.value.reason == "stale"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda members: st.lists(members, max_size=3) | st.dictionaries(st.text(max_size=4), members, max_size=3),
    max_leaves=5,
)
FIELDS = ["id", "event_type", "create_time", "summary", "resource_type", "resource"]
SEALED_FIELDS = ["algorithm", "ciphertext", "nonce", "associated_data", "original_type"]


@settings(max_examples=150, deadline=None)
@given(
    envelope=st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=2),
    sealing=st.dictionaries(st.sampled_from(SEALED_FIELDS), JSON, max_size=2),
    resource=JSON.filter(lambda value: value is not None),
)
def test_nothing_but_the_family_of_errors_comes_out(
    opened: Open, envelope: dict[str, Any], sealing: dict[str, Any], resource: Any
) -> None:
    """Any signed body opens or raises a WeChatPayError."""
    try:
        notification = opened(body_of(resource=resource, envelope=envelope, **sealing))
    except WeChatPayError:
        return
    assert notification.resource == resource

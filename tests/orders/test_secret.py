"""A merchant's secret: read in every form in which it may be stored, or refused with all its faults."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from orders import secret
from orders.errors import MerchantUnavailableError
from orders.secret import Secret
from tests.orders.key_material import KeyMaterial, a_secret
from tests.wechatpay.conftest import CERTIFICATE_SERIAL, NOW, PUBLIC_KEY_ID, certificate_pem, public_pem, rsa_key

MCHID = "1230000109"
TODAY = datetime.fromtimestamp(NOW, UTC)
SHORT_KEY = rsa_key(1024)
"""Another size than WeChat Pay's."""


@pytest.fixture(scope="module")
def keys() -> KeyMaterial:
    """The merchant's key and WeChat Pay's."""
    return KeyMaterial()


def read(values: Any, now: datetime = TODAY) -> Secret:
    """The secret of these values, stored as JSON, or of this text."""
    return secret.read(values if isinstance(values, str) else json.dumps(values), MCHID, now)


def refusal(values: Any, now: datetime = TODAY) -> MerchantUnavailableError:
    """The error about a secret that cannot be used."""
    with pytest.raises(MerchantUnavailableError) as caught:
        read(values, now)
    return caught.value


def wrapped(pem: str) -> str:
    """Base64 of the whole file, as `base64 < file` prints it."""
    return base64.encodebytes(pem.encode()).decode()


PEM_FORMS: dict[str, Callable[[str], str]] = {
    "as it is": lambda pem: pem,
    r"literal \n": lambda pem: pem.replace("\n", "\\n"),
    r"literal \\n, escaped twice": lambda pem: pem.replace("\n", "\\\\n"),
    "CRLF": lambda pem: pem.replace("\n", "\r\n"),
    "without line ends": lambda pem: pem.replace("\n", ""),
    "BOM": lambda pem: "\ufeff" + pem,
    "blanks around": lambda pem: f"  {pem}\u200b\n",
    "base64 of the file": wrapped,
    "base64 of the file, on one line": lambda pem: wrapped(pem).replace("\n", ""),
    r"base64 of the file, literal \n": lambda pem: wrapped(pem).replace("\n", "\\n"),
    "base64 of the file with a BOM": lambda pem: wrapped("\ufeff" + pem),
    "base64 of the file with CRLF": lambda pem: wrapped(pem.replace("\n", "\r\n")),
    "base64 of UTF-16": lambda pem: base64.b64encode(pem.encode("utf-16")).decode(),
}


@pytest.mark.parametrize("form", PEM_FORMS.values(), ids=PEM_FORMS)
def test_pem_is_read_however_it_is_stored(keys: KeyMaterial, form: Callable[[str], str]) -> None:
    """A private key, a public key and a certificate are read in every form of PEM."""
    values = a_secret(keys)
    platform = {name: form(pem) for name, pem in values["platform_keys"].items()}
    content = read(values | {"private_key": form(values["private_key"]), "platform_keys": platform})
    assert content.private_key.private_numbers() == keys.merchant.private_numbers()
    assert set(content.platform_keys) == {PUBLIC_KEY_ID, CERTIFICATE_SERIAL}


SECRET_FORMS: dict[str, Callable[[dict[str, Any]], str]] = {
    "as it is": json.dumps,
    "indented": lambda values: json.dumps(values, indent=2),
    "BOM": lambda values: "\ufeff" + json.dumps(values),
    "real line breaks inside strings": lambda values: json.dumps(values).replace("\\n", "\n"),
    "real CRLF inside strings": lambda values: json.dumps(values).replace("\\n", "\r\n"),
    "tabs inside strings": lambda values: json.dumps(values).replace("\\n", "\\n\t"),
    "platform_keys as JSON text": lambda values: json.dumps(
        values | {"platform_keys": json.dumps(values["platform_keys"])}
    ),
    "platform_keys as JSON text with a BOM and real line breaks": lambda values: json.dumps(
        values | {"platform_keys": "\ufeff" + json.dumps(values["platform_keys"]).replace("\\n", "\n")}
    ),
    "the key/value editor: all values are text": lambda values: json.dumps(
        {name: value if isinstance(value, str) else json.dumps(value, indent=1) for name, value in values.items()}
    ),
    "serialised twice": lambda values: json.dumps(json.dumps(values)),
    "blanks around every text": lambda values: json.dumps(
        {name: f" {value}\r\n" if isinstance(value, str) else value for name, value in values.items()}
    ),
    "lower-case names and serials": lambda values: json.dumps(
        values
        | {
            "serial_no": values["serial_no"].lower(),
            "platform_keys": {f" {name.lower()} ": pem for name, pem in values["platform_keys"].items()},
        }
    ),
    "empty text for what is optional": lambda values: json.dumps(
        {"mchid": "", "appid": " ", "service_id": None, "endpoint": ""}
        | {name: values[name] for name in ("serial_no", "private_key", "platform_keys")}
    ),
    "with fields of another system": lambda values: json.dumps(values | {"owner": {"team": ["payments"]}}),
}


@pytest.mark.parametrize("form", SECRET_FORMS.values(), ids=SECRET_FORMS)
def test_a_secret_is_read_however_it_is_stored(keys: KeyMaterial, form: Callable[[dict[str, Any]], str]) -> None:
    """Every form of a secret is read with trimmed text and upper-case serials."""
    content = read(form(a_secret(keys)))
    assert content.serial_no == keys.serial_no
    assert set(content.platform_keys) == {PUBLIC_KEY_ID, CERTIFICATE_SERIAL}
    assert (content.appid, content.service_id, content.endpoint) in {
        ("wx1", "500001", "partner"),
        (None, None, "direct"),
    }
    assert "PRIVATE" not in repr(content)


def test_the_right_block_is_read_from_a_file_of_several(keys: KeyMaterial) -> None:
    """The right PEM block is read from a file that holds several."""
    values = a_secret(keys)
    own = certificate_pem(keys.merchant, keys.serial_no)
    chain = certificate_pem(rsa_key(), "5F" * 20) + values["platform_keys"][CERTIFICATE_SERIAL]
    for key in (
        own + values["private_key"],
        values["private_key"] + own,
        "Bag Attributes\n" + own + values["private_key"],
    ):
        assert read(values | {"private_key": key}).serial_no == keys.serial_no
    both = {PUBLIC_KEY_ID: own + values["platform_keys"][PUBLIC_KEY_ID], CERTIFICATE_SERIAL: chain}
    assert read(values | {"platform_keys": both}).platform_keys == read(values).platform_keys


NUMBER = int("3775B6A45ACD588826D15E583A95F5DD00000001", 16)
FAULTS: list[tuple[str, Any, str]] = [
    ("mchid", "4711", "mchid is not the merchant number that the secret is named by"),
    ("mchid", "1230000109😀", "mchid is not the merchant number"),
    ("mchid", 1230000109, "mchid is a number: store it as text"),
    ("mchid", True, "mchid is true or false: store it as text"),
    ("serial_no", ..., "serial_no is missing: add the serial"),
    ("serial_no", None, "serial_no is null: add the serial"),
    ("serial_no", "", "serial_no is empty: add the serial"),
    ("serial_no", " \ufeff", "serial_no is empty: add the serial"),
    ("serial_no", NUMBER, "serial_no is a number: store it as text"),
    ("serial_no", 3.7e47, "serial_no is a number: store it as text"),
    ("serial_no", ["3775"], "serial_no is a list: store it as text"),
    ("serial_no", {"hex": "3775"}, "serial_no is an object: store it as text"),
    ("serial_no", str(NUMBER), "serial_no is decimal"),
    ("serial_no", hex(NUMBER), "serial_no begins with 0x"),
    ("serial_no", f"0X{NUMBER:X}", "serial_no begins with 0x"),
    ("serial_no", f"{NUMBER:X}"[1:], "serial_no has 39 of 40 hexadecimal digits"),
    ("serial_no", f"{NUMBER:X}"[:16], "serial_no has 16 of 40 hexadecimal digits"),
    ("serial_no", f"{NUMBER:X}0", "serial_no has other characters, or too many"),
    ("serial_no", "37:75:B6:A4:5A:CD:58:88:26:D1:5E:58:3A:95:F5:DD:00:00:00:01", "serial_no has other characters"),
    ("serial_no", f"serial={NUMBER:X}", "serial_no has other characters"),
    ("serial_no", PUBLIC_KEY_ID, "serial_no is WeChat Pay's key id"),
    ("serial_no", PUBLIC_KEY_ID.lower(), "serial_no is WeChat Pay's key id"),
    ("private_key", ..., "private_key is missing: add the content of apiclient_key.pem"),
    ("private_key", 5, "private_key is a number"),
    ("private_key", "nonsense!", "private_key is not PEM"),
    ("private_key", "c2VjcmV0LXRoYXQtbXVzdC1ub3QtYmUtc2hvd24", "private_key is damaged"),
    ("private_key", wrapped("-----BEGIN PRIVATE KEY-----\nAAAA"), "private_key has no END line"),
    ("private_key", public_pem(SHORT_KEY), "private_key is a public key"),
    ("private_key", certificate_pem(SHORT_KEY, "5F" * 20), "private_key is a certificate"),
    ("platform_keys", ..., "platform_keys is missing: add WeChat Pay's public key under its id"),
    ("platform_keys", {}, "platform_keys is empty"),
    ("platform_keys", "{}", "platform_keys is empty"),
    ("platform_keys", "", "platform_keys is empty"),
    ("platform_keys", [], "platform_keys is a list, not an object"),
    ("platform_keys", 7, "platform_keys is a number, not an object"),
    ("platform_keys", '"text"', "platform_keys is text, not an object"),
    ("platform_keys", "[" * 100_000, "platform_keys is text that is not JSON"),
    ("platform_keys", "-----BEGIN PUBLIC KEY-----", "platform_keys is text that is not JSON"),
    ("platform_keys", {PUBLIC_KEY_ID: 5}, "platform_keys has an entry that is a number"),
    ("platform_keys", {PUBLIC_KEY_ID: None}, "platform_keys has an entry that is null"),
    ("platform_keys", {PUBLIC_KEY_ID: ""}, f"platform_keys['{PUBLIC_KEY_ID}'] is empty"),
    ("platform_keys", {PUBLIC_KEY_ID: "nonsense!"}, f"platform_keys['{PUBLIC_KEY_ID}'] is not PEM"),
    ("platform_keys", {PUBLIC_KEY_ID: public_pem(SHORT_KEY)}, f"platform_keys['{PUBLIC_KEY_ID}'] has 1024 bits"),
    ("apiv3_key", "short", "apiv3_key must have exactly 32 bytes"),
    ("apiv3_key", 12345678901234567890123456789012, "apiv3_key is a number: store it as text"),
    ("appid", "wx😀", "appid has characters that WeChat Pay does not take"),
    ("appid", "wx\n1", "appid has characters that WeChat Pay does not take"),
    ("appid", "wx 1", "appid has characters that WeChat Pay does not take"),
    ("appid", "ｗｘ１", "appid has characters that WeChat Pay does not take"),
    ("appid", "\ud800", "appid has characters that WeChat Pay does not take"),
    ("appid", "x" * 33, "appid is longer than 32 characters"),
    ("appid", 17, "appid is a number: store it as text"),
    ("service_id", "5000😀", "service_id has characters that WeChat Pay does not take"),
    ("service_id", "\x1b[2J", "service_id has characters that WeChat Pay does not take"),
    ("service_id", 500001, "service_id is a number: store it as text, in quotation marks: numbers lose digits"),
    ("service_id", {"id": "1"}, "service_id is an object: store it as text"),
    ("endpoint", "moon", "endpoint is not one of the endpoints: store direct or partner"),
    ("endpoint", "direct😀", "endpoint is not one of the endpoints"),
    ("endpoint", 1, "endpoint is a number"),
    ("endpoint", ["direct"], "endpoint is a list"),
]


@pytest.mark.parametrize(("name", "value", "words"), FAULTS, ids=[f"{name}-{n}" for n, (name, *_) in enumerate(FAULTS)])
def test_a_fault_is_reported_with_field_and_remedy(keys: KeyMaterial, name: str, value: Any, words: str) -> None:
    """The error names the faulty field and the remedy, and does not repeat the value."""
    values = a_secret(keys) | {name: value}
    error = refusal({field: each for field, each in values.items() if each is not ...})
    assert error.fields == (name,)
    assert f": {words}" in str(error)
    if isinstance(value, str) and len(value) > 8:
        assert value not in str(error)
    assert "\n" not in str(error)


def test_all_faults_are_reported_at_once(keys: KeyMaterial) -> None:
    """The error lists the faults of all fields at once."""
    damaged = rsa_key(4096)
    bad_keys = {PUBLIC_KEY_ID: "nonsense!", CERTIFICATE_SERIAL: public_pem(damaged)}
    error = refusal({"mchid": 1, "private_key": "", "platform_keys": bad_keys, "appid": "x" * 40, "endpoint": "moon"})
    assert error.fields == ("mchid", "serial_no", "private_key", "platform_keys", "appid", "endpoint")
    assert list(error.faults) == [
        *("mchid", "serial_no", "private_key", "platform_keys[1]", "platform_keys[2]", "appid", "endpoint")
    ]
    for sentence in error.faults.values():
        assert sentence in str(error)


def test_a_key_that_cannot_sign_is_reported_with_the_other_faults(keys: KeyMaterial) -> None:
    """A private key that cannot sign is reported together with the other faults."""
    short = a_secret(keys, merchant=SHORT_KEY) | {"appid": 5}
    assert refusal(short).fields == ("appid", "private_key")


KEY_NAMES = ["", "PUB_KEY_ID_", "PUB_KEY_ID_0112…", "PUB_KEY_ID_ABC", "PUB KEY ID 01", "0112300001092024", "5F" * 20]


@pytest.mark.parametrize("name", KEY_NAMES)
def test_a_public_key_is_named_by_its_id(keys: KeyMaterial, name: str) -> None:
    """A public key must be named PUB_KEY_ID_ and digits, the name in WeChat Pay's answers."""
    error = refusal(a_secret(keys) | {"platform_keys": {name: public_pem(keys.platform)}})
    assert error.fields == ("platform_keys",)
    assert "PUB_KEY_ID_" in str(error)


@pytest.mark.parametrize("name", ["a7xK29fQp0LmZ3vT8bNc6RwYd5HsJ1uE", "0123456789ABCDEF0123456789ABCDEF"])
def test_a_key_pasted_as_a_name_is_not_repeated(keys: KeyMaterial, name: str) -> None:
    """The name of a platform key is not repeated if it may be an APIv3 key."""
    for value in (public_pem(keys.platform), "nonsense!", 5, certificate_pem(keys.platform, CERTIFICATE_SERIAL)):
        error = refusal(a_secret(keys) | {"platform_keys": {name: value}})
        assert name not in str(error)
        assert name.upper() not in f"{error} {error.faults}".upper()


def test_a_certificate_is_named_by_its_serial(keys: KeyMaterial) -> None:
    """A certificate must be named by its own serial."""
    certificate = certificate_pem(keys.platform, CERTIFICATE_SERIAL)
    for name in ("5F" * 20, PUBLIC_KEY_ID):
        error = refusal(a_secret(keys) | {"platform_keys": {name: certificate}})
        assert f"holds the certificate {CERTIFICATE_SERIAL}: use that as its name" in str(error)


def test_the_merchants_own_key_is_not_wechat_pays(keys: KeyMaterial) -> None:
    """The merchant's own key is refused among the platform keys, in every form."""
    own = certificate_pem(keys.merchant, keys.serial_no)
    for entry in ({PUBLIC_KEY_ID: public_pem(keys.merchant)}, {keys.serial_no: own}):
        error = refusal(a_secret(keys) | {"platform_keys": a_secret(keys)["platform_keys"] | entry})
        assert "own key" in str(error) or "serial_no is among platform_keys" in str(error)
        assert error.fields == ("platform_keys",)


def test_a_certificate_out_of_its_time_is_refused(keys: KeyMaterial) -> None:
    """A certificate before or after its validity is refused with its name and date."""
    values = a_secret(keys)
    end = TODAY + timedelta(days=1725)
    error = refusal(values, end)
    assert f"platform_keys['{CERTIFICATE_SERIAL}'] is a certificate that ended on {end:%Y-%m-%d}: take it out" in str(
        error
    )
    assert read(values, end - timedelta(seconds=1)).serial_no == keys.serial_no
    begin = TODAY - timedelta(days=100)
    assert read(values, begin).serial_no == keys.serial_no
    error = refusal(values, begin - timedelta(seconds=1))
    assert f"is a certificate that begins on {begin:%Y-%m-%d}" in str(error)
    without = {PUBLIC_KEY_ID: values["platform_keys"][PUBLIC_KEY_ID]}
    assert read(values | {"platform_keys": without}, end).serial_no == keys.serial_no


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not JSON (Expecting value, line 1 column 1)"),
        ("nonsense", "is not JSON"),
        ("{'mchid': 1}", "is not JSON"),
        ('{"mchid": "1",}', "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        (f'{{"mchid": {"9" * 5000}}}', "is not JSON"),
        ("[]", "is not a JSON object but a list"),
        ("null", "is not a JSON object but null"),
        ("5", "is not a JSON object but a number"),
        ('"\\"text\\""', "is not a JSON object but text"),
    ],
)
def test_a_secret_that_is_no_object_is_refused(text: str, words: str) -> None:
    """A secret that is no JSON object is refused with the place of the error, without its text."""
    assert words in str(refusal(text))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=20), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(changes=st.dictionaries(st.sampled_from(secret.FIELDS), JSON, max_size=8))
def test_any_value_is_read_or_refused(keys: KeyMaterial, changes: dict[str, Any]) -> None:
    """Any value in any field is read or raises MerchantUnavailableError."""
    fields: set[str] = set(secret.FIELDS[:1])
    try:
        read(a_secret(keys) | changes)
    except MerchantUnavailableError as error:
        fields = set(error.fields)
    assert fields
    assert fields <= set(secret.FIELDS)


@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=60) | JSON.map(json.dumps))
def test_any_text_is_refused(text: str) -> None:
    """Any text that is no secret raises MerchantUnavailableError."""
    with pytest.raises(MerchantUnavailableError):
        read(text)


def test_keys_are_loaded_once(keys: KeyMaterial) -> None:
    """A secret holds loaded keys, which the client takes without loading them again."""
    content = read(a_secret(keys))
    assert isinstance(content.private_key, rsa.RSAPrivateKey)
    assert content.platform_keys is type(content.platform_keys).of(content.platform_keys)

"""The hunt for a signature error: each mistake that clients make is named, alone and together with another."""

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.findings import Finding, State
from sandbox.signature import Hunt, KeyBook, OwnedKey, first_difference, hunt_answer, hunt_request, read_http
from sandbox.signature.key_book import WECHAT_PAY, public_key, serial_of
from sandbox.wechat_pay.draft import Signing
from sandbox.wechat_pay.keys import sign
from sandbox.wechat_pay.service import SimulatedService

MCHID, OTHER = "1230000109", "1900000109"
NOW = 1_767_240_000
TARGET = "/v3/payscore/serviceorder/A%2A1/sync?x=1&y=2"
VALUE = {"appid": "wx1", "type": "Order_Paid", "备注": "a/b <c>", "detail": {"paid_time": "20260101120000"}}
BODY = json.dumps(VALUE, ensure_ascii=False, separators=(",", ":")).encode()

type Text = Callable[[str, str, str, str, bytes], bytes]


@pytest.fixture(scope="module")
def service(key_ring: Path) -> SimulatedService:
    """A WeChat Pay with two merchants; the first one has had another key before."""
    service = SimulatedService(keys=key_ring)
    service.merchant(MCHID).rotate_key()
    service.merchant(OTHER)
    return service


@pytest.fixture(scope="module")
def book(service: SimulatedService) -> KeyBook:
    """Every public key, as the control port hands them out."""
    return KeyBook.of(service.public_keys)


def text_of(method: str = "POST", target: str = TARGET, at: str = str(NOW), body: bytes = BODY) -> bytes:
    """The text of a request, as it should be signed."""
    return f"{method}\n{target}\n{at}\nNONCE\n".encode() + body + b"\n"


def authorization(service: SimulatedService, text: bytes, **parts: str) -> str:
    """An Authorization header over this text; `parts` replace its parts."""
    merchant = service.merchant(MCHID)
    values = {
        "mchid": MCHID,
        "nonce_str": "NONCE",
        "signature": sign(merchant.key, text),
        "timestamp": str(NOW),
        "serial_no": merchant.serial_no,
    } | parts
    return "WECHATPAY2-SHA256-RSA2048 " + ",".join(f'{name}="{value}"' for name, value in values.items())


def failures(hunt: Hunt) -> list[Finding]:
    """The findings of a hunt that are failures."""
    return [finding for finding in hunt.findings if finding.state is State.FAILED]


def hunt(
    service: SimulatedService, book: KeyBook, header: str, body: bytes = BODY, pasted: bytes | None = None
) -> Hunt:
    """Hunt in a request of the test's method and target."""
    return hunt_request(header, book, NOW, method="POST", target=TARGET, body=body, pasted=pasted)


def test_a_right_signature_is_verified(service: SimulatedService, book: KeyBook) -> None:
    """A right signature has no failure, and the text that was signed is shown."""
    result = hunt(service, book, authorization(service, text_of()))
    assert result.is_verified
    assert failures(result) == []
    assert result.text == text_of() == result.signed_text
    assert result.text_lines[0] == "POST\\n"
    assert result.signed_lines == []


PRETTY = json.dumps(VALUE, ensure_ascii=False, indent=2).encode()

TEXTS: dict[str, tuple[bytes, list[str]]] = {
    "no line break at the end": (text_of()[:-1], ["lacks the line break at its end"]),
    "one line break too many": (text_of() + b"\n", ["one line break too many"]),
    "CRLF line ends": (b"".join(line + b"\r\n" for line in text_of().split(b"\n")[:-1]), ["end with \\r\\n"]),
    "backslash and n": (b"".join(line + b"\\n" for line in text_of().split(b"\n")[:-1]), ["characters \\ and n"]),
    "host": (text_of(target=f"https://api.mch.weixin.qq.com{TARGET}"), ["https://api.mch.weixin.qq.com stands in"]),
    "no query": (text_of(target=TARGET.partition("?")[0]), ["the query is missing"]),
    "decoded": (text_of(target=TARGET.replace("%2A", "*")), ["it was decoded"]),
    "encoded twice": (text_of(target=TARGET.replace("%2A", "%252A")), ["it was encoded twice"]),
    "lower-case method": (text_of("post"), ["in another case"]),
    "other method": (text_of("PUT"), ["another one"]),
    "milliseconds": (text_of(at=f"{NOW}000"), ["in milliseconds"]),
    "a later timestamp": (text_of(at=str(NOW + 1)), ["another timestamp than the header, 1 s later"]),
    "pretty-printed": (text_of(body=PRETTY), ["pretty-printed with 2 blanks"]),
    "blanks": (text_of(body=json.dumps(VALUE, ensure_ascii=False).encode()), ["with blanks after , and :"]),
    "escapes": (text_of(body=json.dumps(VALUE, separators=(",", ":")).encode()), ["characters as \\u"]),
    "PHP": (text_of(body=BODY.replace(b"/", b"\\/")), ["as PHP writes it"]),
    "Go": (text_of(body=BODY.replace(b"<", b"\\u003c").replace(b">", b"\\u003e")), ["as Go writes them"]),
    "byte order mark": (text_of(body=b"\xef\xbb\xbf" + BODY), ["byte order mark in front"]),
    "line break in the body": (text_of(body=BODY + b"\r\n"), ["line break (CRLF) at its end"]),
    "GBK": (text_of(body=BODY.decode().encode("gbk")), ["encoded as GBK"]),
    "body left out": (text_of(body=b""), ["it was left out"]),
    "nonce first": (f"POST\n{TARGET}\nNONCE\n{NOW}\n".encode() + BODY + b"\n", ["in the other order"]),
    "hashed twice": (hashlib.sha256(text_of()).hexdigest().encode(), ["hashed twice"]),
    "two at once": (text_of("post", TARGET.partition("?")[0]), ["in another case", "the query is missing"]),
    "three at once": (
        text_of("post", f"https://api.mch.weixin.qq.com{TARGET}", body=PRETTY),
        ["in another case", "stands in front", "pretty-printed"],
    ),
    "unknown": (b"something else", ["no known mistake explains it"]),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_mistake_in_the_text_is_named(service: SimulatedService, book: KeyBook, name: str) -> None:
    """Each mistake in the signed text is named with its remedy, and so are several of them at once."""
    text, words = TEXTS[name]
    result = hunt(service, book, authorization(service, text))
    defects = failures(result)
    assert [finding.subject for finding in defects] == ["text"] * len(words)
    assert all(expected in finding.words for expected, finding in zip(words, defects, strict=True))
    assert all(finding.remedy for finding in defects)
    assert not result.is_verified
    assert result.signed_text == (None if name == "unknown" else text)


@pytest.mark.parametrize(("body", "words"), [(b"{}", "{} was signed for an empty body"), (b"null", "null was signed")])
def test_an_empty_body_is_an_empty_line(service: SimulatedService, book: KeyBook, body: bytes, words: str) -> None:
    """A request without a body has an empty last line; anything else in it is named."""
    text = text_of("GET", body=b"")
    header = authorization(service, text_of("GET", body=body))
    [finding] = failures(hunt_request(header, book, NOW, method="GET", target=TARGET, body=b""))
    assert words in finding.words
    header = authorization(service, text[:-1])
    [finding] = failures(hunt_request(header, book, NOW, method="GET", target=TARGET, body=b""))
    assert "the empty body has no line of its own" in finding.words
    assert hunt_request(authorization(service, text), book, NOW, target=TARGET).is_verified


def test_the_first_byte_that_differs_is_shown(service: SimulatedService, book: KeyBook) -> None:
    """Where the pasted body was signed and another one arrived, the first different byte is named with its context."""
    received = BODY.replace(b"Order_Paid", b"Order_paid")
    result = hunt(service, book, authorization(service, text_of()), received, BODY)
    assert result.difference is not None
    assert result.difference.offset == BODY.index(b"Paid")
    assert (result.difference.received, result.difference.pasted) == (ord("p"), ord("P"))
    assert "⟦p⟧" in result.difference.received_context
    assert "⟦P⟧" in result.difference.pasted_context
    [finding] = failures(result)
    assert "the pasted one, not the one that arrived: byte 29 (line 1" in finding.words


@given(st.binary(max_size=60), st.binary(max_size=60))
@settings(deadline=None)
def test_a_difference_is_the_first_one(one: bytes, other: bytes) -> None:
    """Before the offset two bodies agree, at it they do not; equal bodies have no difference."""
    difference = first_difference(one, other)
    assert (difference is None) == (one == other)
    if difference is not None:
        assert one[: difference.offset] == other[: difference.offset]
        assert one[difference.offset :][:1] != other[difference.offset :][:1]
        assert difference.words.isprintable()
        assert difference.received_context.isprintable()


# ---- who signed, and how ---------------------------------------------------------------------------------------------


def test_another_key_is_named(service: SimulatedService, book: KeyBook) -> None:
    """A signature by a former key, another merchant's, or one that is not known names it."""
    merchant, former = service.merchant(MCHID), next(iter(service.merchant(MCHID).public_keys))
    header = authorization(service, text_of(), signature=sign(service.merchant(OTHER).key, text_of()))
    [finding] = failures(hunt(service, book, header))
    assert f"of merchant {OTHER}" in finding.words
    assert merchant.serial_no in finding.remedy
    old_key = service._ring.key(f"{MCHID}-0")
    header = authorization(service, text_of(), signature=sign(old_key, text_of()), serial_no=former)
    serial, key = failures(hunt(service, book, header))
    assert serial.words == "it is the serial of a former key of the merchant"
    assert f"the former key {former}" in key.words
    header = authorization(service, text_of(), signature=sign(service._ring.key("foreign"), text_of()))
    [finding] = failures(hunt(service, book, header))
    assert finding.words == "no key that is known here has made it"


def test_another_way_of_signing_is_named(service: SimulatedService, book: KeyBook) -> None:
    """PSS, SHA-1, hexadecimal digits, URL-safe base64, a wrapped and a cut signature are each named."""
    key = service.merchant(MCHID).key
    right = key.sign(text_of(), padding.PKCS1v15(), hashes.SHA256())
    pss = key.sign(text_of("post"), padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    wrapped = base64.b64encode(right).decode()
    signatures = {
        base64.b64encode(pss).decode(): ["the padding is PSS", "in another case"],
        base64.b64encode(key.sign(text_of(), padding.PKCS1v15(), hashes.SHA1())).decode(): ["the hash is SHA-1"],  # noqa: S303
        right.hex(): ["in hexadecimal digits"],
        base64.urlsafe_b64encode(right).decode(): ["URL-safe base64"],
        wrapped.rstrip("="): ["lacks the = at the end"],
        f"{wrapped[:76]} {wrapped[76:]}": ["blanks or line breaks"],
        base64.b64encode(right[:100]).decode(): ["it has 100 bytes"],
        "!!": ["it is no base64"],
    }
    for signature, words in signatures.items():
        result = failures(hunt(service, book, authorization(service, text_of(), signature=signature)))
        assert [expected in finding.words for expected, finding in zip(words, result, strict=True)] == [True] * len(
            words
        )


# ---- the header ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.removeprefix("WECHATPAY2-SHA256-RSA2048 "), "the scheme is missing"),
        (lambda text: text.replace("WECHATPAY2", "Wechatpay2"), "not written as WeChat Pay has it"),
        (lambda text: text.replace("WECHATPAY2-SHA256-RSA2048", "Bearer"), "the scheme is Bearer"),
        (lambda text: text.replace('mchid="1230000109"', "mchid=1230000109"), "mchid has no quotation marks"),
        (lambda text: text.replace('mchid="1230000109"', "mchid='1230000109'"), "mchid has single quotation marks"),
        (lambda text: text.replace('mchid="', 'mchid = "'), "mchid has blanks around ="),
        (lambda text: text.replace('",nonce', '";nonce'), "a semicolon follows mchid"),
        (lambda text: text.replace('nonce_str="NONCE",', ""), "missing: nonce_str"),
        (lambda text: text.replace("nonce_str", "nonce"), "nonce is no part of it"),
        (lambda text: text.replace('mchid="1230000109"', 'mchid="1230000109",mchid="1"'), "mchid stands twice"),
        (lambda text: text.replace(",timestamp", ",\n timestamp"), "it has a line break"),
        (lambda text: text.replace('"', "“", 1), "typographic quotation marks"),
        (lambda text: text.replace(str(NOW), f"{NOW}000"), "is milliseconds"),
        (lambda text: text.replace(str(NOW), str(NOW - 400)), "400 s behind WeChat Pay's clock"),
        (lambda text: text.replace(str(NOW), str(NOW + 301)), "301 s ahead of WeChat Pay's clock"),
        (lambda text: text.replace(str(NOW), "today"), "today is not a number"),
        (lambda text: text.replace(str(NOW), "123"), "has not 10 digits"),
        (lambda text: text.replace(MCHID, "42"), "42 is no merchant that is known here"),
        (lambda text: text.replace(MCHID, OTHER), f"it belongs to merchant {MCHID}, and mchid is {OTHER}"),
    ],
)
def test_a_defect_of_the_header_is_named(
    service: SimulatedService, book: KeyBook, change: Callable[[str], str], words: str
) -> None:
    """Each defect of the Authorization header is named with its remedy."""
    result = failures(hunt_request(change(authorization(service, text_of())), book, NOW))
    assert [finding for finding in result if words in finding.words], [finding.words for finding in result]
    assert all(finding.remedy for finding in result)


def test_the_name_of_the_header_and_another_order_of_its_parts_are_no_defects(
    service: SimulatedService, book: KeyBook
) -> None:
    """The header may be pasted with its name; its parts may come in any order."""
    header = authorization(service, text_of())
    scheme, _, rest = header.partition(" ")
    for text in (f"Authorization: {header}", f"{scheme} {','.join(reversed(rest.split(',')))}"):
        assert hunt(service, book, text).is_verified


def test_a_serial_is_recognised(service: SimulatedService, book: KeyBook) -> None:
    """A serial in lower case is pointed at; WeChat Pay's own, and one that is not known, are refused."""
    own = service.merchant(MCHID).serial_no
    result = hunt(service, book, authorization(service, text_of(), serial_no=own.lower()))
    assert [finding.subject for finding in result.findings if finding.state is State.WARNING] == ["serial_no"]
    for serial, words in (
        (service.platform.public_key_id, "is WeChat Pay's key, not the merchant's"),
        (service.platform.certificate_serial, "is WeChat Pay's key, not the merchant's"),
        ("7F", "7F is not known"),
    ):
        [finding] = failures(hunt(service, book, authorization(service, text_of(), serial_no=serial)))
        assert words in finding.words
        assert own in finding.remedy


@given(st.text(max_size=120))
@settings(deadline=None, max_examples=60)
def test_no_header_breaks_the_hunt(text: str) -> None:
    """Whatever is pasted, the hunt ends with findings that have a remedy each."""
    for header in (text, f"WECHATPAY2-SHA256-RSA2048 {text}"):
        result = hunt_request(header, KeyBook(), NOW, target="/v3/x", pasted=text.encode("utf-8", "surrogatepass"))
        assert failures(result)
        assert all(finding.remedy for finding in failures(result))


def test_without_a_url_the_text_is_not_checked(service: SimulatedService, book: KeyBook) -> None:
    """Where the request is not known, who signed is told all the same."""
    result = hunt_request(authorization(service, text_of()), book, NOW)
    assert failures(result) == []
    assert [finding.subject for finding in result.findings if finding.state is State.NOT_CHECKED] == ["text"]
    assert not result.is_verified


# ---- answers ---------------------------------------------------------------------------------------------------------

ANSWER = '{"state":"DONE","备注":"a/b"}'.encode()


def headers_of(service: SimulatedService, body: bytes = ANSWER, **options: Any) -> dict[str, str]:
    """The Wechatpay headers of an answer that WeChat Pay signs."""
    return Signing(by="public_key", **options).headers(service.platform, body, NOW)


@pytest.mark.parametrize(
    ("options", "body", "words"),
    [
        ({}, ANSWER, []),
        ({}, ANSWER.replace(b"DONE", b"done"), ["another text was signed"]),
        ({}, ANSWER + b"\n", ["without the blanks or line breaks around it"]),
        ({}, json.dumps(json.loads(ANSWER)).encode(), ["serialised without blanks"]),
        ({"shift": -400.0}, ANSWER, ["400 s behind"]),
        ({"prefix": "WECHATPAY/SIGNTEST/"}, ANSWER, ["a probe, wrong on purpose"]),
        ({"serial": "5F"}, ANSWER, ["5F names no key of WeChat Pay", "no key that is known here"]),
        ({"key": "foreign"}, ANSWER, ["no key that is known here has made it"]),
        ({"without": ("Wechatpay-Nonce",)}, ANSWER, ["missing: Wechatpay-Nonce"]),
    ],
)
def test_an_answer_is_verified_or_its_failure_named(
    service: SimulatedService, book: KeyBook, options: dict[str, Any], body: bytes, words: list[str]
) -> None:
    """An answer is verified as it arrived; what was changed, probed, late or signed by another key is named."""
    result = failures(hunt_answer(headers_of(service, **options), body, book, NOW))
    assert len(result) == len(words), [finding.words for finding in result]
    assert all(expected in finding.words for expected, finding in zip(words, result, strict=True))


def test_an_answers_serial_may_be_a_platform_certificate(service: SimulatedService, book: KeyBook) -> None:
    """The certificate's key verifies as the public key does; a merchant's serial in its place is refused."""
    headers = Signing().headers(service.platform, ANSWER, NOW)
    result = hunt_answer(headers, ANSWER, book, NOW, pasted=ANSWER[:-1])
    assert result.is_verified
    assert result.difference is not None
    headers["Wechatpay-Serial"] = service.merchant(MCHID).serial_no
    assert f"a key of merchant {MCHID}" in failures(hunt_answer(headers, ANSWER, book, NOW))[0].words


# ---- what is pasted, and the keys ------------------------------------------------------------------------------------


def test_a_pasted_request_is_read_byte_by_byte() -> None:
    """A whole request gives method, URL, headers and the very bytes of its body; a header alone gives itself."""
    text = read_http(b'POST /v3/x?y=1 HTTP/1.1\r\nHost: a\r\nauthorization:  B c="d"\r\n\r\n{\r\n"a": 1}\n')
    assert (text.method, text.target, text.header("Host")) == ("POST", "/v3/x?y=1", "a")
    assert text.header("Authorization") == 'B c="d"'
    assert text.body == b'{\r\n"a": 1}\n'
    assert read_http(b"HTTP/1.1 200 OK\nWechatpay-Serial: 1\n\nx").header("wechatpay-serial") == "1"
    assert read_http(b'  WECHATPAY2 mchid="1" \n').header("Authorization") == 'WECHATPAY2 mchid="1"'
    assert read_http(b"nothing").headers == {}


def test_a_key_is_read_from_any_pem(service: SimulatedService) -> None:
    """A public key, a private key and a certificate give the same kind of key; anything else is refused."""
    merchant = service.merchant(MCHID)
    certificate = next(iter(service.platform.certificates.values()))
    assert public_key(merchant.private_key).public_numbers() == merchant.key.public_key().public_numbers()
    assert serial_of(certificate) == service.platform.certificate_serial
    assert serial_of(merchant.private_key) == ""
    with pytest.raises(ValueError, match=r"PEM|load|key"):
        public_key("nothing")


def test_the_book_has_every_key_of_both_sides(service: SimulatedService, book: KeyBook) -> None:
    """The book knows present and former keys of each merchant, and WeChat Pay's; a key at a time is its owner's."""
    former, present = service.merchant(MCHID).public_keys
    assert [key.serial for key in book.of_owner(MCHID)] == [present, former]
    at_that_time = book.at_serial(former)
    current = at_that_time.present(MCHID)
    assert current is not None
    assert current.serial == former
    assert book.at_serial("?") is book
    assert {key.serial for key in book.of_owner(WECHAT_PAY)} == set(service.platform.keys("both"))
    own = OwnedKey("42", "AB", public_key(service.merchant(OTHER).private_key))
    assert book.with_keys([own]).of_serial("ab") == own

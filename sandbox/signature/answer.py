"""Hunt for the error in an answer's or a notification's signature (docs 4012365336, 4013053249)."""

from collections.abc import Iterator, Mapping

from ops.findings import Finding, failed, ok, warning
from sandbox.signature.difference import first_difference
from sandbox.signature.explanation import Hunt, combine, explain
from sandbox.signature.header import examine_timestamp
from sandbox.signature.key_book import WECHAT_PAY, KeyBook
from sandbox.signature.layouts import right
from sandbox.signature.mistakes import VERIFY_FIRST, bodies

HEADERS = ("Wechatpay-Timestamp", "Wechatpay-Nonce", "Wechatpay-Signature", "Wechatpay-Serial")
PROBE = "WECHATPAY/SIGNTEST/"


def hunt_answer(
    headers: Mapping[str, str], body: bytes, book: KeyBook, now: float, *, pasted: bytes | None = None
) -> Hunt:
    """Return what was verified of an answer, and why it failed; `now` is Unix seconds when it arrived."""
    lowered = {name.lower(): value.strip() for name, value in headers.items()}
    timestamp, nonce, signature, serial = (lowered.get(name.lower(), "") for name in HEADERS)
    text = right((timestamp.encode(), nonce.encode(), body))
    difference = first_difference(body, pasted) if pasted is not None else None
    if absent := [name for name in HEADERS if not lowered.get(name.lower())]:
        remedy = "trust nothing in it: WeChat Pay leaves most errors unsigned, and signs every success"
        return Hunt((failed("headers", f"missing: {', '.join(absent)}", remedy),), text, difference=difference)
    findings = [ok("headers", "all four are there"), examine_timestamp(timestamp, now), _examine_serial(serial, book)]
    findings += _examine_probe(signature)

    def write(body: bytes) -> bytes:
        return right((timestamp.encode(), nonce.encode(), body))

    texts = combine([list(bodies(body, pasted, VERIFY_FIRST))], write)
    owner = book.of_serial(serial) or next(iter(book.of_owner(WECHAT_PAY)), None)
    explanation = explain(signature.removeprefix(PROBE), owner, book, texts)
    return Hunt((*findings, *explanation.findings), text, explanation.signed_text, difference)


def _examine_serial(serial: str, book: KeyBook) -> Finding:
    key = book.of_serial(serial)
    names = ", ".join(key.serial for key in book.of_owner(WECHAT_PAY)) or "none is known here"
    if key is None:
        remedy = f"add it to your platform keys; those of WeChat Pay here: {names}"
        return failed("serial", f"{serial[:80]} names no key of WeChat Pay that is known here", remedy)
    if key.owner != WECHAT_PAY:
        return failed("serial", f"it names a key of merchant {key.owner}", f"WeChat Pay's are {names}")
    kind = "public key" if serial.startswith("PUB_KEY_ID") else "platform certificate"
    if serial != key.serial:
        return warning("serial", "its letters are in another case than in the certificate", "compare without case")
    return ok("serial", f"it names WeChat Pay's {kind}")


def _examine_probe(signature: str) -> Iterator[Finding]:
    if signature.startswith(PROBE):
        words = f"the signature begins with {PROBE}: a probe, wrong on purpose"
        yield failed("signature", words, "refuse it as any wrong signature; WeChat Pay checks that you do")

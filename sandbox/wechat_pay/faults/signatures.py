"""Faults of the signature: the answer is not what was signed, or the key is not the right one."""

from dataclasses import replace

from sandbox.wechat_pay.draft import Draft
from sandbox.wechat_pay.faults.registry import When, fault
from sandbox.wechat_pay.message import as_json, ok
from sandbox.wechat_pay.orders import as_if_synced

_SIGNATURE_HEADERS = ("Wechatpay-Serial", "Wechatpay-Timestamp", "Wechatpay-Nonce", "Wechatpay-Signature")


@fault(When.AFTER)
def tampered_body(draft: Draft) -> Draft:
    """The body is changed after signing."""
    return draft.altered(lambda body: body.replace(b"USER", b"USEX", 1) + b" ")


@fault(When.AFTER)
def reserialised_body(draft: Draft) -> Draft:
    """The body's JSON gets other spaces after signing."""
    return draft.altered(lambda body: body.replace(b'":', b'": '))


@fault(When.AFTER)
def stale_timestamp(draft: Draft, *, seconds: float = -400.0) -> Draft:
    """Signed `seconds` away from the present."""
    return draft.signed(replace(draft.signing, shift=seconds))


@fault(When.AFTER)
def foreign_serial(draft: Draft, *, serial: str = "5" + "F" * 39) -> Draft:
    """Signed by a key that the merchant does not hold."""
    return draft.signed(replace(draft.signing, serial=serial))


@fault(When.AFTER)
def wrong_signature(draft: Draft) -> Draft:
    """Signed by another key under the right serial."""
    return draft.signed(replace(draft.signing, key="another key"))


@fault(When.AFTER)
def missing_signature_headers(draft: Draft, *, header: str | None = None) -> Draft:
    """Without the headers of the signature, or without one of them."""
    return draft.signed(replace(draft.signing, without=(header,) if header else _SIGNATURE_HEADERS))


@fault(When.AFTER)
def signtest(draft: Draft) -> Draft:
    """WeChat Pay's own probe of the verification: a signature with the prefix `WECHATPAY/SIGNTEST/`."""
    return draft.signed(replace(draft.signing, prefix="WECHATPAY/SIGNTEST/"))


@fault(When.KEY)
def certificate_serial(draft: Draft) -> Draft:
    """Signed by the platform certificate although the public key was asked for."""
    return draft.signed(replace(draft.signing, by="certificate"))


@fault(When.UNEXECUTED)
def forged_success(draft: Draft) -> Draft:
    """Nothing is executed; the body reports a payment, under the signature of the true answer."""
    if draft.order is None:
        return draft
    forged = as_json(as_if_synced(draft.order, draft.at).answer())
    return draft.with_reply(ok(draft.order.answer())).altered(lambda _: forged)

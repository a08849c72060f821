"""Read an Authorization header leniently, and name each defect that WeChat Pay would refuse (doc 4012365336)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ops.findings import Finding, failed, ok, warning
from sandbox.signature.key_book import WECHAT_PAY, KeyBook

SCHEME = "WECHATPAY2-SHA256-RSA2048"
PARTS = ("mchid", "nonce_str", "signature", "timestamp", "serial_no")
WINDOW = 300  # seconds between the timestamp and WeChat Pay's clock, either way

_PART = re.compile(r"""\s*([A-Za-z_-]+)(\s*)=(\s*)(?:"([^"]*)"|'([^']*)'|([^,;]*))\s*([,;]|$)""")


@dataclass(frozen=True, slots=True)
class Header:
    """An Authorization header: its parts as far as they can be read, and what is wrong with its form."""

    scheme: str = ""
    parts: Mapping[str, str] = field(default_factory=dict)
    defects: tuple[Finding, ...] = ()

    def part(self, name: str) -> str:
        """Return a part; empty if it is missing."""
        return self.parts.get(name, "")


def parse_header(text: str) -> Header:
    """Read a header's value, with or without its name in front."""
    value = re.sub(r"^\s*authorization\s*:\s*", "", text, flags=re.IGNORECASE).strip()
    first, _, rest = value.partition(" ")
    scheme, rest = ("", value) if "=" in first else (first, rest)
    parts: dict[str, str] = {}
    defects = [*_scheme_defects(scheme), *_form_defects(value)]
    position = 0
    while position < len(rest) and (match := _PART.match(rest, position)) and match.end() > position:
        defects += _part_defects(match, parts)
        parts.setdefault(match[1], next((one for one in match.group(4, 5, 6) if one is not None), "").strip())
        position = match.end()
    if rest[position:].strip():
        defects.append(failed("header", f'this cannot be read as name="value": {rest[position:].strip()[:60]}', _FORM))
    absent = [name for name in PARTS if not parts.get(name)]
    if absent:
        defects.append(failed("header", f"missing: {', '.join(absent)}", f"send all five parts: {', '.join(PARTS)}"))
    return Header(scheme, parts, tuple(defects))


_FORM = 'write name="value" for each part, separated by commas, all in one line'


def _scheme_defects(scheme: str) -> Iterator[Finding]:
    if scheme == SCHEME:
        return
    words = f"the scheme is {scheme or 'missing'}"
    if scheme.upper().replace("_", "-") == SCHEME:
        words += ", not written as WeChat Pay has it"
    yield failed("scheme", words, f"begin with `{SCHEME} `")


def _form_defects(value: str) -> Iterator[Finding]:
    if "\n" in value or "\r" in value:
        yield failed("header", "it has a line break", "a signature in base64 must not be wrapped: send one line")
    if "“" in value or "”" in value:
        yield failed("header", "it has typographic quotation marks", 'use the plain ones: "')


def _part_defects(match: re.Match[str], parts: Mapping[str, str]) -> Iterator[Finding]:
    name, before, after, double, single, _, separator = match.groups()
    if name in parts:
        yield failed("header", f"{name} stands twice", "send each part once")
    if name not in PARTS:
        yield failed("header", f"{name} is no part of it", f"the parts are {', '.join(PARTS)}")
    if double is None:
        marks = "single quotation marks" if single is not None else "no quotation marks"
        yield failed("header", f"{name} has {marks}", f'write {name}="…"')
    if before or after:
        yield failed("header", f"{name} has blanks around =", f'write {name}="…"')
    if separator == ";":
        yield failed("header", f"a semicolon follows {name}", "separate the parts by commas")


# ---- what the parts say ----------------------------------------------------------------------------------------------


def examine_parts(header: Header, book: KeyBook, now: float) -> Iterator[Finding]:
    """Yield a finding for the timestamp, the merchant and the serial; `now` is Unix seconds when the call arrived."""
    if timestamp := header.part("timestamp"):
        yield examine_timestamp(timestamp, now)
    if mchid := header.part("mchid"):
        yield _examine_merchant(mchid, book)
    if serial := header.part("serial_no"):
        yield _examine_serial(serial, header.part("mchid"), book)


def examine_timestamp(text: str, now: float) -> Finding:
    """Return whether a timestamp is Unix seconds within the window."""
    remedy = "send Unix seconds (10 digits), and set the machine's clock by NTP"
    if not re.fullmatch(r"[0-9]+", text, re.ASCII):
        return failed("timestamp", f"{text[:40]} is not a number", remedy)
    if len(text) == 13:
        return failed("timestamp", f"{text} is milliseconds", "divide it by 1000: WeChat Pay takes Unix seconds")
    if len(text) != 10:
        return failed("timestamp", f"{text[:40]} has not 10 digits", remedy)
    away = int(text) - int(now)
    if abs(away) > WINDOW:
        side = "ahead of" if away > 0 else "behind"
        return failed("timestamp", f"{abs(away)} s {side} WeChat Pay's clock, and {WINDOW} are allowed", remedy)
    return ok("timestamp", f"{abs(away)} s off, and {WINDOW} are allowed")


def _examine_merchant(mchid: str, book: KeyBook) -> Finding:
    if book.present(mchid) is not None and mchid != WECHAT_PAY:
        return ok("mchid", f"{mchid} is a merchant here")
    owners = sorted({key.owner for key in book.keys} - {WECHAT_PAY})
    remedy = f"use one of {', '.join(owners)}" if owners else "give its certificate or public key"
    return failed("mchid", f"{mchid[:40]} is no merchant that is known here", remedy)


def _examine_serial(serial: str, mchid: str, book: KeyBook) -> Finding:
    owner, present = book.of_serial(serial), book.present(mchid)
    expected = f"{present.serial} is the serial of merchant {mchid}" if present else "read it from apiclient_cert.pem"
    if serial.startswith("PUB_KEY_ID") or (owner is not None and owner.owner == WECHAT_PAY):
        return failed("serial_no", f"{serial} is WeChat Pay's key, not the merchant's", f"send your own: {expected}")
    if owner is None:
        return failed("serial_no", f"{serial[:80]} is not known", expected)
    if owner.owner != mchid:
        return failed("serial_no", f"it belongs to merchant {owner.owner}, and mchid is {mchid}", expected)
    if not owner.is_present:
        return failed("serial_no", "it is the serial of a former key of the merchant", expected)
    if serial != owner.serial:
        return warning("serial_no", "its letters are in another case than in the certificate", "WeChat Pay takes both")
    return ok("serial_no", f"it is the serial of merchant {mchid}")

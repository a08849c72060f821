"""PEM in every form in which it gets copied: environment variables, JSON secrets, Windows editors, chat windows."""

import base64
import binascii
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from dataclasses import dataclass

from wechatpay.errors import InvalidKeyError

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)
_BASE64 = re.compile(r"[A-Za-z0-9+/=]+")
_ESCAPED_LINE_END = re.compile(r"\\+[rn]")  # escaped more than once where JSON stands in JSON


@dataclass(frozen=True, slots=True)
class Block:
    """One PEM block. `label` is what follows BEGIN, empty for bare base64; `der` is not shown by `repr`."""

    label: str
    der: bytes
    encrypted: bool = False

    def __repr__(self) -> str:
        return f"Block({self.label!r})"


def find_block(pem: str | bytes, field: str, kind: str = "") -> Block:
    r"""Return the first PEM block whose label contains `kind`; where there is none, the first of all.

    Literal `\n`, CRLF, BOM, UTF-16, quotes, lost line ends, and base64 around the whole file are accepted. Raise
    InvalidKeyError naming `field` and what is wrong; its text never repeats the PEM.
    """
    return find_blocks(pem, field, kind)[0]


def find_blocks(pem: str | bytes, field: str, kind: str = "") -> list[Block]:
    """Return every PEM block whose label contains `kind`, or the first of all; see `find_block`."""
    text = _clean(pem, field)
    blocks = _BLOCK.findall(text) or _BLOCK.findall(text := _unwrap(text))
    if not blocks:
        _require_base64(text, field)
        return [Block("", _decode_base64(text, field))]
    matching = [block for block in blocks if kind in block[0]] or blocks[:1]
    return [_parse(label, content, field) for label, content in matching]


def _parse(label: str, content: str, field: str) -> Block:
    encrypted = "ENCRYPTED" in content
    return Block(label, b"" if encrypted else _decode_base64(content, field), encrypted)


def _clean(pem: str | bytes, field: str) -> str:
    if not isinstance(pem, str | bytes):
        raise InvalidKeyError(f"{field} must be the text of a PEM file, not {type(pem).__name__}")
    try:
        text = pem if isinstance(pem, str) else _decode_text(pem)
    except UnicodeDecodeError:
        raise InvalidKeyError(f"{field} is not text: give the PEM file, not the DER or PKCS#12 one") from None
    return _ESCAPED_LINE_END.sub("\n", text).strip("\ufeff \t\r\n\"'")


def _decode_text(content: bytes) -> str:
    """Decode the bytes of a text file; Windows PowerShell writes UTF-16. Raise UnicodeDecodeError."""
    return content.decode("utf-16" if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig")


def _unwrap(text: str) -> str:
    """Return the PEM file of which this is the base64, as `base64 apiclient_key.pem` prints it; otherwise the text."""
    try:
        inner = _clean(base64.b64decode("".join(text.split()), validate=True), "")
    except ValueError:  # InvalidKeyError included
        return text
    return inner if "-----BEGIN" in inner else text


def _require_base64(text: str, field: str) -> None:
    """Raise InvalidKeyError, naming what is missing, unless this is base64 whose BEGIN and END lines were lost."""
    if not text:
        raise InvalidKeyError(f"{field} is empty")
    if "-----BEGIN" in text:
        raise InvalidKeyError(f"{field} has no END line that fits its BEGIN line: it was cut off when copied")
    if not _BASE64.fullmatch("".join(text.split())):
        raise InvalidKeyError(f"{field} is not PEM: it must begin with -----BEGIN")


def _decode_base64(content: str, field: str) -> bytes:
    try:
        return base64.b64decode("".join(content.split()), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidKeyError(f"{field} is damaged: what stands between BEGIN and END is not base64") from None

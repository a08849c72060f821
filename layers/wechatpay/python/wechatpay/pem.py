"""PEM as people paste it: out of an environment variable, a JSON secret, a Windows editor, a chat window."""

import base64
import binascii
import re
from dataclasses import dataclass

from wechatpay.errors import InvalidKeyError

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)
_BASE64 = re.compile(r"[A-Za-z0-9+/=]+")


@dataclass(frozen=True, slots=True)
class Block:
    """What stands between BEGIN and END; `repr` shows the label alone. `label` is empty for bare base64."""

    label: str
    der: bytes
    encrypted: bool = False

    def __repr__(self) -> str:
        return f"Block({self.label!r})"


def find_block(pem: str | bytes, field: str) -> Block:
    r"""Return the first PEM block of the text, tolerant to literal `\n`, CRLF, BOM, quotes and lost line ends.

    Raises InvalidKeyError naming `field` and what is wrong; the text itself is never repeated.
    """
    text = _text(pem, field)
    found = _BLOCK.search(text)
    if found is None:
        return Block("", _der(_bare(text, field), field))
    label, content = found.groups()
    encrypted = "ENCRYPTED" in content
    return Block(label, b"" if encrypted else _der(content, field), encrypted)


def _text(pem: str | bytes, field: str) -> str:
    if not isinstance(pem, str | bytes):
        raise InvalidKeyError(f"{field} must be the text of a PEM file, not {type(pem).__name__}")
    try:
        text = pem if isinstance(pem, str) else pem.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidKeyError(f"{field} is not text: give the PEM file, not the DER or PKCS#12 one") from None
    return text.replace("\\r", "\n").replace("\\n", "\n").strip("\ufeff \t\r\n\"'")


def _bare(text: str, field: str) -> str:
    """Accept base64 whose BEGIN and END lines were lost; anything else gets told what is missing."""
    if not text:
        raise InvalidKeyError(f"{field} is empty")
    if "-----BEGIN" in text:
        raise InvalidKeyError(f"{field} has no END line that fits its BEGIN line: it was cut off when copied")
    if not _BASE64.fullmatch("".join(text.split())):
        raise InvalidKeyError(f"{field} is not PEM: it must begin with -----BEGIN")
    return text


def _der(content: str, field: str) -> bytes:
    try:
        return base64.b64decode("".join(content.split()), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidKeyError(f"{field} is damaged: what stands between BEGIN and END is not base64") from None

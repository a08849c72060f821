"""How a signed text is put together: the right layout of its lines, and the ones that are often made instead."""

import base64
import hashlib
from collections.abc import Callable, Iterator
from functools import partial

from sandbox.signature.mistakes import Mistake, Variant

type Layout = Callable[[tuple[bytes, ...]], bytes]
"""Makes the text of its lines; the last one is the body."""

_REMEDY = "end each line with one \\n, the last one too; an empty body is an empty line"


def right(lines: tuple[bytes, ...]) -> bytes:
    """Return the lines, each ended by a line break (doc 4012365336)."""
    return b"".join(line + b"\n" for line in lines)


def layouts(body: bytes) -> Iterator[Variant[Layout]]:
    """Yield the layouts of a text with this body, the right one first."""
    yield Variant(right)
    words = "the text lacks the line break at its end" if body else "the empty body has no line of its own"
    if not body.endswith(b"\n"):  # otherwise the body's own line break is the one that was left out
        yield _wrong(b"\n".join, words)
    yield _wrong(lambda lines: right(lines) + b"\n", "the text has one line break too many at its end")
    yield _wrong(lambda lines: b"".join(line + b"\r\n" for line in lines), "its lines end with \\r\\n")
    yield _wrong(
        lambda lines: b"".join(line + b"\\n" for line in lines), "it has the two characters \\ and n as line ends"
    )
    yield _wrong(b"".join, "it has no line breaks at all")
    yield _wrong(lambda lines: right((*lines[:-3], lines[-2], lines[-3], lines[-1])), _SWAPPED)
    yield _wrong(lambda lines: right(lines[-3:]), "method and URL are missing, as in the text of an answer")
    yield _wrong(lambda lines: right(lines[-1:]), "the body alone was signed")
    yield _wrong(lambda lines: lines[-1], "the body alone was signed, without a line break")
    yield from (Variant(partial(_digest, write), _hashed_twice(form)) for form, write in _DIGESTS.items())


_DIGESTS: dict[str, Callable[[bytes], bytes]] = {
    "bytes": bytes,
    "hexadecimal digits": lambda digest: digest.hex().encode(),
    "base64": base64.b64encode,
}
_SWAPPED = "nonce and timestamp are in the other order"


def _digest(write: Callable[[bytes], bytes], lines: tuple[bytes, ...]) -> bytes:
    return write(hashlib.sha256(right(lines)).digest())


def _wrong(layout: Layout, words: str) -> Variant[Layout]:
    return Variant(layout, Mistake(f"the text is put together otherwise: {words}", _REMEDY))


def _hashed_twice(form: str) -> Mistake:
    words = f"the SHA-256 of the text was signed (as {form}), so the text was hashed twice"
    return Mistake(words, "give the text itself to the signing function: SHA256withRSA makes the hash")

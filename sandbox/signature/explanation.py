"""Explain a signature: who made it, over which text, and the fewest mistakes that lead there. Shared by both sides."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations, product
from typing import Any

from ops.findings import Finding, State, failed, not_checked, ok
from sandbox.signature.difference import Difference, visible
from sandbox.signature.key_book import KeyBook, OwnedKey
from sandbox.signature.mistakes import Mistake, Variant
from sandbox.signature.recovery import ALGORITHMS, Recovered, decode, is_pss, recover

MOST_MISTAKES = 3  # at once, in one text


@dataclass(frozen=True, slots=True)
class Candidate:
    """A text that may have been signed, and the mistakes that lead to it; none for the right one."""

    text: bytes
    mistakes: tuple[Mistake, ...] = ()


type Texts = Callable[[int], Iterator[Candidate]]
"""Yields the texts with so many mistakes, for one part of the search."""


@dataclass(frozen=True, slots=True)
class Hunt:
    """What a hunt found: each check in its order, the text that should have been signed, and the one that was.

    `signed_text` is None if it is not known. `difference` is that of the received and the pasted body.
    """

    findings: tuple[Finding, ...]
    text: bytes
    signed_text: bytes | None = None
    difference: Difference | None = None

    @property
    def is_verified(self) -> bool:
        """Whether everything was checked and nothing is wrong."""
        return not any(finding.state in {State.FAILED, State.NOT_CHECKED} for finding in self.findings)

    @property
    def text_lines(self) -> list[str]:
        """The text that should have been signed, line by line, with its line ends visible."""
        return _lines(self.text)

    @property
    def signed_lines(self) -> list[str]:
        """The text that was signed, where it is known and another one; otherwise empty."""
        is_other = self.signed_text is not None and self.signed_text != self.text
        return _lines(self.signed_text or b"") if is_other else []

    def document(self) -> dict[str, Any]:
        """Return the hunt for JSON."""
        return {
            "verified": self.is_verified,
            "findings": [finding.document() for finding in self.findings],
            "text": visible(self.text),
            "signed_text": None if self.signed_text is None else visible(self.signed_text),
            "difference": self.difference.document() if self.difference else None,
        }


def _lines(text: bytes) -> list[str]:
    return [visible(line) for line in text.splitlines(keepends=True)]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The findings about a signature, and the text that it covers, if that is known."""

    findings: tuple[Finding, ...]
    signed_text: bytes | None = None


def combine(parts: Sequence[Sequence[Variant[Any]]], write: Callable[..., bytes]) -> Texts:
    """Return the texts that `write` makes of one variant of each part; the first variant of a part is the right one."""

    def texts(count: int) -> Iterator[Candidate]:
        for wrong in combinations(range(len(parts)), count):
            choices = (part[1:] if place in wrong else part[:1] for place, part in enumerate(parts))
            for choice in product(*choices):
                mistakes = tuple(variant.mistake for variant in choice if variant.mistake is not None)
                yield Candidate(write(*(variant.value for variant in choice)), mistakes)

    return texts


def explain(signature: str, owner: OwnedKey | None, book: KeyBook, texts: Texts | None) -> Explanation:
    """Explain a signature that `owner` should have made; `texts` is None if the request is not known."""
    decoded = decode(signature)
    if decoded is None:
        return Explanation((failed("signature", "it is no base64", "send the base64 of the signature's 256 bytes"),))
    findings = [failed("signature", decoded.mistake, "write it as plain base64 in one line")] if decoded.mistake else []
    if (recovered := recover(decoded.value, _in_order(owner, book))) is None:
        return _explain_foreign(findings, decoded.value, owner, book, texts)
    findings += _examine_key(recovered, owner)
    if texts is None:
        reason = "the text cannot be put together"
        return Explanation((*findings, not_checked("text", reason, "give method, URL and body, or the whole request")))
    match = _search(texts, recovered.covers)
    return Explanation((*findings, *_examine_text(recovered, match)), match.text if match else None)


def _in_order(owner: OwnedKey | None, book: KeyBook) -> list[OwnedKey]:
    return ([owner] if owner else []) + [key for key in book.keys if key != owner]


def _examine_key(recovered: Recovered, owner: OwnedKey | None) -> Iterator[Finding]:
    if owner is not None and recovered.key.serial != owner.serial:
        yield failed("key", f"it was signed with {recovered.key}", f"sign with {owner}")
    else:
        yield ok("key", f"it was signed with {recovered.key}")
    if recovered.algorithm != "sha256":
        remedy = "use RSASSA-PKCS1-v1_5 with SHA-256 (SHA256withRSA)"
        yield failed("algorithm", f"the hash is {ALGORITHMS[recovered.algorithm]}, not SHA-256", remedy)
    else:
        yield ok("algorithm", "RSASSA-PKCS1-v1_5 with SHA-256")


def _search(texts: Texts, matches: Callable[[bytes], bool], most: int = MOST_MISTAKES) -> Candidate | None:
    """Return the matching text with the fewest mistakes."""
    candidates: Iterable[Candidate] = (candidate for count in range(most + 1) for candidate in texts(count))
    return next((candidate for candidate in candidates if matches(candidate.text)), None)


def _examine_text(recovered: Recovered, match: Candidate | None) -> Iterator[Finding]:
    if match is None:
        words = f"another text was signed; its {ALGORITHMS[recovered.algorithm]} is {recovered.digest.hex()}"
        remedy = "log the text that your client signs, and compare it line by line with the one below"
        yield failed("text", f"{words}, and no known mistake explains it (another nonce, another body?)", remedy)
    elif match.mistakes:
        yield from (failed("text", mistake.words, mistake.remedy) for mistake in match.mistakes)
    else:
        yield ok("text", "the signature covers exactly this text")


def _explain_foreign(
    findings: list[Finding], signature: bytes, owner: OwnedKey | None, book: KeyBook, texts: Texts | None
) -> Explanation:
    """Explain a signature that no key has made by PKCS1-v1_5: PSS, a cut one, or a key that is not known here."""
    sign_with = f"sign with {owner}" if owner else "sign with the key of apiclient_key.pem"
    for key in _in_order(owner, book):
        match = _search(texts, partial(is_pss, key.key, signature), most=1) if texts else None
        if match is not None:
            pss = failed("algorithm", f"the padding is PSS, by {key}", "use RSASSA-PKCS1-v1_5 (SHA256withRSA)")
            wrong = [failed("text", mistake.words, mistake.remedy) for mistake in match.mistakes]
            return Explanation((*findings, pss, *wrong), match.text)
    if len(signature) != 256:
        words = f"it has {len(signature)} bytes; a key of 2048 bits makes 256"
        return Explanation(
            (*findings, failed("signature", words, "send the whole signature, of an RSA key of 2048 bits"))
        )
    words = "no key that is known here has made it"
    return Explanation((*findings, failed("key", words, f"{sign_with}; mind test and production keys")))

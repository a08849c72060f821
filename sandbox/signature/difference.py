"""The first byte in which two bodies differ, with what is around it."""

from dataclasses import asdict, dataclass

AROUND = 24  # bytes of context on either side


@dataclass(frozen=True, slots=True)
class Difference:
    """Two bodies differ from `offset` on; a byte is None where that body has ended. Contexts are printable texts."""

    offset: int
    line: int
    column: int
    received: int | None
    pasted: int | None
    received_context: str
    pasted_context: str

    @property
    def words(self) -> str:
        """The difference in one line."""
        place = f"byte {self.offset} (line {self.line}, byte {self.column} of it)"
        return f"{place}: {_byte(self.received)} was received, {_byte(self.pasted)} is in the pasted body"

    def document(self) -> dict[str, object]:
        """Return the difference for JSON."""
        return {**asdict(self), "words": self.words}


def first_difference(received: bytes, pasted: bytes) -> Difference | None:
    """Return where the bodies differ first; None if they are equal."""
    if received == pasted:
        return None
    pairs = enumerate(zip(received, pasted, strict=False))
    offset = next((place for place, (one, other) in pairs if one != other), min(len(received), len(pasted)))
    before = received[:offset]
    return Difference(
        offset,
        before.count(b"\n") + 1,
        offset - (before.rfind(b"\n") + 1),
        received[offset] if offset < len(received) else None,
        pasted[offset] if offset < len(pasted) else None,
        _context(received, offset),
        _context(pasted, offset),
    )


def _byte(value: int | None) -> str:
    if value is None:
        return "nothing (the end)"
    character = chr(value)
    return f"0x{value:02x}" + (f" {character!r}" if value < 128 else "")


def _context(body: bytes, offset: int) -> str:
    """Return what is around a byte, with `⟦` and `⟧` around the byte itself."""
    before, byte = body[max(0, offset - AROUND) : offset], body[offset : offset + 1]
    after = body[offset + 1 : offset + 1 + AROUND]
    return f"{visible(before)}⟦{visible(byte)}⟧{visible(after)}"


def visible(text: bytes) -> str:
    r"""Return bytes as text in which each control character and each byte that is not UTF-8 is visible, as `\n`."""
    decoded = text.decode("utf-8", "backslashreplace")
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in decoded)

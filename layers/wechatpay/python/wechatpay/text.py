"""Text from outside, made safe to store, log and print: cleaned and bounded once, where it enters."""


def printable(text: str, limit: int = 300) -> str:
    """Return at most `limit` characters, each control, escape, bidi or otherwise unprintable one as a blank.

    An escape sequence cannot move a terminal's cursor, a line break cannot forge a log line, U+202E cannot turn the
    rest of a line round, and half a character (a lone surrogate) cannot keep a log line or an item from being written.
    """
    return "".join(character if character.isprintable() else " " for character in text[:limit])

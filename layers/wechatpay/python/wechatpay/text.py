"""Text from outside, cleaned and bounded once, where it enters: safe to store, log and print."""


def printable(text: str, limit: int = 300) -> str:
    """Return at most `limit` characters of `text`, each unprintable one replaced by a blank.

    That covers escape sequences (they control a terminal), line breaks (they forge log lines), bidi controls such as
    U+202E (they reverse the rest of a line) and lone surrogates (they cannot be encoded, in a log line or an item).
    """
    text = text[:limit]
    return text if text.isprintable() else "".join(one if one.isprintable() else " " for one in text)

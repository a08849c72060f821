"""Format output: text from outside can neither move the cursor, nor forge a line, nor cause a traceback."""

import json

from wechatpay.text import printable

LINE_LIMIT = 2000  # characters of one printed line


def line(*parts: object) -> str:
    """Return the parts that are not empty, two blanks apart, as one printable line."""
    return printable("  ".join(str(part) for part in parts if part not in (None, "")), LINE_LIMIT)


def document(value: object) -> str:
    """Return a value as indented JSON without unprintable characters; it parses to the same value."""
    text = json.dumps(value, ensure_ascii=False, indent=2, default=str)
    return "\n".join(map(escaped, text.split("\n")))


def compact(value: object) -> str:
    """Return a value as JSON in one line without unprintable characters, for JSON Lines."""
    return escaped(json.dumps(value, ensure_ascii=False, default=str))


def escaped(text: str) -> str:
    r"""Return text with each unprintable character as JSON escapes it: `\n`, `\u001b`, `\u202e`."""
    return "".join(character if character.isprintable() else json.dumps(character)[1:-1] for character in text)

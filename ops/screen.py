"""What the commands print: text from outside can neither move the cursor, nor forge a line, nor end in a traceback."""

import json
from typing import Any

from wechatpay.text import printable

LINE_LIMIT = 2000  # characters of one printed line


def line(*parts: object) -> str:
    """Return what there is of the parts, two blanks apart, as one clean line."""
    return printable("  ".join(str(part) for part in parts if part not in (None, "")), LINE_LIMIT)


def document(value: Any) -> str:  # noqa: ANN401  whatever JSON can hold
    """Return a value as JSON of many lines that is as readable as it is safe to print, and still the same value."""
    text = json.dumps(value, ensure_ascii=False, indent=2, default=str)
    return "\n".join(map(escaped, text.split("\n")))


def escaped(text: str) -> str:
    r"""Return text with each unprintable character as JSON escapes it: `\n`, `\u001b`, `\u202e`."""
    return "".join(character if character.isprintable() else json.dumps(character)[1:-1] for character in text)

"""Checks of the typed layer's keyword arguments, before anything is sent."""

import re
from collections.abc import Mapping

_OUT_ORDER_NO = r"[0-9A-Za-z_\-|*]{1,32}"


def require_names(required: frozenset[str], optional: frozenset[str], arguments: Mapping[str, object]) -> None:
    """Raise TypeError for missing names, then for surplus ones; of a TypedDict, as Python does of a signature."""
    if missing := sorted(required - arguments.keys()):
        raise TypeError(f"missing {', '.join(missing)}")
    if surplus := sorted(arguments.keys() - required - optional):
        raise TypeError(f"{', '.join(surplus)} has no place here")


def require_out_order_no(number: object) -> str:
    """Return the order's number; raise ValueError for what WeChat Pay does not take as one (doc 4012587902)."""
    if not isinstance(number, str) or not re.fullmatch(_OUT_ORDER_NO, number):
        raise ValueError("out_order_no must be 1 to 32 of digits, letters, _ - | *")
    return number


def is_natural(value: object) -> bool:
    """Whether the value is a whole number, not negative, as money in fen is; a boolean is none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0

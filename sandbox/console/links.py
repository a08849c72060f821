"""Paths of the console's pages that other pages link to."""

from urllib.parse import quote


def order_path(key: str) -> str:
    """Return the path of an order's page, by its key in the table; empty for no key."""
    owner, _, number = key.partition("#")
    return "/".join(["/order", *(quote(part, safe="") for part in (*owner.split("/"), number))]) if number else ""

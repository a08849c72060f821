"""Paths of the console's pages that other pages link to."""

from urllib.parse import quote


def order_path(key: str) -> str:
    """Return the path of an order's page, by its key in the table; empty for no key."""
    owner, _, number = key.partition("#")
    return "/".join(["/order", *(quote(part, safe="") for part in (*owner.split("/"), number))]) if number else ""


def event_path(event_id: str) -> str:
    """Return the path of an event's page, by its id or its message's."""
    return f"/event/{quote(event_id, safe='')}"

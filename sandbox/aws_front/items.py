"""The journal's entries about items, whichever operation writes them, statements of PartiQL included."""

from sandbox.aws_front.hooks import Around, MiniStackRecord, around
from sandbox.aws_front.journal import Journal


class ItemEntries:
    """Hooks that write each change of an item."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def install(self) -> None:
        """Put the hooks around MiniStack's functions."""
        around("dynamodb", "_set_item", "table pk_val sk_val item", self._set)
        around("dynamodb", "_remove_item", "table pk_val sk_val", self._remove)

    def _set(self, original: Around, table: MiniStackRecord, *rest: MiniStackRecord) -> object:
        old = original(table, *rest)
        item = rest[-1]
        self._journal.write(
            "item_written",
            table=table["TableName"],
            pk=value(item.get(table["pk_name"])),
            status=value(item.get("status")),
            version=value(item.get("version")),
        )
        return old

    def _remove(self, original: Around, table: MiniStackRecord, *rest: object) -> MiniStackRecord | None:
        old: MiniStackRecord | None = original(table, *rest)
        if old is not None:
            self._journal.write("item_removed", table=table["TableName"], pk=value(old.get(table["pk_name"])))
        return old


def value(attribute: object) -> str | int:
    """Return a text or whole number of DynamoDB's JSON as it is, anything else as text; "" where there is none."""
    match attribute:
        case {"S": str() as text}:
            return text
        case {"N": str() as number} if number.lstrip("-").isdecimal():
            return int(number)
        case None:
            return ""
        case _:
            return str(attribute)

"""DynamoDB streams: the records that MiniStack does not write, for statements of PartiQL, and their journal entries.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html: a record for every change of an item,
whichever operation makes it.
"""

import copy
from contextvars import ContextVar
from typing import Any

from sandbox.aws_front.hooks import Around, MiniStackRecord, around, service
from sandbox.aws_front.journal import Journal

type Change = tuple[str, str, MiniStackRecord | None, MiniStackRecord | None]
"""A table, an event's name, the item before and after."""

_changes: ContextVar[list[Change] | None] = ContextVar("changes", default=None)
"""The changes of the statement, or of the transaction of statements, that is being executed."""

STATEMENTS = {
    "_partiql_insert": "table parsed",
    "_partiql_update": "table parsed data",
    "_partiql_delete": "table parsed data",
    "_execute_transaction": "data",
}

type Answer = tuple[int, object, object]
"""What MiniStack answers: the HTTP status, headers and body."""


class Streams:
    """Hooks that write stream records for statements, and the journal's entry of every record."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._dynamodb: Any = service("dynamodb")

    def install(self) -> None:
        """Put the hooks around MiniStack's functions."""
        for name, parameters in STATEMENTS.items():
            around("dynamodb", name, parameters, self._execute)
        around("dynamodb", "_set_item", "table pk_val sk_val item", self._set)
        around("dynamodb", "_remove_item", "table pk_val sk_val", self._remove)
        parameters = "table event_name old_item new_item view_type"
        around("dynamodb", "_build_change_record", parameters, self._build)

    def _execute(self, original: Around, *arguments: object, **keywords: object) -> Answer:
        """Collect the changes of a statement or of a transaction of statements, and emit them if it succeeds."""
        if _changes.get() is not None:
            inner: Answer = original(*arguments, **keywords)
            return inner
        changes: list[Change] = []
        token = _changes.set(changes)
        try:
            answer: Answer = original(*arguments, **keywords)
        finally:
            _changes.reset(token)
        for change in changes if answer[0] == 200 else []:
            self._dynamodb._emit_stream_event(*change)
        return answer

    def _set(self, original: Around, table: MiniStackRecord, *rest: MiniStackRecord) -> object:
        old = original(table, *rest)
        _collect(table, "MODIFY" if old else "INSERT", old, rest[-1])
        return old

    def _remove(self, original: Around, table: MiniStackRecord, *rest: object) -> MiniStackRecord | None:
        old: MiniStackRecord | None = original(table, *rest)
        if old is not None:
            _collect(table, "REMOVE", old, None)
        return old

    def _build(
        self,
        original: Around,
        table: MiniStackRecord,
        event_name: str,
        old_item: MiniStackRecord | None,
        new_item: MiniStackRecord | None,
        view_type: str,
    ) -> MiniStackRecord:
        images = copy.deepcopy((old_item, new_item))  # a record does not change with the item
        record: MiniStackRecord = original(table, event_name, *images, view_type)
        self._journal.write(
            "stream_record",
            table=table["TableName"],
            event_name=event_name,
            sequence_number=record["dynamodb"]["SequenceNumber"],
            keys=record["dynamodb"]["Keys"],
        )
        return record


def _collect(table: MiniStackRecord, event_name: str, old: MiniStackRecord | None, new: MiniStackRecord | None) -> None:
    if (changes := _changes.get()) is not None:
        changes.append((table["TableName"], event_name, old, new))

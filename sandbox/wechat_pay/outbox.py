"""The notifications in the simulator's database, and which of them is to be sent now."""

import json
import sqlite3

from sandbox.wechat_pay.notifications import Notification
from sandbox.wechat_pay.state import State

KEEP = 5000  # notifications whose delivery has ended; older ones are removed, those that wait never


class Outbox:
    """Every notification; one that was in flight when the process ended is sent again after its start."""

    def __init__(self, state: State, *, keep: int = KEEP) -> None:
        self._state = state
        self._keep = keep
        self._next: float | None = self._earliest()
        self.changes = 0  # how often a notification was stored, for those that follow

    @property
    def next_due(self) -> float | None:
        """When the next attempt is due; None where none is."""
        return self._next

    def put(self, notification: Notification) -> None:
        """Store a notification in the place of the one that has its id."""
        row = (notification.id, notification.mchid, notification.out_order_no, notification.next_at)
        with self._state.transaction() as database:
            database.execute(
                "INSERT INTO notifications (id, mchid, out_order_no, next_at, record) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT DO UPDATE SET next_at = excluded.next_at, record = excluded.record",
                (*row, json.dumps(notification.as_dict(), ensure_ascii=False)),
            )
            if notification.next_at is None:
                self._remove_oldest(database)
            self._next = self._earliest()
            self.changes += 1

    def get(self, id_: str) -> Notification:
        """Return the notification of this id; KeyError where there is none."""
        for (text,) in self._state.rows("SELECT record FROM notifications WHERE id = ?", id_):
            return Notification.of_record(json.loads(text))
        raise KeyError(id_)

    def due(self, now: float, limit: int = 100) -> list[Notification]:
        """Return the notifications whose next attempt is due, the earliest first."""
        question = "SELECT record FROM notifications WHERE next_at <= ? ORDER BY next_at, number LIMIT ?"
        return [Notification.of_record(json.loads(text)) for (text,) in self._state.rows(question, now, limit)]

    def newest(self, mchid: str = "", out_order_no: str = "", limit: int = 100) -> list[Notification]:
        """Return the newest notifications, of one merchant or order where one is named, the newest last."""
        question = (
            "SELECT record FROM notifications WHERE ? IN ('', mchid) AND ? IN ('', out_order_no) "
            "ORDER BY number DESC LIMIT ?"
        )
        rows = self._state.rows(question, mchid, out_order_no, limit)
        return [Notification.of_record(json.loads(text)) for (text,) in reversed(rows)]

    def _remove_oldest(self, database: sqlite3.Connection) -> None:
        """Remove what has ended but for the newest."""
        database.execute(
            "DELETE FROM notifications WHERE next_at IS NULL AND number <= "
            "(SELECT number FROM notifications WHERE next_at IS NULL ORDER BY number DESC LIMIT 1 OFFSET ?)",
            (self._keep,),
        )

    def _earliest(self) -> float | None:
        at: float | None = self._state.rows("SELECT min(next_at) FROM notifications")[0][0]
        return at

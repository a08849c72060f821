"""What a simulator remembers: one SQLite database, in a folder where it outlives the process, in memory otherwise.

A transaction is written before the call that it belongs to is answered, so that a process that is killed loses
nothing that it has answered. A power cut may lose the last moments: `synchronous` is NORMAL (sqlite.org/wal.html).
"""

import json
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

type Record = dict[str, Any]  # JSON as a room of the simulator writes and reads it

FILE = "wechat-pay.sqlite"
VERSION = 1  # of the tables below

_TABLES = """
CREATE TABLE IF NOT EXISTS records (
    kind TEXT, name TEXT, record TEXT NOT NULL, PRIMARY KEY (kind, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS orders (
    mchid TEXT, out_order_no TEXT, sub_mchid TEXT, record TEXT NOT NULL,
    number INTEGER PRIMARY KEY, UNIQUE (mchid, out_order_no, sub_mchid));
CREATE INDEX IF NOT EXISTS orders_by_query_id ON orders (mchid, json_extract(record, '$.query_id'));
CREATE TABLE IF NOT EXISTS tasks (
    number INTEGER PRIMARY KEY, due REAL NOT NULL, kind TEXT NOT NULL, record TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS tasks_by_due ON tasks (due, number);
CREATE TABLE IF NOT EXISTS notifications (
    id TEXT NOT NULL UNIQUE, mchid TEXT NOT NULL, out_order_no TEXT NOT NULL, next_at REAL, record TEXT NOT NULL,
    number INTEGER PRIMARY KEY);
CREATE INDEX IF NOT EXISTS notifications_by_order ON notifications (mchid, out_order_no);
CREATE INDEX IF NOT EXISTS notifications_by_time ON notifications (next_at);
"""


class StateError(Exception):
    """The folder cannot be used; the message says why and what to do."""


class State:
    """A database for one process; one thread at a time has it."""

    def __init__(self, directory: Path | None = None) -> None:
        """Open the database of this folder, or make it; without a folder it ends with the process."""
        self.lock = threading.RLock()
        self._depth = 0
        self._database = _open(directory)
        self.close = weakref.finalize(self, self._database.close)  # also where no one calls it

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Hold the lock, and write all changes of the block or none; an inner block belongs to the outer one."""
        with self.lock:
            if not self._depth:
                self._database.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield self._database
            except BaseException:
                self._depth -= 1
                if not self._depth:
                    self._database.execute("ROLLBACK")
                raise
            self._depth -= 1
            if not self._depth:
                self._database.execute("COMMIT")

    def rows(self, question: str, *values: object) -> list[tuple[Any, ...]]:
        """Return what a SELECT finds."""
        with self.lock:
            return self._database.execute(question, values).fetchall()

    def record(self, kind: str, name: str) -> Record | None:
        """Return the record of this kind and name; None where there is none."""
        rows = self.rows("SELECT record FROM records WHERE kind = ? AND name = ?", kind, name)
        return json.loads(rows[0][0]) if rows else None

    def records(self, kind: str) -> list[Record]:
        """Return every record of this kind, by name."""
        rows = self.rows("SELECT record FROM records WHERE kind = ? ORDER BY name", kind)
        return [json.loads(text) for (text,) in rows]

    def put_record(self, kind: str, name: str, record: Record) -> None:
        """Store a record in the place of the one that has its kind and name."""
        with self.transaction() as database:
            database.execute("REPLACE INTO records VALUES (?, ?, ?)", (kind, name, json.dumps(record)))


def _open(directory: Path | None) -> sqlite3.Connection:
    if directory is not None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = ":memory:" if directory is None else str(directory / FILE)
    database = sqlite3.connect(
        path,
        timeout=0,  # who has the lock, has it until it ends
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        _prepare(database)
    except sqlite3.Error as error:
        database.close()
        remedy = "end the process that uses it" if "locked" in str(error) else "remove it"
        raise StateError(f"{path} cannot be used ({error}): choose another folder, or {remedy}") from None
    return database


def _prepare(database: sqlite3.Connection) -> None:
    database.execute("PRAGMA locking_mode = EXCLUSIVE")  # each process has values of its own in memory
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    _require_version(database)
    database.executescript(_TABLES)


def _require_version(database: sqlite3.Connection) -> None:
    [version] = database.execute("PRAGMA user_version").fetchone()
    if version not in {0, VERSION}:
        raise sqlite3.DatabaseError(f"its tables are those of version {version}, not {VERSION}")
    database.execute(f"PRAGMA user_version = {VERSION}")

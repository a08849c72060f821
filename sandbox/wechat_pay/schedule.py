"""What will happen by itself, and when: tasks in the database, executed by the one who lets the time pass."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sandbox.wechat_pay.state import Record, State


@dataclass(frozen=True, slots=True)
class Task:
    """One thing that will happen at `due`, Unix seconds."""

    due: float
    kind: str
    record: Record


type Handlers = Mapping[str, Callable[[Task], None]]  # by kind


class Schedule:
    """The tasks, the earliest first; one that was due while the process was down is executed after its start."""

    def __init__(self, state: State, handlers: Handlers, wake: Callable[[], None]) -> None:
        """`wake` is called when another task is the next one: who waits for it must look again."""
        self._state = state
        self._handlers = handlers
        self._wake = wake
        self._next: float | None = self._earliest()

    @property
    def next_due(self) -> float | None:
        """When the next task is due; None where there is none."""
        return self._next

    def add(self, task: Task) -> None:
        """Add a task."""
        with self._state.transaction() as database:
            database.execute(
                "INSERT INTO tasks (due, kind, record) VALUES (?, ?, ?)", (task.due, task.kind, json.dumps(task.record))
            )
            is_next = self._next is None or task.due < self._next
            self._next = task.due if is_next else self._next
        if is_next:
            self._wake()

    def drop(self, order_id: str, kinds: tuple[str, ...]) -> None:
        """Remove the tasks of these kinds about an order."""
        marks = ", ".join("?" * len(kinds))
        question = f"DELETE FROM tasks WHERE kind IN ({marks}) AND json_extract(record, '$.order_id') = ?"  # noqa: S608
        with self._state.transaction() as database:
            database.execute(question, (*kinds, order_id))
            self._next = self._earliest()

    def run_due(self, now: float) -> None:
        """Execute what is due by now, the earliest first; each task and its effects are one transaction."""
        while self._next is not None and self._next <= now:
            with self._state.transaction() as database:
                rows = self._state.rows("SELECT number, due, kind, record FROM tasks ORDER BY due, number LIMIT 1")
                for number, due, kind, text in rows if rows and rows[0][1] <= now else ():
                    database.execute("DELETE FROM tasks WHERE number = ?", (number,))
                    self._handlers[kind](Task(due, kind, json.loads(text)))
                self._next = self._earliest()

    def _earliest(self) -> float | None:
        due: float | None = self._state.rows("SELECT min(due) FROM tasks")[0][0]
        return due

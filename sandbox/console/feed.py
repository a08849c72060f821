"""Follow the embedded AWS and the simulator in the background, and publish what has changed."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

from orders.errors import TableUnavailableError, UnreadableItemError
from orders.order import Order
from sandbox.console import bulletin
from sandbox.console.bulletin import Bulletin
from sandbox.console.flow import Flow
from sandbox.journal import Journal, JournalEntry, JournalError
from sandbox.testbed import Testbed
from sandbox.wechat_pay import Simulator

MOST = 20_000  # entries that are remembered, as many as the embedded AWS itself remembers
WAIT = 1.0  # seconds that one request for entries may wait, and so the closing
PAUSE = 0.5  # seconds between two looks at the simulator

LETTER_KINDS = frozenset({"message_dead", "message_sent", "message_deleted"})


class Feed:
    """The journal of one testbed, followed by a thread, and the simulator, followed by another, until `close`."""

    def __init__(self, testbed: Testbed, board: Bulletin) -> None:
        self._testbed = testbed
        self._board = board
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._entries: deque[JournalEntry] = deque(maxlen=MOST)
        looks = {"journal": self._follow_journal, "simulator": self._follow_simulator}
        self._threads = [
            threading.Thread(target=look, daemon=True, name=f"console follows {name}") for name, look in looks.items()
        ]
        self.flow = Flow(_name(testbed, "OrderQueueUrl"), _name(testbed, "DeadLettersUrl"))

    def open(self) -> None:
        """Start following."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End both threads, each after the look that it is at."""
        self._closing.set()
        for thread in self._threads:
            thread.join()

    @property
    def entries(self) -> Sequence[JournalEntry]:
        """The newest entries of the journal, oldest first."""
        with self._lock:
            return tuple(self._entries)

    # ---- the embedded AWS --------------------------------------------------------------------------------------------

    def _follow_journal(self) -> None:
        journal, last = Journal(self._testbed.cloud.endpoint_url), 0
        while not self._closing.is_set():
            try:
                entries = journal.entries(last, WAIT)
            except JournalError:
                self._closing.wait(PAUSE)  # the embedded AWS ends before the console, or is restarting
                continue
            if entries:
                last = entries[-1].n
                self._add(entries)

    def _add(self, entries: Sequence[JournalEntry]) -> None:
        with self._lock:
            self._entries.extend(entries)
        for entry in entries:
            self.flow.add(entry)
        keys = [str(entry.fields["pk"]) for entry in entries if entry.kind == "item_written"]
        self.flow.add_orders(self._orders(list(dict.fromkeys(keys))))
        self._board.publish(self._topics(entries))

    def _topics(self, entries: Sequence[JournalEntry]) -> set[str]:
        letters = any(
            entry.kind in LETTER_KINDS and self.flow.dead_letters in entry.fields.values() for entry in entries
        )
        return {bulletin.FLOW, *([bulletin.LETTERS] if letters else [])}

    def _orders(self, keys: Sequence[str]) -> list[Order]:
        with suppress(TableUnavailableError):  # it costs the latencies
            items = self._testbed.deployment.table.load(keys).values()
            return [order for order in items if not isinstance(order, UnreadableItemError)]
        return []

    # ---- the simulator -----------------------------------------------------------------------------------------------

    def _follow_simulator(self) -> None:
        wechat_pay = self._testbed.wechat_pay
        looks: dict[str, Callable[[], object]] = {
            bulletin.CALLS: lambda: len(wechat_pay.calls),
            bulletin.FAULTS: lambda: (wechat_pay.refusing, repr(wechat_pay.active_faults)),
            bulletin.ORDERS: lambda: wechat_pay.order_changes,
            bulletin.MERCHANTS: lambda: hash(repr(_platform(wechat_pay))),
            bulletin.NOTIFICATIONS: lambda: wechat_pay.outbox.changes,
            bulletin.SWITCHES: lambda: wechat_pay.switches,
        }
        before = {topic: look() for topic, look in looks.items()}
        while not self._closing.wait(PAUSE):
            now = {topic: look() for topic, look in looks.items()}
            if topics := [topic for topic in now if now[topic] != before[topic]]:
                self._board.publish(topics)
            before = now


def _platform(wechat_pay: Simulator) -> tuple[object, ...]:
    """Return what the page of the merchants shows."""
    keys = wechat_pay.platform.public_key_id, list(wechat_pay.platform.certificates)
    return wechat_pay.merchants(), keys, wechat_pay.permissions.all(), wechat_pay.refunds.all()


def _name(testbed: Testbed, output: str) -> str:
    """Return a queue's name by the stack's output that has its URL."""
    return testbed.stack.outputs[output].rpartition("/")[2]

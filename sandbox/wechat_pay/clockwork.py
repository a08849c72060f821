"""A thread that lets the time pass for a simulator: it waits until something is due and knows no rule itself."""

import threading
from collections.abc import Callable

from sandbox.wechat_pay.courier import Courier
from sandbox.wechat_pay.life import Life

LONGEST = 3600.0  # seconds without a look: a clock that was set is noticed
BUSY = 0.1  # seconds between two looks while something is in flight


class Clockwork:
    """Wakes a simulator when something is due, or when what is due has changed; it starts at the first need."""

    def __init__(self, life: Life, courier: Courier, clock: Callable[[], float]) -> None:
        self._life, self._courier, self._clock = life, courier, clock
        self._changed = threading.Event()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def wake(self) -> None:
        """Look again at what is due."""
        self._changed.set()
        with self._starting:
            if self._thread is None and not self._ended.is_set():
                self._thread = threading.Thread(target=self._run, name="clockwork", daemon=True)
                self._thread.start()

    def end(self) -> None:
        """End the thread."""
        with self._starting:
            self._ended.set()
            self._changed.set()
            thread = self._thread
        if thread and thread is not threading.current_thread():
            thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            self._changed.clear()
            self._life.pass_time()
            self._courier.dispatch_due()
            self._changed.wait(self._pause())

    def _pause(self) -> float | None:
        """Return how long nothing is due; what is in flight is due still, and wakes the thread when it has landed."""
        due = self._life.next_due
        least = BUSY if self._courier.is_busy else 0.0
        return None if due is None else min(max(due - self._clock(), least), LONGEST)

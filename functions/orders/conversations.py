"""Conversations side by side: one thread sends the first calls of several orders, and reads their answers as they come.

A thread for each order would wake twice for each call, which costs as much as what it does. What cannot go that way has
a thread of its own: an order whose connection must be made first, and what follows a first answer, unless that is a
first write.
"""

import select
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, wait
from itertools import batched
from typing import NamedTuple

from orders.cases import Case
from orders.order import Outcome
from orders.ports import Conversation, Exchange
from orders.recorder import Draft, Recorded

TOGETHER = 25  # orders of one thread: as many first writes share a call
PATIENCE = 0.2  # seconds that a thread waits for signatures; a merchant's secret may have to be fetched first

type Ending = Draft | Recorded


class _Out(NamedTuple):
    """A conversation whose first call is out."""

    future: Future[Ending]
    case: Case
    exchange: Exchange


class Conversations:
    """Settles cases, each in a conversation of its own.

    `preparation` returns the future of a case's conversation, `begin` starts it without waiting, and `note`
    makes of its outcome what is written. An error of one of them costs that case alone.
    """

    def __init__(
        self,
        executor: Executor,
        preparation: Callable[[Case], Future[Conversation]],
        begin: Callable[[Case, Conversation], Exchange],
        note: Callable[[Case, Outcome], Ending],
    ) -> None:
        self._executor = executor
        self._preparation = preparation
        self._begin = begin
        self._note = note

    def settle(self, cases: Sequence[Case]) -> dict[Future[Ending], Case]:
        """Return a future for each case, which has its ending once the conversation is over."""
        futures: dict[Future[Ending], Case] = {Future(): case for case in cases}
        for together in batched(futures.items(), TOGETHER, strict=False):
            self._executor.submit(self._settle, together)
        return futures

    def _settle(self, together: Sequence[tuple[Future[Ending], Case]]) -> None:
        """Begin several conversations, and read the answers to their first calls as they come."""
        out: dict[int, _Out] = {}
        answers = select.poll()
        limit = time.monotonic() + PATIENCE
        for future, case in together:
            with _Edge(future):
                conversation = self._preparation(case)
                if not conversation.done() and not wait([conversation], max(0.0, limit - time.monotonic())).done:
                    self._executor.submit(self._finish, future, case)
                    continue
                exchange = self._begin(case, conversation.result())
                if (socket := exchange.socket) is None:
                    self._executor.submit(self._finish, future, case, exchange)
                else:
                    answers.register(socket, select.POLLIN)
                    out[socket.fileno()] = _Out(future, case, exchange)
        while out:
            limit = min(one.exchange.until for one in out.values())
            ready = [number for number, _ in answers.poll(max(0.0, limit - time.monotonic()) * 1000)]
            for number in ready or [number for number, one in out.items() if one.exchange.until <= limit]:
                answers.unregister(number)
                self._answer(*out.pop(number))

    def _answer(self, future: Future[Ending], case: Case, exchange: Exchange) -> None:
        with _Edge(future):
            outcome = exchange.answer()
            if outcome is not None and case.order is None:  # its first write is made later, with others
                future.set_result(self._note(case, outcome))
            else:
                self._executor.submit(self._finish, future, case, exchange, outcome)

    def _finish(
        self,
        future: Future[Ending],
        case: Case,
        exchange: Exchange | None = None,
        outcome: Outcome | None = None,
    ) -> None:
        with _Edge(future):
            exchange = exchange or self._begin(case, self._preparation(case).result())
            future.set_result(self._note(case, outcome or exchange.finish()))


class _Edge(NamedTuple):
    """Lets an error cost the case of this future alone."""

    future: Future[Ending]

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> bool:
        if error is not None:
            self.future.set_exception(error)
        return True

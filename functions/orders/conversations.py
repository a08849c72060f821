"""Conversations side by side: one thread sends the first calls of several orders, and reads their answers as they come.

A thread for each order would wake twice for each call, which costs as much as what it does. What cannot go that way has
a thread of its own: an order whose connection must be made first, and what follows a first answer, unless that is a
first write.
"""

import select
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, wait
from itertools import batched
from typing import NamedTuple

from orders.cases import Case
from orders.order import Outcome
from orders.ports import Conversation, Exchange
from orders.recorder import Draft, Gathering, Recorded

TOGETHER = 25  # orders of one thread: as many first writes share a call
PATIENCE = 0.2  # seconds that a thread waits for signatures; a merchant's secret may have to be fetched first


class Settled(NamedTuple):
    """A case, and the ending of its conversation: what is to be written, what was written, or an error."""

    case: Case
    ending: Draft | Recorded | Exception


class _Out(NamedTuple):
    """A conversation whose first call is out."""

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
        note: Callable[[Case, Outcome], Draft | Recorded],
    ) -> None:
        self._executor = executor
        self._preparation = preparation
        self._begin = begin
        self._note = note

    def settle(self, cases: Sequence[Case]) -> Iterator[list[Settled]]:
        """Settle each case; yield those that end together."""
        gathering: Gathering[Settled] = Gathering(len(cases))
        for together in batched(cases, TOGETHER, strict=False):
            self._executor.submit(self._settle, together, gathering)
        return gathering.groups()

    def _settle(self, together: Sequence[Case], gathering: Gathering[Settled]) -> None:
        """Begin several conversations, and read the answers to their first calls as they come."""
        out: dict[int, _Out] = {}
        answers = select.poll()
        limit = time.monotonic() + PATIENCE
        for case in together:
            with _Edge(case, gathering):
                conversation = self._preparation(case)
                if not conversation.done() and not wait([conversation], max(0.0, limit - time.monotonic())).done:
                    self._executor.submit(self._finish, case, gathering)
                    continue
                exchange = self._begin(case, conversation.result())
                if (socket := exchange.socket) is None:
                    self._executor.submit(self._finish, case, gathering, exchange)
                else:
                    answers.register(socket, select.POLLIN)
                    out[socket.fileno()] = _Out(case, exchange)
        while out:
            limit = min(one.exchange.until for one in out.values())
            ready = [number for number, _ in answers.poll(max(0.0, limit - time.monotonic()) * 1000)]
            for number in ready or [number for number, one in out.items() if one.exchange.until <= limit]:
                answers.unregister(number)
                self._answer(*out.pop(number), gathering)

    def _answer(self, case: Case, exchange: Exchange, gathering: Gathering[Settled]) -> None:
        with _Edge(case, gathering):
            outcome = exchange.answer()
            if outcome is not None and case.order is None:  # its first write is made later, with others
                gathering.add(Settled(case, self._note(case, outcome)))
            else:
                self._executor.submit(self._finish, case, gathering, exchange, outcome)

    def _finish(
        self,
        case: Case,
        gathering: Gathering[Settled],
        exchange: Exchange | None = None,
        outcome: Outcome | None = None,
    ) -> None:
        with _Edge(case, gathering):
            exchange = exchange or self._begin(case, self._preparation(case).result())
            gathering.add(Settled(case, self._note(case, outcome or exchange.finish())))


class _Edge(NamedTuple):
    """Lets an error cost one case alone."""

    case: Case
    gathering: Gathering[Settled]

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> bool:
        if error is not None:
            self.gathering.add(Settled(self.case, error if isinstance(error, Exception) else RuntimeError(repr(error))))
        return True

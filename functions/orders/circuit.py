"""The circuit breaker: while WeChat Pay answers no call at all, it is not called; once a minute one batch probes.

It is Powertools' circuit breaker, used once per batch and in the main thread, because a half-open probe belongs to one
thread. Its state is one item in the orders table, which is written on transitions only.
"""

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from aws_lambda_powertools.utilities.circuit_breaker import (
    CircuitBreakerConfig,
    CircuitInfo,
    CircuitState,
    CircuitTransition,
    circuit_breaker,
)
from aws_lambda_powertools.utilities.circuit_breaker.persistence import CircuitBreakerDynamoDBPersistence

from orders.order import Contact
from orders.ports import CircuitOpen, Ran

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

logger = logging.getLogger(__name__)

NAME = "CIRCUIT#wechat-pay"  # its key in the orders table; no mchid looks like it
SILENT_BATCHES = 3  # in a row, in one execution environment, open the circuit:
SILENT_ORDERS = 3  # of so many different orders: one that always meets a 500 says nothing about the others
RECOVERY = 60.0  # seconds until one batch probes
STATE_MAX_AGE = 5.0  # seconds that an environment uses the state that it read last


type _Calls = Callable[[], Mapping[str, Contact]]
"""Makes the calls of a batch; returns what they met, by the key of the order."""


class _SilenceError(Exception):
    """WeChat Pay answers no call: Powertools counts a failure."""


class _NothingLearnedError(Exception):
    """The batch shows neither that WeChat Pay answers nor that it is silent: Powertools counts nothing."""


class Circuit:
    """Lets batches through or not; `scale` multiplies its times, below 1 only in a sandbox."""

    def __init__(
        self,
        dynamodb: "DynamoDBClient",
        table: str,
        *,
        on_transition: Callable[[CircuitTransition], None],
        scale: float = 1.0,
        name: str = NAME,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._recovery = max(1, round(RECOVERY * scale))
        self._batches = 0  # in a row, without an answer
        self._orders: frozenset[str] = frozenset()  # that they were about
        config = CircuitBreakerConfig(
            failure_threshold=1,  # counted here, by orders
            recovery_timeout=self._recovery,
            success_threshold=1,  # a batch is ten calls, and the next one may reach another environment
            handled_exceptions=_SilenceError,
            local_cache_max_age=round(STATE_MAX_AGE * scale),
        )
        store = CircuitBreakerDynamoDBPersistence(table, key_attr="pk", boto3_client=dynamodb)
        store.configure(config, name)
        self._state = partial(store.get_state, name)
        guarded = circuit_breaker(name, store, self._refuse, on_transition, config)
        self._guarded: Callable[[_Calls], CircuitOpen | None] = guarded(self._count)

    def look(self) -> None:
        """Read the circuit's state, unless it was read a moment ago; `run` then needs no round trip of its own."""
        self._state()

    def run[T](self, work: Callable[[], Ran[T]]) -> Ran[T] | CircuitOpen:
        """Do the work once, unless the circuit is open.

        If the circuit's own state cannot be read or written, the work is done: the circuit saves calls, it does not
        permit them.
        """
        once = _Work(work)
        try:
            with suppress(_SilenceError, _NothingLearnedError):
                if (refusal := self._guarded(once.run)) is not None:
                    return refusal
        except Exception:
            if once.begun:
                raise
            logger.warning("circuit state cannot be written; calls continue", exc_info=True)
            once.run()
        return once.ran

    def _refuse(self, _: _Calls, *, circuit: CircuitInfo) -> CircuitOpen:
        now = self._clock()
        opened_at = circuit.opened_at if circuit.opened_at is not None else now
        return CircuitOpen(max(1.0, opened_at + self._recovery - now))

    def _count(self, work: _Calls) -> None:
        """Do the work; count silence by orders. While the circuit is half open, one silent batch is enough."""
        contacts = work()
        silent = frozenset(key for key, contact in contacts.items() if contact is Contact.SILENCE)
        if Contact.ANSWER in contacts.values():
            self._batches, self._orders = 0, frozenset()
            return
        if not silent:
            raise _NothingLearnedError
        self._batches, self._orders = self._batches + 1, self._orders | silent
        enough = self._batches >= SILENT_BATCHES and len(self._orders) >= SILENT_ORDERS
        if not enough and self._state().state is not CircuitState.HALF_OPEN:
            raise _NothingLearnedError
        self._batches, self._orders = 0, frozenset()
        raise _SilenceError


class _Work[T]:
    """The work of one batch, and what came of it: Powertools returns no value of a function that raises."""

    def __init__(self, work: Callable[[], Ran[T]]) -> None:
        self._work = work
        self._results: list[Ran[T]] = []
        self.begun = False

    @property
    def ran(self) -> Ran[T]:
        """What came of it."""
        return self._results[0]

    def run(self) -> Mapping[str, Contact]:
        """Do the work; return what its conversations met."""
        self.begun = True
        self._results.append(self._work())
        return self.ran.contacts

"""The circuit: while WeChat Pay gives no answer at all it is not called; once a minute one batch tries.

Powertools' circuit breaker, asked once per batch and in the main thread: its half-open probe belongs to a thread.
Its state is one item in the orders table, which a healthy WeChat Pay never causes to be written.
"""

import logging
import time
from collections.abc import Callable
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

from orders.errors import CircuitOpenError
from orders.order import Contact

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

logger = logging.getLogger(__name__)

NAME = "CIRCUIT#wechat-pay"  # its key in the orders table; no mchid looks like it
SILENT_BATCHES = 3  # in a row, in one execution environment, open the circuit:
SILENT_ORDERS = 3  # of so many different orders: one that always meets a 500 says nothing about the others
RECOVERY = 60.0  # seconds until one batch tries again
KNOWN_FOR = 5.0  # seconds that an environment believes what it read last


class _SilenceError(Exception):
    """WeChat Pay answers nothing."""


class _NothingLearnedError(Exception):
    """The batch says too little about WeChat Pay, for better or worse."""


class Circuit:
    """Gates batches; `scale` multiplies its times, below 1 only in a sandbox."""

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
        self._batches = 0  # in a row without an answer
        self._orders: frozenset[str] = frozenset()  # that they were about
        config = CircuitBreakerConfig(
            failure_threshold=1,  # counted here, by orders
            recovery_timeout=self._recovery,
            success_threshold=1,  # a batch is ten calls, and the next one may reach another environment
            handled_exceptions=_SilenceError,
            local_cache_max_age=round(KNOWN_FOR * scale),
        )
        store = CircuitBreakerDynamoDBPersistence(table, key_attr="pk", boto3_client=dynamodb)
        store.configure(config, name)
        self._state = partial(store.get_state, name)
        guarded = circuit_breaker(name, store, self._refuse, on_transition, config)
        self._guarded: Callable[[Callable[[], Contact]], None] = guarded(self._run)

    def look(self) -> None:
        """Read how the circuit stands, unless that is known; `guard` then needs no round trip of its own."""
        self._state()

    def guard[T](self, work: Callable[[], tuple[T, Contact]]) -> T:
        """Run `work` and return what it made; raises CircuitOpenError instead while the circuit is open.

        A circuit whose own store fails is a closed one: it is a saving, not a permission.
        """
        begun = False
        made: list[T] = []

        def contact() -> Contact:
            nonlocal begun
            begun = True
            value, contact = work()
            made.append(value)
            return contact

        try:
            with suppress(_SilenceError, _NothingLearnedError):
                self._guarded(contact)
        except CircuitOpenError:
            raise
        except Exception:
            if begun:
                raise
            logger.warning("the circuit's state cannot be written: calls go on", exc_info=True)
            contact()
        return made[0]

    def _refuse(self, _: Callable[[], Contact], *, circuit: CircuitInfo) -> None:
        now = self._clock()
        opened_at = circuit.opened_at if circuit.opened_at is not None else now
        raise CircuitOpenError(max(1.0, opened_at + self._recovery - now))

    def _run(self, work: Callable[[], Contact]) -> None:
        """Count silence by orders; while the circuit is being tried, one silent batch is enough."""
        contact = work()
        if contact.answered:
            self._batches, self._orders = 0, frozenset()
            return
        if not contact.silent:
            raise _NothingLearnedError
        self._batches, self._orders = self._batches + 1, self._orders | contact.silent
        enough = self._batches >= SILENT_BATCHES and len(self._orders) >= SILENT_ORDERS
        if not enough and self._state().state is not CircuitState.HALF_OPEN:
            raise _NothingLearnedError
        self._batches, self._orders = 0, frozenset()
        raise _SilenceError

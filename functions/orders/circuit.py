"""The circuit: while WeChat Pay gives no answer at all, nobody calls it; once a minute one batch tries.

Powertools' circuit breaker, asked once per batch and in the main thread: its half-open probe belongs to a thread.
Its state is one item in the orders table, which a healthy WeChat Pay never causes to be written.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from aws_lambda_powertools.utilities.circuit_breaker import (
    CircuitBreakerConfig,
    CircuitInfo,
    CircuitTransition,
    circuit_breaker,
)
from aws_lambda_powertools.utilities.circuit_breaker.persistence import CircuitBreakerDynamoDBPersistence

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

NAME = "CIRCUIT#wechat-pay"  # its key in the orders table; no mchid looks like it
SILENT_BATCHES = 3  # in a row, in one execution environment, open the circuit
RECOVERY = 60.0  # seconds until one batch tries again
KNOWN_FOR = 5.0  # seconds that an environment believes what it read last


class _SilenceError(Exception):
    """WeChat Pay answered none of a batch's calls."""


class _NothingLearnedError(Exception):
    """A batch made no call: it says nothing about WeChat Pay, for better or worse."""


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
    ) -> None:
        self._recovery = max(1, round(RECOVERY * scale))
        config = CircuitBreakerConfig(
            failure_threshold=SILENT_BATCHES,
            recovery_timeout=self._recovery,
            success_threshold=1,  # a batch is ten calls, and the next one may reach another environment
            handled_exceptions=_SilenceError,
            local_cache_max_age=round(KNOWN_FOR * scale),
        )
        store = CircuitBreakerDynamoDBPersistence(table, key_attr="pk", boto3_client=dynamodb)
        store.configure(config, name)
        self._state = partial(store.get_state, name)
        guarded = circuit_breaker(name, store, self._seconds_left, on_transition, config)
        self._guarded: Callable[[Callable[[], bool | None]], float | None] = guarded(_run)

    def look(self) -> None:
        """Read how the circuit stands, unless that is known; `guard` then needs no round trip of its own."""
        self._state()

    def guard(self, work: Callable[[], bool | None]) -> float | None:
        """Run `work` and return None, or, while the circuit is open, return the seconds until somebody may try.

        `work` returns whether WeChat Pay answered any of its calls; None where it made none.
        """
        try:
            return self._guarded(work)
        except (_SilenceError, _NothingLearnedError):
            return None

    def _seconds_left(self, _: Callable[[], bool | None], *, circuit: CircuitInfo) -> float:
        opened_at = circuit.opened_at if circuit.opened_at is not None else time.time()
        return max(1.0, opened_at + self._recovery - time.time())


def _run(work: Callable[[], bool | None]) -> None:
    answered = work()
    if answered is None:
        raise _NothingLearnedError
    if not answered:
        raise _SilenceError

"""Conversations side by side: each case costs its own order only, however its conversation goes."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from orders import conversations
from orders.conversations import Conversations
from sandbox.waiting import PATIENCE

FAR = time.monotonic() + 10 * PATIENCE


@dataclass
class Exchange:
    """A conversation whose answer the test sends; `asks` is how often it asks for more, `until` when it is overdue."""

    name: str
    asks: int = 0
    is_out: bool = True
    until: float = FAR
    error: Exception | None = None
    order: object = None
    threads: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.wechat_pay, here = socket.socketpair()
        self.socket = here if self.is_out else None
        self._here = here

    def answer(self) -> str | None:
        """Read the answer, or find it overdue."""
        self.threads.append(threading.current_thread().name)
        if self.error:
            raise self.error
        self.asks -= 1
        return self.name if self.asks < 0 else None

    def note(self, outcome: str) -> str:
        """Make what is written."""
        self.threads.append(threading.current_thread().name)
        return outcome

    def finish(self) -> str:
        """Ask all that is to be asked."""
        while (outcome := self.answer()) is None:
            pass
        return outcome

    def close(self) -> None:
        """Close both ends."""
        self.wechat_pay.close()
        self._here.close()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Threads."""
    with ThreadPoolExecutor(10, thread_name_prefix="conversation") as pool:
        yield pool


def settle(pool: ThreadPoolExecutor, exchanges: list[Any], preparations: dict[str, Future[Any]] | None = None) -> Any:
    """Begin a conversation for each; return the futures."""
    done: Future[Any] = Future()
    done.set_result(None)

    def begin(case: Any, _: Any) -> Any:
        if isinstance(case, Exception):
            raise case
        return case

    settling = Conversations(
        pool,
        lambda case: (preparations or {}).get(getattr(case, "name", ""), done),
        begin,
        _note,
    )
    return settling.settle(exchanges)


def _note(case: Any, outcome: Any) -> Any:
    return case.note(outcome)


def ends(futures: Any) -> list[Any]:
    """Return what each future has in the end: its ending or its error."""
    assert not wait(futures, PATIENCE).not_done
    return [future.exception() or future.result() for future in futures]


def test_answers_are_read_as_they_come(pool: ThreadPoolExecutor) -> None:
    """One thread reads them all, and the last call of the batch may be answered first."""
    exchanges = [Exchange(name) for name in "ABC"]
    futures = list(settle(pool, exchanges))
    for exchange, future in reversed(list(zip(exchanges, futures, strict=True))):
        exchange.wechat_pay.send(b"!")
        assert ends([future]) == [exchange.name]
        exchange.close()
    assert len({name for exchange in exchanges for name in exchange.threads}) == 1


def test_an_error_costs_its_own_case(pool: ThreadPoolExecutor) -> None:
    """Whether a conversation cannot begin, or its answer cannot be read."""
    broken, whole, problem = Exchange("A", error=ValueError("an answer")), Exchange("B"), LookupError("a beginning")
    futures = settle(pool, [problem, broken, whole])
    for exchange in (broken, whole):
        exchange.wechat_pay.send(b"!")
    assert ends(futures) == [problem, broken.error, "B"]
    broken.close()
    whole.close()


def test_what_is_not_out_and_what_asks_for_more_has_a_thread_of_its_own(pool: ThreadPoolExecutor) -> None:
    """Neither a connection that is made nor a query after a refusal holds up the others."""
    apart, more, plain = Exchange("A", is_out=False), Exchange("B", asks=2), Exchange("C")
    futures = settle(pool, [apart, more, plain])
    for exchange in (more, plain):
        exchange.wechat_pay.send(b"!")
    assert ends(futures) == ["A", "B", "C"]
    [reader] = set(plain.threads)
    assert more.threads[0] == reader
    assert reader not in apart.threads
    for exchange in (apart, more, plain):
        exchange.close()


def test_only_a_first_write_is_left_to_others(pool: ThreadPoolExecutor) -> None:
    """An order that is in the table already is written at once, which delays no other order."""
    new, old, last = Exchange("A"), Exchange("B", order="in the table"), Exchange("C")
    first, second, third = settle(pool, [new, old, last])
    for exchange in (new, old):
        exchange.wechat_pay.send(b"!")
    assert ends([first, second]) == ["A", "B"]
    [reader] = set(new.threads)
    assert old.threads[0] == reader
    assert old.threads[1] != reader
    last.wechat_pay.send(b"!")
    assert ends([third]) == ["C"]
    for exchange in (new, old, last):
        exchange.close()


def test_silence_is_found_at_its_limit(pool: ThreadPoolExecutor) -> None:
    """A conversation that gets no answer is asked for its outcome when that is overdue, the others are not."""
    silent, patient = Exchange("A", until=time.monotonic() + 0.05), Exchange("B")
    first, second = settle(pool, [silent, patient])
    assert ends([first]) == ["A"]
    assert not second.done()
    patient.wechat_pay.send(b"!")
    assert ends([second]) == ["B"]
    silent.close()
    patient.close()


def test_a_merchant_whose_keys_come_late_holds_up_nobody(
    pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A case that is not prepared in time waits on a thread of its own."""
    monkeypatch.setattr(conversations, "PATIENCE", 0.01)
    late, early = Exchange("late"), Exchange("early")
    keys: Future[Any] = Future()
    first, second = settle(pool, [late, early], {"late": keys})
    early.wechat_pay.send(b"!")
    assert ends([second]) == ["early"]
    assert not first.done()
    keys.set_result(SimpleNamespace())
    assert ends([first]) == ["late"]
    late.close()
    early.close()


def test_every_case_has_its_ending_however_many_there_are(pool: ThreadPoolExecutor) -> None:
    """A batch of a hundred goes in several threads."""
    exchanges = [Exchange(str(number)) for number in range(100)]
    futures = settle(pool, exchanges)
    for exchange in exchanges:
        exchange.wechat_pay.send(b"!")
    assert ends(futures) == [exchange.name for exchange in exchanges]
    for exchange in exchanges:
        exchange.close()

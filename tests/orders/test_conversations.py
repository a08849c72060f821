"""Conversations side by side: each case costs its own order only, however its conversation goes."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

import pytest

from orders import conversations
from orders.conversations import Conversations, Settled
from sandbox.waiting import PATIENCE

FAR = time.monotonic() + 10 * PATIENCE


@dataclass
class Exchange:
    """A conversation whose answer the test sends; `asks` is how often it asks for more, `until` when it is overdue."""

    name: str
    asks: int = 0
    is_out: bool = True
    until: float = FAR
    error: BaseException | None = None
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


class Settling:
    """Conversations under way."""

    def __init__(self, pool: ThreadPoolExecutor, exchanges: list[Any], preparations: dict[str, Future[Any]]) -> None:
        done: Future[Any] = Future()
        done.set_result(None)
        settling = Conversations(
            pool,
            lambda case: preparations.get(getattr(case, "name", ""), done),
            begin=_begin,
            note=_note,
        )
        self._ended: SimpleQueue[Settled] = SimpleQueue()
        self._endings: list[Settled] = []
        self._reader = threading.Thread(target=self._read, args=[settling.settle(exchanges)])
        self._reader.start()

    def _read(self, groups: Iterator[list[Settled]]) -> None:
        for group in groups:
            for ending in group:
                self._ended.put(ending)

    def ends(self, *cases: object) -> list[object]:
        """Wait for the endings of these cases, and return them."""
        while any(self.of(case) is None for case in cases):
            self._endings.append(self._ended.get(timeout=PATIENCE))
        return [self.of(case) for case in cases]

    def of(self, case: object) -> object:
        """Return the ending of a case, None before it has one."""
        return next((one.ending for one in self._endings if one.case is case), None)

    def close(self) -> None:
        """Wait until there is nothing more to come."""
        self._reader.join(PATIENCE)
        assert not self._reader.is_alive()
        assert self._ended.empty()


def _begin(case: Any, _: Any) -> Any:
    if isinstance(case, Exception):
        raise case
    return case


def _note(case: Any, outcome: Any) -> Any:
    return case.note(outcome)


@pytest.fixture
def settle(pool: ThreadPoolExecutor) -> Iterator[Callable[..., Settling]]:
    """Begin a conversation for each exchange; at the end each has had its one ending."""
    settlings: list[Settling] = []

    def begin(exchanges: list[Any], preparations: dict[str, Future[Any]] | None = None) -> Settling:
        settlings.append(Settling(pool, exchanges, preparations or {}))
        return settlings[-1]

    yield begin
    for settling in settlings:
        settling.close()


type Settle = Callable[..., Settling]


def test_answers_are_read_as_they_come(settle: Settle) -> None:
    """One thread reads them all, and the last call of the batch may be answered first."""
    exchanges = [Exchange(name) for name in "ABC"]
    settling = settle(exchanges)
    for exchange in reversed(exchanges):
        exchange.wechat_pay.send(b"!")
        assert settling.ends(exchange) == [exchange.name]
        exchange.close()
    assert len({name for exchange in exchanges for name in exchange.threads}) == 1


def test_an_error_costs_its_own_case(settle: Settle) -> None:
    """Whether a conversation cannot begin, or its answer cannot be read."""
    broken, whole, problem = Exchange("A", error=ValueError("an answer")), Exchange("B"), LookupError("a beginning")
    settling = settle([problem, broken, whole])
    for exchange in (broken, whole):
        exchange.wechat_pay.send(b"!")
    assert settling.ends(problem, broken, whole) == [problem, broken.error, "B"]
    broken.close()
    whole.close()


def test_an_exit_in_a_thread_is_an_error_of_its_case(settle: Settle) -> None:
    """Otherwise the batch would wait for an ending that never comes."""
    leaving = Exchange("A", error=SystemExit(1))
    settling = settle([leaving])
    leaving.wechat_pay.send(b"!")
    [ending] = settling.ends(leaving)
    assert isinstance(ending, RuntimeError)
    assert str(ending) == "SystemExit(1)"
    leaving.close()


def test_what_is_not_out_and_what_asks_for_more_has_a_thread_of_its_own(settle: Settle) -> None:
    """Neither a connection that is made nor a query after a refusal holds up the others."""
    apart, more, plain = Exchange("A", is_out=False), Exchange("B", asks=2), Exchange("C")
    settling = settle([apart, more, plain])
    for exchange in (more, plain):
        exchange.wechat_pay.send(b"!")
    assert settling.ends(apart, more, plain) == ["A", "B", "C"]
    [reader] = set(plain.threads)
    assert more.threads[0] == reader
    assert reader not in apart.threads
    for exchange in (apart, more, plain):
        exchange.close()


def test_only_a_first_write_is_left_to_others(settle: Settle) -> None:
    """An order that is in the table already is written at once, which delays no other order."""
    new, old, last = Exchange("A"), Exchange("B", order="in the table"), Exchange("C")
    settling = settle([new, old, last])
    for exchange in (new, old):
        exchange.wechat_pay.send(b"!")
    assert settling.ends(new, old) == ["A", "B"]
    [reader] = set(new.threads)
    assert old.threads[0] == reader
    assert old.threads[1] != reader
    last.wechat_pay.send(b"!")
    assert settling.ends(last) == ["C"]
    for exchange in (new, old, last):
        exchange.close()


def test_silence_is_found_at_its_limit(settle: Settle) -> None:
    """A conversation that gets no answer is asked for its outcome when that is overdue, the others are not."""
    silent, patient = Exchange("A", until=time.monotonic() + 0.05), Exchange("B")
    settling = settle([silent, patient])
    assert settling.ends(silent) == ["A"]
    assert settling.of(patient) is None
    patient.wechat_pay.send(b"!")
    assert settling.ends(patient) == ["B"]
    silent.close()
    patient.close()


def test_a_merchant_whose_keys_come_late_holds_up_nobody(settle: Settle, monkeypatch: pytest.MonkeyPatch) -> None:
    """A case that is not prepared in time waits on a thread of its own."""
    monkeypatch.setattr(conversations, "PATIENCE", 0.01)
    late, early = Exchange("late"), Exchange("early")
    keys: Future[Any] = Future()
    settling = settle([late, early], {"late": keys})
    early.wechat_pay.send(b"!")
    assert settling.ends(early) == ["early"]
    assert settling.of(late) is None
    keys.set_result(SimpleNamespace())
    assert settling.ends(late) == ["late"]
    late.close()
    early.close()


def test_every_case_has_its_ending_however_many_there_are(settle: Settle) -> None:
    """A batch of a hundred goes in several threads."""
    exchanges = [Exchange(str(number)) for number in range(100)]
    settling = settle(exchanges)
    for exchange in exchanges:
        exchange.wechat_pay.send(b"!")
    assert settling.ends(*exchanges) == [exchange.name for exchange in exchanges]
    for exchange in exchanges:
        exchange.close()

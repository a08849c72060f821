"""Waiting for a state: the value is returned, or an error says what there was instead."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from sandbox import waiting
from sandbox.waiting import NotReachedError, until


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that only pauses move: how long each of them was."""
    lengths: list[float] = []
    clock = SimpleNamespace(sleep=lengths.append, monotonic=lambda: sum(lengths))
    monkeypatch.setattr(waiting, "time", clock)  # of this module alone: an event loop would sleep for hours
    return lengths


def test_the_first_value_is_returned(pauses: list[float]) -> None:
    """`until` returns the first value that is neither None nor False; 0 and an empty text count."""
    looks: Iterator[object] = iter([None, False, 0])
    assert until(lambda: next(looks)) == 0
    assert len(pauses) == 2
    assert until(lambda: "") == ""


def test_a_state_that_is_not_reached_is_named_with_what_there_was_instead(pauses: list[float]) -> None:
    """After the limit an error names the state and what there was instead."""
    with pytest.raises(NotReachedError, match=r"^A-1: SYNCED was not reached within 300 s; seen: RETRYING$"):
        until(lambda: None, state="A-1: SYNCED", instead=lambda: "RETRYING")
    assert 300 < sum(pauses) < 301
    with pytest.raises(NotReachedError, match=r"^the state was not reached within 60 s$"):
        until(lambda: None, 60)


def test_the_pauses_grow_so_that_looking_costs_little(pauses: list[float]) -> None:
    """The pauses between two looks grow from a fiftieth of a second to a quarter."""
    with pytest.raises(NotReachedError):
        until(lambda: None)
    assert (pauses[0], max(pauses)) == waiting.PAUSES
    assert len(pauses) < 1300

"""Waiting for a state: what is seen is returned; what is not seen in time is told."""

from collections.abc import Iterator

import pytest

from sandbox import waiting
from sandbox.waiting import NotReachedError, until


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that only pauses move: how long each of them was."""
    made: list[float] = []
    monkeypatch.setattr("time.sleep", made.append)
    monkeypatch.setattr("time.monotonic", lambda: sum(made))
    return made


def test_what_is_seen_is_returned(pauses: list[float]) -> None:
    """None and False are nothing to see; 0 and an empty text are something."""
    looks: Iterator[object] = iter([None, False, 0])
    assert until(lambda: next(looks)) == 0
    assert len(pauses) == 2
    assert until(lambda: "") == ""


def test_what_is_not_reached_is_told_with_what_was_seen(pauses: list[float]) -> None:
    """After the limit, which is generous unless another is given."""
    with pytest.raises(NotReachedError, match=r"^A-1: SYNCED was not reached within 300 s; seen: RETRYING$"):
        until(lambda: None, state="A-1: SYNCED", instead=lambda: "RETRYING")
    assert 300 < sum(pauses) < 301
    with pytest.raises(NotReachedError, match=r"^the state was not reached within 60 s$"):
        until(lambda: None, 60)


def test_the_pauses_grow_so_that_looking_costs_little(pauses: list[float]) -> None:
    """From a fiftieth of a second to a quarter."""
    with pytest.raises(NotReachedError):
        until(lambda: None)
    assert (pauses[0], max(pauses)) == waiting.PAUSES
    assert len(pauses) < 1300

"""How long a message waits: every bound, at every receive count."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.waits import NO_FLOOR, VISIBILITY_LIMIT, Wait, backoff, deferral


def test_a_wait_has_no_floor_and_a_base_of_15_seconds_unless_it_says_so() -> None:
    """The default wait has no floor and a base of 15 seconds."""
    assert Wait(floor=0.0, base=15.0) == NO_FLOOR


def test_the_longest_visibility_timeout_is_12_hours() -> None:
    """SQS takes a visibility timeout of 12 hours at most."""
    assert VISIBILITY_LIMIT == 12 * 3600


@pytest.mark.parametrize(
    ("receive_count", "seconds"), [(1, 15), (2, 30), (3, 60), (8, 1920), (9, 3600), (12, 3600), (1000, 3600)]
)
def test_it_doubles_up_to_an_hour(receive_count: int, seconds: int) -> None:
    """With full jitter the backoff doubles from 15 seconds to an hour."""
    assert backoff(receive_count, Wait(), jitter=1.0) == seconds


@given(st.integers(1, 1000), st.floats(0, 43_200), st.floats(0, 1), st.floats(0.001, 1))
def test_it_keeps_every_bound(receive_count: int, floor: float, jitter: float, scale: float) -> None:
    """The backoff is an integer that SQS takes, never below the floor and never above the cap."""
    seconds = backoff(receive_count, Wait(floor=floor), jitter=jitter, scale=scale)
    assert 1 <= seconds <= 43_200
    assert seconds >= min(floor * scale, 43_200)
    assert seconds <= max(3600, floor) + 1


@given(st.integers(1, 1000), st.floats(0, 43_200), st.floats(0, 1), st.floats(0.001, 1))
def test_a_deferral_keeps_every_bound(receive_count: int, closed_for: float, jitter: float, scale: float) -> None:
    """A deferral lasts until the next probe at least, and half of the doubled delay at least."""
    seconds = deferral(receive_count, closed_for, jitter=jitter, scale=scale)
    growing = min(1800, 60 * 2 ** min(receive_count - 1, 10)) * scale
    assert 1 <= seconds <= 43_200
    assert max(closed_for, growing / 2) <= seconds <= max(closed_for, growing) + 1


@pytest.mark.parametrize(
    ("receive_count", "jitter", "seconds"),
    [(1, 1.0, 60), (1, 0.0, 30), (1, 0.5, 45), (2, 0.75, 105), (5, 1.0, 960), (6, 1.0, 1800), (99, 0.0, 900)],
)
def test_a_deferral_doubles_up_to_half_an_hour(receive_count: int, jitter: float, seconds: int) -> None:
    """A deferral doubles from a minute to half an hour, with jitter in its upper half."""
    assert deferral(receive_count, 0.0, jitter=jitter) == seconds


def test_waits_end_at_what_sqs_takes() -> None:
    """A wait is 12 hours at most, and a part of a second counts as a second."""
    assert backoff(1, Wait(floor=1e9), jitter=0.0) == deferral(1, 1e9, jitter=0.0) == 43_200
    assert deferral(1, 0.3, jitter=0.011) == 31, "a part of a second is a second"


def test_deducting_waits_three_minutes_at_least() -> None:
    """An order that is being deducted waits three minutes at least, whatever the jitter."""
    assert backoff(1, Wait(floor=180.0), jitter=0.0) == 180

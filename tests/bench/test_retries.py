"""How long a message is retried: the distribution is exact, the page repeats it, the template keeps its promise."""

import random
from itertools import pairwise
from pathlib import Path

import pytest

from bench import template
from bench.retries import (
    CAPPED,
    DEFAULT,
    FEWEST,
    LARGEST,
    PROMISE,
    RETENTION,
    WAITS,
    dollars,
    longest_wait,
    one_wait,
    receives_for,
    retries,
    tables,
    total_of,
)
from orders.waits import NO_FLOOR, backoff

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/operate/retries.md").read_text(encoding="utf-8")
PARTS = [0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0]


def test_the_page_shows_what_the_program_computes() -> None:
    """A changed wait changes the page."""
    assert [name for name, table in tables().items() if table not in PAGE] == []


def test_the_template_keeps_what_the_page_promises() -> None:
    """The default is the fewest receives with a median of four hours, and the page says the number."""
    receives = template.default("MaxReceiveCount")
    assert receives == receives_for(PROMISE)
    assert f"The default, {receives} receives, has a median of 4.0 hours" in PAGE


def test_no_message_outlives_the_queue() -> None:
    """With the most receives that the template admits and every wait at its bound, half of the retention is left."""
    assert template.most("MaxReceiveCount") == LARGEST
    assert f"MessageRetentionPeriod: {RETENTION} " in template.TEMPLATE.read_text(encoding="utf-8")
    assert longest_wait(LARGEST) <= RETENTION / 2
    assert all(max(one_wait(waits, CAPPED)) <= 3600 for waits in WAITS.values())


@pytest.mark.parametrize("name", WAITS)
def test_percentiles_grow_with_their_part_and_with_the_receives(name: str) -> None:
    """A part that is larger, or a receive more, never means less time."""
    rows = [distribution.percentiles(PARTS) for distribution in retries(WAITS[name], FEWEST)]
    assert all(row == sorted(row) for row in rows)
    for before, after in pairwise(rows):
        assert all(one <= other for one, other in zip(before, after, strict=True))


@pytest.mark.parametrize("name", WAITS)
def test_the_mean_is_the_sum_of_the_means(name: str) -> None:
    """And the probabilities are all there."""
    waits = [one_wait(WAITS[name], count) for count in range(1, 12)]
    means = [sum(seconds * part for seconds, part in wait.items()) for wait in waits]
    for distribution in retries(WAITS[name], 12):
        assert sum(distribution.probabilities) == pytest.approx(1.0)
        assert distribution.mean == pytest.approx(sum(means[: distribution.receives - 1]), abs=1e-6)
        assert distribution.longest == sum(max(wait) for wait in waits[: distribution.receives - 1])


def test_a_wait_is_counted_exactly() -> None:
    """Full jitter over 15 s is each of 1 to 15 s alike, over the cap each of 1 to 3,600; a floor is one value."""
    assert one_wait(DEFAULT, 1) == pytest.approx(dict.fromkeys(range(1, 16), 1 / 15))
    assert one_wait(DEFAULT, 12) == pytest.approx(dict.fromkeys(range(1, 3601), 1 / 3600))
    assert one_wait(WAITS["DEDUCTING"], 4) == {180: 1.0}
    assert one_wait(WAITS["DEDUCTING"], 5)[180] == pytest.approx(180 / 240)
    assert one_wait(WAITS["CIRCUIT_OPEN all the time"], 1) == {60: 1.0}


@pytest.mark.parametrize("name", WAITS)
def test_a_wait_no_longer_changes_once_it_is_capped(name: str) -> None:
    """A capped wait has one distribution, so it is counted once."""
    assert one_wait(WAITS[name], CAPPED) == one_wait(WAITS[name], CAPPED + 1) == one_wait(WAITS[name], 30)


def test_one_receive_is_no_retry() -> None:
    """The first receive is the first attempt."""
    assert next(retries(DEFAULT, 1)).percentiles([0.0, 1.0]) == [0, 0]


def test_the_distribution_agrees_with_a_sample() -> None:
    """Of twenty thousand messages of a fixed seed, each percentile is within a twentieth."""
    generator = random.Random(1)  # noqa: S311  a simulation
    samples = sorted(
        sum(backoff(count, NO_FLOOR, jitter=generator.random()) for count in range(1, 16)) for _ in range(20_000)
    )
    distribution = total_of(DEFAULT, 16)
    for part, seconds in zip(PARTS[1:-1], distribution.percentiles(PARTS[1:-1]), strict=True):
        assert samples[int(part * len(samples))] == pytest.approx(seconds, rel=0.05)


def test_a_dead_letter_costs_by_its_receives() -> None:
    """In proportion; a full batch shares requests and invocation, not the read."""
    assert dollars(32, batch=1) == pytest.approx(2 * dollars(16, batch=1))
    assert dollars(16, batch=10) == pytest.approx((dollars(16, batch=1) - 16 * 0.125) / 10 + 16 * 0.125)


def test_the_template_is_read_by_name() -> None:
    """A parameter that it does not have is refused by name."""
    with pytest.raises(LookupError, match="no parameter Nothing with Default"):
        template.default("Nothing")
    assert (template.default("BatchSize"), template.most("BatchSize")) == (10, 10)

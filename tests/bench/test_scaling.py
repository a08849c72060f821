"""The estimate of scale: formula and simulation agree, and the page shows what the script prints."""

import itertools
from pathlib import Path

import pytest

from bench.figures import percentile
from bench.scaling.drain import OUTAGE, drain_seconds, simulate_drain
from bench.scaling.merchants import BROKEN_KEYS, share_queue
from bench.scaling.quotas import quotas
from bench.scaling.series import series
from bench.scaling.service import Service, busy_environments, settings_below
from bench.scaling.simulation import random_arrivals, serve, simulate_busy_environments
from bench.scaling.tables import RATES, tables

PAGE = (Path(__file__).parents[2] / "docs/operate/scaling.md").read_text(encoding="utf-8")
SERVICE = Service()


def test_the_page_shows_what_the_script_prints() -> None:
    """A changed figure changes the page."""
    assert [name for name, table in tables().items() if table not in PAGE] == []


def test_the_page_says_what_to_set() -> None:
    """The settings that the page advises are those that the program computes."""
    advised = " | ".join(f"{SERVICE.concurrency_to_set(rate):,}" for rate in RATES)
    assert f"| `MaximumConcurrency` | {advised} |" in PAGE


def test_the_page_has_a_link_for_every_quota() -> None:
    """No limit of AWS's without AWS's page."""
    assert [
        quota.page for quota in quotas(SERVICE) if f"\n[{quota.page}]: https://docs.aws.amazon.com/" not in PAGE
    ] == []


def test_a_batch_takes_what_its_parts_take() -> None:
    """Two round trips to DynamoDB, one call's time, and CPU time that stretches with little memory."""
    assert Service(memory_mb=1769).full_batch == pytest.approx(0.075)
    assert Service(memory_mb=10_240).full_batch == pytest.approx(0.075)
    assert SERVICE.full_batch == pytest.approx(0.058 + 0.017 * 1769 / 512)


@pytest.mark.parametrize("rate", [1.0, 10.0, 300.0, 1_000.0, 5_000.0, 50_000.0])
def test_littles_law_and_the_simulation_agree(rate: float) -> None:
    """Within a tenth, where all environments are busy as well as where few are."""
    concurrency = SERVICE.concurrency_to_set(rate)
    simulation = simulate_busy_environments(SERVICE, rate, concurrency, orders=10_000)
    assert busy_environments(SERVICE, rate, concurrency) == pytest.approx(simulation, rel=0.1)


@pytest.mark.parametrize("window", [0.0, 1.0])
def test_every_order_is_taken_once_in_batches_that_are_small_enough(window: float) -> None:
    """None is taken before it arrives, none waits longer than the window while environments are free."""
    arrivals = random_arrivals(30.0, 3_000)
    batches = list(serve(SERVICE, arrivals, 100, window=window))
    assert arrivals == list(itertools.chain.from_iterable(orders for _, orders in batches))
    assert all(0 < batch.size == len(orders) <= SERVICE.batch_size for batch, orders in batches)
    assert all(0 <= batch.start - at <= window + 1e-9 for batch, orders in batches for at in orders)


@pytest.mark.parametrize("rate", [1.0, 10.0, 100.0])
@pytest.mark.parametrize("concurrency", [5, 50])
def test_the_drains_formula_and_the_simulation_agree(rate: float, concurrency: int) -> None:
    """Within a tenth."""
    assert drain_seconds(SERVICE, rate, concurrency) == pytest.approx(
        simulate_drain(SERVICE, rate, concurrency)[-1].start, rel=0.1
    )


def test_more_concurrency_never_drains_slower() -> None:
    """Neither by formula nor in the simulation."""
    steps = (2, 5, 10, 20, 50, 100)
    for after in (
        [drain_seconds(SERVICE, 20.0, concurrency) for concurrency in steps],
        [simulate_drain(SERVICE, 20.0, concurrency)[-1].start for concurrency in steps],
    ):
        assert after == sorted(after, reverse=True)


def test_what_comes_faster_than_it_goes_is_never_drained() -> None:
    """The formula says infinite, the simulation does not start."""
    slow = Service(wechat_ms=1_000)
    assert drain_seconds(slow, 100.0, 5) == float("inf")
    assert simulate_drain(slow, 100.0, 5) == []


def test_a_fair_queue_spares_the_others() -> None:
    """The others wait less next to a merchant whose keys are broken, whose orders are still received."""
    standard, fair = (share_queue(SERVICE, 150.0, BROKEN_KEYS, fair=fair, seconds=180.0) for fair in (False, True))
    assert percentile(fair.waits, 0.99) < 1 < percentile(standard.waits, 0.99)
    assert fair.receives > 0


@pytest.mark.parametrize("calls", [30.0, 150.0, 1_000.0])
def test_the_settings_stay_below_a_limit(calls: float) -> None:
    """Never above it, and never below what Lambda allows."""
    concurrency, size = settings_below(SERVICE, calls)
    assert concurrency >= 2
    assert Service(batch_size=size).capacity(concurrency) <= calls


def test_the_series_are_ready_to_draw() -> None:
    """Every line goes forward; the backlog begins and ends empty, and is highest when the outage ends."""
    lines = series()
    assert set(lines) == {"scaling-concurrency", "scaling-backlog"}
    for points in itertools.chain.from_iterable(plot.values() for plot in lines.values()):
        assert points == sorted(points)
    for points in lines["scaling-backlog"].values():
        assert points[0] == (0.0, 0.0)
        assert max(points, key=lambda point: point[1]) == (60.0, 100.0 * OUTAGE)
        assert points[-1][1] < 0.01 * 100.0 * OUTAGE

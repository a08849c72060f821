"""The computation of an outage: the page shows what the script prints, and every order is accounted for."""

from pathlib import Path

import pytest

from bench.outage import OUTAGE, RECEIVES, simulate, table


def test_the_page_shows_what_the_script_prints() -> None:
    """A changed wait changes the page."""
    assert table() in (Path(__file__).parents[2] / "docs/operate/outage.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("with_circuit", [False, True])
def test_every_order_ends(with_circuit: bool) -> None:
    """Settled, or among the dead letters."""
    estimate = simulate(0.5, with_circuit=with_circuit, seed=2)
    assert len(estimate.delays) + estimate.dead_letters == estimate.orders == 1800
    assert max(estimate.receives) <= RECEIVES


@pytest.mark.parametrize("with_circuit", [False, True])
def test_an_order_that_was_deferred_is_queried_before_it_is_synced(with_circuit: bool) -> None:
    """Two calls after the outage for each order that was received before, one for each that was not."""
    estimate = simulate(0.5, with_circuit=with_circuit, seed=2)
    first = sum(receives == 1 for receives in estimate.receives)
    assert estimate.calls_after == 2 * len(estimate.receives) - first


def test_one_order_alone_never_opens_the_circuit() -> None:
    """However often it fails: the silence of one order says nothing about WeChat Pay."""
    estimate = simulate(1 / OUTAGE, with_circuit=True)
    assert (estimate.orders, len(estimate.receives)) == (1, 1)
    assert estimate.calls_in_outage == 2 * (estimate.receives[0] - 1)

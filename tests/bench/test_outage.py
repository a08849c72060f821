"""The reckoning of an outage: the page shows what the script prints, and nobody gets lost in it."""

from pathlib import Path

import pytest

from bench.outage import reckon, table


def test_the_page_shows_what_the_script_prints() -> None:
    """Whoever changes a wait sees what it does."""
    assert table() in (Path(__file__).parents[2] / "docs/outage.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("with_circuit", [False, True])
def test_every_order_ends(with_circuit: bool) -> None:
    """Settled, or among the dead letters."""
    found = reckon(0.5, with_circuit=with_circuit, seed=2)
    assert len(found.drained) + found.dead_letters == found.orders == 1800
    assert max(found.receives) <= 12

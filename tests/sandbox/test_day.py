"""A day of orders at the simulator, short: every order ends as its plan says, across a restart."""

from pathlib import Path

import pytest

from sandbox import __main__ as command_line
from sandbox.day.command import problems, report
from sandbox.day.plans import SHARES, Plan, draw, end_of
from sandbox.day.run import Day, Figures


def test_a_day_ends_as_planned(tmp_path: Path) -> None:
    """Thirty orders, one restart and a handler that refuses a fifth: nothing is lost, nothing is told without cause."""
    figures = Day(tmp_path, orders=30, seed=7).run()
    assert problems(figures) == []
    assert (figures.orders, figures.restarts, figures.ends.total()) == (30, 1, 30)
    assert figures.attempts > figures.notifications > 30
    assert "every order and every notification as planned" in report(figures, 1.0)


def test_a_plan_is_the_same_for_the_same_seed_and_every_behaviour_occurs() -> None:
    """The seed alone decides; a thousand plans have every behaviour and both winners of the race."""
    plans = [draw(number, 1) for number in range(1000)]
    assert plans == [draw(number, 1) for number in range(1000)]
    assert {plan.behaviour for plan in plans} == set(SHARES)
    winners = {end_of(plan).paid_type for plan in plans if plan.behaviour == "race"}
    assert winners == {"MCH", "NEWTON"}
    assert sum(SHARES.values()) == 100


def _race(synced: int, deducting_for: int = 40, failures: int = 0) -> Plan:
    return Plan("R", "race", 0, 10, 1000, 3900, 1000 + synced, None, 100, deducting_for, failures, 600)


@pytest.mark.parametrize(
    ("plan", "paid_type", "paid"),
    [
        (_race(99), "MCH", 1099),
        (_race(100), "NEWTON", 1140),
        (_race(139), "NEWTON", 1140),
        (_race(100, deducting_for=0), "NEWTON", 1100),
        (_race(120, failures=1), "MCH", 1300),
        (_race(140, failures=1), "MCH", 1140),
        (_race(760, failures=1), "NEWTON", 1780),
    ],
)
def test_the_winner_of_a_race_is_computed_without_the_simulator(plan: Plan, paid_type: str, paid: int) -> None:
    """The first one outside every deduction wins; the till tries again three minutes later."""
    assert (end_of(plan).paid_type, end_of(plan).paid) == (paid_type, paid)


def test_differences_are_printed_and_end_in_1(capsys: pytest.CaptureFixture[str]) -> None:
    """Orders that are not as planned, and memory that grew, are told one by one."""
    figures = Figures(orders=1, resident=[1.0, 2.0, 3.0, 99.0], faults=["DAY-1: lost"])
    assert problems(figures) == ["DAY-1: lost", "memory grew by 96.0 MB, 24 at most"]
    assert "✗   DAY-1: lost" in report(figures, 1.0)
    assert command_line.run(["day", "--orders", "3", "--seed", "2"]) == 0
    assert "3 orders in 24 hours" in capsys.readouterr().out

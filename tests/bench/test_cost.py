"""The calculator: its page, its aims, and that it knows what is dear."""

from dataclasses import replace
from pathlib import Path

from bench.cost import DESIGNS, DOORWAYS, OURS, Prices, batch_ms, doorway_cost, doorways, memories, per_million, table

PAGE = Path(__file__).parents[2] / "docs/operate/cost.md"


def test_the_page_has_what_the_calculator_prints() -> None:
    """All three tables."""
    text = PAGE.read_text(encoding="utf-8")
    assert doorways(Prices()) in text
    assert table(Prices()) in text
    assert memories(Prices()) in text


def test_a_million_orders_through_the_bus_cost_no_more_than_promised() -> None:
    """Two dollars and sixty cents."""
    assert sum(per_million(OURS, Prices()).values()) <= 2.60


def test_each_price_counts_where_it_belongs() -> None:
    """Doubled, it doubles its own part, or some of it, and no other."""
    before = per_million(OURS, Prices())
    for price, service in (
        ("event", "EventBridge"),
        ("sqs_request", "SQS"),
        ("lambda_request", "Lambda"),
        ("gb_second", "Lambda"),
        ("write_unit", "DynamoDB"),
        ("read_unit", "DynamoDB"),
        ("log_byte", "logs"),
        ("egress_byte", "egress"),
    ):
        after = per_million(OURS, replace(Prices(), **{price: 2 * getattr(Prices(), price)}))
        assert [name for name in before if after[name] != before[name]] == [service]
        assert before[service] < after[service] <= 2 * before[service]


def test_a_fuller_batch_is_cheaper_and_longer() -> None:
    """Requests are shared; CPU time is not."""
    single, ten = replace(OURS, batch=1), OURS
    assert sum(per_million(single, Prices()).values()) > sum(per_million(ten, Prices()).values())
    assert batch_ms(single) < batch_ms(ten) < 10 * batch_ms(single)


def test_more_memory_never_makes_a_batch_longer() -> None:
    """Above a whole CPU, more memory makes a batch no shorter."""
    times = [batch_ms(replace(OURS, memory=memory)) for memory in (128, 512, 1769, 3008)]
    assert times == sorted(times, reverse=True)
    assert times[2] == times[3]


def test_every_design_has_every_part() -> None:
    """So that the columns of the table mean the same in each row."""
    parts = {tuple(per_million(design, Prices())) for design in DESIGNS.values()}
    assert len(parts) == 1


def test_what_is_off_by_default_costs_no_more_than_promised() -> None:
    """Outcome events cost less than two dollars for a million orders, a notification less than four."""
    for doorway in DOORWAYS:
        assert doorway_cost(doorway, Prices()) < (2.0 if doorway.events else 4.0)
        assert doorway_cost(doorway, Prices(), memory=1769) >= doorway.events + doorway.front

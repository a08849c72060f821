"""The estimate of scale: formula and simulation agree, and the page shows what the script prints."""

import itertools
import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench.figures import percentile
from bench.peers import item_size
from bench.record import RESULTS, batch_cpu
from bench.scaling.attention import DELETED, LAST_RECEIVE, PRESENT, PUT, REPLACED, SHARDED, simulate
from bench.scaling.drain import OUTAGE, drain_seconds, simulate_drain
from bench.scaling.merchants import BROKEN_KEYS, share_queue
from bench.scaling.page import PAGE, rewritten, sentences
from bench.scaling.quotas import RECEIVES, quotas
from bench.scaling.series import series
from bench.scaling.service import Service, busy_environments, settings_below
from bench.scaling.simulation import random_arrivals, serve, simulate_busy_environments
from bench.scaling.tables import tables
from orders.cases import Case, Delivery
from orders.event import Message, OrderPaid
from orders.items import item_of
from orders.order import Order, Outcome, Payment, Refusal, Reporter, Status
from orders.ports import CircuitOpen
from orders.rules import record

TEXT = PAGE.read_text(encoding="utf-8")
SERVICE = Service()


def test_the_page_shows_what_the_program_computes() -> None:
    """A changed figure changes a table or a sentence; `python -m bench.scaling --write` writes both."""
    assert rewritten(TEXT, list(tables().values()), sentences()) == TEXT


def test_the_figures_of_a_page_are_rewritten_where_they_stand() -> None:
    """Over the end of a line, in a table of more rows, and not in other sentences."""
    page = "Ten take 1.5 ms,\nor 8. Ten are few.\n\n| a |\n| --- |\n| 1 |\n"
    after = rewritten(page, ["| a |\n| --- |\n| 2 |\n| 3 |"], ["take 1,250 ms, or 9."])
    assert after == "Ten take 1,250 ms,\nor 9. Ten are few.\n\n| a |\n| --- |\n| 2 |\n| 3 |\n"
    with pytest.raises(LookupError, match="this once: ten of 3"):
        rewritten(page, [], ["ten of 3"])


def test_the_service_is_that_of_the_run_of_record(tmp_path: Path) -> None:
    """Half of the CPU time measured is half of the CPU time computed with."""
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    for rows in (results["sizes"]["ours"], results["life"]["ours"]):
        for row in rows:
            row |= {name: value / 2 for name, value in row.items() if name.startswith("cpu_per_event")}
    (tmp_path / "results.json").write_text(json.dumps(results), encoding="utf-8")
    assert batch_cpu(tmp_path / "results.json") == pytest.approx([part / 2 for part in batch_cpu()], abs=0.06)
    assert (SERVICE.cpu_ms_per_batch, SERVICE.cpu_ms_per_event) == batch_cpu()


def test_the_page_has_a_link_for_every_quota() -> None:
    """No limit of AWS's without AWS's page."""
    assert [
        quota.page for quota in quotas(SERVICE) if f"\n[{quota.page}]: https://docs.aws.amazon.com/" not in TEXT
    ] == []


def test_a_batch_takes_what_its_parts_take() -> None:
    """Two round trips to DynamoDB, one call's time, and CPU time that stretches with little memory."""
    measured = Service(cpu_ms_per_batch=4.0, cpu_ms_per_event=1.3)
    assert replace(measured, memory_mb=1769).full_batch == pytest.approx(0.075)
    assert replace(measured, memory_mb=10_240).full_batch == pytest.approx(0.075)
    assert measured.full_batch == pytest.approx(0.058 + 0.017 * 1769 / 512)


def test_lambdas_limit_is_the_most_that_is_advised() -> None:
    """Whatever a batch takes."""
    assert Service(wechat_ms=1_000).concurrency_to_set(50_000) == 1_000


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


def test_the_index_is_written_as_the_function_writes() -> None:
    """Put by the first write, replaced by a call and by one note, deleted by the end; an entry is one write unit."""
    payment = Payment("1900000001", "20260101-000000001", "20260101120000", "wx2421b1c4370ec43b", "500001")
    message = Message("059f36b4-87a3-44ab-83d2-661975830a7d", "{}")
    reporter = Reporter(message.message_id, "6a7e8feb-b491-4cf7-a9f1-bf3703467718", "pos")
    refusal = Refusal("", "no answer after 8 s")

    def after(order: Order | None, outcome: Outcome | None) -> Order:
        assert outcome is not None
        written = record(order, outcome, [reporter], 1_767_240_000 + (order.version if order else 0))
        assert written is not None
        return written

    def note(order: Order | None) -> Outcome | None:
        return Case(order, True, (Delivery(message, OrderPaid(payment, reporter)),)).note(CircuitOpen(60.0))

    def units(before: Order | None, order: Order) -> int:
        entries = [item_of(one) if one else {} for one in (before, order)]
        keys = [(entry.get("attention"), entry["updated_at"]) if "attention" in entry else None for entry in entries]
        assert all(item_size(entry) <= 1024 for entry in entries)
        return sum(key is not None for key in keys) if keys[0] != keys[1] else int(keys[0] is not None)

    attempt = after(None, Outcome(Status.RETRYING, payment, "UNREACHABLE", unknown=True, refusal=refusal))
    deferral, second_write = after(None, note(None)), after(attempt, note(attempt))
    end = after(second_write, Outcome(Status.SYNCED, payment))
    assert [units(None, attempt), units(None, deferral)] == [PUT, PUT]
    assert units(attempt, second_write) == REPLACED
    assert (note(second_write), note(deferral)) == (None, None)
    assert units(second_write, end) == DELETED


def test_few_orders_leave_the_index_as_it_was() -> None:
    """Every order of an outage is noted, nothing is refused, and an hour after it the index is empty."""
    index = simulate(SERVICE, 10.0, PRESENT)
    assert (index.refused, index.throttled) == (0.0, 0)
    assert index.entries_at_end == pytest.approx(10 * OUTAGE, rel=0.01)
    assert index.entries < 1
    assert index.receives < RECEIVES


@pytest.mark.parametrize("rate", [1_000.0, 50_000.0])
def test_less_is_refused_where_less_is_written_or_more_is_taken(rate: float) -> None:
    """Shards help, and a note at the last receive helps more."""
    present, sharded, last_receive = (simulate(SERVICE, rate, design) for design in (PRESENT, SHARDED, LAST_RECEIVE))
    assert last_receive.throttled <= sharded.throttled < present.throttled
    assert last_receive.throttled <= 3
    assert last_receive.units < present.units / 100
    assert max(one.receives for one in (present, sharded, last_receive)) < RECEIVES

"""A run's figures as a page has them: a table with what was aimed at, and what the figures grow with."""

from dataclasses import dataclass
from typing import Any

from bench import figures, measure
from bench.measure import LATENCIES, SIZES, Pair

RTT, RTT_SERVER = 40, 10  # ms: a WAN in front of WeChat Pay, and what WeChat Pay itself takes then


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure of the table: what it is called, which must be reached, which would be good."""

    label: str
    unit: str
    least: str
    aim: str


GOALS = {
    "cold_start": Goal("cold start (process start → ready)", "ms", "2.6 ×", "3 ×"),
    "first_batch": Goal("first batch, on cold connections", "ms", "10.5 ×", "12 ×"),
    "warm_batch": Goal("warm batch of 10", "ms", "14 ×, ≤ 1.2 × the floor", "≤ 1.12 × the floor"),
    "warm_batch@100": Goal("warm batch of 100", "ms", "55 ×", "70 ×"),
    "cpu_per_event": Goal("CPU per event", "ms", "20 ×", "25 ×, ≤ 3.5 signatures"),
    "memory": Goal("peak memory", "MB", "1.33 ×", "1.54 ×"),
    "aws_calls": Goal("AWS calls per order", "", "≤ 1.1", "≤ 0.2"),
    "write_units": Goal("DynamoDB write units per order", "", "1", ""),
    "read_units": Goal("DynamoDB read units per order", "", "1", ""),
    "log_bytes": Goal("log bytes per order", "B", "≤ 300", "≤ 150"),
    "package": Goal("deployment package (function + layer, zipped)", "MB", "≤ 9", "≤ 8"),
    "wan": Goal(f"batch of 10 behind a WAN, RTT {RTT} ms", "ms", "20 ×", "27 ×"),
}


def table(results: dict[str, Any]) -> str:
    """Return the figures as a Markdown table, and what they grow with."""
    pairs = {name: Pair(**results[name]) for name in ("life", "sizes", "latencies", "wan")}
    rows = []
    for name, goal in GOALS.items():
        baseline, ours, ratio = _figure(results, pairs, name)
        cells = [f"{_number(baseline)} {goal.unit}".strip(), f"{_number(ours)} {goal.unit}".strip()]
        rows.append([goal.label, *cells, f"{ratio:.2f} ×", goal.least, goal.aim])
    columns = ["figure", "baseline", "ours", "ratio", "at least", "aim"]
    return "\n".join([figures.table(columns, rows), "", *_remarks(results, pairs)])


def _figure(results: dict[str, Any], pairs: dict[str, Pair], name: str) -> tuple[float, float, float]:
    if name == "package":
        baseline, ours = results["package"]["baseline"], results["package"]["ours"]
        return baseline, ours, baseline / ours
    pair, key = {"wan": (pairs["wan"], "warm_batch"), "warm_batch@100": (pairs["sizes"], name)}.get(
        name, (pairs["life"], name)
    )
    baseline, ours = pair.median(key)
    return baseline, ours, pair.ratio(key)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _remarks(results: dict[str, Any], pairs: dict[str, Pair]) -> list[str]:
    remarks = _floors(results["floor"], pairs)
    for index, who in enumerate(("baseline", "ours")):
        walls = {float(size): pairs["sizes"].median(f"warm_batch@{size}")[index] for size in SIZES}
        waits = {float(ms): pairs["latencies"].median(f"warm_batch@{ms}")[index] for ms in LATENCIES}
        (there, each), (_, per_ms) = measure.line(walls), measure.line(waits)
        remarks.append(
            f"{who}: a batch of n takes {there:.0f} + {each:.2f} n ms; "
            f"each ms of WeChat Pay makes a batch of ten {per_ms:.2f} ms longer."
        )
    return remarks


def _floors(floor: dict[str, float], pairs: dict[str, Pair]) -> list[str]:
    """Say what the waits take with nothing computed, and how many times that ours takes."""
    cpu, warm = (pairs["life"].median(name)[1] for name in ("cpu_per_event", "warm_batch"))
    warm_100, bare = pairs["sizes"].median("warm_batch@100")[1], floor["signature"] + floor["verification"]
    computed = f"one signature ({floor['signature']:.2f} ms) and one verification ({floor['verification']:.2f} ms)"
    bare_walls = f"a batch of 10 takes {floor['batch@10']:.1f} ms, of 100 {floor['batch@100']:.0f} ms"
    walls_in_floors = f"{warm / floor['batch@10']:.2f}, of 100 {warm_100 / floor['batch@100']:.2f}"
    return [
        f"The floor, which has the same waits and computes {computed} for each order: {bare_walls}.",
        f"ours, in floors: a warm batch of 10 {walls_in_floors}; CPU per event {cpu / bare:.1f}.",
        f"ours, in signatures: an event costs {cpu / floor['signature']:.1f} of them.",
    ]

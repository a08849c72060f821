"""`make bench`: our function beside the usual way of building it, in one run; a table, JSON and plots.

One processor for the function, another for its peers; HTTPS everywhere; WeChat Pay answers after 50 ms, AWS after 4 ms.
Absolute times are this machine's and drift by a third; the ratios are of neighbours in time.
"""

import argparse
import json
import platform
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench import measure, plots
from bench.measure import BATCH, LATENCIES, SIZES, Pair, in_turn
from bench.world import OURS, ROOT, world

RTT, RTT_SERVER = 40, 10  # ms: a WAN in front of WeChat Pay, and what WeChat Pay itself takes then


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure of the table: what it is called, which must be reached, which would be good."""

    label: str
    unit: str
    least: str
    aim: str


GOALS = {
    "cold_start": Goal("cold start (process start → ready)", "ms", "2.2 ×", "2.8 ×"),
    "first_batch": Goal("first batch, on cold connections", "ms", "9 ×", "12 ×"),
    "warm_batch": Goal("warm batch of 10", "ms", "14 ×", "16 ×, ≤ 75 ms"),
    "warm_batch@100": Goal("warm batch of 100", "ms", "40 ×", "60 ×"),
    "cpu_per_event": Goal("CPU per event", "ms", "12 ×", "18 ×, ≤ 3.5 signatures"),
    "memory": Goal("peak memory", "MB", "1.33 ×", "1.54 ×"),
    "aws_calls": Goal("AWS calls per order", "", "≤ 1.1", "≤ 0.2"),
    "write_units": Goal("DynamoDB write units per order", "", "1", ""),
    "read_units": Goal("DynamoDB read units per order", "", "1", ""),
    "log_bytes": Goal("log bytes per order", "B", "≤ 300", "≤ 150"),
    "package": Goal("deployment package (function + layer, zipped)", "MB", "≤ 12", "≤ 8"),
    "wan": Goal(f"batch of 10 behind a WAN, RTT {RTT} ms", "ms", "20 ×", "27 ×"),
}


def main() -> int:
    """Measure, and write what was found; 1 if a message failed, because then nothing was measured."""
    given = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        found = _found(Path(folder), given)
    print(table(found))
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / "results.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if given.plots:
        plots.draw(found, given.output)
    failed = sum(row["failures"] for rows in found["life"].values() for row in rows)
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="pairs of fresh processes")
    parser.add_argument("--warm", type=int, default=12, help="warm batches in each of them")
    parser.add_argument(
        "--sweeps", type=int, default=3, help="rounds over sizes and latencies (sizes: at least --rounds)"
    )
    parser.add_argument("--output", type=Path, default=ROOT / "build/bench", help="where results.json and plots go")
    parser.add_argument("--no-plots", dest="plots", action="store_false")
    return parser.parse_args()


def _found(folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    python = Path(sys.executable)
    with world(folder) as near:
        life = in_turn(given.rounds, lambda one: measure.whole_life(near, one, batch=BATCH, warm=given.warm))
        warm = max(1, given.warm // 4)
        sizes = in_turn(given.rounds, lambda one: measure.over_sizes(near, one, warm=warm))
        latencies = in_turn(given.sweeps, lambda one: measure.over_latencies(near, one, warm=warm))
    with world(folder, wechat_ms=RTT_SERVER, rtt_ms=RTT) as far:
        wan = in_turn(given.rounds, lambda one: measure.whole_life(far, one, batch=BATCH, warm=warm))
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": _machine(),
        "rounds": given.rounds,
        "signature_ms": measure.signature_ms(python),
        "package": {"baseline": measure.baseline_package_mb(), "ours": measure.package_mb(OURS.path)},
        **{name: pair.plain() for name, pair in _named(life, sizes, latencies, wan).items()},
    }


def _named(life: Pair, sizes: Pair, latencies: Pair, wan: Pair) -> dict[str, Pair]:
    return {"life": life, "sizes": sizes, "latencies": latencies, "wan": wan}


def _machine() -> dict[str, str]:
    models = [line for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if "model name" in line]
    names = ("boto3", "requests", "urllib3", "cryptography", "aws-lambda-powertools", "wechatpayv3", "pydantic")
    return {
        "processor": models[0].partition(":")[2].strip() if models else platform.machine(),
        "python": platform.python_version(),
        **{name: version(name) for name in names},
    }


def table(found: dict[str, Any]) -> str:
    """The figures as a Markdown table, and what they grow with."""
    pairs = {name: Pair(**found[name]) for name in ("life", "sizes", "latencies", "wan")}
    rows = [["figure", "baseline", "ours", "ratio", "at least", "aim"], ["---"] * 6]
    for name, goal in GOALS.items():
        baseline, ours, ratio = _figure(found, pairs, name)
        cells = [f"{_number(baseline)} {goal.unit}".strip(), f"{_number(ours)} {goal.unit}".strip()]
        rows.append([goal.label, *cells, f"{ratio:.2f} ×", goal.least, goal.aim])
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([*lines, "", *_remarks(found, pairs)])


def _figure(found: dict[str, Any], pairs: dict[str, Pair], name: str) -> tuple[float, float, float]:
    if name == "package":
        baseline, ours = found["package"]["baseline"], found["package"]["ours"]
        return baseline, ours, baseline / ours
    pair, key = {"wan": (pairs["wan"], "warm_batch"), "warm_batch@100": (pairs["sizes"], name)}.get(
        name, (pairs["life"], name)
    )
    baseline, ours = pair.median(key)
    return baseline, ours, pair.ratio(key)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _remarks(found: dict[str, Any], pairs: dict[str, Pair]) -> list[str]:
    signature = found["signature_ms"]
    cpu = pairs["life"].median("cpu_per_event")[1]
    remarks = [
        f"One RSA signature on the same processor: {signature:.2f} ms; an event costs {cpu / signature:.1f} of them."
    ]
    for index, who in enumerate(("baseline", "ours")):
        walls = {float(size): pairs["sizes"].median(f"warm_batch@{size}")[index] for size in SIZES}
        waits = {float(ms): pairs["latencies"].median(f"warm_batch@{ms}")[index] for ms in LATENCIES}
        (there, each), (_, per_ms) = measure.line(walls), measure.line(waits)
        remarks.append(
            f"{who}: a batch of n takes {there:.0f} + {each:.2f} n ms; "
            f"each ms of WeChat Pay makes a batch of ten {per_ms:.2f} ms longer."
        )
    return remarks


if __name__ == "__main__":
    sys.exit(main())

"""`make bench`: our function and the usual way of building it, side by side in one run; a table, JSON and plots.

One CPU for the function, another for its peers; HTTPS everywhere; WeChat Pay answers after 50 ms, AWS after 4 ms.
Absolute times are this machine's and drift by a third; the ratios are of neighbours in time.
"""

import argparse
import json
import platform
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench import measure, plots
from bench.measure import BATCH, in_turn
from bench.report import RTT, RTT_SERVER, table
from bench.world import OURS, ROOT, world


def main() -> int:
    """Measure, and write the results; 1 if a message failed, because then nothing was measured."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        results = _measure(Path(folder), arguments)
    print(table(results))
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if arguments.plots:
        plots.draw(results, arguments.output)
    failed = sum(row["failures"] for rows in results["life"].values() for row in rows)
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="pairs of fresh processes")
    parser.add_argument("--warm", type=int, default=12, help="warm batches in each of them")
    parser.add_argument("--sweeps", type=int, default=3, help="rounds over latencies, as many as --rounds at most")
    parser.add_argument("--output", type=Path, default=ROOT / "build/bench", help="where results.json and plots go")
    parser.add_argument("--no-plots", dest="plots", action="store_false")
    return parser.parse_args()


def _measure(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    with world(folder) as near:
        life = in_turn(arguments.rounds, lambda one: measure.whole_life(near, one, batch=BATCH, warm=arguments.warm))
        warm = max(1, arguments.warm // 6)
        sizes = in_turn(arguments.rounds, lambda one: measure.over_sizes(near, one, warm=warm))
        latencies = in_turn(
            min(arguments.sweeps, arguments.rounds), lambda one: measure.over_latencies(near, one, warm=warm)
        )
    with world(folder, wechat_ms=RTT_SERVER, rtt_ms=RTT) as far:
        wan = in_turn(arguments.rounds, lambda one: measure.whole_life(far, one, batch=BATCH, warm=2 * warm))
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": _machine(),
        "rounds": arguments.rounds,
        "floor": measure.floor(),
        "package": {"baseline": measure.baseline_package_mb(), "ours": measure.package_mb(OURS.path)},
        "life": life.plain(),
        "sizes": sizes.plain(),
        "latencies": latencies.plain(),
        "wan": wan.plain(),
    }


def _machine() -> dict[str, str]:
    models = [line for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if "model name" in line]
    names = ("boto3", "requests", "urllib3", "cryptography", "aws-lambda-powertools", "wechatpayv3", "pydantic")
    return {
        "cpu": models[0].partition(":")[2].strip() if models else platform.machine(),
        "python": platform.python_version(),
        **{name: version(name) for name in names},
    }


if __name__ == "__main__":
    sys.exit(main())

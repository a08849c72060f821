"""Both functions in turn, in fresh processes, in the same minutes: figures, medians, and ratios pair by pair."""

import json
import statistics
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from bench.environment import Environment, Invocation
from bench.world import BASELINE, FUNCTION_CPU, OURS, ROOT, Candidate, World

SIZES = (1, 2, 5, 10, 20, 50, 100)
LATENCIES = (10, 50, 100, 200, 400)  # ms that WeChat Pay takes
BATCH = 10  # the template's BatchSize

type Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Pair:
    """The same figures of both, a row for each round."""

    baseline: Sequence[Figures]
    ours: Sequence[Figures]

    def median(self, name: str) -> tuple[float, float]:
        """Baseline's and ours."""
        return _median(self.baseline, name), _median(self.ours, name)

    def ratio(self, name: str) -> float:
        """How many times ours is less: the median over the rounds, each a pair."""
        return statistics.median(self.ratios(name))

    def ratios(self, name: str) -> list[float]:
        """How many times ours is less, in each round."""
        pairs = zip(self.baseline, self.ours, strict=True)
        return [one[name] / other[name] if other[name] else float("inf") for one, other in pairs]

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {"baseline": list(self.baseline), "ours": list(self.ours)}


def _median(rows: Sequence[Figures], name: str) -> float:
    return statistics.median(row[name] for row in rows)


def in_turn(rounds: int, measured: Callable[[Candidate], Figures]) -> Pair:
    """Measure one, then the other, and again, so that what the machine does meanwhile strikes both."""
    rows: dict[str, list[Figures]] = {BASELINE.name: [], OURS.name: []}
    for number in range(rounds):
        for candidate in (BASELINE, OURS):
            print(f"  {number + 1}/{rounds} {candidate.name}", file=sys.stderr, flush=True)
            rows[candidate.name].append(measured(candidate))
    return Pair(rows[BASELINE.name], rows[OURS.name])


def whole_life(world: World, candidate: Candidate, *, batch: int, warm: int) -> Figures:
    """A cold start, a first batch, warm batches: times in ms, memory in MB, the rest for each order."""
    environment = world.start(candidate)
    try:
        first = environment.invoke(world.messages(batch))
        world.aws.tell("counts")
        log_bytes = environment.log_bytes
        runs = [environment.invoke(world.messages(batch)) for _ in range(warm)]
        counts = world.aws.tell("counts")
        return {
            "cold_start": environment.cold_start,
            "cold_start_cpu": environment.cold_start_cpu,
            "first_batch": first.wall,
            "first_batch_cpu": first.cpu,
            **_warm(runs, batch),
            "memory": environment.peak_mb,
            "log_bytes": (environment.log_bytes - log_bytes) / (warm * batch),
            "aws_calls": counts["requests"] / (warm * batch),
            "write_units": counts.get("write units", 0) / (warm * batch),
            "read_units": counts.get("read units", 0) / (warm * batch),
            "failures": float(first.failures + sum(run.failures for run in runs)),
        }
    finally:
        environment.stop()


def _warm(runs: Sequence[Invocation], batch: int) -> Figures:
    return {
        "warm_batch": statistics.median(run.wall for run in runs),
        "cpu_per_event": statistics.median(run.cpu for run in runs) / batch,
    }


def over_sizes(world: World, candidate: Candidate, *, warm: int) -> Figures:
    """Wall and CPU of warm batches, by their size."""
    return _sweep(world, candidate, [(f"{size}", size, None) for size in SIZES], warm)


def over_latencies(world: World, candidate: Candidate, *, warm: int) -> Figures:
    """Wall and CPU of warm batches of ten, by WeChat Pay's latency."""
    try:
        return _sweep(world, candidate, [(f"{ms}", BATCH, ms) for ms in LATENCIES], warm)
    finally:
        world.wechat_pay.tell("latency", 50)


def _sweep(world: World, candidate: Candidate, steps: Sequence[tuple[str, int, int | None]], warm: int) -> Figures:
    environment = world.start(candidate)
    figures: Figures = {}
    try:
        for name, size, latency in steps:
            if latency is not None:
                world.wechat_pay.tell("latency", latency)
            runs = _invoked(environment, world, size, warm)
            figures |= {f"{figure}@{name}": value for figure, value in _warm(runs, size).items()}
    finally:
        environment.stop()
    return figures


def _invoked(environment: Environment, world: World, size: int, warm: int) -> list[Invocation]:
    """Warm batches; the one before them opens the connections that this size needs."""
    environment.invoke(world.messages(size))
    return [environment.invoke(world.messages(size)) for _ in range(warm)]


def floor() -> Figures:
    """Return the figures of the floor, in ms, on the CPU that the functions run on."""
    command = ["taskset", "--cpu-list", str(FUNCTION_CPU), sys.executable, "-m", "bench.floor"]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    figures: Figures = json.loads(output.stdout)
    return figures


# ---- what is uploaded ------------------------------------------------------------------------------------------------

BASELINE_NEEDS = ("aws-lambda-powertools", "boto3", "pydantic", "wechatpayv3")


def package_mb(folders: Sequence[Path]) -> float:
    """Megabytes of folders, zipped as an upload is."""
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    return _zipped_mb(files)


def baseline_package_mb() -> float:
    """The same for what the baseline imports, as pip installs it, without bytecode, which no default ships."""
    names, files = list(BASELINE_NEEDS), list((ROOT / "bench/baseline").glob("*.py"))
    visited: set[str] = set()
    while names:
        name = names.pop()
        if name in visited:
            continue
        visited.add(name)
        package = distribution(name)
        needs = [Requirement(each) for each in package.requires or ()]
        names += [need.name for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]
        files += [Path(str(package.locate_file(file))) for file in package.files or () if file.suffix != ".pyc"]
    return _zipped_mb([file for file in files if file.is_file()])


def _zipped_mb(files: Sequence[Path]) -> float:
    with tempfile.TemporaryFile() as target:
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for number, file in enumerate(files):
                archive.write(file, str(number) + file.name)
        return target.tell() / 1_000_000


def line(points: Mapping[float, float]) -> tuple[float, float]:
    """Least squares through (x, y): what is there at zero, and what each x adds."""
    fit = statistics.linear_regression(list(points), list(points.values()))
    return fit.intercept, fit.slope

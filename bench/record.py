"""What the run of record says of the function's CPU time: `bench/results.json`, which `make bench` has measured."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from bench.measure import BATCH, SIZES, Pair, line

RESULTS = Path(__file__).parent / "results.json"


class BatchCPU(NamedTuple):
    """Milliseconds of a whole CPU: of an invocation whatever is in it, and of each order."""

    per_batch: float
    per_event: float


class Life(NamedTuple):
    """Of each order, in batches of ten: milliseconds of a whole CPU, and bytes in the log."""

    cpu_per_event: float
    log_bytes: float


@cache
def of_record(results: Path = RESULTS) -> Mapping[str, Any]:
    """Return the results as they were written."""
    record: Mapping[str, Any] = json.loads(results.read_text(encoding="utf-8"))
    return record


@cache
def life(results: Path = RESULTS) -> tuple[Life, Life]:
    """Return the medians of the usual way and of ours."""
    pair = Pair(**of_record(results)["life"])
    (cpu, our_cpu), (log, our_log) = pair.median("cpu_per_event"), pair.median("log_bytes")
    return Life(round(cpu, 1), log), Life(round(our_cpu, 1), our_log)


@cache
def batch_cpu(results: Path = RESULTS) -> BatchCPU:
    """Return what a batch costs, to a tenth of a millisecond.

    It is the line through the medians of the sizes that the template allows, as high as the CPU per event of the
    results' table, which is of six times as many batches.
    """
    record = of_record(results)
    sizes, life = Pair(**record["sizes"]), Pair(**record["life"])
    medians = {float(size): size * sizes.median(f"cpu_per_event@{size}")[1] for size in SIZES if size <= BATCH}
    per_batch, per_event = line(medians)
    height = BATCH * life.median("cpu_per_event")[1] / (per_batch + BATCH * per_event)
    return BatchCPU(round(height * per_batch, 1), round(height * per_event, 1))

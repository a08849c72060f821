"""`make bench-check`: whether the function has become slower than the run of record says, by its ratios.

A pair of fresh processes for each round, as in `make bench`. A ratio has fallen where its best round is below the worst
of record, by more than this run's own rounds differ and by more than two kinds of CPUs do.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import figures, measure
from bench.measure import BATCH, Pair, in_turn
from bench.record import of_record
from bench.world import OURS, world

CPUS = 0.15
"""How much the ratios of one version differ between CPUs: CPU per event was 15.1 × on one and 14.0 on another."""

TIMED = ("cold_start", "first_batch", "warm_batch", "cpu_per_event", "memory")
COUNTED = ("log_bytes", "aws_calls", "write_units", "read_units")
SPARE = 1.02  # of what is counted: an id has a digit more


@dataclass(frozen=True, slots=True)
class Verdict:
    """A figure, what is of record, what it is now, and the least (of a ratio) or most (of a count) that passes."""

    name: str
    record: float
    now: float
    limit: float
    has_passed: bool

    @property
    def row(self) -> Sequence[str]:
        """The figure as a row of a table."""
        words = "as it was" if self.has_passed else "SLOWER" if self.name in TIMED else "MORE"
        return [self.name, f"{self.record:.3g}", f"{self.now:.3g}", f"{self.limit:.3g}", words]


def compare(record: Mapping[str, Any], life: Pair, package_mb: float) -> list[Verdict]:
    """Compare a run with the one of record."""
    before = Pair(**record["life"])
    verdicts = [_timed(name, before, life) for name in TIMED]
    verdicts += [_counted(name, before.median(name)[1], life.median(name)[1]) for name in COUNTED]
    return [*verdicts, _counted("package", record["package"]["ours"], package_mb)]


def _timed(name: str, record: Pair, life: Pair) -> Verdict:
    before, now = record.ratios(name), life.ratios(name)
    noise = max(CPUS, max(now) / min(now) - 1)
    limit = min(before) / (1 + noise)
    return Verdict(name, record.ratio(name), life.ratio(name), limit, max(now) >= limit)


def _counted(name: str, record: float, now: float) -> Verdict:
    return Verdict(name, record, now, record * SPARE, now <= record * SPARE)


def main() -> int:
    """Measure and compare; 1 where a figure is worse or a message failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.check", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="pairs of fresh processes")
    parser.add_argument("--warm", type=int, default=8, help="warm batches in each of them")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, world(Path(folder)) as near:
        life = in_turn(arguments.rounds, lambda one: measure.whole_life(near, one, batch=BATCH, warm=arguments.warm))
    verdicts = compare(of_record(), life, measure.package_mb(OURS.path))
    print(figures.table(["figure", "of record", "now", "limit", ""], [verdict.row for verdict in verdicts]))
    failures = sum(row["failures"] for rows in (life.baseline, life.ours) for row in rows)
    return 0 if failures == 0 and all(verdict.has_passed for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())

"""The guard against a slower version: it fails outside the noise, and only there."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from bench.check import COUNTED, CPUS, TIMED, compare
from bench.measure import Pair

RECORD = {"life": {"baseline": [], "ours": []}, "package": {"ours": 9.0}}


def pair(ratios: Sequence[float], counts: float = 100.0) -> Pair:
    """A run in which every ratio is one of these, and ours counts so many of everything."""
    rows = [dict.fromkeys(TIMED, ratio) | dict.fromkeys(COUNTED, counts) for ratio in ratios]
    ours = [dict.fromkeys(TIMED, 1.0) | dict.fromkeys(COUNTED, counts) for _ in ratios]
    return Pair(rows, ours)


def verdicts(record: Pair, life: Pair, package_mb: float = 9.0) -> Mapping[str, bool]:
    """Whether each figure passes."""
    of_record: dict[str, Any] = RECORD | {"life": record.plain()}
    return {verdict.name: verdict.has_passed for verdict in compare(of_record, life, package_mb)}


@pytest.mark.parametrize(
    ("ratios", "passes"),
    [
        ([15.0, 15.0], True),
        ([20.0, 21.0], True),  # faster
        ([14.0 / (1 + CPUS) + 0.01] * 2, True),  # another CPU
        ([14.0 / (1 + CPUS) - 0.01] * 2, False),
        ([8.0, 12.5], True),  # a run that differs by a half says little
        ([7.0, 8.0], False),
        ([5.0, 5.0], False),
    ],
)
def test_a_ratio_falls_outside_the_noise_only(ratios: list[float], passes: bool) -> None:
    """The best round counts, against the worst of record, with the wider of the two allowances."""
    assert {verdicts(pair([14.0, 15.0, 16.0]), pair(ratios))[name] for name in TIMED} == {passes}


def test_what_is_counted_has_no_noise() -> None:
    """Bytes, calls and units are the same on every machine."""
    record = pair([15.0])
    assert all(verdicts(record, pair([15.0], 101.0)).values())
    worse = verdicts(record, pair([15.0], 103.0), package_mb=9.3)
    assert [name for name, passes in worse.items() if not passes] == [*COUNTED, "package"]

"""The throughput of the sandbox: the sentence about saturation follows from the figures."""

import pytest

from bench.throughput import AWS, FUNCTION, PEERS, Throughput, report


def run(environments: int, seconds: float, *, cpu: tuple[float, float, float], idle: float) -> Throughput:
    """Return 1,000 orders on two CPUs."""
    return Throughput(environments, 1_000, seconds, dict(zip((FUNCTION, AWS, PEERS), cpu, strict=True)), idle, 2)


@pytest.mark.parametrize(
    ("runs", "words"),
    [
        ([run(1, 10.0, cpu=(3, 2, 2), idle=13), run(2, 5.0, cpu=(3, 2, 2), idle=3)], "Not saturated with 2, at 200"),
        (
            [run(1, 10.0, cpu=(3, 2, 2), idle=13), run(2, 4.0, cpu=(3, 2, 2), idle=1)],
            "with 2, at 250 orders a second: all",
        ),
        (
            [run(1, 10.0, cpu=(9, 2, 2), idle=7), run(2, 8.0, cpu=(6, 2, 2), idle=6)],
            "with 1, at 100 orders a second: the fun",
        ),
        (
            [run(number, s, cpu=(3, 2, 2), idle=9) for number, s in ((1, 10.0), (2, 10.5), (4, 8.0))],
            "Not saturated with 4, at 125",
        ),
        ([run(1, 10.0, cpu=(2, 8, 2), idle=8)], "with 1, at 100 orders a second: the embedded AWS has no CPU left"),
        ([run(1, 10.0, cpu=(3, 2, 2), idle=13), run(2, 9.9, cpu=(3, 2, 2), idle=13)], "the time is waiting"),
    ],
)
def test_it_saturates_where_a_process_has_no_cpu_left(runs: list[Throughput], words: str) -> None:
    """Or where no further environments bring a tenth more."""
    assert words in report(runs)
    assert "| 1 | 100 |" in report(runs)

"""Draw measurements and estimates; SVG, the same bytes for the same figures.

`python -m bench.plots FOLDER` draws the estimates; a measurement is drawn by its run.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

from bench.measure import LATENCIES, SIZES, Pair
from bench.scaling.series import series

mpl.use("svg")
mpl.rcParams.update(
    {"svg.hashsalt": "bench", "svg.fonttype": "none", "axes.grid": True, "grid.alpha": 0.3, "font.size": 9}
)

from matplotlib import pyplot as plt  # noqa: E402  after the backend was chosen

type Lines = Mapping[str, Sequence[tuple[float, float]]]


def chart(path: Path, title: str, axes: tuple[str, str], lines: Lines, *, log: bool = False) -> None:
    """Draw lines over each other; `axes` are the labels of x and y, both logarithmic with `log`."""
    figure, plot = plt.subplots(figsize=(6.0, 3.4), layout="constrained")
    for name, points in lines.items():
        plot.plot(*zip(*points, strict=True), marker="o", markersize=3, label=name)
    plot.set(title=title, xlabel=axes[0], ylabel=axes[1])
    if log:
        plot.set(xscale="log", yscale="log")
    plot.legend()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def bars(path: Path, title: str, label: str, values: Mapping[str, float]) -> None:
    """Draw one bar for each value, with its number."""
    figure, plot = plt.subplots(figsize=(6.0, 2.0), layout="constrained")
    plot.bar_label(plot.barh(list(values), list(values.values())), fmt="%.3g", padding=3)
    plot.margins(x=0.12)  # room for the numbers
    plot.set(title=title, xlabel=label)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def draw(results: Mapping[str, Any], into: Path) -> None:
    """Draw the four plots of a run."""
    life, sizes, latencies = (Pair(**results[name]) for name in ("life", "sizes", "latencies"))
    names = ("baseline", "ours")
    bars(into / "cold-start.svg", "Cold start", "ms", dict(zip(names, life.median("cold_start"), strict=True)))
    bars(into / "cpu.svg", "CPU time per event", "ms", dict(zip(names, life.median("cpu_per_event"), strict=True)))
    chart(
        into / "batch-size.svg",
        "A warm batch, WeChat Pay at 50 ms",
        ("orders in the batch", "ms"),
        _lines(sizes, "warm_batch", SIZES),
        log=True,
    )
    chart(
        into / "latency.svg",
        "A warm batch of ten",
        ("WeChat Pay's latency, ms", "ms"),
        _lines(latencies, "warm_batch", LATENCIES),
        log=True,
    )


def draw_estimates(into: Path) -> None:
    """Draw the plots of docs/operate/scaling.md, from its simulation."""
    lines = series()
    chart(
        into / "scaling-concurrency.svg",
        "Environments that are busy",
        ("orders a second", "concurrency"),
        lines["scaling-concurrency"],
        log=True,
    )
    axes = ("minutes since WeChat Pay is gone, for an hour", "orders waiting")
    chart(into / "scaling-backlog.svg", "100 orders a second, and an hour's outage", axes, lines["scaling-backlog"])


def _lines(pair: Pair, figure: str, steps: Sequence[int]) -> Lines:
    medians = {step: pair.median(f"{figure}@{step}") for step in steps}
    return {
        name: [(float(step), values[index]) for step, values in medians.items()]
        for index, name in enumerate(("baseline", "ours"))
    }


if __name__ == "__main__":
    draw_estimates(Path(sys.argv[1]))

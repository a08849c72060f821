"""The pages about speed say what the run of record found."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench.measure import Pair, line
from bench.peers import item_size
from bench.report import GOALS, table

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def results() -> Any:
    """The run of record."""
    return json.loads((ROOT / "bench/results.json").read_text(encoding="utf-8"))


def test_the_results_are_those_of_the_run(results: Any) -> None:
    """The table whole, with its remarks, and when it was."""
    page = (ROOT / "bench/RESULTS.md").read_text(encoding="utf-8")
    assert table(results) in page
    assert results["at"] in page


def test_the_readme_repeats_rows_of_it(results: Any) -> None:
    """No figure of its own."""
    rows = {
        row.split("|")[1].strip(): [cell.strip() for cell in row.split("|")[2:5]]
        for row in table(results).splitlines()
        if row.startswith("|")
    }
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme[readme.index("## How fast it is") : readme.index("## Inside")]
    cells = [row.split("|") for row in section.splitlines() if row.startswith("| ") and "---" not in row]
    assert len(cells) > 5
    for row in cells[1:]:
        assert [cell.strip() for cell in row[2:5]] == rows[row[1].strip()]


def test_nothing_failed_and_every_round_is_there(results: Any) -> None:
    """Seven pairs at least, and not one message that came back."""
    assert results["rounds"] >= 7
    for rows in results["life"].values():
        assert len(rows) == results["rounds"]
        assert {row["failures"] for row in rows} == {0.0}
    assert len(GOALS) == 12


def test_a_ratio_is_of_neighbours_in_time() -> None:
    """The median over pairs, not of medians: a machine that slows down slows both."""
    pair = Pair([{"x": 10.0}, {"x": 40.0}, {"x": 30.0}], [{"x": 1.0}, {"x": 4.0}, {"x": 2.0}])
    assert (pair.ratio("x"), pair.median("x")) == (10.0, (30.0, 2.0))


def test_a_line_is_found_through_its_points() -> None:
    """What is there at zero, and what each adds."""
    assert line({1.0: 5.0, 2.0: 7.0, 10.0: 23.0}) == pytest.approx((3.0, 2.0))


@pytest.mark.parametrize(
    ("item", "size"),
    [
        ({"pk": {"S": "1#2"}}, 5),
        ({"n": {"N": "40000"}}, 3),
        ({"b": {"BOOL": True}, "z": {"NULL": True}}, 4),
        ({"m": {"M": {"k": {"S": "v"}}}}, 1 + 3 + 1 + 2),
        ({"l": {"L": [{"S": "中"}]}}, 1 + 3 + 1 + 3),
    ],
)
def test_an_item_is_as_large_as_dynamodb_says(item: Any, size: int) -> None:
    """Names and values in UTF-8, two digits a byte, three bytes for a map or list and one for each member."""
    assert item_size(item) == size

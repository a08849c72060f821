"""The simulator does what the page of conformance says, row by row."""

import re
from collections import Counter
from dataclasses import fields
from pathlib import Path

import pytest

from sandbox.wechat_pay.faults import FAULTS
from sandbox.wechat_pay.switches import Switches
from tests.sandbox.conformance.page import PAGE, written
from tests.sandbox.conformance.row import DOCUMENTED, Row
from tests.sandbox.conformance.sections import SECTIONS
from tests.sandbox.conformance.shop import Shop

ROWS = [row for section in SECTIONS for row in section.rows]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_is_true(row: Row, key_ring: Path) -> None:
    """What the row says that the simulator does, it does."""
    row.check(Shop(key_ring))


def test_the_page_has_these_rows() -> None:
    """The page's tables are these rows, in their words; `python -m tests.sandbox.conformance` writes them."""
    text = PAGE.read_text(encoding="utf-8")
    assert text == written(text)


def test_a_row_is_named_once() -> None:
    """Every row has a name of its own, and says all that a reader needs."""
    assert [name for name, count in Counter(row.name for row in ROWS).items() if count > 1] == []
    assert [
        row.name for row in ROWS if not (row.says and row.does and row.page and "|" not in row.says + row.does)
    ] == []


def test_what_is_not_documented_has_a_switch() -> None:
    """A verdict is `as documented`, or names switches or faults that exist; the default stands behind it."""
    known = {field.name for field in fields(Switches)} | FAULTS
    for row in ROWS:
        if row.verdict != DOCUMENTED:
            assert re.match(r"(switch|faults?) `", row.verdict), row.name
            assert set(re.findall(r"`([^`]+)`", row.verdict)) <= known, row.name


def test_every_switch_has_a_row() -> None:
    """A reader finds each switch of the simulator's checks on the page, with its default."""
    named = {name for row in ROWS for name in re.findall(r"`([^`]+)`", row.verdict)}
    assert {field.name for field in fields(Switches)} - named == set()

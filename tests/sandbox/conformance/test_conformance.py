"""The simulator does what the page of conformance says, row by row."""

import re
from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from sandbox.wechat_pay.faults import FAULTS
from sandbox.wechat_pay.switches import Switches
from tests.sandbox.conformance.page import PAGE, written
from tests.sandbox.conformance.row import DOCUMENTED, Row, Section
from tests.sandbox.conformance.sections import SECTIONS

PROOFS = [(section, row) for section in SECTIONS for row in section.rows]
ROWS = [row for _, row in PROOFS]


@pytest.mark.parametrize(("section", "row"), PROOFS, ids=[row.name for row in ROWS])
def test_a_row_is_true(section: Section[Any], row: Row[Any], key_ring: Path) -> None:
    """What the row says that the simulator does, it does."""
    section.prove(row, key_ring)


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
    choices = {field.name for field in fields(Switches)} | FAULTS
    assert [row.name for row in ROWS if row.page == "silent" and row.verdict == DOCUMENTED] == []
    for row in ROWS:
        if row.verdict != DOCUMENTED:
            assert re.match(r"(switch|faults?) `", row.verdict), row.name
            assert set(re.findall(r"`([^`]+)`", row.verdict)) <= choices, row.name


def test_every_switch_is_on_a_page() -> None:
    """A reader finds each switch on the page of conformance, or on the sandbox's."""
    pages = PAGE.read_text(encoding="utf-8") + (PAGE.parents[2] / "sandbox/README.md").read_text(encoding="utf-8")
    assert [field.name for field in fields(Switches) if f"`{field.name}`" not in pages] == []

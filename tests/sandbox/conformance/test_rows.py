"""Every row of the table of conformance is proven by its check."""

from pathlib import Path

import pytest

from tests.sandbox.asking import Asking
from tests.sandbox.conformance import families, money, payafter, permissions  # noqa: F401  they enter their rows
from tests.sandbox.conformance.rows import ROWS, Row


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_the_simulator_does_what_the_row_says(key_ring: Path, row: Row) -> None:
    """The simulator does what the table says about this row."""
    row.check(Asking(key_ring))

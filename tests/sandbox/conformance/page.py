"""The page of the rows: what it says now, and what it should say."""

import re
from pathlib import Path

from tests.sandbox.conformance.row import DOCUMENTED
from tests.sandbox.conformance.sections import SECTIONS

PAGE = Path(__file__).parents[3] / "docs/evidence/conformance.md"
_COUNT = re.compile(r"\d+ rows, \d+ as documented, \d+ by a switch or a fault")
_TABLES = re.compile(r"## .*", re.DOTALL)


def count() -> str:
    """Return the sentence that counts the rows."""
    rows = [row for section in SECTIONS for row in section.rows]
    documented = sum(row.verdict == DOCUMENTED for row in rows)
    return f"{len(rows)} rows, {documented} as documented, {len(rows) - documented} by a switch or a fault"


def written(text: str) -> str:
    """Return the page with its tables and its count as the rows say."""
    tables = "\n".join(section.table() for section in SECTIONS)
    return _TABLES.sub(lambda _: tables, _COUNT.sub(count(), text))

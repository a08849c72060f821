"""Write the tables of docs/evidence/conformance.md."""

from tests.sandbox.conformance.page import PAGE, written

PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

"""The template's parameters, so that a figure of a page follows the default that is deployed."""

import re
from pathlib import Path

TEMPLATE = Path(__file__).parents[1] / "template.yaml"


def default(parameter: str) -> int:
    """Return the default of a parameter that is a whole number; raises LookupError where the template has none."""
    return _number(parameter, "Default")


def most(parameter: str) -> int:
    """Return the parameter's MaxValue."""
    return _number(parameter, "MaxValue")


def _number(parameter: str, key: str) -> int:
    text = TEMPLATE.read_text(encoding="utf-8")
    found = re.search(rf"^  {parameter}:\n(?:    .*\n)*?    {key}: ([0-9]+)", text, re.MULTILINE)
    if found is None:
        raise LookupError(f"template.yaml has no parameter {parameter} with {key}")
    return int(found[1])

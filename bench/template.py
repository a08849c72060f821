"""The template's parameters, so that a figure of a page follows the default that is deployed."""

import re
from pathlib import Path

TEMPLATE = Path(__file__).parents[1] / "template.yaml"


def default(parameter: str) -> int:
    """Return the default of a parameter that is a whole number; raises LookupError where the template has none."""
    return _whole(parameter, "Default")


def most(parameter: str) -> int:
    """Return the parameter's MaxValue."""
    return _whole(parameter, "MaxValue")


def setting(resource: str, name: str) -> float:
    """Return a number among a resource's properties; raises LookupError where it has none."""
    number = _number(resource, f"      {name}")
    if number is None:
        raise LookupError(f"template.yaml has no {name} in {resource}")
    return float(number)


def optional_setting(resource: str, name: str) -> float | None:
    """Return a number among a resource's properties; None where it has none."""
    number = _number(resource, f"      {name}")
    return None if number is None else float(number)


def _whole(parameter: str, key: str) -> int:
    number = _number(parameter, f"    {key}")
    if number is None:
        raise LookupError(f"template.yaml has no parameter {parameter} with {key}")
    return int(number)


def _number(owner: str, key: str) -> str | None:
    """Return the digits behind a key, which stands as deep as its blanks say; None where it is not there."""
    text = TEMPLATE.read_text(encoding="utf-8")
    match = re.search(rf"^  {owner}:\n(?:    .*\n)*?{key}: ([0-9.]+)", text, re.MULTILINE)
    return match[1] if match else None

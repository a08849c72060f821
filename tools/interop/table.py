"""The results as one table, and what differs from what is expected. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sandbox.wechat_pay.keys import Mode
from tools.interop.course import CERTIFICATES, END, STEPS, Run
from tools.interop.notifications import FORGERIES, REPLAY

MODES: Mapping[Mode, str] = {"public_key": "public key", "certificate": "certificates"}
REFUSALS = frozenset({*FORGERIES, REPLAY, "tampered answer"})  # steps that end well by a refusal
NOT_APPLICABLE = "-"

OTHERS: Mapping[tuple[str, str], tuple[str, str]] = {
    ("wechatpayv3", REPLAY): ("accepted", "it has no check of a notification's time"),
    ("wechatpay-axios-plugin", REPLAY): ("accepted", "it leaves the check of a notification's time to its caller"),
    ("wechatpay-node-v3", REPLAY): ("accepted", "it has no check of a notification's time"),
    ("wechatpay-node-v3", "tampered answer"): ("accepted", "it does not verify answers"),
}
"""What other clients do differently, by client and step: their result, and why. A result of their own is reported."""

DOWNLOADS: Mapping[str, tuple[Mode, ...]] = {
    "wechatpay": ("certificate",),
    "wechatpayv3": ("public_key", "certificate"),  # with the public key it does so at the forged serial
    "wechatpay-axios-plugin": (),  # it is given them as files
    "wechatpay-node-v3": ("public_key", "certificate"),
}
"""In which modes a client downloads /v3/certificates."""


@dataclass(frozen=True, slots=True)
class Column:
    """One client in one mode; `reason` says why there is no run."""

    client: str
    version: str
    mode: Mode
    run: Run | None = None
    reason: str = ""


def render(columns: list[Column]) -> str:
    """Return the table: a row for each step, a column for each client and mode."""
    rows = [["", *(column.client for column in columns)], ["", *(column.version for column in columns)]]
    rows += [["", *(MODES[column.mode] for column in columns)]]
    rows += [[step, *(_cell(column, step) for column in columns)] for step in STEPS]
    rows += [["calls", *(str(column.run.calls) if column.run else "" for column in columns)]]
    rows += [["seconds", *(f"{column.run.seconds:.1f}" if column.run else "" for column in columns)]]
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines[:3], "-" * (sum(widths) + 2 * len(widths) - 2), *lines[3:]])


def findings(columns: list[Column]) -> Iterator[str]:
    """Yield a line for each result that is not as expected: it fails the run."""
    for column in columns:
        name = f"{column.client} {column.version}, {MODES[column.mode]}"
        if column.run is None:
            continue
        for step in STEPS:
            result = column.run.results.get(step, NOT_APPLICABLE)
            if result != (expected := expectation(column, step)):
                yield f"FAILED {name}: {step}: {expected} was expected, not {result}"


def remarks(columns: list[Column]) -> Iterator[str]:
    """Yield a line for each client that was skipped, and for each difference of another client that is known."""
    for column in columns:
        if column.run is None:
            yield f"skipped {column.client} {column.version}, {MODES[column.mode]}: {column.reason}"
    present = {column.client for column in columns if column.run}
    for (client, step), (result, why) in OTHERS.items():
        if client in present:
            yield f"{client}: {step}: {result}: {why}"


def expectation(column: Column, step: str) -> str:
    """Return what a step is expected to end with."""
    if (column.client, step) in OTHERS:
        return OTHERS[column.client, step][0]
    if step in REFUSALS:
        return "refused"
    if step == CERTIFICATES:
        return "ok" if column.mode in DOWNLOADS.get(column.client, ()) else NOT_APPLICABLE
    if step == "our requests" and column.client in {"wechatpay", "wechatpay-node-v3"}:
        return NOT_APPLICABLE  # one signs them, the other has no such function
    return "ok"


def _cell(column: Column, step: str) -> str:
    if column.run is None:
        return "skipped" if step == STEPS[0] else ""
    result = column.run.results.get(step, NOT_APPLICABLE)
    return result if result in {"ok", "accepted", "refused", NOT_APPLICABLE} else "FAILED"


__all__ = ["END", "MODES", "OTHERS", "Column", "expectation", "findings", "remarks", "render"]

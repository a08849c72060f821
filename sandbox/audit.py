"""The auditor: compares what the tills said with WeChat Pay's ledger, the table, the queue and the dead letters.

It shares nothing with the function: it reads raw items and raw messages, and has its own idea of what a status means.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from sandbox.cloud import Cloud, Stack

FINAL = {"SYNCED", "PAID_BY_WECHAT", "NOTHING_DUE"}

_plain = TypeDeserializer().deserialize


@dataclass(frozen=True, slots=True)
class Report:
    """What a till sent: `readable` False for a body that nobody could read. `paid_time` as told."""

    body: str
    mchid: str = ""
    out_order_no: str = ""
    paid_time: str = ""

    @property
    def readable(self) -> bool:
        """Whether it names an order."""
        return bool(self.out_order_no)

    @property
    def key(self) -> str:
        """The order it is about."""
        return f"{self.mchid}#{self.out_order_no}"


@dataclass(slots=True)
class Findings:
    """What was found; every list must be empty but for `open` and `dead`, which must be explained."""

    orders: int = 0
    lost: list[str] = field(default_factory=list)
    wrongly_final: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    untrue: list[str] = field(default_factory=list)
    called_when_final: list[str] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)
    ledger: Counter[tuple[str, str]] = field(default_factory=Counter)
    open: Counter[str] = field(default_factory=Counter)
    dead: Counter[str] = field(default_factory=Counter)

    @property
    def faults(self) -> list[str]:
        """Everything that must not be."""
        return [
            *(f"lost: {key}" for key in self.lost),
            *(f"wrongly final: {key}" for key in self.wrongly_final),
            *(f"final status changed: {key}" for key in self.changed),
            *(f"WeChat Pay was told a time at which nobody paid: {key}" for key in self.untrue),
            *(f"asked about although final: {key}" for key in self.called_when_final),
            *(f"dead without a reason: {key}" for key in self.unexplained),
        ]


class Auditor:
    """Watches the table while things happen, and reckons up afterwards."""

    def __init__(self, cloud: Cloud, stack: Stack) -> None:
        self._cloud = cloud
        self._stack = stack
        self._seen: dict[str, str] = {}  # order → the final status first seen
        self._changed: set[str] = set()

    def items(self) -> dict[str, dict[str, Any]]:
        """Every order's item, as it stands."""
        pages = self._cloud.client("dynamodb").get_paginator("scan")
        found = pages.paginate(TableName=self._stack.outputs["OrdersTableName"], ConsistentRead=True)
        plain = [{name: _plain(value) for name, value in item.items()} for page in found for item in page["Items"]]
        return {item["pk"]: item for item in plain if "out_order_no" in item}

    def look(self) -> dict[str, dict[str, Any]]:
        """Look at the table once more: a final status must still be what it was."""
        items = self.items()
        for key, status in self._seen.items():
            if items.get(key, {}).get("status") != status:
                self._changed.add(key)
        self._seen |= {key: item["status"] for key, item in items.items() if item["status"] in FINAL}
        return items

    def reckon(
        self,
        reports: Iterable[Report],
        orders: Sequence[Mapping[str, Any]],
        calls: Iterable[tuple[str, float]],
        dead: Iterable[str],
        waiting: int,
    ) -> Findings:
        """Compare. `calls`: order and Unix time of each call; `dead`: bodies; `waiting`: messages in the queue."""
        items = self.look()
        known = {f"{order['mchid']}#{order['out_order_no']}": order for order in orders}
        told: dict[str, set[str]] = {}
        poison = set()
        for report in reports:
            if report.readable:
                told.setdefault(report.key, set()).add(report.paid_time)
            else:
                poison.add(report.body)
        findings = Findings(orders=len(told), changed=sorted(self._changed))
        letters = [_key(body) for body in dead]
        self._look_at_letters(findings, zip(letters, dead, strict=True), items, poison)
        for key, times in told.items():
            item, order = items.get(key), known.get(key)
            if item is None and key not in letters and not waiting:
                findings.lost.append(key)
            truth = _truth(order)
            status = item["status"] if item else "-"
            findings.ledger[truth, status] += 1
            if status in FINAL and status != _ENDS.get(truth):
                findings.wrongly_final.append(f"{key} is {status}, WeChat Pay has {truth}")
            if status not in FINAL:
                findings.open[f"{truth}: {status} {item.get('reason', '') if item else ''}"] += 1
            if order and order["paid_type"] == "MCH" and order["paid_time"] not in times:
                findings.untrue.append(key)
        self._look_at_calls(findings, items, calls)
        return findings

    def _look_at_letters(
        self,
        findings: Findings,
        letters: Iterable[tuple[str, str]],
        items: Mapping[str, Mapping[str, Any]],
        poison: set[str],
    ) -> None:
        for key, body in letters:
            if not key:
                findings.dead["unreadable"] += 1
                if body not in poison:
                    findings.unexplained.append(body[:80])
            elif key in items and items[key].get("reason"):
                findings.dead[items[key]["reason"]] += 1
            elif key in items and items[key]["status"] in FINAL:
                findings.dead["settled by another message"] += 1
            else:
                findings.unexplained.append(key)

    def _look_at_calls(
        self, findings: Findings, items: Mapping[str, Mapping[str, Any]], calls: Iterable[tuple[str, float]]
    ) -> None:
        """A call that begins seconds after the item became final was made by somebody who could have known."""
        ends = {key: _settled_at(item) for key, item in items.items() if item["status"] in FINAL}
        for key, at in calls:
            if key in ends and at > ends[key] + 5.0:
                findings.called_when_final.append(key)


_ENDS = {"DONE MCH": "SYNCED", "DONE NEWTON": "PAID_BY_WECHAT", "DONE nothing due": "NOTHING_DUE"}


def _truth(order: Mapping[str, Any] | None) -> str:
    """What WeChat Pay's ledger says of an order, in words."""
    if order is None:
        return "unknown"
    if order["state"] == "DONE":
        return f"DONE {order['paid_type'] or 'nothing due'}"
    return f"{order['state']} {order['state_description'] or ''}".strip()


def _settled_at(item: Mapping[str, Any]) -> float:
    """When the item became final: the first entry of its history with that status; Unix seconds."""
    moments = [entry["at"] for entry in item["history"] if entry["outcome"] == item["status"]]
    return datetime.fromisoformat(moments[0] if moments else item["updated_at"]).timestamp()


def _key(body: str) -> str:
    """The order that a message is about; empty where that cannot be read."""
    try:
        value = json.loads(body)
        payload = value["detail"] if "detail-type" in value else value
        if not isinstance(payload["detail"]["paid_time"], str) or not payload["detail"]["paid_time"].isdigit():
            return ""
        return f"{payload['mchid']}#{payload['out_order_no']}"
    except (ValueError, LookupError, TypeError):
        return ""

"""The auditor: compares what the tills said with WeChat Pay's ledger, the table, the queue and the dead letters.

It shares nothing with the function: it reads raw items and raw messages, and has its own idea of what a status means.
"""

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from sandbox.cloud import Cloud, Stack

FINAL = {"SYNCED", "PAID_BY_WECHAT", "NOTHING_DUE"}
WITH_SUB_MERCHANT = {"partner", "acquiringbank", "oversea"}  # endpoints whose orders' keys contain the sub_mchid
LONGEST = 1000  # characters of a text of the item's own: cleaned and bounded where it entered
UNDER_WAY = 5.0  # seconds that a call may have begun before a verdict that it follows

_BEIJING = timezone(timedelta(hours=8))
_plain = TypeDeserializer().deserialize

type Item = dict[str, Any]


def order_key(mchid: str, out_order_no: str, sub_mchid: str = "") -> str:
    """An order's key in the table, for an endpoint with a sub-merchant where there is one."""
    return f"{mchid}/{sub_mchid}#{out_order_no}" if sub_mchid else f"{mchid}#{out_order_no}"


@dataclass(frozen=True, slots=True)
class Report:
    """What a till sent: without an `out_order_no` for a body that cannot be read. `paid_time` as told.

    `sub_mchid` is the order's where its endpoint has sub-merchants; `by_bus`: EventBridge may carry it.
    """

    body: str
    mchid: str = ""
    out_order_no: str = ""
    paid_time: str = ""
    sub_mchid: str = ""
    by_bus: bool = False

    @property
    def readable(self) -> bool:
        """Whether it names an order."""
        return bool(self.out_order_no)

    @property
    def key(self) -> str:
        """The order it is about."""
        return order_key(self.mchid, self.out_order_no, self.sub_mchid)


@dataclass(slots=True)
class Findings:
    """What was found; every list must be empty but for `open` and `dead`, which must be explained."""

    orders: int = 0
    lost: list[str] = field(default_factory=list)
    wrongly_final: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    untrue: list[str] = field(default_factory=list)
    called_after_verdict: list[str] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)
    unclosed: list[str] = field(default_factory=list)
    overwritten: list[str] = field(default_factory=list)
    unwashed: list[str] = field(default_factory=list)
    ledger: Counter[tuple[str, str]] = field(default_factory=Counter)
    open: Counter[str] = field(default_factory=Counter)
    dead: Counter[str] = field(default_factory=Counter)

    @property
    def counts(self) -> dict[str, int]:
        """How many of each kind that must not be."""
        return {what: len(keys) for what, keys in self._kinds}

    @property
    def faults(self) -> list[str]:
        """Everything that must not be."""
        return [f"{what}: {key}" for what, keys in self._kinds for key in keys]

    @property
    def examples(self) -> list[str]:
        """Up to five of each kind that must not be."""
        return [f"{what}: {key}" for what, keys in self._kinds for key in keys[:5]]

    @property
    def _kinds(self) -> tuple[tuple[str, list[str]], ...]:
        return (
            ("lost", self.lost),
            ("wrongly final", self.wrongly_final),
            ("final status changed", self.changed),
            ("told to WeChat Pay without being true", self.untrue),
            ("called about after the verdict", self.called_after_verdict),
            ("dead without a reason", self.unexplained),
            ("dead, but the item says RETRYING", self.unclosed),
            ("unreadable item overwritten", self.overwritten),
            ("unwashed words", self.unwashed),
        )


class Auditor:
    """Looks at the table while things happen, and compares afterwards."""

    def __init__(self, cloud: Cloud, stack: Stack) -> None:
        self._cloud = cloud
        self._stack = stack
        self._seen: dict[str, str] = {}  # order → the final status first seen
        self._changed: set[str] = set()
        self._planted: dict[str, tuple[Item, float]] = {}  # order → the item that nothing may overwrite, and since when

    def items(self) -> dict[str, Item]:
        """Every order's item, as it stands."""
        pages = self._cloud.client("dynamodb").get_paginator("scan")
        found = pages.paginate(TableName=self._stack.outputs["OrdersTableName"], ConsistentRead=True)
        plain = [{name: _plain(value) for name, value in item.items()} for page in found for item in page["Items"]]
        return {item["pk"]: item for item in plain if "out_order_no" in item}

    def plant(self, item: Item, at: float) -> None:
        """Remember an unreadable item that was put into the table at this Unix time: it must stay as it is.

        `at` 0 stands for before the first message: then its reports must be among the dead letters, or wait.
        """
        self._planted[item["pk"]] = item, at
        self._seen.pop(item["pk"], None)

    def look(self) -> dict[str, Item]:
        """Look at the table once more: a final status must still be what it was."""
        items = self.items()
        for key, status in self._seen.items():
            if key not in self._planted and items.get(key, {}).get("status") != status:
                self._changed.add(key)
        self._seen |= {
            key: item["status"]
            for key, item in items.items()
            if item.get("status") in FINAL and key not in self._planted
        }
        return items

    def compare(
        self,
        reports: Iterable[Report],
        orders: Sequence[Mapping[str, Any]],
        calls: Iterable[tuple[str, float]],
        dead: Iterable[str],
        waiting: int,
    ) -> Findings:
        """Compare. `calls`: order and Unix time of each call; `dead`: bodies; `waiting`: messages in the queue."""
        items = self.look()
        told: dict[str, set[float]] = {}
        poison = set()
        for report in reports:
            if report.readable:
                told.setdefault(report.key, set()).add(_moment(report.paid_time))
            else:
                poison.add(report.body)
        known = dict(_by_key(orders, told))
        findings = Findings(orders=len(told), changed=sorted(self._changed))
        bodies = list(dead)
        letters = ["" if body in poison else _key(body) for body in bodies]
        self._look_at_letters(findings, zip(letters, bodies, strict=True), items, poison)
        for key, times in told.items():
            self._look_at_order(findings, key, items.get(key), known.get(key), times)
            if not waiting and key not in letters and self._swallowed(key, items):
                findings.lost.append(key)
            if not waiting and key in letters and items.get(key, {}).get("status") == "RETRYING":
                findings.unclosed.append(key)
        self._look_at_calls(findings, items, calls)
        self._look_at_planted(findings, items)
        findings.unwashed += [f"{key} {name}" for key, item in items.items() for name in _unwashed(item)]
        return findings

    def _look_at_order(
        self,
        findings: Findings,
        key: str,
        item: Mapping[str, Any] | None,
        order: Mapping[str, Any] | None,
        times: set[float],
    ) -> None:
        truth = _truth(order)
        status = "unreadable" if key in self._planted else item.get("status", "") if item else "-"
        findings.ledger[truth, status] += 1
        if status in FINAL and status != _ENDS.get(truth):
            findings.wrongly_final.append(f"{key} is {status}, WeChat Pay has {truth}")
        if status not in FINAL:
            findings.open[f"{truth}: {status} {item.get('reason', '') if item else ''}".rstrip()] += 1
        if order and order["paid_type"] == "MCH" and _moment(order["paid_time"]) not in times:
            findings.untrue.append(key)

    def _swallowed(self, key: str, items: Mapping[str, Item]) -> bool:
        """Whether nothing tells of a report that has left the queue; an unreadable item alone tells nothing of it."""
        if key not in self._planted:
            return key not in items
        return self._planted[key][1] <= 0.0

    def _look_at_letters(
        self,
        findings: Findings,
        letters: Iterable[tuple[str, str]],
        items: Mapping[str, Mapping[str, Any]],
        poison: set[str],
    ) -> None:
        for key, body in letters:
            if body in poison:
                findings.dead["unreadable"] += 1
            elif not key:
                findings.unexplained.append(body[:80])
            elif key in self._planted:
                findings.dead["unreadable item"] += 1
            elif key in items and items[key].get("reason"):
                findings.dead[items[key]["reason"]] += 1
            elif key in items and items[key].get("status") in FINAL:
                findings.dead["settled by another message"] += 1
            else:
                findings.unexplained.append(key)

    def _look_at_calls(
        self, findings: Findings, items: Mapping[str, Mapping[str, Any]], calls: Iterable[tuple[str, float]]
    ) -> None:
        """A call that begins seconds after the order's verdict was recorded had nothing left to find out.

        A verdict is a final status, the last rejection, or an item that cannot be read.
        """
        ends = {key: _settled_at(item) for key, item in items.items() if item.get("status") in FINAL}
        ends |= {key: _instant(item["updated_at"]) for key, item in items.items() if item.get("status") == "REJECTED"}
        ends |= {key: at for key, (_, at) in self._planted.items()}
        for key, at in calls:
            if key in ends and at > ends[key] + UNDER_WAY:
                findings.called_after_verdict.append(key)

    def _look_at_planted(self, findings: Findings, items: Mapping[str, Item]) -> None:
        findings.overwritten += [key for key, (item, _) in self._planted.items() if items.get(key) != item]


_ENDS = {"DONE MCH": "SYNCED", "DONE NEWTON": "PAID_BY_WECHAT", "DONE nothing due": "NOTHING_DUE"}


def _by_key(orders: Iterable[Mapping[str, Any]], told: Mapping[str, object]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each order of the ledger by the key that a report of it has: the endpoint, not the order, decides on it."""
    for order in orders:
        key = order_key(order["mchid"], order["out_order_no"], order.get("sub_mchid", ""))
        yield (key if key in told else order_key(order["mchid"], order["out_order_no"])), order


def _truth(order: Mapping[str, Any] | None) -> str:
    """What WeChat Pay's ledger says of an order, in words."""
    if order is None:
        return "unknown"
    if order["state"] == "DONE":
        return f"DONE {order['paid_type'] or 'nothing due'}"
    return f"{order['state']} {order['state_description'] or ''}".strip()


def _settled_at(item: Mapping[str, Any]) -> float:
    """When the item became final: the first entry of its history with that status; Unix seconds."""
    moments = [entry["at"] for entry in item.get("history", []) if entry["outcome"] == item["status"]]
    return _instant(moments[0] if moments else item["updated_at"])


def _instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _moment(paid_time: str) -> float:
    """A time of payment as Unix seconds, however it is written: 14 or 8 digits of Beijing time, or RFC 3339."""
    if paid_time.isdigit():
        return datetime.strptime(paid_time.ljust(14, "0"), "%Y%m%d%H%M%S").replace(tzinfo=_BEIJING).timestamp()
    return _instant(paid_time)


def _unwashed(item: Mapping[str, Any]) -> Iterator[str]:
    """The item's own texts that a terminal or a log line would suffer from; `wechat` is kept as it came."""
    own = {name: value for name, value in item.items() if name != "wechat"}
    for name, text in _texts(own):
        if len(text) > LONGEST or any(unicodedata.category(character) in _UNSAFE for character in text):
            yield name


_UNSAFE = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # control, format (bidi), surrogate, line and paragraph separators


def _texts(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    match value:
        case str():
            yield name, value
        case dict():
            for member, inner in value.items():
                yield from _texts(inner, f"{name}.{member}" if name else str(member))
        case list():
            for inner in value:
                yield from _texts(inner, name)


def _key(body: str) -> str:
    """The order that a message is about; empty where that cannot be read."""
    try:
        payload = _payload(json.loads(body))
        if not isinstance(payload["detail"]["paid_time"], str) or not payload["detail"]["paid_time"].isdigit():
            return ""
        sub_mchid = payload.get("sub_mchid", "") if payload.get("endpoint") in WITH_SUB_MERCHANT else ""
        return order_key(payload["mchid"], payload["out_order_no"], sub_mchid)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return ""


def _payload(value: Any) -> Any:  # noqa: ANN401  whatever JSON can hold
    """What the till wrote, out of an SNS envelope and an EventBridge event around it."""
    if value.get("Type") == "Notification":
        value = json.loads(value["Message"])
    return value["detail"] if "detail-type" in value else value

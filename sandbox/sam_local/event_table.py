"""The table of the event files in events/README.md, and what became of a file's orders."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.testbed import EVENTS, Testbed

WECHAT_PAY_DOWN = "ready, WeChat Pay down"  # the state before, of a file that needs an outage
_ROW = re.compile(r"^\| (\S+\.json) \| ([^|]+) \| ([^|]+) \| (\d+) \|$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class EventFile:
    """A row of the table: the file, the order before, the outcomes in the order of the records, and how many stay."""

    name: str
    before: str
    outcomes: tuple[str, ...]
    stays: int

    @property
    def event(self) -> dict[str, Any]:
        """The file's content: the event of one invocation."""
        event: dict[str, Any] = json.loads((EVENTS / self.name).read_text(encoding="utf-8"))
        return event


def event_files() -> list[EventFile]:
    """Return the rows of the table."""
    page = (EVENTS / "README.md").read_text(encoding="utf-8")
    rows = _ROW.findall(page)
    return [EventFile(name, before, tuple(outcome.split(", ")), int(stays)) for name, before, outcome, stays in rows]


def outcomes(testbed: Testbed, event: Mapping[str, Any]) -> tuple[str, ...]:
    """Return status and reason of each record's order as its item has them; `unreadable` where there is none."""
    return tuple(_outcome(testbed, body) for body in _bodies(event))


def _bodies(event: Mapping[str, Any]) -> list[str]:
    if "Records" not in event:
        return [json.dumps(event)]
    return [(record or {}).get("body", "") for record in event["Records"]]


def _outcome(testbed: Testbed, body: str) -> str:
    try:
        value = json.loads(body)
        value = json.loads(value["Message"]) if value.get("Type") == "Notification" else value
        payload = value.get("detail", {}) if "detail-type" in value else value
        merchant = "/".join(filter(None, (payload["mchid"], payload.get("sub_mchid"))))
        order = testbed.order(payload["out_order_no"], merchant)
    except (AttributeError, LookupError, TypeError, ValueError):
        return "unreadable"
    return f"{order.status} {order.reason}".rstrip() if order else "unreadable"

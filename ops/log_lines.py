"""Lines of the function's log about an order or an event, within a time."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ops.output import Progress
from ops.stack import Deployment

MARGIN = timedelta(minutes=15)  # before the first and after the last write of an item: its lines may be older or newer


@dataclass(frozen=True, slots=True)
class Span:
    """A span of time, both ends included."""

    since: datetime
    until: datetime

    @property
    def milliseconds(self) -> tuple[int, int]:
        """Both ends as CloudWatch Logs has them."""
        return int(self.since.timestamp() * 1000), int(self.until.timestamp() * 1000)


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of the function's log: its time, and the fields of its JSON."""

    at: str
    fields: Mapping[str, Any]

    @property
    def words(self) -> str:
        """The fields as `name=value`, without those that each line of the function has."""
        return " ".join(f"{name}={value}" for name, value in self.fields.items() if name not in _EVERY_LINE)


_EVERY_LINE = {
    *("level", "message", "location", "timestamp", "service", "cold_start", "function_name", "function_memory_size"),
    *("function_arn", "function_request_id", "xray_trace_id"),
}


def find(
    deployment: Deployment, span: Span, term: str, matches: Callable[[Mapping[str, Any]], bool]
) -> Iterator[LogLine | Progress]:
    """Yield the lines whose JSON matches, oldest first, and how many lines have been received.

    The log group is read within the span alone. CloudWatch Logs searches for the term, which a line that matches must
    contain.
    """
    since, until = span.milliseconds
    pages = (
        deployment.client("logs")
        .get_paginator("filter_log_events")
        .paginate(logGroupName=group(deployment), startTime=since, endTime=until, filterPattern=_pattern(term))
    )
    received = 0
    for page in pages:
        for event in page["events"]:
            received += 1
            for text in event["message"].splitlines():
                fields = _fields(text)
                if fields is not None and matches(fields):
                    yield LogLine(_time(event["timestamp"]), fields)
        yield Progress("log lines received", received)


def keys_of(fields: Mapping[str, Any]) -> list[str]:
    """Return the keys that the order of a log line may have: with its sub-merchant, and without; empty if none."""
    mchid, sub_mchid, number = (fields.get(name) for name in ("mchid", "sub_mchid", "out_order_no"))
    if not (mchid and number):
        return []
    return [f"{mchid}/{sub_mchid}#{number}"] * bool(sub_mchid) + [f"{mchid}#{number}"]


def group(deployment: Deployment) -> str:
    """Return the name of the function's log group."""
    function = deployment.outputs["OrdersFunctionName"]
    configuration = deployment.client("lambda").get_function_configuration(FunctionName=function)
    return str(configuration.get("LoggingConfig", {}).get("LogGroup") or f"/aws/lambda/{function}")


def _pattern(term: str) -> str:
    """Return the filter pattern for a term: its longest ASCII part, quoted; the log may escape other characters."""
    part = max(re.findall(r"[ !#-\[\]-~]+", term), key=len, default="")
    return f'"{part}"' if part else ""


def _fields(text: str) -> Mapping[str, Any] | None:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

"""The journal's entries about events on a bus, and what PutEvents refuses."""

import json
from contextvars import ContextVar
from typing import Any

from sandbox.aws_front.hooks import Around, MiniStackRecord, around, service
from sandbox.aws_front.journal import Journal
from sandbox.aws_front.queues import by

REQUIRED = ("Source", "DetailType", "Detail")

_matching: ContextVar[list[str] | None] = ContextVar("matching", default=None)
"""Where the names of the rules go while an event is only matched, not delivered."""


def objection(entry: MiniStackRecord) -> tuple[str, str] | None:
    """Return the code and text with which EventBridge refuses an entry; None where it does not.

    https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsRequestEntry.html
    """
    for name in REQUIRED:
        if not entry.get(name):
            return "InvalidArgument", f"Parameter {name} is not valid. Reason: {name} is a required argument."
    try:
        json.loads(entry["Detail"])
    except (ValueError, TypeError, RecursionError):
        return "MalformedDetail", "Detail is malformed."
    return None


class EventEntries:
    """Hooks that write each event with the rules that matched it, by MiniStack's own matcher."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def install(self) -> None:
        """Put the hooks around MiniStack's functions."""
        around("eventbridge", "_put_events", "data allow_aws_source", self._put)
        around("eventbridge", "_dispatch_event", "event view", self._dispatch)
        around("eventbridge", "_invoke_target", "target event rule view", self._invoke)

    def _put(self, original: Around, data: MiniStackRecord, **options: bool) -> object:
        """Refuse what EventBridge refuses, hand the rest to MiniStack, and answer in the order of the request."""
        entries = data.get("Entries", [])
        objections = [objection(entry) for entry in entries]
        good = [entry for entry, why in zip(entries, objections, strict=True) if why is None]
        status, headers, body = original({**data, "Entries": good}, **options)
        if status != 200:
            return status, headers, body
        results = iter(json.loads(body)["Entries"])
        answers = [next(results) if why is None else _refusal(why) for why in objections]
        for entry, answer in zip(entries, answers, strict=True):
            if "ErrorCode" in answer:
                self._write_refused(entry, f"{answer['ErrorCode']}: {answer['ErrorMessage']}")
        failed = sum("ErrorCode" in answer for answer in answers)
        return status, headers, json.dumps({"FailedEntryCount": failed, "Entries": answers}).encode()

    def _write_refused(self, entry: MiniStackRecord, error: str) -> None:
        bus = str(entry.get("EventBusName", "default")).rpartition("/")[2]
        event = {**entry, "EventBusName": bus, "EventId": ""}
        self._write(event, rules=[], error=error)

    def _dispatch(self, original: Around, event: MiniStackRecord, view: Any = None) -> None:  # noqa: ANN401  MiniStack's
        view = view or service("eventbridge")._pattern_event_view(event)
        rules: list[str] = []
        token = _matching.set(rules)
        try:
            original(event, view)
        finally:
            _matching.reset(token)
        self._write(event, rules=list(dict.fromkeys(rules)), error="")
        original(event, view)

    def _invoke(self, original: Around, target: object, event: object, rule: MiniStackRecord, view: object) -> None:
        rules = _matching.get()
        if rules is not None:
            rules.append(rule["Name"])
            return
        token = by.set(f"rule {rule['Name']}")
        try:
            original(target, event, rule, view)
        finally:
            by.reset(token)

    def _write(self, event: MiniStackRecord, *, rules: list[str], error: str) -> None:
        self._journal.write(
            "event_published",
            bus=event.get("EventBusName", "default"),
            event_id=event["EventId"],
            source=event.get("Source", ""),
            detail_type=event.get("DetailType", ""),
            detail=_detail(event.get("Detail")),
            rules=rules,
            error=error,
        )


def _refusal(why: tuple[str, str]) -> MiniStackRecord:
    code, message = why
    return {"ErrorCode": code, "ErrorMessage": message}


def _detail(text: object) -> object:
    """Return it as the object that it is, or as text where it is not JSON."""
    try:
        return json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError):
        return text

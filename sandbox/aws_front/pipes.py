"""Pipes from a table's stream to an event bus, which MiniStack declares and does not run.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-dynamodb.html: records in order, each filtered,
transformed and published; one that fails is tried again, and holds up those behind it, until it succeeds, or until its
attempts or its age are used up and it is reported to the dead-letter queue.
"""

import json
import re
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from sandbox.aws_front.hooks import Around, MiniStackRecord, around, service, when_loaded
from sandbox.aws_front.pipe_records import at_path, used_up, where
from sandbox.aws_front.queues import by

PAUSE = 1.0  # seconds between two attempts
_PLACEHOLDER = re.compile(r"<([^<>]*)>")
_RESERVED = {"pipe-arn": "Arn", "pipe-name": "Name", "source-arn": "Source", "target-arn": "Target"}


class PublishingError(Exception):
    """The bus did not take an event; the text says why."""


class Pipes:
    """Runs the pipes whose target is an event bus. MiniStack keeps their position in the stream."""

    def __init__(self) -> None:
        self._pipes: Any = service("pipes")
        self._events: Any = service("eventbridge")
        self._parameters: dict[str, MiniStackRecord] = {}  # as declared, by the pipe's name
        self._attempts: Counter[tuple[str, str]] = Counter()  # by pipe and sequence number
        self._again: dict[str, float] = {}  # when a pipe whose record failed tries again, by its name
        self._woken = threading.Event()

    def install(self) -> None:
        """Put the hooks around MiniStack's functions."""
        when_loaded("cloudformation", self._install_in_templates)
        around("pipes", "_create_pipe", "name body", self._create)
        around("pipes", "_deliver_batch", "pipe batch", self._deliver)
        around("pipes", "_poll_loop", "", self._loop)

    def _install_in_templates(self) -> None:
        provisioners = "cloudformation.provisioners"
        around(provisioners, "_pipes_pipe_create", "logical_id props stack_name", self._declare)
        parameters = "physical_id old_props new_props stack_name logical_id"
        around(provisioners, "_pipes_pipe_update", parameters, self._declare_again)

    def wake(self) -> None:
        """Have the pipes read their streams at once."""
        self._woken.set()

    def _loop(self, _: Around) -> None:
        """Run in MiniStack's place: at every record, and again a moment after a failure."""
        while True:
            self._woken.wait(PAUSE)
            self._woken.clear()
            try:
                self._pipes._poll_once()
            except Exception:  # the thread serves every pipe
                self._pipes.logger.exception("the pipes were not run")

    def _declare(self, original: Around, logical_id: str, props: MiniStackRecord, stack_name: str) -> object:
        name, attributes = original(logical_id, props, stack_name)
        self._parameters[name] = props
        return name, attributes

    def _declare_again(
        self,
        original: Around,
        physical_id: str,
        old_props: MiniStackRecord,
        new_props: MiniStackRecord,
        *rest: object,
        **keywords: object,
    ) -> object:
        name, attributes = original(physical_id, old_props, new_props, *rest, **keywords)
        self._parameters[name] = new_props
        return name, attributes

    def _create(self, original: Around, name: str, body: MiniStackRecord) -> object:
        self._parameters[name] = body
        return original(name, body)

    def _deliver(self, original: Around, pipe: MiniStackRecord, batch: list[MiniStackRecord]) -> bool:
        """Publish the records of a batch in order; return whether all are done with.

        Where one has to be tried again, the pipe's position is moved to it.
        """
        if ":events:" not in pipe["Target"]:
            return bool(original(pipe, batch))
        if time.monotonic() < self._again.get(pipe["Name"], 0):  # its pause is not over
            return False
        for number, record in enumerate(batch):
            if not self._is_done(pipe, record):
                self._again[pipe["Name"]] = time.monotonic() + PAUSE
                self._pipes._positions[pipe["Arn"]] += number
                return False
        return True

    def _is_done(self, pipe: MiniStackRecord, record: MiniStackRecord) -> bool:
        """Return whether the record is filtered out, published, or given up."""
        declared = self._parameters.get(pipe["Name"], {})
        source = declared.get("SourceParameters", {})
        if not self._passes(source, record):
            return True
        attempt = (pipe["Name"], record["dynamodb"]["SequenceNumber"])
        stream = source.get("DynamoDBStreamParameters", {})
        try:
            self._publish(pipe, declared.get("TargetParameters", {}), record)
        except PublishingError:
            self._attempts[attempt] += 1
            condition = used_up(stream, self._attempts[attempt], record)
            if not condition:
                return False
            self._report(pipe, stream, record, condition)
        self._attempts.pop(attempt, None)
        return True

    def _passes(self, source: MiniStackRecord, record: MiniStackRecord) -> bool:
        """Return whether the record matches one of the filters, by EventBridge's own patterns."""
        filters = source.get("FilterCriteria", {}).get("Filters", [])
        patterns = [self._events._compiled_pattern(one["Pattern"]) or [] for one in filters]
        matches = any(self._events._matches_detail(record, one) for pattern in patterns for one in pattern)
        return matches or not filters

    def _publish(self, pipe: MiniStackRecord, target: MiniStackRecord, record: MiniStackRecord) -> None:
        bus = pipe["Target"].rpartition("/")[2]
        if bus not in self._events._event_buses:
            raise PublishingError(f"there is no event bus {bus}")
        options = target.get("EventBridgeEventBusParameters", {})
        entry = {
            "EventBusName": bus,
            "Source": at_path(options.get("Source"), record) or f"Pipe {pipe['Name']}",
            "DetailType": at_path(options.get("DetailType"), record) or "Event from aws:dynamodb",
            "Resources": options.get("Resources", []),
            "Detail": self._detail(pipe, target.get("InputTemplate"), record),
        }
        _, _, body = self._events._put_events({"Entries": [entry]})
        [answer] = json.loads(body)["Entries"]
        if "ErrorCode" in answer:
            raise PublishingError(str(answer["ErrorMessage"]))

    def _detail(self, pipe: MiniStackRecord, template: str | None, record: MiniStackRecord) -> str:
        """Return the record, or what the template makes of it; a path without a value gives an empty text."""
        if not template:
            return json.dumps(record)
        values = {f"aws.pipes.{name}": pipe[field] for name, field in _RESERVED.items()}
        values["aws.pipes.event.ingestion-time"] = datetime.now(UTC).isoformat(timespec="seconds")
        values["aws.pipes.event"] = values["aws.pipes.event.json"] = record
        for name in _PLACEHOLDER.findall(template):
            if name.startswith("$"):
                values[name] = at_path(name, record)
        return str(self._events._render_input_template(template, values))

    def _report(self, pipe: MiniStackRecord, stream: MiniStackRecord, record: MiniStackRecord, condition: str) -> None:
        """Send to the dead-letter queue where in the stream the record is, as AWS does: not the record itself."""
        queue = service("sqs")._queue_by_arn(stream.get("DeadLetterConfig", {}).get("Arn", ""))
        if queue is None:
            return
        token = by.set(f"pipe {pipe['Name']}")
        try:
            message = {"MessageBody": json.dumps(where(pipe, record, condition))}
            service("sqs")._act_send_message(message, queue["url"])
        finally:
            by.reset(token)

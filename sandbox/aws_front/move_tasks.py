"""Message move tasks and ListDeadLetterSourceQueues, which MiniStack lacks, by both of SQS's protocols.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html
"""

import contextvars
import json
import re
import threading
from typing import Any

from sandbox.aws_front import move_protocol, refusals
from sandbox.aws_front.hooks import Around, MiniStackRecord, service
from sandbox.aws_front.move_task import ACTIVE, MoveTask, read_handle
from sandbox.aws_front.mover import Mover
from sandbox.aws_front.refusals import MoveRefusal, MoveRefusedError

FASTEST = 500  # messages in a second
MOST_TASKS = 10  # that a list holds
MOST_QUEUES = 1000
_ARN = re.compile(r"arn:[^:]+:sqs:[^:]+:[^:]+:[^:]+")


class MoveTasks:
    """SQS's actions about the redrive of dead letters. `available` is False in a region without move tasks."""

    def __init__(self, lock: threading.RLock) -> None:
        self.available = True
        self._lock = lock
        self._sqs: Any = service("sqs")
        self._tasks: list[MoveTask] = []  # newest first

    def install(self) -> None:
        """Enter the actions into MiniStack's table, and their fields into both directions of the query protocol."""
        actions = {
            "StartMessageMoveTask": self._start,
            "ListMessageMoveTasks": self._list,
            "CancelMessageMoveTask": self._cancel,
        }
        for name, action in actions.items():
            self._sqs._HANDLERS[name] = self._answering(name, action)
        self._sqs._HANDLERS["ListDeadLetterSourceQueues"] = self._list_sources
        move_protocol.install()

    def _answering(self, name: str, action: Around) -> Around:
        def answer(data: MiniStackRecord, _: str) -> MiniStackRecord:
            if not self.available:
                raise self._as_sqs(refusals.not_offered(name))
            try:
                with self._lock:
                    result: MiniStackRecord = action(data)
            except MoveRefusedError as error:
                raise self._as_sqs(error.refusal) from None
            return result

        return answer

    def _as_sqs(self, refusal: MoveRefusal) -> Exception:
        error: Exception = self._sqs._Err(refusal.code, refusal.message, refusal.status)
        return error

    def _start(self, data: MiniStackRecord) -> MiniStackRecord:
        source, rate = self._source(data), _number(data, "MaxNumberOfMessagesPerSecond", FASTEST)
        if not self._sources_of(source):
            raise MoveRefusedError(refusals.NOT_A_DEAD_LETTER_QUEUE)
        destination = self._queue(data, "DestinationArn") if data.get("DestinationArn") else None
        if destination is source:
            raise MoveRefusedError(refusals.SAME_QUEUE)
        if destination and destination["is_fifo"] != source["is_fifo"]:
            raise MoveRefusedError(refusals.OTHER_TYPE)
        if any(task.state in ACTIVE for task in self._tasks_of(source)):
            raise MoveRefusedError(refusals.ALREADY_RUNNING)
        self._sqs._refresh_counts(source)
        to_move = int(source["attributes"]["ApproximateNumberOfMessages"])
        task = MoveTask(_arn(source), _arn(destination) if destination else None, rate, to_move)
        self._tasks.insert(0, task)
        self._run(task, source)
        return {"TaskHandle": task.handle}

    def _run(self, task: MoveTask, source: MiniStackRecord) -> None:
        """Run it in a thread, in the account and region of the request."""
        context, mover = contextvars.copy_context(), Mover(self._lock, source, task.destination)
        threading.Thread(target=context.run, args=(task.run, mover.move_one), daemon=True).start()

    def _list(self, data: MiniStackRecord) -> MiniStackRecord:
        source, most = self._source(data), _number(data, "MaxResults", MOST_TASKS) or 1
        return {"Results": [task.as_result() for task in self._tasks_of(source)[:most]]}

    def _cancel(self, data: MiniStackRecord) -> MiniStackRecord:
        if not (handle := data.get("TaskHandle")):
            raise MoveRefusedError(refusals.missing("TaskHandle"))
        if (names := read_handle(str(handle))) is None:
            raise MoveRefusedError(refusals.WRONG_HANDLE)
        task_id, source = names
        self._queue({"SourceArn": source}, "SourceArn")
        task = next((task for task in self._tasks if task.id == task_id), None)
        if task is None:
            raise MoveRefusedError(refusals.NO_TASK)
        if not task.cancel():
            raise MoveRefusedError(refusals.NOT_RUNNING)
        return {"ApproximateNumberOfMessagesMoved": task.moved}

    def _list_sources(self, data: MiniStackRecord, url: str) -> MiniStackRecord:
        """Answer ListDeadLetterSourceQueues; its result has a small letter, as SQS's own."""
        queue = self._sqs._get_q(data.get("QueueUrl", url))
        urls = [one["url"] for one in self._sources_of(queue)]
        try:
            most = _number(data, "MaxResults", MOST_QUEUES)
            start = int(data.get("NextToken") or 0)
        except MoveRefusedError as error:
            raise self._as_sqs(error.refusal) from None
        except ValueError:
            raise self._sqs._Err("InvalidParameterValue", "Invalid or expired next token.") from None
        end = start + (most or MOST_QUEUES)
        more = {"NextToken": str(end)} if most and end < len(urls) else {}
        return {"queueUrls": urls[start:end], **more}

    def _sources_of(self, dead_letters: MiniStackRecord) -> list[MiniStackRecord]:
        """Return the queues that move their dead letters there."""
        arn = _arn(dead_letters)
        return [queue for queue in self._sqs._queues.values() if _dead_letter_arn(queue) == arn]

    def _tasks_of(self, source: MiniStackRecord) -> list[MoveTask]:
        return [task for task in self._tasks if task.source == _arn(source)]

    def _source(self, data: MiniStackRecord) -> MiniStackRecord:
        return self._queue(data, "SourceArn")

    def _queue(self, data: MiniStackRecord, parameter: str) -> MiniStackRecord:
        if not (arn := data.get(parameter)):
            raise MoveRefusedError(refusals.missing(parameter))
        if not _ARN.fullmatch(str(arn)):
            raise MoveRefusedError(refusals.wrong_arn(parameter))
        queue: MiniStackRecord | None = self._sqs._queue_by_arn(arn)
        if queue is None:
            raise MoveRefusedError(refusals.no_queue(parameter))
        return queue


def _arn(queue: MiniStackRecord) -> str:
    return str(queue["attributes"]["QueueArn"])


def _dead_letter_arn(queue: MiniStackRecord) -> str:
    policy = json.loads(queue["attributes"].get("RedrivePolicy") or "{}")
    return str(policy.get("deadLetterTargetArn", ""))


def _number(data: MiniStackRecord, parameter: str, most: int) -> int | None:
    """Return a number from 1 to `most`, or None where it is not given."""
    value = data.get(parameter)
    if value is None:
        return None
    if not str(value).isdecimal() or not 1 <= int(value) <= most:
        raise MoveRefusedError(refusals.out_of_range(parameter, value, most))
    return int(value)

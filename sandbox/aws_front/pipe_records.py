"""One record of a stream in a pipe: what a path names in it, when it is given up, and where it is."""

import re
import time
from datetime import UTC, datetime
from typing import Any

from sandbox.aws_front.hooks import MiniStackRecord

SHARD = "shardId-00000000000000000000-00000000"  # MiniStack's streams have one


def used_up(stream: MiniStackRecord, attempts: int, record: MiniStackRecord) -> str:
    """Return why the record is given up, in AWS's words; "" while it is to be tried again, without end by default."""
    most, oldest = int(stream.get("MaximumRetryAttempts", -1)), int(stream.get("MaximumRecordAgeInSeconds", -1))
    if 0 <= most < attempts:
        return "RetryAttemptsExhausted"
    if 0 <= oldest < time.time() - record["dynamodb"]["ApproximateCreationDateTime"]:
        return "RecordAgeExceeded"
    return ""


def where(pipe: MiniStackRecord, record: MiniStackRecord, condition: str) -> MiniStackRecord:
    """Return where in the stream the record is, and why it was given up."""
    change = record["dynamodb"]
    written = datetime.fromtimestamp(change["ApproximateCreationDateTime"], UTC).isoformat()
    return {
        "context": {"partnerResourceArn": pipe["Arn"], "condition": condition},
        "version": "1.0",
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "DDBStreamBatchInfo": {
            "shardId": SHARD,
            "startSequenceNumber": change["SequenceNumber"],
            "endSequenceNumber": change["SequenceNumber"],
            "approximateArrivalOfFirstRecord": written,
            "approximateArrivalOfLastRecord": written,
            "batchSize": 1,
            "streamArn": record["eventSourceARN"],
        },
    }


def at_path(path: str | None, record: MiniStackRecord) -> Any:  # noqa: ANN401  any JSON
    """Return what a path such as `$.dynamodb.Keys.pk.S` names, a text as it is, and "" where there is nothing."""
    if not path or not path.startswith("$."):
        return path or ""
    value: Any = record
    for step in re.findall(r"[^.\[\]]+", path[2:]):
        try:
            value = value[int(step)] if isinstance(value, list) else value[step]
        except (LookupError, TypeError, ValueError):
            return ""
    return value

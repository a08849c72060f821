"""Batches of a table's stream: MiniStack's mapping takes one as done whatever its function says of single records.

https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html: Lambda repeats a batch from the
first record that `batchItemFailures` names. Here the whole batch comes again.
"""

import json
from contextvars import ContextVar

from sandbox.aws_front.hooks import Around, MiniStackRecord, around

_is_polling: ContextVar[bool] = ContextVar("is_polling", default=False)
"""Whether it is the mapping that invokes a function."""


class StreamBatches:
    """Hooks that let a batch fail in which a record has failed."""

    def install(self) -> None:
        """Put the hooks around MiniStack's functions."""
        around("lambda_svc", "_poll_dynamodb_streams", "", self._poll)
        around("lambda_svc", "_execute_function", "func event", self._execute)

    def _poll(self, original: Around) -> object:
        token = _is_polling.set(True)
        try:
            return original()
        finally:
            _is_polling.reset(token)

    def _execute(self, original: Around, func: MiniStackRecord, event: object) -> MiniStackRecord:
        result: MiniStackRecord = original(func, event)
        failures = failures_of(result.get("body")) if _is_polling.get() else []
        if result.get("error") or not failures:
            return result
        message = f"{len(failures)} records failed, the batch comes again"
        return {**result, "error": True, "body": {"errorType": "batchItemFailures", "errorMessage": message}}


def failures_of(body: object) -> list[object]:
    """Return the failed records in a function's answer."""
    try:
        answer = json.loads(body) if isinstance(body, str | bytes) else body
    except ValueError:
        return []
    failures = answer.get("batchItemFailures") if isinstance(answer, dict) else None
    return failures if isinstance(failures, list) else []

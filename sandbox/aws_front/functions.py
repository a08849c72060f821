"""The journal's entries about invocations of functions."""

import time

from sandbox.aws_front.hooks import Around, MiniStackRecord, around
from sandbox.aws_front.journal import Journal


class FunctionEntries:
    """Hooks that write each invocation when it has ended."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def install(self) -> None:
        """Put the hook around MiniStack's function."""
        parameters = "func config event request_id started"
        around("lambda_svc", "_execute_function_dispatch", parameters, self._invoke)

    def _invoke(
        self,
        original: Around,
        func: MiniStackRecord,
        config: MiniStackRecord,
        event: object,
        request_id: str,
        started: float,
    ) -> MiniStackRecord:
        began = time.monotonic()
        error = "it was not executed"
        try:
            result: MiniStackRecord = original(func, config, event, request_id, started)
            error = _error(result)
        finally:
            self._journal.write(
                "invoked",
                function=config.get("FunctionName", ""),
                request_id=request_id,
                message_ids=_message_ids(event),
                duration_ms=round((time.monotonic() - began) * 1000),
                error=error,
            )
        return result


def _error(result: MiniStackRecord) -> str:
    if not result.get("error"):
        return ""
    body = result.get("body")
    if not isinstance(body, dict):
        return str(body) or "unknown"
    return f"{body.get('errorType', '')}: {body.get('errorMessage', '')}".strip(": ") or "unknown"


def _message_ids(event: object) -> list[str]:
    records = event.get("Records", []) if isinstance(event, dict) else []
    return [str(record["messageId"]) for record in records if isinstance(record, dict) and "messageId" in record]

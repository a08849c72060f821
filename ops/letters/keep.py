"""The file in which deleted letters are kept: one line of JSON for each, readable by its owner only."""

import base64
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from ops.letters.queue import Received
from ops.stack import OpsError


def create(path: Path) -> TextIO:
    """Create a file that its owner alone can read and open it for writing; raise OSError where it exists."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8")


class Keep:
    """A new file for whole messages, on the disk before the messages are deleted; no file is overwritten."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        """Create the file with mode 0600."""
        try:
            self._file = create(self.path)
        except OSError as error:
            raise OpsError(
                f"{self.path}: {error.strerror}: no letter was deleted; give another file with --keep"
            ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file; one without a letter is removed."""
        if self._file is not None:
            self._file.close()
            if self.path.stat().st_size == 0:
                self.path.unlink()

    def write(self, messages: Sequence[Received], reasons: Mapping[str, str]) -> None:
        """Write messages with their reasons, and see them on the disk."""
        if self._file is None:
            raise ValueError("the file is not open")
        for message in messages:
            self._file.write(json.dumps(_document(message, reasons.get(message.message_id, ""))) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def _document(message: Received, reason: str) -> dict[str, Any]:
    return {
        "message_id": message.message_id,
        "sent_at": message.sent_at,
        "reason": reason,
        "body": message.body,
        "system": dict(message.system),
        "attributes": {name: _attribute(value) for name, value in message.attributes.items()},
    }


def _attribute(value: Mapping[str, Any]) -> dict[str, Any]:
    binary = value.get("BinaryValue")
    if binary is None:
        return {"DataType": value.get("DataType"), "StringValue": value.get("StringValue")}
    return {"DataType": value.get("DataType"), "BinaryValue": base64.b64encode(binary).decode()}

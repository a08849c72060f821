"""The front's own requests, below `/__sandbox__/`, before MiniStack sees any."""

import json
from collections.abc import Mapping
from urllib.parse import parse_qs

from sandbox.aws_front.journal import Journal

PREFIX = "/__sandbox__/"

type Answer = tuple[int, object]
"""An HTTP status and what is written as JSON."""


class Control:
    """Answers the front's own requests."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def answer(self, method: str, path: str, query: str) -> Answer:
        """Return the answer; an error names the remedy."""
        if (method, path) == ("GET", f"{PREFIX}journal"):
            return await self._entries(parse_qs(query))
        return 404, {"error": f"there is no {method} {path}: GET {PREFIX}journal?after=0&wait=0"}

    async def _entries(self, query: Mapping[str, list[str]]) -> Answer:
        try:
            number, seconds = int(query.get("after", ["0"])[0]), float(query.get("wait", ["0"])[0])
        except ValueError:
            return 400, {"error": "after is the number of the last entry that you have, wait a number of seconds"}
        if seconds > 0:
            await self._journal.wait(number, seconds)
        return 200, self._journal.after(number)


def as_json(content: object) -> bytes:
    """Return it as JSON; what MiniStack keeps as another type becomes text."""
    return json.dumps(content, default=str).encode()

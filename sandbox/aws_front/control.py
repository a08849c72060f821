"""The front's own requests, below `/__sandbox__/`, before MiniStack sees any."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs

from sandbox.aws_front.journal import Journal
from sandbox.aws_front.move_tasks import MoveTasks
from sandbox.browser_guard import is_json

PREFIX = "/__sandbox__/"
JOURNAL = f"{PREFIX}journal"
MOVE_TASKS = f"{PREFIX}move_tasks"

type Answer = tuple[int, object]
"""An HTTP status and what is written as JSON."""


@dataclass(frozen=True, slots=True)
class FrontRequest:
    """A request to the front itself."""

    method: str
    path: str
    query: str = ""
    content_type: str = ""
    body: bytes = b""


class Control:
    """Answers the front's own requests: the journal, and the switch of the message move tasks."""

    def __init__(self, journal: Journal, tasks: MoveTasks) -> None:
        self._journal = journal
        self._tasks = tasks

    async def answer(self, request: FrontRequest) -> Answer:
        """Return the answer; an error names the remedy."""
        match request.method, request.path:
            case "GET", path if path == JOURNAL:
                return await self._entries(parse_qs(request.query))
            case "GET", path if path == MOVE_TASKS:
                return 200, {"available": self._tasks.available}
            case "POST", path if path == MOVE_TASKS:
                return self._switch(request)
        there = f"GET {JOURNAL}?after=0&wait=0, GET {MOVE_TASKS}, POST {MOVE_TASKS}"
        return 404, {"error": f"there is no {request.method} {request.path}: {there}"}

    async def _entries(self, query: Mapping[str, list[str]]) -> Answer:
        try:
            number, seconds = int(query.get("after", ["0"])[0]), float(query.get("wait", ["0"])[0])
        except ValueError:
            return 400, {"error": "after is the number of the last entry that you have, wait a number of seconds"}
        if seconds > 0:
            await self._journal.wait(number, seconds)
        return 200, self._journal.after(number)

    def _switch(self, request: FrontRequest) -> Answer:
        if not is_json(request.content_type):
            return 415, {"error": "send the header Content-Type: application/json"}
        try:
            content = json.loads(request.body)
        except ValueError:
            content = None
        match content:
            case {"available": bool() as available, **rest} if not rest:
                self._tasks.available = available
                return 200, {"available": available}
        return 400, {"error": 'send {"available": true} or {"available": false}, nothing else'}


def as_json(content: object) -> bytes:
    """Return it as JSON; what MiniStack keeps as another type becomes text."""
    return json.dumps(content, default=str).encode()

"""The front as a whole: hooks installed, and its own requests answered."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from sandbox.aws_front.control import PREFIX, Control, FrontRequest, as_json
from sandbox.aws_front.events import EventEntries
from sandbox.aws_front.functions import FunctionEntries
from sandbox.aws_front.items import ItemEntries
from sandbox.aws_front.journal import Journal
from sandbox.aws_front.move_tasks import MoveTasks
from sandbox.aws_front.queues import QueueEntries, one_lock
from sandbox.aws_front.stream_batches import StreamBatches
from sandbox.aws_front.streams import Streams

# As the ASGI specification has them; hypercorn's own types enumerate the messages.
type AsgiMessage = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[AsgiMessage]]
type Send = Callable[[AsgiMessage], Awaitable[None]]
type AsgiApplication = Callable[[AsgiMessage, Receive, Send], Awaitable[None]]


def install() -> Control:
    """Put the front's hooks around MiniStack's functions; raise HookError where MiniStack is another version."""
    journal, lock = Journal(), one_lock()
    QueueEntries(journal, lock).install()
    EventEntries(journal).install()
    FunctionEntries(journal).install()
    ItemEntries(journal).install()
    Streams(journal).install()
    StreamBatches().install()
    tasks = MoveTasks(lock)
    tasks.install()
    return Control(journal, tasks)


def fronted(application: AsgiApplication, control: Control) -> AsgiApplication:
    """Return the ASGI application with the front's own requests before it."""

    async def serve(scope: AsgiMessage, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await application(scope, receive, send)
            return
        status, content = await control.answer(await _request(scope, receive))
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": as_json(content)})

    return serve


async def _request(scope: AsgiMessage, receive: Receive) -> FrontRequest:
    body, message = b"", await receive()
    while message["type"] == "http.request":
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
        message = await receive()
    content_type = next((value for name, value in scope["headers"] if name.lower() == b"content-type"), b"")
    query = scope["query_string"].decode("latin-1")
    return FrontRequest(scope["method"], scope["path"], query, content_type.decode("latin-1"), body)

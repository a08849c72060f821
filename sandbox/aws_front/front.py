"""The front as a whole: hooks installed, and its own requests answered."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from sandbox.aws_front.control import PREFIX, Control, as_json
from sandbox.aws_front.events import EventEntries
from sandbox.aws_front.functions import FunctionEntries
from sandbox.aws_front.items import ItemEntries
from sandbox.aws_front.journal import Journal
from sandbox.aws_front.queues import QueueEntries

# As the ASGI specification has them; hypercorn's own types enumerate the messages.
type AsgiMessage = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[AsgiMessage]]
type Send = Callable[[AsgiMessage], Awaitable[None]]
type AsgiApplication = Callable[[AsgiMessage, Receive, Send], Awaitable[None]]


def install() -> Control:
    """Put the front's hooks around MiniStack's functions; raise HookError where MiniStack is another version."""
    journal = Journal()
    QueueEntries(journal).install()
    EventEntries(journal).install()
    FunctionEntries(journal).install()
    ItemEntries(journal).install()
    return Control(journal)


def fronted(application: AsgiApplication, control: Control) -> AsgiApplication:
    """Return the ASGI application with the front's own requests before it."""

    async def serve(scope: AsgiMessage, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await application(scope, receive, send)
            return
        status, content = await control.answer(scope["method"], scope["path"], scope["query_string"].decode("latin-1"))
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": as_json(content)})

    return serve

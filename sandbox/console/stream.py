"""The live stream of the console (Server-Sent Events, HTML standard 9.2): which topics have changed, and no more.

The pages fetch what they show through the same gate as everything else. A stream has a heartbeat, ends with the
sandbox, and continues after a broken connection from the browser's Last-Event-ID.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from sandbox.console.bulletin import Bulletin

MOST = 32  # streams at the same time: a browser opens six for one host, and only for tabs that are visible
HEARTBEAT = 15.0  # seconds without a change until a comment shows that the stream lives
COALESCE = 0.2  # seconds in which changes are collected into one message
RETRY = 2000  # milliseconds until a browser connects again


def stream(bulletin: Bulletin, request: Request) -> Response:
    """Answer with the changes since Last-Event-ID, and with each one that follows."""
    if bulletin.readers >= MOST or bulletin.is_closed:
        return PlainTextResponse("too many pages are open: close some tabs of the console\n", 503, {"Retry-After": "5"})
    position = request.headers.get("last-event-id") or request.query_params.get("since", "")
    headers = {"X-Accel-Buffering": "no"}
    return StreamingResponse(changes(bulletin, position), media_type="text/event-stream", headers=headers)


async def changes(bulletin: Bulletin, position: str, heartbeat: float = HEARTBEAT) -> AsyncIterator[str]:
    """Yield messages until the bulletin closes."""
    event = bulletin.subscribe()
    try:
        yield f"retry: {RETRY}\n: connected\n\n"
        while not bulletin.is_closed:
            event.clear()
            position, topics = bulletin.since(position)
            if topics:
                yield f"id: {position}\nevent: changed\ndata: {' '.join(topics)}\n\n"
                await asyncio.sleep(COALESCE)  # what follows at once goes into one message
                continue
            with suppress(TimeoutError):
                await asyncio.wait_for(event.wait(), heartbeat)
                continue
            yield ": heartbeat\n\n"
    finally:
        bulletin.unsubscribe(event)

"""The process of the embedded AWS: MiniStack behind the browser guard and the front, on a socket of its parent's.

`sandbox.cloud` starts it. Its standard input is a pipe that the parent holds open: when the parent ends, in whatever
way, the pipe closes, and this process ends with every function process that it has started.
"""

import asyncio
import os
import resource
import signal
import sys
import tempfile
import threading

from sandbox.aws_front.front import AsgiApplication, AsgiMessage, Receive, Send, fronted, install
from sandbox.browser_guard import Guard

KEEP_ALIVE = 75  # seconds, as MiniStack's own command has it


def guarded(application: AsgiApplication, guard: Guard) -> AsgiApplication:
    """Return the ASGI application behind the guard; its answers allow no page of another origin to read them."""

    async def serve(scope: AsgiMessage, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await application(scope, receive, send)
            return
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        if objection := guard.objection(headers):
            await _refuse(scope, send, objection)
            return
        await application(scope, receive, lambda message: send(_without_permission(message)))

    return serve


async def _refuse(scope: AsgiMessage, send: Send, objection: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": objection})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": f"{objection}\n".encode()})


def _without_permission(message: AsgiMessage) -> AsgiMessage:
    """Remove `Access-Control-Allow-Origin: *` and its like, which MiniStack adds to every answer."""
    if message["type"] != "http.response.start":
        return message
    headers = [pair for pair in message.get("headers", []) if not pair[0].lower().startswith(b"access-control-")]
    return {**message, "headers": headers}


def _end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        """Nothing is ever written; the end of the pipe is the message."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _serve(listener: int, address: str, port: int) -> None:
    from hypercorn.asyncio import serve  # noqa: PLC0415  after the thread that watches the pipe has begun
    from hypercorn.config import Config  # noqa: PLC0415
    from ministack.app import LOG_LEVEL, app  # noqa: PLC0415

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    config = Config()
    config.bind = [f"fd://{listener}"]
    config.keep_alive_timeout = KEEP_ALIVE
    config.loglevel = LOG_LEVEL.upper()
    asyncio.run(serve(guarded(fronted(app, install()), Guard(address, port)), config))


if __name__ == "__main__":
    os.chdir(tempfile.gettempdir())  # started in the repository, so that `-m` finds this package without PYTHONPATH
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _serve(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))

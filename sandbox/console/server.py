"""The console on a port of loopback: uvicorn in a thread of the sandbox's process."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from sandbox.console.app import build
from sandbox.console.desk import Desk
from sandbox.waiting import until

ADDRESS = "127.0.0.1"  # also where the rest listens on a container bridge: a browser of this machine reaches it


@contextmanager
def serving(desk: Desk, listener: socket.socket) -> Iterator[str]:
    """Serve the console on a socket that listens, for the length of the block; yield its address."""
    port = listener.getsockname()[1]
    config = uvicorn.Config(
        build(desk, port),
        lifespan="off",
        ws="none",
        http="h11",
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=2,  # seconds for answers that are on their way
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True, name="console")
    thread.start()
    try:
        until(lambda: server.started or not thread.is_alive(), state="the console listens")
        yield f"http://{ADDRESS}:{port}/"
    finally:
        desk.board.close()
        server.should_exit = True
        thread.join()

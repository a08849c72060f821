"""The container engine that the SAM CLI will use, asked over its socket."""

import http.client
import json
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sandbox.addresses import admissible
from sandbox.errors import PlaceError, SandboxError

# Docker, Docker Desktop for a user alone, Finch on Linux and on a Mac
SOCKETS = (
    "/var/run/docker.sock",
    "~/.docker/run/docker.sock",
    "~/.docker/desktop/docker.sock",
    "/run/finch.sock",
    "/Applications/Finch/lima/data/finch/sock/finch.sock",
)
ANSWER = 10.0  # seconds that an engine may take


class NoEngineError(SandboxError):
    """There is no container engine; the text says where it was looked for and what to do."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A running container engine, by the value that DOCKER_HOST has for it."""

    host: str

    @classmethod
    def find(cls, environment: Mapping[str, str] = os.environ, sockets: tuple[str, ...] = SOCKETS) -> "Engine":
        """Return the engine of DOCKER_HOST, or the first that answers at a usual place; raise NoEngineError."""
        choice = environment.get("DOCKER_HOST")
        hosts = [choice] if choice else [f"unix://{Path(path).expanduser()}" for path in sockets]
        for host in hosts:
            with suppress(OSError, http.client.HTTPException):
                if _ask(host, "/_ping")[0] == 200:
                    return cls(host)
        where = choice or "the sockets of Docker and Finch"
        raise NoEngineError(
            f"sam local needs a container engine, and none answers at {where}: start Docker Desktop, Docker or Finch, "
            "or set DOCKER_HOST"
        )

    def address(self) -> str:
        """Return where the sandbox listens for containers: the engine's bridge, or loopback where it is not ours.

        Docker Desktop and Finch run containers in a machine of their own, which reaches this one's loopback.
        """
        with suppress(OSError, http.client.HTTPException, PlaceError, ValueError, LookupError, TypeError):
            _, body = _ask(self.host, "/networks/bridge")
            return admissible(json.loads(body)["IPAM"]["Config"][0]["Gateway"])
        return "127.0.0.1"


class _SocketConnection(http.client.HTTPConnection):
    """HTTP over a socket in the file system."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=ANSWER)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(ANSWER)
        self.sock.connect(self._path)


def _ask(host: str, path: str) -> tuple[int, bytes]:
    parts = urlsplit(host)
    connection = (
        _SocketConnection(parts.path)
        if parts.scheme == "unix"
        else http.client.HTTPConnection(parts.hostname or "", parts.port or 2375, timeout=ANSWER)
    )
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()

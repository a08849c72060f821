"""Which stack a command means, and where it is: in the AWS of the environment, or in a sandbox that runs here."""

import json
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ops.stack import OpsError

STACK = "wechat-payscore-sync"  # as samconfig.toml names it
FOLDER = Path(__file__).parents[1] / ".sandbox"
FILE = "ops.json"


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A sandbox as it wrote itself down: its stack, its AWS, and the process that keeps it up."""

    stack: str
    region: str
    endpoint_url: str
    access_key_id: str  # any are accepted there
    secret_access_key: str
    pid: int

    def write(self, folder: Path) -> None:
        """Write it where `running` finds it: in `.sandbox`, or in a folder of that one."""
        (folder / FILE).write_text(json.dumps(asdict(self), indent=2), encoding="utf-8")

    def is_running(self) -> bool:
        """Return whether its process lives and its AWS accepts a connection; a file that was left behind is neither."""
        url = urlsplit(self.endpoint_url)
        try:
            os.kill(self.pid, 0)
            socket.create_connection((url.hostname or "", url.port or 80), timeout=1).close()
        except OSError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Address:
    """A stack's name, and where it is; `sandbox` where it is one's. None: as the AWS environment has it."""

    stack: str
    region: str | None = None
    endpoint_url: str | None = None
    sandbox: Sandbox | None = None


def running(folder: Path = FOLDER) -> list[Sandbox]:
    """Return the sandboxes of this repository that run now, the one on the usual ports first."""
    return [sandbox for sandbox in _written(folder) if sandbox.is_running()]


def _written(folder: Path) -> Iterator[Sandbox]:
    for file in (folder / FILE, *sorted(folder.glob(f"*/{FILE}"))):
        with suppress(OSError, ValueError, TypeError):  # absent, cut off, or written by another version
            yield Sandbox(**json.loads(file.read_text(encoding="utf-8")))


def choose(
    stack: str | None,
    region: str | None,
    endpoint_url: str | None,
    *,
    environment: Mapping[str, str],
    sandboxes: Sequence[Sandbox],
) -> Address:
    """Return the address that a command line means; each argument is None where it is not given.

    A running sandbox is meant where its endpoint is named, or where no endpoint and region is named and no stack but
    its own. `environment` may name the stack (`STACK`) and the endpoint (`AWS_ENDPOINT_URL`) instead of an option.
    Raises OpsError where several sandboxes may be meant.
    """
    stack = stack or environment.get("STACK")
    endpoint = endpoint_url or environment.get("AWS_ENDPOINT_URL")
    if endpoint:
        meant = [sandbox for sandbox in sandboxes if _same(sandbox.endpoint_url, endpoint)]
    else:
        meant = [sandbox for sandbox in sandboxes if region is None and stack in {None, sandbox.stack}]
    if not meant:
        return Address(stack or STACK, region, endpoint_url)
    if len(meant) > 1:
        endpoints = ", ".join(sandbox.endpoint_url for sandbox in meant)
        raise OpsError(f"several sandboxes run: name one with --endpoint-url, of {endpoints}")
    [sandbox] = meant
    return Address(stack or sandbox.stack, region or sandbox.region, sandbox.endpoint_url, sandbox)


def _same(left: str, right: str) -> bool:
    def plain(url: str) -> str:
        return url.rstrip("/").replace("//localhost:", "//127.0.0.1:")

    return plain(left) == plain(right)

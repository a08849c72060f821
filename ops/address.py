"""Choose the stack of a command and its location: AWS as the environment has it, or a sandbox on this machine."""

import json
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ops.installation import HERE
from ops.stack import OpsError, UsageError

STACK = "wechat-payscore-sync"  # as samconfig.toml names it
FOLDER = HERE.state
FILE = "ops.json"


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A sandbox as `make sandbox` records it: its stack, its AWS endpoint, and its process."""

    stack: str
    region: str
    endpoint_url: str
    access_key_id: str  # the sandbox accepts any
    secret_access_key: str
    pid: int
    control_url: str = ""  # where shops, customers and WeChat Pay are acted for; of a file by an earlier version empty

    def write(self, folder: Path) -> None:
        """Write the record where `running` reads it: in `.sandbox`, or in a subfolder."""
        (folder / FILE).write_text(json.dumps(asdict(self), indent=2), encoding="utf-8")

    def is_running(self) -> bool:
        """Return whether its process exists and its AWS accepts a connection. The file may be older than both."""
        url = urlsplit(self.endpoint_url)
        try:
            os.kill(self.pid, 0)
            socket.create_connection((url.hostname or "", url.port or 80), timeout=1).close()
        except OSError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Address:
    """The name and the location of a stack; None means as in the AWS environment. `sandbox` is set for a sandbox's."""

    stack: str
    region: str | None = None
    endpoint_url: str | None = None
    sandbox: Sandbox | None = None


def running(folder: Path = FOLDER) -> list[Sandbox]:
    """Return the running sandboxes of this repository, the one on the default ports first."""
    return [sandbox for sandbox in _records(folder) if sandbox.is_running()]


def _records(folder: Path) -> Iterator[Sandbox]:
    for file in (folder / FILE, *sorted(folder.glob(f"*/{FILE}"))):
        with suppress(OSError, ValueError, TypeError):  # absent, truncated, or from another version
            yield Sandbox(**json.loads(file.read_text(encoding="utf-8")))


def choose(
    stack: str | None,
    region: str | None,
    endpoint_url: str | None,
    *,
    environment: Mapping[str, str],
    sandboxes: Sequence[Sandbox],
    profile: str | None = None,
    require_sandbox: bool = False,
) -> Address:
    """Return the address for a command line; an argument is None if its option is not given.

    A running sandbox is chosen if its endpoint is given, or if neither an endpoint, a region nor a profile is given and
    the stack is its own or not given. `environment` may give the stack (`STACK`) and the endpoint (`AWS_ENDPOINT_URL`)
    instead of an option. Raises OpsError if several sandboxes match, and, where a sandbox is required, if none does.
    """
    if require_sandbox and profile:
        raise UsageError("--sandbox and --profile exclude each other: the sandbox has credentials of its own")
    stack = stack or environment.get("STACK")
    endpoint = endpoint_url or environment.get("AWS_ENDPOINT_URL")
    if endpoint:
        matches = [sandbox for sandbox in sandboxes if _is_same(sandbox.endpoint_url, endpoint)]
    else:
        matches = [sandbox for sandbox in sandboxes if require_sandbox or (region is None and profile is None)]
        matches = [sandbox for sandbox in matches if stack in {None, sandbox.stack}]
    if not matches and require_sandbox:
        words = ", ".join(f"{sandbox.stack} on {sandbox.endpoint_url}" for sandbox in sandboxes)
        raise OpsError(
            f"the sandbox that runs is {words}" if words else f"no sandbox runs: start it with `{HERE.start}`"
        )
    if not matches:
        return Address(stack or STACK, region, endpoint_url)
    if len(matches) > 1:
        endpoints = ", ".join(sandbox.endpoint_url for sandbox in matches)
        raise OpsError(f"several sandboxes run: choose one with --endpoint-url: {endpoints}")
    [sandbox] = matches
    return Address(stack or sandbox.stack, region or sandbox.region, sandbox.endpoint_url, sandbox)


def _is_same(one: str, other: str) -> bool:
    def plain(url: str) -> str:
        return url.rstrip("/").replace("//localhost:", "//127.0.0.1:")

    return plain(one) == plain(other)

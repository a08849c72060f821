"""Where the sandbox may listen, and who is there already. Imports nothing that is slow: it answers before all else."""

import argparse
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address
from pathlib import Path

INTERFACES = Path("/sys/class/net")
CHILD = "aws.json"  # pid of the embedded AWS, and the word on its command line that proves it ours
LAST_PORT = 65_535
PATIENCE = 0.3  # seconds for another program to say what it is


class SandboxError(Exception):
    """The sandbox cannot go on; the text is for its user."""


class PlaceError(SandboxError):
    """The sandbox cannot listen there; says why, and what to do instead."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the sandbox listens: an address of this machine, and ports; 0 takes a free one."""

    address: str = "127.0.0.1"
    aws: int = 0
    wechat_pay: int = 0
    backup: int = 0
    control: int = 0

    @property
    def ports(self) -> dict[str, int]:
        """The ports by what listens there."""
        named = {"the embedded AWS": self.aws, "WeChat Pay's main host": self.wechat_pay}
        return named | {"WeChat Pay's backup host": self.backup, "the control port": self.control}


PLACE = Place(aws=4566, wechat_pay=4510, backup=4511, control=4512)
FOLDER = Path(__file__).parents[1] / ".sandbox"
USAGE = "up [ADDRESS] [--port N] [--wechat-pay-port N]"


def place(arguments: Sequence[str]) -> Place:
    """Read the command line of `up`; raises PlaceError where the sandbox must not or cannot listen there.

    With a port of its own WeChat Pay follows on the next three, so that one number moves the whole sandbox.
    """
    parser = argparse.ArgumentParser(
        usage=f"python -m sandbox {USAGE}", description="Keep the sandbox up until Ctrl-C."
    )
    parser.add_argument("address", nargs="?", default=PLACE.address, help="127.0.0.1, or that of a container bridge")
    parser.add_argument("--port", type=_port, default=PLACE.aws, help="where the embedded AWS listens")
    parser.add_argument("--wechat-pay-port", type=_port, help="the first of WeChat Pay's three ports")
    given = parser.parse_args(arguments)
    own = PLACE.wechat_pay if given.port == PLACE.aws else given.port + 1
    first = given.wechat_pay_port or own
    chosen = Place(admissible(given.address), given.port, first, first + 1, first + 2)
    if len(set(chosen.ports.values())) < len(chosen.ports) or max(chosen.ports.values()) > LAST_PORT:
        raise PlaceError(f"the sandbox needs four ports, not {', '.join(map(str, chosen.ports.values()))}")
    return chosen


def _port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text, re.ASCII) or not 0 < int(text) <= LAST_PORT:
        raise argparse.ArgumentTypeError(f"must be a number from 1 to {LAST_PORT}, not {text!r}")
    return int(text)


def directory_of(place: Place) -> Path:
    """Where a sandbox keeps its files; each set of ports has a folder of its own."""
    return FOLDER if place.ports == PLACE.ports else FOLDER / str(place.aws)


# ---- addresses -------------------------------------------------------------------------------------------------------


def admissible(address: str, interfaces: Path = INTERFACES, address_of: Callable[[str], str] | None = None) -> str:
    """Return the address as the sandbox binds it: loopback, or a container bridge's of this machine.

    Raises PlaceError for every other address, because the sandbox takes any credentials and runs code.
    """
    remedy = "use 127.0.0.1, or the address of a container bridge of this machine, such as Docker's 172.17.0.1"
    try:
        given = ip_address("127.0.0.1" if address == "localhost" else address)
    except ValueError:
        raise PlaceError(f"{address!r} is no address: {remedy}") from None
    if not isinstance(given, IPv4Address):
        raise PlaceError(f"{address} is not IPv4: {remedy}")
    if given.is_loopback:
        return str(given)
    bridges = container_bridges(interfaces)
    if str(given) not in map(address_of or _address_of, bridges):
        raise PlaceError(f"{address} may be reached by others, and the sandbox takes any credentials: {remedy}")
    return str(given)


def container_bridges(interfaces: Path = INTERFACES) -> list[str]:
    """Names of the bridges (Linux) that no network card is part of: only containers of this machine are on them."""
    return [bridge.parent.name for bridge in sorted(interfaces.glob("*/bridge")) if _is_inner(bridge.parent)]


def _is_inner(bridge: Path) -> bool:
    """A network card has a `device`; what stands upon one (VLAN, bond) has a `lower_…`; a container's has neither."""
    members = [bridge.parent / member.name for member in bridge.glob("brif/*")]
    return not any((member / "device").exists() or list(member.glob("lower_*")) for member in members)


def _address_of(interface: str) -> str:
    """The IPv4 address of an interface (netdevice(7), SIOCGIFADDR); empty where it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            answer = fcntl.ioctl(asking.fileno(), 0x8915, struct.pack("256s", interface.encode()[:15]))
        except OSError:
            return ""
    return socket.inet_ntoa(answer[20:24])


# ---- ports -----------------------------------------------------------------------------------------------------------


def listen(address: str, port: int) -> socket.socket:
    """Bind and listen; 0 takes a free port. Raises PlaceError where that cannot be done."""
    try:
        return socket.create_server((address, port), backlog=128)
    except OSError as error:
        raise PlaceError(f"{address}:{port} cannot be listened on: {error.strerror}") from None


def refuse_taken(place: Place) -> None:
    """Raise PlaceError, naming who is there, unless every port of the place is free."""
    for purpose, port in place.ports.items():
        try:
            listen(place.address, port).close()
        except PlaceError as error:
            taken = _taken_by(place.address, port)
            why = f"{place.address}:{port} {taken}" if taken else str(error)
            raise PlaceError(
                f"{why}; {purpose} needs this port. Stop that program, or choose others: "
                f"make sandbox PORT={spare(place.address)}"
            ) from None


def spare(address: str) -> int:
    """The first of four ports that are free now."""
    for first in range(4600, LAST_PORT - 3, 10):
        with suppress(PlaceError), ExitStack() as bound:
            for port in range(first, first + 4):
                bound.enter_context(listen(address, port))
            return first
    raise PlaceError(f"no four ports in a row are free on {address}")


def _taken_by(address: str, port: int) -> str | None:
    program = _program_at(port)
    said = _introduction(address, port)
    if program is None and said is None:
        return None
    return "is taken by " + ", ".join(filter(None, (said, program)))


def _program_at(port: int) -> str | None:
    """Process id and command of who listens at a port, as far as this user may see it."""
    if shutil.which("lsof") and sys.platform == "darwin":
        asked = ["lsof", "-nP", "-t", f"-iTCP:{port}", "-sTCP:LISTEN"]
        found = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.split()
    else:
        found = list(_processes_with(_sockets_at(port)))
    if not found:
        return None
    command = "".join(letter for letter in _command_of(int(found[0])) if letter.isprintable())
    return f"process {found[0]} ({command[:120]})"


def _sockets_at(port: int) -> set[str]:
    """Inodes of the sockets that listen at a port (proc(5), /proc/net/tcp; state 0A is LISTEN)."""
    found = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        with suppress(OSError):
            rows = [line.split() for line in table.read_text().splitlines()[1:]]
            found |= {row[9] for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port}
    return found


def _processes_with(inodes: set[str]) -> Iterator[str]:
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for process in Path("/proc").glob("[0-9]*") if wanted else ():
        with suppress(OSError):
            if any(os.readlink(link) in wanted for link in (process / "fd").iterdir()):  # noqa: PTH115  no Path there
                yield process.name


def _command_of(pid: int) -> str:
    """The command line of a process; empty where there is none."""
    shown = subprocess.run(["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip()


def _introduction(address: str, port: int) -> str | None:
    """What a listener says of itself over HTTP; None where it says nothing within a moment."""
    said, end = b"", time.monotonic() + PATIENCE
    with suppress(OSError), socket.create_connection((address, port), timeout=PATIENCE) as connection:
        connection.sendall(f"GET /_localstack/health HTTP/1.1\r\nHost: {address}:{port}\r\n\r\n".encode())
        while (left := end - time.monotonic()) > 0 and len(said) < 65_536 and b'"version"' not in said:
            connection.settimeout(left)
            part = connection.recv(65_536)
            if not part:
                break
            said += part
    if not said.startswith(b"HTTP/"):
        return None
    if b'"services"' in said:
        version = re.search(rb'"version": ?"([\w.-]{1,40})"', said)
        return f"a LocalStack {version[1].decode() if version else ''}".strip()
    server = re.search(rb"\r\nserver: ?([ -~]{1,60})", said, re.IGNORECASE)
    return f"an HTTP server ({server[1].decode()})" if server else "an HTTP server"


# ---- one sandbox a folder --------------------------------------------------------------------------------------------


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Hold the folder for the length of the block, and end what a run that was killed has left of its embedded AWS.

    Raises PlaceError where another sandbox holds it. The kernel lets go of the lock however its holder ends.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            raise PlaceError(
                f"this sandbox runs already (process {lock.read().strip() or 'unknown'}): end it there with Ctrl-C, or "
                f"start another beside it: make sandbox PORT={spare(PLACE.address)}"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        end_left_over(directory)
        yield


def remember_child(directory: Path, pid: int, run: str) -> None:
    """Note the embedded AWS of this folder."""
    (directory / CHILD).write_text(json.dumps({"pid": pid, "run": run}))


def forget_child(directory: Path) -> None:
    """Take the note away: it has ended."""
    (directory / CHILD).unlink(missing_ok=True)


def end_left_over(directory: Path) -> None:
    """End the embedded AWS that an earlier run in this folder has left, and only that: its command line proves it."""
    try:
        noted = json.loads((directory / CHILD).read_text())
        pid, run = int(noted["pid"]), str(noted["run"])
    except (OSError, ValueError, TypeError, LookupError):
        return
    if pid > 1 and len(run) >= 16 and run in _command_of(pid).split():
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        end = time.monotonic() + 10  # after SIGKILL the kernel needs a moment
        while run in _command_of(pid).split() and time.monotonic() < end:  # until it is gone
            time.sleep(0.02)  # a process is polled
    forget_child(directory)

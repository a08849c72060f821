"""Which program listens at a port: by its process, and by what it answers over HTTP. Imports nothing that is slow."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

PATIENCE = 0.3  # seconds for another program to identify itself


def describe_listener(address: str, port: int) -> str | None:
    """Return what listens at a port, in words; None where nothing can be found out."""
    return ", ".join(filter(None, (_introduction(address, port), _program_at(port)))) or None


def command_of(pid: int) -> str:
    """Return the command line of a process; empty where there is none."""
    listing = subprocess.run(
        ["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return listing.stdout.strip()


def _program_at(port: int) -> str | None:
    """Return process id and command of the program that listens at a port, as far as this user may see it."""
    if shutil.which("lsof") and sys.platform == "darwin":
        lsof = ["lsof", "-nP", "-t", f"-iTCP:{port}", "-sTCP:LISTEN"]
        processes = subprocess.run(lsof, capture_output=True, text=True, check=False).stdout.split()
    else:
        processes = list(_processes_with(_sockets_at(port)))
    if not processes:
        return None
    command = "".join(letter for letter in command_of(int(processes[0])) if letter.isprintable())
    return f"process {processes[0]} ({command[:120]})"


def _sockets_at(port: int) -> set[str]:
    """Return the inodes of the sockets that listen at a port (proc(5), /proc/net/tcp; state 0A is LISTEN)."""
    inodes = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        with suppress(OSError):
            rows = [line.split() for line in table.read_text().splitlines()[1:]]
            inodes |= {row[9] for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port}
    return inodes


def _processes_with(inodes: set[str]) -> Iterator[str]:
    sockets = {f"socket:[{inode}]" for inode in inodes}
    for process in Path("/proc").glob("[0-9]*") if sockets else ():
        with suppress(OSError):
            if any(os.readlink(link) in sockets for link in (process / "fd").iterdir()):  # noqa: PTH115  no Path there
                yield process.name


def _introduction(address: str, port: int) -> str | None:
    """Return how a listener identifies itself over HTTP; None where it does not within a moment."""
    answer, end = b"", time.monotonic() + PATIENCE
    with suppress(OSError), socket.create_connection((address, port), timeout=PATIENCE) as connection:
        connection.sendall(f"GET /_localstack/health HTTP/1.1\r\nHost: {address}:{port}\r\n\r\n".encode())
        while (rest := end - time.monotonic()) > 0 and len(answer) < 65_536 and b'"version"' not in answer:
            connection.settimeout(rest)
            part = connection.recv(65_536)
            if not part:
                break
            answer += part
    if not answer.startswith(b"HTTP/"):
        return None
    if b'"services"' in answer:
        version = re.search(rb'"version": ?"([\w.-]{1,40})"', answer)
        return f"a LocalStack {version[1].decode() if version else ''}".strip()
    server = re.search(rb"\r\nserver: ?([ -~]{1,60})", answer, re.IGNORECASE)
    return f"an HTTP server ({server[1].decode()})" if server else "an HTTP server"

"""One execution environment under AWS's own runtime client, on one CPU, measured from outside."""

import json
import os
import queue
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEADLINE = 120.0  # seconds that anything may take here
_NEXT = "/2018-06-01/runtime/invocation/next"


@dataclass(frozen=True, slots=True)
class Invocation:
    """What one batch cost, in milliseconds, and how many of its messages failed."""

    wall: float
    cpu: float
    failures: int


class BrokenError(Exception):
    """The function did not start, or answered with an error; its last words are in the text."""


class Environment:
    """A process that runs a handler. `cold_start` and `cold_start_cpu` are ms from its start until it asks for work."""

    def __init__(self, python: Path, handler: str, variables: Mapping[str, str], cpu: int, log: Path) -> None:
        self._log = log
        self._requests: queue.Queue[float] = queue.Queue()
        self._work: queue.Queue[bytes | None] = queue.Queue()
        self._answers: queue.Queue[tuple[float, str, bytes]] = queue.Queue()
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()
        api = f"127.0.0.1:{self._listener.getsockname()[1]}"
        with log.open("wb") as output:
            started = time.perf_counter()
            self._process = subprocess.Popen(
                ["taskset", "--cpu-list", str(cpu), str(python), "-m", "awslambdaric", handler],
                env={**variables, "AWS_LAMBDA_RUNTIME_API": api, "_HANDLER": handler},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.cold_start = (self._wait_for_next() - started) * 1000
        self.cold_start_cpu = cpu_ms(self._process.pid)

    def invoke(self, messages: Sequence[Mapping[str, Any]]) -> Invocation:
        """Hand over a batch, and wait for its answer and for the question after it."""
        event = json.dumps({"Records": messages}).encode()
        before, started = cpu_ms(self._process.pid), time.perf_counter()
        self._work.put(event)
        answered_at, path, body = self._answers.get(timeout=DEADLINE)
        self._wait_for_next()
        if not path.endswith("/response"):
            raise BrokenError(f"{body.decode()} {self._last_words()}")
        failures = (json.loads(body) or {}).get("batchItemFailures", [])
        return Invocation((answered_at - started) * 1000, cpu_ms(self._process.pid) - before, len(failures))

    @property
    def peak_mb(self) -> float:
        """The most memory that it has held so far, in MB."""
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="utf-8")
        [line] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) / 1024

    @property
    def log_bytes(self) -> int:
        """Bytes of log that the environment has written so far."""
        return self._log.stat().st_size

    def stop(self) -> None:
        """End it."""
        self._work.put(None)
        self._process.kill()
        self._process.wait()
        self._listener.close()

    def _wait_for_next(self) -> float:
        ends = time.monotonic() + DEADLINE
        while self._process.poll() is None and time.monotonic() < ends:
            try:
                return self._requests.get(timeout=0.5)
            except queue.Empty:
                continue
        raise BrokenError(self._last_words())

    def _last_words(self) -> str:
        return self._log.read_text(errors="replace")[-3000:]

    # ---- Lambda's Runtime API: a question for work, then its answer --------------------------------------------------

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection, connection.makefile("rb") as stream:
            while line := stream.readline():
                path = line.split(b" ")[1].decode()
                body = _body(stream)
                now = time.perf_counter()
                if path == _NEXT:
                    self._requests.put(now)
                    if (event := self._work.get()) is None:
                        return
                    connection.sendall(_invocation(event))
                else:
                    connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
                    self._answers.put((now, path, body))


def cpu_ms(pid: int) -> float:
    """Return the CPU time of another process in ms, all its threads, by its Linux clock (clock_getcpuclockid(3))."""
    return time.clock_gettime((~pid << 3) | 2) * 1000


def _body(stream: Any) -> bytes:  # noqa: ANN401  a socket's file
    """What follows a request's first line, after its headers; AWS's client sends answers with a length or chunked."""
    headers = {}
    while (line := stream.readline().strip()) != b"":
        name, _, value = line.partition(b":")
        headers[name.lower()] = value.strip()
    if headers.get(b"transfer-encoding") == b"chunked":
        chunks = []
        while size := int(stream.readline(), 16):
            chunks.append(stream.read(size))
            stream.readline()
        stream.readline()
        return b"".join(chunks)
    content: bytes = stream.read(int(headers.get(b"content-length", b"0")))
    return content


def _invocation(event: bytes) -> bytes:
    deadline = int((time.time() + 60) * 1000)
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        f"Lambda-Runtime-Aws-Request-Id: {os.urandom(8).hex()}\r\nLambda-Runtime-Deadline-Ms: {deadline}\r\n"
        "Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:123456789012:function:bench\r\n"
        f"Content-Length: {len(event)}\r\n\r\n"
    )
    return head.encode() + event

"""`make sam-local`: the engine is found or named, and each file's end is compared with its row."""

import http.server
import json
import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sandbox.sam_local import command
from sandbox.sam_local.command import NO_ENGINE, InvocationError, SamLocal, compare
from sandbox.sam_local.engine import Engine, NoEngineError
from sandbox.sam_local.event_table import event_files
from sandbox.testbed import Testbed


@contextmanager
def an_engine(path: Path, gateway: str = "203.0.113.1") -> Iterator[str]:
    """Answer as a container engine does on a socket; yield the value of DOCKER_HOST for it."""

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            network = {"IPAM": {"Config": [{"Gateway": gateway}]}}
            body = json.dumps(network).encode() if self.path == "/networks/bridge" else b"OK"
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True

        def get_request(self) -> Any:
            connection, _ = super().get_request()
            return connection, ("socket", 0)

    with Server(str(path), Answers) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"unix://{path}"
        server.shutdown()


def test_the_engine_of_docker_host_is_used(tmp_path: Path) -> None:
    """DOCKER_HOST names the engine; without it the usual sockets are tried in turn."""
    with an_engine(tmp_path / "s") as host:
        assert Engine.find({"DOCKER_HOST": host}).host == host
        assert Engine.find({}, (str(tmp_path / "none"), str(tmp_path / "s"))).host == host


def test_the_sandbox_listens_where_containers_reach_it(tmp_path: Path) -> None:
    """A gateway that is no bridge of this machine, as of Docker Desktop, leaves the sandbox on loopback."""
    with an_engine(tmp_path / "s") as host:
        assert Engine(host).address() == "127.0.0.1"
    with an_engine(tmp_path / "t", gateway="127.0.0.2") as host:
        assert Engine(host).address() == "127.0.0.2"


def test_without_an_engine_one_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a container engine the command ends with a status of its own and one line with the remedy."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none")
    assert command.main([]) == NO_ENGINE
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert f"none answers at unix://{tmp_path}/none: start Docker Desktop, Docker or Finch" in line
    assert "exit status 69" in line
    with pytest.raises(NoEngineError, match="the sockets of Docker and Finch"):
        Engine.find({}, ())
    with pytest.raises(NoEngineError):
        Engine.find({"DOCKER_HOST": "tcp://127.0.0.1:9"})


def test_what_differs_from_the_table_is_said(world: Testbed) -> None:
    """A file whose orders, whose remaining messages, or whose answer differ is named with both."""
    file = next(file for file in event_files() if file.name == "unreadable.json")
    answer: dict[str, Any] = {"batchItemFailures": [{}] * file.stays}
    lines: list[str] = []
    assert compare(world, [file], lambda _: answer, lines.append) == 0
    assert lines.pop() == f"✓ unreadable.json: {', '.join(['unreadable'] * 10)} and 10 that stay"
    assert compare(world, [replace(file, outcomes=("SYNCED",))], lambda _: answer, lines.append) == 1
    assert "promised SYNCED and 10 that stay, seen unreadable" in lines.pop()
    assert compare(world, [file], lambda _: {}, lines.append) == 1
    assert lines.pop().endswith("and 0 that stay")

    def fails(_: str) -> Mapping[str, Any]:
        raise InvocationError("no image")

    assert compare(world, [file], fails, lines.append) == 1
    assert lines.pop() == "✗ unreadable.json: no answer: no image"


@pytest.mark.parametrize(
    ("output", "answer"),
    [
        ('START\n{"batchItemFailures": []}', {"batchItemFailures": []}),
        ('{"errorType": "E", "errorMessage": "m"}', None),
        ("nothing", None),
        ("", None),
    ],
)
def test_the_last_line_is_the_answer(
    world: Testbed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, answer: Mapping[str, Any] | None
) -> None:
    """The function's answer is the last line that SAM prints; an error of the function, or no answer, is an error."""
    program = tmp_path / "sam"
    program.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" >&2\ncat <<'END'\n{output}\nEND\n")
    program.chmod(0o755)
    monkeypatch.setattr(command, "SAM", program)
    sam = SamLocal(world, tmp_path / "env.json", ["--skip-pull-image"])
    if answer is not None:
        assert sam.invoke("paid-offline.json") == answer
    else:
        with pytest.raises(InvocationError, match="--skip-pull-image"):
            sam.invoke("paid-offline.json")

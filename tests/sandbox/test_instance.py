"""One sandbox per folder; what an earlier run has left ends, and nothing else does."""

import json
import subprocess
from pathlib import Path

import pytest

from sandbox import instance, ports
from sandbox.cloud import command
from sandbox.errors import PlaceError
from sandbox.place import Place
from sandbox.waiting import until

LIMIT = 120.0  # seconds; a machine may be slow


def left_over(directory: Path, run: str) -> tuple["subprocess.Popen[bytes]", int]:
    """An embedded AWS whose pipe stays open without its parent, as a crash might leave one."""
    with ports.listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        process = subprocess.Popen(
            command(listener.fileno(), "127.0.0.1", port, run),
            pass_fds=[listener.fileno()],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"TMPDIR": str(directory), "SERVICES": "sqs", "SFTP_ENABLED": "0", "IOT_MTLS_ENABLED": "0"},
            start_new_session=True,
        )
    return process, port


def test_what_an_earlier_run_has_left_ends_at_the_next_start(tmp_path: Path) -> None:
    """The next start in a folder ends the embedded AWS that an earlier run has left, and frees its port."""
    process, port = left_over(tmp_path, "0123456789abcdef")
    with process:
        instance.remember_child(tmp_path, process.pid, "0123456789abcdef")
        with pytest.raises(PlaceError):
            ports.refuse_taken(Place(aws=port))
        with instance.alone(tmp_path):
            assert until(process.poll, LIMIT) == -9
            ports.refuse_taken(Place(aws=port))
    assert not (tmp_path / instance.CHILD).exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"run": "of another life 0000"},
        {"run": ""},
        {"run": "sleep"},
        {"pid": -1},
        {"pid": 0},
        {"pid": "x"},
        {"run": None},
    ],
)
def test_a_process_that_is_not_ours_is_left_alone(tmp_path: Path, changes: dict[str, object]) -> None:
    """A process whose command line lacks the run's word is left alone: its id may belong to another program now."""
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as other:
        try:
            (tmp_path / instance.CHILD).write_text(json.dumps({"pid": other.pid, "run": "0123456789abcdef"} | changes))
            instance.end_left_over(tmp_path)
            assert other.poll() is None
        finally:
            other.kill()


def test_a_note_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    """A note that a crash has half written is ignored."""
    for text in ("", "[]", "{", '{"pid": 1}', "null"):
        (tmp_path / instance.CHILD).write_text(text)
        instance.end_left_over(tmp_path)


def test_one_sandbox_a_folder(tmp_path: Path) -> None:
    """A second sandbox in a folder is refused with the first one's process id, until the first ends."""
    with (
        instance.alone(tmp_path),
        pytest.raises(PlaceError, match=r"runs already \(process \d+\)"),
        instance.alone(tmp_path),
    ):
        pass
    with instance.alone(tmp_path):
        pass

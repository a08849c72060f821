"""`make sandbox` as a process: its output, the commands of its page, and that no process of it ever remains."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import boto3
import pytest

from sandbox import ports
from sandbox.cloud import Cloud
from sandbox.errors import PlaceError
from sandbox.instance import CHILD
from sandbox.place import PLACE, Place, directory_of, read_place
from sandbox.testbed import until

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "sandbox/README.md").read_text(encoding="utf-8")
LIMIT = 240.0  # seconds; a machine may be slow
END = "Ended by a signal. Nothing is left running."

# The command of the page's first order is Amazon's CLI, which is no dependency of ours: the same call by boto3.
AWS = f"""#!{sys.executable}
import json, sys
import boto3
option, url, service, command, entries, text = sys.argv[1:]
assert (option, service, command, entries) == ("--endpoint-url", "events", "put-events", "--entries")
print(boto3.client("events", endpoint_url=url).put_events(Entries=json.loads(text)))
"""


class Up:
    """`python -m sandbox up` on ports of its own; `output` is what it has written so far."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.output = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sandbox", "up", f"--port={place.aws}"],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join(LIMIT)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line

    def wait_for(self, text: str) -> None:
        """Wait until it has written this, or has ended."""
        until(lambda: text in self.output or self.process.poll() is not None or None, LIMIT)
        assert text in self.output, self.output

    def child(self) -> int:
        """The process of its embedded AWS."""
        note = directory_of(self.place) / CHILD
        pid = until(lambda: json.loads(note.read_text())["pid"] if note.exists() else None, LIMIT)
        assert pid, self.output
        return int(pid)

    def end(self, number: signal.Signals) -> int:
        """Send the signal, wait for the end, and return the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(LIMIT)
        self._reader.join(LIMIT)
        return code

    def is_gone(self) -> bool:
        """Return whether every port of it is free."""
        try:
            ports.refuse_taken(self.place)
        except PlaceError:
            return False
        return True


@pytest.fixture
def place() -> Iterator[Place]:
    """Four ports that are free now."""
    place = read_place([f"--port={ports.spare('127.0.0.1')}"])
    yield place
    shutil.rmtree(directory_of(place), ignore_errors=True)


def members(group: int) -> list[str]:
    """The processes of a group that run."""
    listing = subprocess.run(["ps", "-A", "-o", "pgid=,stat=,command="], capture_output=True, text=True, check=True)
    rows = [line.split(None, 2) for line in listing.stdout.splitlines()]
    return [row[2] for row in rows if int(row[0]) == group and not row[1].startswith("Z")]


def block(containing: str) -> str:
    """The block of commands of the sandbox's page that has this in it, as it is printed."""
    blocks = re.findall(r"(?:^    .*\n)+", PAGE, re.MULTILINE)
    [match] = [one for one in blocks if containing in one]
    return str(match)


def run(commands: str, place: Place, home: Path) -> str:
    """Run commands as they are printed, on the ports of this place, in a shell without this project's variables."""
    for old, new in zip(PLACE.ports.values(), place.ports.values(), strict=True):
        commands = commands.replace(f"127.0.0.1:{old}", f"127.0.0.1:{new}")
    bare = {"PATH": f"{home}:/usr/local/bin:/usr/bin:/bin", "HOME": str(home)}
    done = subprocess.run(
        ["bash", "-euc", commands], cwd=ROOT, env=bare, capture_output=True, text=True, check=False, timeout=LIMIT
    )
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def test_a_first_order_goes_as_the_page_says(place: Place, tmp_path: Path) -> None:
    """The page's commands work as printed, next to a second sandbox and through an outage, until Ctrl-C."""
    (tmp_path / "aws").write_text(AWS)
    (tmp_path / "aws").chmod(0o755)
    with Up(place) as up:
        up.wait_for("Ctrl-C ends it")
        steps = ("loading the sandbox", "starting WeChat Pay", "starting the embedded AWS", "deploying template.yaml")
        assert [step for step in steps if step not in up.output] == []

        with Up(read_place([f"--port={ports.spare('127.0.0.1')}"])) as other:
            other.wait_for("deploying template.yaml")
            child = other.child()
            other.end(signal.SIGINT)
            assert members(child) == []
        shutil.rmtree(directory_of(other.place))
        assert up.process.poll() is None

        first, look = block("put-events").split("    bin/ops order show", 1)
        run(first, place, tmp_path)
        show = f"bin/ops order show{look.splitlines()[0].partition('#')[0]} || true"  # it is not there at once
        output = until(lambda: text if "SYNCED" in (text := run(show, place, tmp_path)) else None, LIMIT)
        assert output, up.output
        assert "MINE-1" in output

        outage, end = block('"connection_refused"').strip().splitlines()
        run(outage, place, tmp_path)
        ports.refuse_taken(Place(wechat_pay=place.wechat_pay))
        run(end, place, tmp_path)
        with pytest.raises(PlaceError, match="is taken by"):
            ports.refuse_taken(Place(wechat_pay=place.wechat_pay))

        [printed] = re.findall(r"^  bin/ops order list.*\n(?:  .*\n)+", up.output, re.MULTILINE)
        report, show = printed.rsplit("\n", 2)[:2]
        assert "USER_PAYING" in run(report, PLACE, tmp_path)
        assert until(lambda: text if "SYNCED" in (text := run(f"{show} || true", PLACE, tmp_path)) else None)

        again = [sys.executable, "-m", "sandbox", "up", f"--port={place.aws}"]
        second = subprocess.run(again, cwd=ROOT, capture_output=True, text=True, check=False, timeout=LIMIT)
        assert second.returncode == 1
        assert second.stderr.startswith(f"this sandbox runs already (process {up.process.pid})")
        assert len(second.stderr.splitlines()) == 1
        assert second.stdout == ""

        child = up.child()
        assert up.end(signal.SIGINT) == 128 + signal.SIGINT
        assert up.output.rstrip().endswith(END)
        assert "Traceback" not in up.output
        assert members(child) == []
        assert up.is_gone()


@pytest.mark.parametrize(
    ("stage", "number"),
    [
        ("loading the sandbox", signal.SIGINT),
        ("starting the embedded AWS", signal.SIGTERM),
        ("deploying template.yaml", signal.SIGHUP),
    ],
)
def test_a_signal_at_any_moment_ends_everything(place: Place, stage: str, number: signal.Signals) -> None:
    """A signal at any stage ends the sandbox with one line, and leaves no traceback, process or port."""
    with Up(place) as up:
        up.wait_for(stage)
        child = up.child() if stage != "loading the sandbox" else 0
        assert up.end(number) == 128 + number
        assert up.output.rstrip().splitlines()[-1] == END
        assert "Traceback" not in up.output
        assert not child or members(child) == []
        assert up.is_gone()
        assert not (directory_of(place) / CHILD).exists()


def test_kill_9_ends_everything(place: Place) -> None:
    """After `kill -9` of the sandbox the embedded AWS ends too, and its ports are free."""
    with Up(place) as up:
        up.wait_for("deploying template.yaml")
        child = up.child()
        assert up.end(signal.SIGKILL) == -signal.SIGKILL
        assert until(lambda: not members(child) or None, LIMIT), members(child)
        assert until(lambda: up.is_gone() or None, LIMIT)


def test_an_embedded_aws_that_dies_is_reported_in_one_line(place: Place) -> None:
    """An embedded AWS that dies is reported in one line that names its log."""
    with Up(place) as up:
        up.wait_for("deploying template.yaml")
        os.killpg(up.child(), signal.SIGKILL)
        up.wait_for("the embedded AWS has ended meanwhile")
        assert up.process.wait(LIMIT) == 1
        assert "aws.log may say why" in up.output
        assert "Traceback" not in up.output


def test_a_port_of_another_program_ends_the_start_before_it_begins(place: Place) -> None:
    """A port of another program ends the start with one line that names the program, before anything is deployed."""
    with ports.listen("127.0.0.1", place.aws), Up(place) as up:
        assert up.process.wait(LIMIT) == 1
        up.wait_for(f"127.0.0.1:{place.aws} is taken by process {os.getpid()}")
        assert len(up.output.splitlines()) == 1


PARENT = """
import sys
from pathlib import Path
from sandbox.cloud import Cloud
with Cloud.start(Path(sys.argv[1])) as cloud:
    print(cloud.endpoint_url, cloud.pid, flush=True)
    sys.stdin.read()
"""
BUSY = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
def handler(event, context):
    time.sleep(event["seconds"])
"""


def test_functions_that_are_busy_end_with_the_parent_of_the_embedded_aws(tmp_path: Path) -> None:
    """Functions in the middle of an invocation end with the parent of the embedded AWS when it is killed."""
    command = [sys.executable, "-c", PARENT, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        try:
            assert parent.stdout is not None
            url, child = parent.stdout.readline().split()
            _make_busy(url, tmp_path)
            assert until(lambda: len(members(int(child))) > 1 or None, LIMIT), members(int(child))
            parent.kill()
            parent.wait(LIMIT)
            assert until(lambda: not members(int(child)) or None, LIMIT), members(int(child))
        finally:
            parent.kill()


def _make_busy(url: str, directory: Path) -> None:
    """Create a function, and let it run for ten minutes."""
    code = directory / "code"
    code.mkdir()
    (code / "busy.py").write_text(BUSY)
    archive = shutil.make_archive(str(directory / "busy"), "zip", code)
    functions = boto3.Session("x", "x", region_name="us-east-1").client("lambda", endpoint_url=url)
    functions.create_function(
        FunctionName="busy",
        Runtime="python3.13",
        Handler="busy.handler",
        Role="arn:aws:iam::000000000000:role/r",
        Timeout=900,
        Code={"ZipFile": Path(archive).read_bytes()},
    )
    functions.invoke(FunctionName="busy", InvocationType="Event", Payload=b'{"seconds": 600}')


def test_what_answers_on_the_port_is_our_child(tmp_path: Path) -> None:
    """The port is bound before the child starts, so a port that is taken ends the start."""
    with ports.listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(PlaceError, match="cannot be listened on"), Cloud.start(tmp_path, port):
            pass
    assert not (tmp_path / CHILD).exists()

"""Where the sandbox may listen, and whom it finds there."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from sandbox import ports
from sandbox.cloud import ROOT, command
from sandbox.ports import PLACE, Place, PlaceError
from sandbox.world import until

LIMIT = 120.0  # seconds; a machine may be slow


OTHERS = (
    *("0.0.0.0", "255.255.255.255", "224.0.0.1", "8.8.8.8", "100.64.0.1", "169.254.1.1"),  # noqa: S104  it is refused
    *("192.168.1.7", "10.0.0.7", "10.1.2.3", "172.17.0.2"),
    *("::", "::1", "::ffff:127.0.0.1", "fe80::1%eth0"),
    *("0", "127.1", "2130706433", "0177.0.0.1", "example.com", "127.0.0.1; true", "127.0.0.1\n", ""),
)


# ---- addresses -------------------------------------------------------------------------------------------------------


@pytest.fixture
def interfaces(tmp_path: Path) -> Path:
    """As /sys/class/net shows them: bridges of Docker, of a network card and of a VLAN, and the cards."""
    for name in (
        "eth0/device",
        "eth0.7/lower_eth0",
        "veth1",
        "docker0/bridge",
        "docker0/brif/veth1",
        "docker0/lower_veth1",
        "br-2f/bridge",
    ):
        (tmp_path / name).mkdir(parents=True)
    for name in ("lan0/bridge", "lan0/brif/eth0", "vlan0/bridge", "vlan0/brif/eth0.7", "wlan0/device"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


def address_of(interface: str) -> str:
    """What these interfaces are called in the network."""
    return {
        "docker0": "172.17.0.1",
        "br-2f": "172.18.0.1",
        "lan0": "192.168.1.7",
        "vlan0": "10.0.0.7",
        "eth0": "10.1.2.3",
    }.get(interface, "")


@pytest.mark.parametrize(
    ("address", "bound"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("localhost", "127.0.0.1"),
        ("127.0.0.2", "127.0.0.2"),
        ("172.17.0.1", "172.17.0.1"),
        ("172.18.0.1", "172.18.0.1"),
    ],
)
def test_loopback_and_container_bridges_are_admitted(interfaces: Path, address: str, bound: str) -> None:
    """A user-defined bridge of Docker's too."""
    assert ports.admissible(address, interfaces, address_of) == bound


@pytest.mark.parametrize("address", OTHERS)
def test_every_other_address_is_refused_with_the_remedy(interfaces: Path, address: str) -> None:
    """All interfaces, private networks, bridges into the network, other spellings of loopback, and names."""
    with pytest.raises(PlaceError, match=r"use 127\.0\.0\.1, or the address of a container bridge"):
        ports.admissible(address, interfaces, address_of)


def test_a_machine_without_such_interfaces_has_loopback_alone(tmp_path: Path) -> None:
    """As macOS, where Docker Desktop leads containers there."""
    assert ports.container_bridges(tmp_path / "none") == []
    assert ports.admissible("127.0.0.1", tmp_path / "none") == "127.0.0.1"


def test_an_interface_is_asked_for_its_address() -> None:
    """By the kernel's own call on Linux; elsewhere, and where there is no such interface, it has none."""
    assert ports._address_of("lo") == ("127.0.0.1" if sys.platform == "linux" else "")
    assert ports._address_of("no-such-interface") == ""


# ---- the command line ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], PLACE),
        (["127.0.0.1", "--port=4566"], PLACE),
        (["--port", "4600"], Place("127.0.0.1", 4600, 4601, 4602, 4603)),
        (["--port=4600", "--wechat-pay-port=4700"], Place("127.0.0.1", 4600, 4700, 4701, 4702)),
        (["--wechat-pay-port=4700"], Place("127.0.0.1", 4566, 4700, 4701, 4702)),
    ],
)
def test_one_number_moves_the_whole_sandbox(arguments: list[str], expected: Place) -> None:
    """WeChat Pay follows, unless it has a number of its own."""
    assert ports.place(arguments) == expected
    assert (ports.directory_of(expected) == ports.FOLDER) is (expected == PLACE)


@pytest.mark.parametrize(
    "port", ["", "0", "65536", "-1", "4_566", "４５６６", "45 66", "4566;true", "../x", "0x1", "1e3"]
)
def test_a_port_is_digits(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It becomes the name of a folder."""
    with pytest.raises(SystemExit):
        ports.place([f"--port={port}"])
    assert "must be a number from 1 to 65535" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--port=65535"], ["--port=4510", "--wechat-pay-port=4509"]])
def test_four_ports_are_needed(arguments: list[str]) -> None:
    """Below the last one, and none twice."""
    with pytest.raises(PlaceError, match="needs four ports"):
        ports.place(arguments)


# ---- other programs -------------------------------------------------------------------------------------------------


@contextmanager
def stranger(body: bytes, server: str) -> Iterator[tuple[int, list[str]]]:
    """Another program at a port; gives the port, and what it is asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        server_version, sys_version = server, ""

        def _answer(self) -> None:
            asked.append(f"{self.command} {self.path}")
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815  as http.server has it

        def log_message(self, format: str, *args: object) -> None:
            """Silent."""

    listening = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield listening.server_address[1], asked
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()


HEALTH = b'{"services": {"sqs": "available"}, "edition": "community", "version": "4.1.0"}'


@pytest.mark.parametrize(
    ("body", "server", "name"),
    [(HEALTH, "Python", "a LocalStack 4.1.0"), (b"hello", "nginx", "an HTTP server (nginx )")],
)
def test_a_stranger_is_refused_by_name(body: bytes, server: str, name: str) -> None:
    """Whatever of ours would listen there; it is asked one question, and given nothing."""
    with stranger(body, server) as (port, asked):
        for place in (Place(aws=port), Place(wechat_pay=port), Place(backup=port), Place(control=port)):
            with pytest.raises(PlaceError) as refused:
                ports.refuse_taken(place)
            assert f"127.0.0.1:{port} is taken by {name}, process " in str(refused.value)
            assert "Stop that program, or choose others: make sandbox PORT=" in str(refused.value)
            assert "\n" not in str(refused.value)
        assert set(asked) == {"GET /_localstack/health"}


def test_a_silent_stranger_is_named_by_its_process() -> None:
    """It says nothing over HTTP, and takes none of our time for it."""
    with ports.listen("127.0.0.1", 0) as listener, pytest.raises(PlaceError, match=r"is taken by process \d+ \("):
        ports.refuse_taken(Place(aws=listener.getsockname()[1]))


def test_free_ports_are_not_refused() -> None:
    """Nor kept."""
    ports.refuse_taken(Place())


# ---- what a run has left ---------------------------------------------------------------------------------------------


def left_over(directory: Path, run: str) -> tuple["subprocess.Popen[bytes]", int]:
    """An embedded AWS whose pipe stays open without its parent, as a crash might leave one."""
    with ports.listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        process = subprocess.Popen(
            command(listener.fileno(), "127.0.0.1", port, run),
            cwd=ROOT,
            pass_fds=[listener.fileno()],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"TMPDIR": str(directory), "SERVICES": "sqs", "SFTP_ENABLED": "0", "IOT_MTLS_ENABLED": "0"},
            start_new_session=True,
        )
    return process, port


def test_what_an_earlier_run_has_left_ends_at_the_next_start(tmp_path: Path) -> None:
    """Its port is free afterwards."""
    process, port = left_over(tmp_path, "0123456789abcdef")
    with process:
        ports.remember_child(tmp_path, process.pid, "0123456789abcdef")
        with pytest.raises(PlaceError):
            ports.refuse_taken(Place(aws=port))
        with ports.alone(tmp_path):
            assert until(process.poll, LIMIT) == -9
            ports.refuse_taken(Place(aws=port))
    assert not (tmp_path / ports.CHILD).exists()


@pytest.mark.parametrize(
    "noted",
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
def test_a_process_that_is_not_ours_is_left_alone(tmp_path: Path, noted: dict[str, object]) -> None:
    """A process id may have gone to another program meanwhile."""
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as other:
        try:
            (tmp_path / ports.CHILD).write_text(json.dumps({"pid": other.pid, "run": "0123456789abcdef"} | noted))
            ports.end_left_over(tmp_path)
            assert other.poll() is None
        finally:
            other.kill()


def test_a_note_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    """Half written by a crash."""
    for text in ("", "[]", "{", '{"pid": 1}', "null"):
        (tmp_path / ports.CHILD).write_text(text)
        ports.end_left_over(tmp_path)


def test_one_sandbox_a_folder(tmp_path: Path) -> None:
    """The second is told who runs; the lock goes with its holder."""
    with ports.alone(tmp_path), pytest.raises(PlaceError, match=r"runs already \(process \d+\)"), ports.alone(tmp_path):
        pass
    with ports.alone(tmp_path):
        pass

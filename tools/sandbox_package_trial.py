"""Install the sandbox's wheel as its users do: `python -m tools.sandbox_package_trial WHEEL [pip] [uvx] [pipx]`.

Each way begins with an empty HOME and no environment, fetches the dependencies from the package index, starts the
sandbox on ports of its own, triggers an order and waits until it is synced, then ends all of it with Ctrl-C. The trial
prints the seconds of each step. It fails if an order is not synced, or if something is left running.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

from sandbox import ports
from sandbox.errors import PlaceError
from sandbox.place import Place, read_place
from sandbox.waiting import NotReachedError, until

PROGRAM = "wechat-payscore-sandbox"
WAYS = ("pip", "uvx", "pipx")
READY = "Ctrl-C ends it"
INSTALLATION = 900.0  # seconds; the package index may be far away


class TrialError(Exception):
    """The package does not do what it promises; the message has what was seen."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Seconds from the begin of one way to each step, those of the end, and the size of the environment in MB."""

    way: str
    to_installed: float
    to_ready: float
    to_synced: float
    end: float
    megabytes: float  # 0 where it is a cache

    def __str__(self) -> str:
        size = f", environment {self.megabytes:.0f} MB" if self.megabytes else ""
        return (
            f"{self.way:<5} installed after {self.to_installed:.0f} s, sandbox ready after {self.to_ready:.0f} s, "
            f"first order synced after {self.to_synced:.0f} s; everything ended in {self.end:.1f} s{size}"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Try each way; return 1 if one fails."""
    parser = argparse.ArgumentParser(prog="python -m tools.sandbox_package_trial", description=__doc__)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("ways", nargs="*", metavar="WAY", help=f"of {', '.join(WAYS)}; default: all")
    options = parser.parse_args(arguments)
    if unknown := set(options.ways) - set(WAYS):
        parser.error(f"there is no way {', '.join(sorted(unknown))}: it is one of {', '.join(WAYS)}")
    failed = False
    for way in options.ways or WAYS:
        try:
            with tempfile.TemporaryDirectory(prefix="sandbox-package-") as folder:
                print(attempt(way, options.wheel.resolve(), Path(folder)), flush=True)
        except (TrialError, NotReachedError, subprocess.TimeoutExpired) as error:
            print(f"{way:<5} FAILED: {error}", flush=True)
            failed = True
    return 1 if failed else 0


def attempt(way: str, wheel: Path, folder: Path) -> Figures:
    """Try one way in this folder, which is empty."""
    home, log = folder / "home", folder / "log"
    home.mkdir()
    environment = fresh_environment(os.environ, home)
    prepare = {"pip": _with_pip, "uvx": _with_uvx, "pipx": _with_pipx}[way]
    program, begin = prepare(wheel, folder, environment)
    _run([*program, "--version"], environment)
    to_installed = time.monotonic() - begin
    place = read_place([f"--port={ports.spare('127.0.0.1')}"])
    with _sandbox([*program, "--port", str(place.aws)], environment, log) as sandbox:
        to_ready = time.monotonic() - begin
        _require_console(place)
        _sync_an_order(program, environment)
        to_synced = time.monotonic() - begin
        end = _end(sandbox, place, log)
    if processes := _processes_of(home):
        raise TrialError(f"processes are left running: {processes}")
    return Figures(way, to_installed, to_ready, to_synced, end, _megabytes(folder / "environment"))


@contextmanager
def _sandbox(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Start the sandbox in a process group of its own, as a terminal does, and wait until it is ready."""
    with log.open("w") as output:
        sandbox = subprocess.Popen(command, env=environment, stdout=output, stderr=output, start_new_session=True)
    try:
        until(lambda: READY in log.read_text() or sandbox.poll() is not None, state="a sandbox that is ready")
        if sandbox.poll() is not None:
            raise TrialError(f"the sandbox ended by itself: {log.read_text()[-2000:]}")
        yield sandbox
    finally:
        if sandbox.poll() is None:
            os.killpg(sandbox.pid, signal.SIGKILL)
            sandbox.wait()


def _processes_of(home: Path) -> list[str]:
    """Return the command lines of the processes that were started with this HOME."""
    lines = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is another user's
            if f"HOME={home}".encode() in (process / "environ").read_bytes().split(b"\0"):
                lines.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
    return lines


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if not path.is_symlink()) / 1e6


def fresh_environment(environment: Mapping[str, str], home: Path) -> dict[str, str]:
    """Return the environment of a user who has nothing yet; how the package index is reached stays as it is."""
    without = ("AWS_", "XDG_", "PYTHON", "VIRTUAL_ENV", "END_WITH", "STACK", "WECHAT_", "MAKE")
    variables = {name: value for name, value in environment.items() if not name.startswith(without)}
    variables["PATH"] = os.pathsep.join(one for one in variables["PATH"].split(os.pathsep) if "/.venv" not in one)
    return variables | {"HOME": str(home)}


# ---- the ways: each returns how the program is called, and when its user began ---------------------------------------

type Prepared = tuple[list[str], float]


def _with_pip(wheel: Path, folder: Path, environment: Mapping[str, str]) -> Prepared:
    begin = time.monotonic()
    home = _virtual_environment(folder / "environment", environment)
    _run([str(home / "python"), "-m", "pip", "install", "--quiet", str(wheel)], environment)
    return [str(home / PROGRAM)], begin


def _with_uvx(wheel: Path, _: Path, __: Mapping[str, str]) -> Prepared:
    uvx = str(Path(sys.executable).with_name("uvx"))
    return [uvx, "--python", _interpreter(), "--from", str(wheel), PROGRAM], time.monotonic()


def _with_pipx(wheel: Path, folder: Path, environment: Mapping[str, str]) -> Prepared:
    home = _virtual_environment(folder / "pipx", environment)
    _run([str(home / "python"), "-m", "pip", "install", "--quiet", "pipx"], environment)  # as its users have it
    return [str(home / "pipx"), "run", "--spec", str(wheel), PROGRAM], time.monotonic()


def _virtual_environment(folder: Path, environment: Mapping[str, str]) -> Path:
    _run([_interpreter(), "-m", "venv", str(folder)], environment)
    return folder / "bin"


def _interpreter() -> str:
    """Return the Python behind this virtual environment."""
    return str(Path(sys.executable).resolve())


# ---- what its user sees ----------------------------------------------------------------------------------------------


def _require_console(place: Place) -> None:
    url = f"http://{place.address}:{place.console}/"
    with build_opener(ProxyHandler({})).open(url, timeout=60) as answer:
        page = answer.read().decode("utf-8")
    if answer.status != 200 or "<html" not in page:
        raise TrialError(f"the console answers {answer.status}: {page[:200]}")


def _sync_an_order(program: Sequence[str], environment: Mapping[str, str]) -> None:
    """Trigger an order and wait until the timeline ends with what was promised."""
    output = _run([*program, "trigger", "synced"], environment)
    words = next(line.split() for line in output.splitlines() if line.startswith("order "))
    order = words[1:]
    if f"{PROGRAM} timeline {' '.join(order)}" not in output:
        raise TrialError(f"the command for the timeline is not the installed one: {output}")

    def is_synced() -> bool:
        item = _run([*program, "ops", "order", "show", *order, "--json"], environment, check=False)
        return item.startswith("{") and json.loads(item)["status"] == "SYNCED"

    until(is_synced, state=f"{order}: SYNCED")
    if "SYNCED" not in (timeline := _run([*program, "timeline", *order], environment)):
        raise TrialError(f"the timeline does not say SYNCED: {timeline}")


def _end(sandbox: "subprocess.Popen[bytes]", place: Place, log: Path) -> float:
    """Press Ctrl-C, as a terminal does to all of its processes; return the seconds until nothing is left."""
    begin = time.monotonic()
    os.killpg(sandbox.pid, signal.SIGINT)
    sandbox.wait(60)

    def is_free() -> bool:
        try:
            ports.refuse_taken(place)
        except PlaceError:
            return False
        return True

    until(is_free, state="free ports after Ctrl-C")
    if "Traceback" in log.read_text() or "Nothing is left running." not in log.read_text():
        raise TrialError(f"Ctrl-C ended it with {sandbox.returncode}: {log.read_text()[-2000:]}")
    return time.monotonic() - begin


def _run(command: Sequence[str], environment: Mapping[str, str], *, check: bool = True) -> str:
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=INSTALLATION)
    if check and run.returncode:
        name = shutil.which(command[0]) or command[0]
        raise TrialError(f"{Path(name).name} {' '.join(command[1:])} ended with {run.returncode}: {run.stderr[-2000:]}")
    return run.stdout


if __name__ == "__main__":
    sys.exit(main())

"""One sandbox per folder: a lock, and the end of an embedded AWS that an earlier run has left."""

import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ops.installation import HERE
from sandbox.errors import PlaceError
from sandbox.listeners import command_of
from sandbox.place import PLACE
from sandbox.ports import spare

CHILD = "aws.json"  # pid of the embedded AWS, and the word on its command line that proves it ours


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Lock the folder for the length of the block, and end what a run that was killed has left of its embedded AWS.

    Raise PlaceError where another sandbox has the lock, and where the folder cannot be written. The kernel releases the
    lock however that process ends.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        file = (directory / "lock").open("a+")
    except OSError as error:
        remedy = f"name another one with {HERE.state_option}" if HERE.state_option else "change its owner or remove it"
        raise PlaceError(f"{directory} cannot be written ({error.strerror}): {remedy}") from None
    with file as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            raise PlaceError(
                f"this sandbox runs already (process {lock.read().strip() or 'unknown'}): end it there with Ctrl-C, or "
                f"start a second one: {HERE.start_on(spare(PLACE.address))}"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        end_left_over(directory)
        yield


def remember_child(directory: Path, pid: int, run: str) -> None:
    """Write down the embedded AWS of this folder."""
    (directory / CHILD).write_text(json.dumps({"pid": pid, "run": run}))


def forget_child(directory: Path) -> None:
    """Remove the note: the embedded AWS has ended."""
    (directory / CHILD).unlink(missing_ok=True)


def end_left_over(directory: Path) -> None:
    """End the embedded AWS that an earlier run in this folder has left, and only that: its command line proves it."""
    try:
        note = json.loads((directory / CHILD).read_text())
        pid, run = int(note["pid"]), str(note["run"])
    except (OSError, ValueError, TypeError, LookupError):
        return
    if pid > 1 and len(run) >= 16 and run in command_of(pid).split():
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        end = time.monotonic() + 10  # after SIGKILL the kernel needs a moment
        while run in command_of(pid).split() and time.monotonic() < end:  # until it is gone
            time.sleep(0.02)  # a process is polled
    forget_child(directory)

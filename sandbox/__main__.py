"""`python -m sandbox`: `demo` runs the stories once, `up` stays up for a till; `chaos` and `day` run under load.

`trigger`, `event`, `order`, `timeline` and `signature` are for a sandbox that runs: `sandbox/commands`. `credentials`
writes what a client of WeChat Pay needs for it; `faults` lists the faults.
"""

import errno
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches
from importlib import import_module
from types import FrameType

from ops.installation import HERE
from sandbox import client_environment, commands, instance, place, ports
from sandbox.errors import SandboxError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
END_WITH = "END_WITH"  # names the process, make, with which this one ends
GRACE = 2.0  # seconds in which a second Ctrl-C does not disturb the end


class EndedError(KeyboardInterrupt):
    """A signal asked for the end; every context manager on the stack stops what it started."""


class Ending:
    """Turns the first signal into an exception; one that comes long after ends this process, and so its children."""

    def __init__(self) -> None:
        self.signal = 0
        self._since = 0.0

    def watch(self) -> None:
        """Handle the signals; SIGHUP stays ignored where it is ignored, as under nohup."""
        for number in SIGNALS:
            if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._end)

    def watch_over(self, process: int) -> None:
        """End as by SIGTERM once this process has ended."""

        def look() -> None:
            while _is_alive(process):
                time.sleep(0.5)  # a process is polled
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=look, daemon=True).start()

    def _end(self, number: int, _: FrameType | None) -> None:
        if not self.signal:
            self.signal, self._since = number, time.monotonic()
            raise EndedError
        if time.monotonic() > self._since + GRACE:
            os._exit(128 + number)


def main() -> int:
    """Run the command; whatever signal ends it, the embedded AWS ends with it."""
    ending = Ending()
    ending.watch()
    if (process := os.environ.get(END_WITH, "")).isdecimal():
        ending.watch_over(int(process))
    try:
        return run(sys.argv[1:])
    except EndedError:
        if END_WITH not in os.environ:  # otherwise make's shell says so
            _say("\nEnded by a signal. Nothing is left running.")
        return 128 + ending.signal
    except SandboxError as error:
        _say(str(error))
        return 1
    except OSError as error:
        if error.errno not in {errno.EPIPE, errno.EIO}:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader or the terminal has ended
        return 1


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's: alive
        return True
    return True


def run(arguments: Sequence[str]) -> int:
    """Run one command; return the exit code."""
    actions = {"demo": _demo, "up": _up, "chaos": _chaos, "day": _day}
    actions |= {"credentials": _credentials, "faults": _faults}
    name, rest = (arguments[:1] or [""])[0], arguments[1:]
    if name in commands.NAMES:  # their modules import what is slow once the command line is read
        return int(import_module(f"sandbox.commands.{name}").main(rest))
    if name not in actions or (name in {"demo", "faults"} and rest):
        others = " | ".join(f"{one} …" for one in commands.NAMES)
        nearest = get_close_matches(name, [*actions, *commands.NAMES], n=1)
        if nearest and name not in actions:
            _say(f"sandbox: there is no command {name}: do you mean {nearest[0]}?")
        load = " | ".join(f"{one} [--orders N] [--seed N]" for one in ("chaos", "day"))
        sys.exit(
            f"usage: {HERE.sandbox} demo | {place.USAGE} | {load} | {client_environment.USAGE} | faults | {others}"
        )
    return actions[name](rest)


def _demo(_: Sequence[str]) -> int:
    from sandbox import demo  # noqa: PLC0415  takes a second, in which signals are handled already

    return demo.main()


def _chaos(arguments: Sequence[str]) -> int:
    from sandbox.chaos import command  # noqa: PLC0415

    return command.main(arguments)


def _day(arguments: Sequence[str]) -> int:
    from sandbox.day import command  # noqa: PLC0415

    return command.main(arguments)


def _credentials(arguments: Sequence[str]) -> int:
    return client_environment.main(arguments)


def _faults(_: Sequence[str]) -> int:
    from sandbox.wechat_pay import faults  # noqa: PLC0415

    print(faults.table())
    return 0


def _up(arguments: Sequence[str]) -> int:
    chosen_place = place.read_place(arguments)
    directory = place.directory_of(chosen_place)
    with instance.alone(directory):
        ports.refuse_taken(chosen_place)
        print("loading the sandbox", flush=True)
        from sandbox import up  # noqa: PLC0415  only once every port is free

        return up.main(chosen_place, directory)


def _say(text: str) -> None:
    with suppress(OSError):  # the terminal may have ended
        print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

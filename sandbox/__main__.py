"""`python -m sandbox`: `demo` tells the stories once, `up` stays for a till to talk to, `chaos` tries to break it."""

import errno
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType

from sandbox import ports

SIGNS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
END_WITH = "END_WITH"  # names the process, make, with which this one ends
GRACE = 2.0  # seconds in which a second Ctrl-C does not disturb the end


class EndedError(KeyboardInterrupt):
    """A signal asks for the end; everything that was started ends on the way up."""


class Ending:
    """Turns the first signal into an exception. One that comes long after ends this process, and so its children."""

    def __init__(self) -> None:
        self.sign = 0
        self._since = 0.0

    def watch(self) -> None:
        """Take the signals over; SIGHUP stays ignored where it is, as under nohup."""
        for sign in SIGNS:
            if sign is not signal.SIGHUP or signal.getsignal(sign) is not signal.SIG_IGN:
                signal.signal(sign, self._end)

    def watch_over(self, process: int) -> None:
        """End as by SIGTERM once this process is gone."""

        def look() -> None:
            while _is_alive(process):
                time.sleep(0.5)  # a process is polled
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=look, daemon=True).start()

    def _end(self, sign: int, _: FrameType | None) -> None:
        if not self.sign:
            self.sign, self._since = sign, time.monotonic()
            raise EndedError
        if time.monotonic() > self._since + GRACE:
            os._exit(128 + sign)


def main() -> int:
    """Run the command; however it is told to stop, the embedded AWS ends with it."""
    ending = Ending()
    ending.watch()
    if (process := os.environ.get(END_WITH, "")).isdecimal():
        ending.watch_over(int(process))
    try:
        return _run(sys.argv[1:])
    except EndedError:
        if END_WITH not in os.environ:  # where it is, make's shell says so
            _say("\nEnded by a signal. Nothing is left running.")
        return 128 + ending.sign
    except ports.SandboxError as error:
        _say(str(error))
        return 1
    except OSError as error:
        if error.errno not in {errno.EPIPE, errno.EIO}:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader or the terminal is gone
        return 1


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's: alive
        return True
    return True


def _run(arguments: Sequence[str]) -> int:
    commands: dict[str, Callable[[Sequence[str]], int]] = {"demo": _demo, "up": _up, "chaos": _chaos}
    name, rest = (arguments[:1] or [""])[0], arguments[1:]
    if name not in commands or (name == "demo" and rest):
        sys.exit(f"usage: python -m sandbox demo | {ports.USAGE} | chaos [--orders N] [--seed N]")
    return commands[name](rest)


def _demo(_: Sequence[str]) -> int:
    from sandbox import demo  # noqa: PLC0415  takes a second, in which a signal is already ours

    return demo.main()


def _chaos(arguments: Sequence[str]) -> int:
    from sandbox import chaos  # noqa: PLC0415

    return chaos.main(arguments)


def _up(arguments: Sequence[str]) -> int:
    place = ports.place(arguments)
    directory = ports.directory_of(place)
    with ports.alone(directory):
        ports.refuse_taken(place)
        print("loading the sandbox", flush=True)
        from sandbox import up  # noqa: PLC0415  only once it is known that it can listen

        return up.main(place, directory)


def _say(text: str) -> None:
    with suppress(OSError):  # the terminal may be gone
        print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

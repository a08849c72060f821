"""`python -m sandbox`: `demo` tells the stories once, `up` stays for a till to talk to, `chaos` tries to break it."""

import signal
import sys
from collections.abc import Callable

import ops  # noqa: F401  finds the function's and the layer's folders


def main() -> int:
    """Run the command; however it is told to stop, the embedded AWS ends with it."""
    from sandbox import chaos, demo, up  # noqa: PLC0415  after the folders are found

    commands: dict[str, Callable[..., int]] = {"demo": demo.main, "up": up.main, "chaos": _listed(chaos.main)}
    name, rest = (sys.argv[1:2] or [""])[0], sys.argv[2:]
    if name not in commands or len(rest) > {"demo": 0, "up": 1}.get(name, len(rest)):
        sys.exit("usage: python -m sandbox demo | up [ADDRESS] | chaos [--orders N] [--seed N]")
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, signal.default_int_handler)
    try:
        return commands[name](*rest)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _listed(command: Callable[[list[str]], int]) -> Callable[..., int]:
    return lambda *arguments: command(list(arguments))


if __name__ == "__main__":
    sys.exit(main())

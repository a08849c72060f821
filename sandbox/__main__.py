"""`python -m sandbox demo` tells the stories once; `python -m sandbox up` stays for a till to talk to."""

import signal
import sys

import ops  # noqa: F401  finds the function's and the layer's folders


def main() -> int:
    """Run the command; however it is told to stop, the embedded AWS ends with it."""
    from sandbox import demo, up  # noqa: PLC0415  after the folders are found

    commands = {"demo": demo.main, "up": up.main}
    if len(sys.argv) != 2 or sys.argv[1] not in commands:
        sys.exit("usage: python -m sandbox demo | up")
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, signal.default_int_handler)
    try:
        return commands[sys.argv[1]]()
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())

"""`python -m sandbox demo` tells the stories once; `python -m sandbox up` stays for a till to talk to."""

import sys

import ops  # noqa: F401  finds the function's and the layer's folders

if __name__ == "__main__":
    from sandbox import demo, up

    commands = {"demo": demo.main, "up": up.main}
    if len(sys.argv) != 2 or sys.argv[1] not in commands:
        sys.exit("usage: python -m sandbox demo | up")
    sys.exit(commands[sys.argv[1]]())

"""`wechat-payscore-sandbox`: the commands of `python -m sandbox`, `up` without one, and those of `bin/ops` after `ops`.

The folders of the program are on the path of this process alone: its packages have names that others may have too.
"""

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

PROGRAM = Path(__file__).with_name("program")
FOLDERS = tuple(str(PROGRAM / name) for name in ("", "functions", "layers/wechatpay/python"))
STATE = "WECHAT_PAYSCORE_SANDBOX_STATE"
USAGE_ERROR = 2
INTERRUPTED = 130

HELP = f"""\
usage: wechat-payscore-sandbox [--state FOLDER] [COMMAND …]

A simulated WeChat Pay, and the AWS stack that reports paid orders to it, on 127.0.0.1.

  up [ADDRESS] [--port N] [--wechat-pay-port N] [--no-move-tasks] [--keep]
                  keep the sandbox running until Ctrl-C; without a command, this
  demo            run every story once
  trigger, event, order, timeline, signature
                  make something happen in the running sandbox, and see what became of it
  credentials     write a merchant's keys and certificates as files
  faults          list the faults that can be switched on
  day, chaos      run under load
  ops …           the operator's commands: orders, dead letters, events, keys

`wechat-payscore-sandbox COMMAND --help` explains a command.

  --state FOLDER  where sandboxes keep their files; default: ${STATE},
                  otherwise $XDG_STATE_HOME/wechat-payscore-sandbox or ~/.local/state/wechat-payscore-sandbox
  --version       print the version
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status."""
    try:
        return _run(list(sys.argv[1:] if arguments is None else arguments))
    except KeyboardInterrupt:  # before the program handles signals itself
        return INTERRUPTED


def _run(words: list[str]) -> int:
    option, equals, value = (words or [""])[0].partition("=")
    if option == "--state":
        value, words = (value, words[1:]) if equals else ("".join(words[1:2]), words[2:])
        if not value or value.startswith("-"):
            print("sandbox: --state needs a folder; see `wechat-payscore-sandbox --help`", file=sys.stderr)
            return USAGE_ERROR
        os.environ[STATE] = value
    match words[:1]:
        case ["--version"]:
            print(f"wechat-payscore-sandbox {version('wechat-payscore-sandbox')}")
            return 0
        case ["-h" | "--help" | "help"]:
            print(HELP, end="")
            return 0
    sys.path[:0] = FOLDERS
    return _ops(words[1:]) if words[:1] == ["ops"] else _sandbox(words)


def _ops(words: Sequence[str]) -> int:
    from ops.__main__ import main  # noqa: PLC0415  it is on the path now

    return main(words)


def _sandbox(words: Sequence[str]) -> int:
    sys.argv[1:] = words if words and not words[0].startswith("-") else ["up", *words]
    from sandbox.__main__ import main  # noqa: PLC0415  it is on the path now

    return main()


if __name__ == "__main__":
    sys.exit(main())

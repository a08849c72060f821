"""Where a sandbox listens and keeps its files: the command line of `python -m sandbox up`.

Imports nothing that is slow: a wrong command line is refused at once.
"""

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ops.installation import HERE
from sandbox.addresses import admissible
from sandbox.errors import PlaceError

LAST_PORT = 65_535
MERCHANT = "1230000109"  # the merchant of commands that name none


@dataclass(frozen=True, slots=True)
class Place:
    """Where the sandbox listens: an address of this machine, and ports; 0 takes a free one."""

    address: str = "127.0.0.1"
    aws: int = 0
    wechat_pay: int = 0
    backup: int = 0
    control: int = 0
    proxy: int = 0
    console: int = 0
    notifications: int = 0
    move_tasks: bool = True  # False: SQS has none here, as in China
    keep: bool = False  # WeChat Pay's state outlives the process

    @property
    def ports(self) -> dict[str, int]:
        """The ports by what listens there."""
        return {
            "the embedded AWS": self.aws,
            "WeChat Pay's main host": self.wechat_pay,
            "WeChat Pay's backup host": self.backup,
            "the control port": self.control,
            "the proxy for clients with fixed hosts": self.proxy,
            "the console": self.console,
            "the front of the notifications": self.notifications,
        }


PLACE = Place("127.0.0.1", 4566, *range(4510, 4516))
FOLDER = HERE.state
USAGE = "up [ADDRESS] [--port N] [--wechat-pay-port N] [--no-move-tasks] [--keep]"


def read_place(arguments: Sequence[str]) -> Place:
    """Read the command line of `up`; raise PlaceError where the sandbox must not or cannot listen there.

    With a port of its own the rest follows on the next six, so that one number moves the whole sandbox.
    """
    parser = argparse.ArgumentParser(usage=f"{HERE.sandbox} {USAGE}", description="Keep the sandbox up until Ctrl-C.")
    parser.add_argument("address", nargs="?", default=PLACE.address, help="127.0.0.1, or that of a container bridge")
    add_ports(parser)
    parser.add_argument("--no-move-tasks", action="store_true", help="SQS has no message move tasks, as in China")
    parser.add_argument(
        "--keep", action="store_true", help="keep WeChat Pay's orders, keys and switches for the next start"
    )
    options = parser.parse_args(arguments)
    return replace(place_of(options), move_tasks=not options.no_move_tasks, keep=options.keep)


def add_ports(parser: argparse.ArgumentParser) -> None:
    """Let a command choose a sandbox by the ports that it was started with."""
    parser.add_argument("--port", type=_port, default=PLACE.aws, help="where the embedded AWS listens")
    parser.add_argument("--wechat-pay-port", type=_port, help="the first of the six other ports")


def place_of(options: argparse.Namespace) -> Place:
    """Return the place that these options name; raise PlaceError as `read_place` does."""
    following = PLACE.wechat_pay if options.port == PLACE.aws else options.port + 1
    first = options.wechat_pay_port or following
    place = Place(admissible(options.address), options.port, *range(first, first + 6))
    if len(set(place.ports.values())) < len(place.ports) or max(place.ports.values()) > LAST_PORT:
        raise PlaceError(f"the sandbox needs seven ports, not {', '.join(map(str, place.ports.values()))}")
    return place


def _port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text, re.ASCII) or not 0 < int(text) <= LAST_PORT:
        raise argparse.ArgumentTypeError(f"must be a number from 1 to {LAST_PORT}, not {text!r}")
    return int(text)


def directory_of(place: Place) -> Path:
    """Return where a sandbox keeps its files; each set of ports has a folder of its own."""
    return FOLDER if place.ports == PLACE.ports else FOLDER / str(place.aws)

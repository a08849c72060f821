"""`make interop`: clients of WeChat Pay from PyPI and npm, unchanged but for proxy, authority and keys, in two modes.

Each takes an order from its creation to its payment, cancels another one, and receives a notification, three forgeries
and one that was recorded before. A client is skipped, with the reason, if its registry cannot be reached or node is
missing. The exit status is 0 if every step of the clients that ran has ended as expected.
"""

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import wechatpay
from tools.interop import installation, table
from tools.interop.course import END, Run, run
from tools.interop.table import MODES, Column

CLIENTS = {"wechatpayv3": "2.0.4", "wechatpay-axios-plugin": "0.9.6", "wechatpay-node-v3": "2.2.1"}
"""Other clients with their versions, as the locks have them."""


@dataclass(frozen=True, slots=True)
class Program:
    """A client: its name and version, and what installs it into a folder and returns its command."""

    client: str
    version: str
    install: Callable[[Path], list[str]]


def programs(node_folder: Path) -> tuple[Program, ...]:
    """Return every client; those from npm share a folder."""
    installers: dict[str, Callable[[Path], list[str]]] = {
        "wechatpayv3": installation.wechatpayv3,
        "wechatpay-axios-plugin": lambda _: installation.node(node_folder, "axios_client.cjs"),
        "wechatpay-node-v3": lambda _: installation.node(node_folder, "node_v3_client.cjs"),
    }
    others = (Program(client, version, installers[client]) for client, version in CLIENTS.items())
    return (Program("wechatpay", wechatpay.__version__, installation.own_library), *others)


def main(choose: Callable[[Path], Sequence[Program]] = programs) -> int:
    """Run the clients, print the table and the remarks; 1 if a step did not end as expected."""
    with tempfile.TemporaryDirectory() as folder:
        columns = [column for program in choose(Path(folder)) for column in _columns(program)]
    print(table.render(columns), end="\n\n")
    print(*table.remarks(columns), *(failures := list(table.findings(columns))), sep="\n")
    ran = [column for column in columns if column.run]
    print(f"{len(ran)} of {len(columns)} columns ran; {len(failures)} results are not as expected")
    return 1 if failures else 0


def _columns(program: Program) -> Iterator[Column]:
    """Yield a client's columns; each line of progress goes to stderr."""
    column = partial(Column, program.client, program.version)
    with tempfile.TemporaryDirectory() as folder:
        try:
            command = program.install(Path(folder))
        except installation.UnavailableError as reason:
            yield from (column(mode, reason=str(reason)) for mode in MODES)
            return
        except installation.InstallationError as reason:
            yield from (column(mode, Run({END: f"it cannot be installed: {reason}"})) for mode in MODES)
            return
        for mode in MODES:
            print(f"{program.client} {program.version}, {MODES[mode]} …", file=sys.stderr, flush=True)
            yield column(mode, run(command, mode, Path(folder)))


if __name__ == "__main__":
    sys.exit(main())

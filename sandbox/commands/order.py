"""`python -m sandbox order`: what the shop, the customer and WeChat Pay itself do to an order, for scripts.

The verbs are those of the control port that are about an order, with the arguments that they declare.
"""

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ops.installation import HERE
from sandbox.commands import parser

if TYPE_CHECKING:
    from ops.output import Output, Report, Table
    from sandbox.running import Running
    from sandbox.wechat_pay.verbs import Argument, Verb

_ABOUT = "Do to an order at the simulated WeChat Pay what the shop, the customer or WeChat Pay itself does."

SHORT_NAMES: Mapping[str, str] = {"ready": "ready_to_sync"}
"""What a command line calls a verb of the control port, where it is another word."""

_NAMED = {"mchid", "out_order_no", "sub_mchid"}  # every command names its order by these
_TIME = "at"  # on a command line `--ago` seconds
_FIELDS = (
    *("state", "state_description", "collection_state", "paid_type", "paid_time", "total_amount", "transaction_id"),
    *("order_id", "endpoint", "sub_mchid", "deducting", "syncs"),
)


def main(arguments: Sequence[str]) -> int:
    """Run the command; return its exit status."""
    options = read(arguments)
    from sandbox.commands.execution import execute  # noqa: PLC0415  after a wrong command line is refused

    return execute(lambda: _run(options), as_json=options.json)


def read(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line; a wrong one ends the program."""
    noun = parser.command("order", _ABOUT)
    verbs = noun.add_subparsers(required=True, metavar="VERB", dest="verb")
    for name, verb in verbs_of_orders().items():
        needs = f" Needs {verb.needs}." if verb.needs else ""
        _add_verb(verbs.add_parser(name, help=verb.summary, description=f"{verb.summary}.{needs}"), verb)
    show = verbs.add_parser("show", help="the order at WeChat Pay, and the item in the table")
    parser.add_order(show)
    parser.add_output(show)
    listing = verbs.add_parser("list", help="the orders at WeChat Pay, the newest last")
    listing.add_argument("--mchid", type=parser.mchid, help="of this merchant")
    parser.add_output(listing)
    return noun.parse_args(arguments)


def verbs_of_orders() -> "dict[str, Verb]":
    """Return the declared verbs that are about one order, by their names on a command line."""
    from sandbox.wechat_pay.control import VERBS  # noqa: PLC0415  slow
    from sandbox.wechat_pay.verbs import verb_of  # noqa: PLC0415

    names = {full: short for short, full in SHORT_NAMES.items()}
    verbs = [verb_of(name) for name in sorted(VERBS)]
    return {names.get(one.name, one.name): one for one in verbs if {"mchid", "out_order_no"} <= one.arguments.keys()}


def _add_verb(options: argparse.ArgumentParser, verb: "Verb") -> None:
    parser.add_order(options)
    for argument in verb.arguments.values():
        if argument.name == _TIME:
            options.add_argument("--ago", type=parser.seconds, metavar="SECONDS", help="do it so long before now")
        elif argument.name not in _NAMED:
            _add_argument(options, argument)
    parser.add_output(options)


def _add_argument(options: argparse.ArgumentParser, argument: "Argument") -> None:
    name = argument.name.replace("_", "-")
    if argument.types == (bool,):
        on, word = argument.default is not True, "off" if argument.name == "on" else f"no-{name}"
        action = "store_true" if on else "store_false"
        options.add_argument(f"--{name if on else word}", dest=argument.name, action=action, default=None)
        return
    default = f"; default: {argument.default}" if argument.default not in (None, "") else ""
    options.add_argument(
        f"--{name}",
        type=_reader(argument),
        choices=argument.choices or None,
        metavar=name.rpartition("-")[2].upper(),
        help=f"{argument.accepted}{default}",
    )


def _reader(argument: "Argument") -> Callable[[str], object]:
    """Return what reads a word of the command line, checked by the argument's own declaration."""

    def read(text: str) -> object:
        value = argument.read(text)
        if not argument.accepts(value) and not argument.choices:  # argparse names the nearest of choices
            raise argparse.ArgumentTypeError(f"{text!r} is not {argument.accepted}")
        return value

    return read


def _arguments(verb: "Verb", options: argparse.Namespace, now: float) -> dict[str, Any]:
    """Return the arguments of a verb that the command line has."""
    values = {name: getattr(options, name, None) for name in verb.arguments}
    arguments = {name: value for name, value in values.items() if value is not None}
    return arguments if getattr(options, "ago", None) is None else arguments | {_TIME: now - options.ago}


def _run(options: argparse.Namespace) -> "Output":
    from sandbox import running  # noqa: PLC0415

    sandbox = running.find(options.endpoint_url)
    if options.verb == "list":
        return _list(sandbox, options)
    if options.verb == "show":
        return _show(sandbox, options)
    verb = verbs_of_orders()[options.verb]
    return _report(sandbox.control.act(verb.name, **_arguments(verb, options, time.time())))


def _report(order: Mapping[str, Any]) -> "Report":
    from ops.output import Report  # noqa: PLC0415

    if "state" not in order:  # it is no order, but a notification or an automation
        return Report(tuple(f"{name}: {value}" for name, value in order.items()) or ("done",), dict(order))
    states = [str(order[name]) for name in ("state", "state_description", "collection_state") if order.get(name)]
    words = f"{order.get('mchid')} {order.get('out_order_no')}: {' '.join(states)}"
    return Report((words,), dict(order))


def _show(sandbox: "Running", options: argparse.Namespace) -> "Output":
    from ops import items  # noqa: PLC0415
    from ops.order_view import view  # noqa: PLC0415
    from ops.output import Report  # noqa: PLC0415
    from ops.stack import OpsError  # noqa: PLC0415
    from sandbox.timeline import Subject  # noqa: PLC0415

    subject = Subject(options.mchid, options.out_order_no, options.sub_mchid or "")
    ledger = sandbox.control.view("ledger", mchid=options.mchid, out_order_no=options.out_order_no)
    order = next((dict(one) for one in ledger if options.sub_mchid in {None, one["sub_mchid"]}), None)
    item = items.find(sandbox.deployment, subject.key)
    if order is None and item is None:
        remedy = f"open it: {HERE.sandbox} order ready {options.mchid} {options.out_order_no}"
        raise OpsError(f"WeChat Pay has no order {options.out_order_no} of merchant {options.mchid}; {remedy}")
    lines: list[str | Table] = ["at WeChat Pay" if order else "WeChat Pay has no such order"]
    lines += [f"  {name:<18}{order[name]}" for name in _FIELDS if order.get(name)] if order else []
    lines += ["", *(view(item, HERE.ops) if item else ["no item in the table: no event of it has been read"])]
    return Report(tuple(lines), {"order": order, "item": item.document if item else None})


def _list(sandbox: "Running", options: argparse.Namespace) -> "Output":
    from ops.output import Report, Table  # noqa: PLC0415

    orders = sandbox.control.view("ledger", mchid=options.mchid or "")
    columns = ("mchid", "out_order_no", "state", "state_description", "collection_state", "paid_type")
    rows = tuple(tuple(one.get(name) for name in columns) for one in orders)
    return Report((Table(columns, rows),) if rows else ("WeChat Pay has no order",), orders)

"""`python -m sandbox order`: what the shop, the customer and WeChat Pay itself do to an order, for scripts."""

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ops.installation import HERE
from sandbox.commands import parser

if TYPE_CHECKING:
    from ops.output import Output, Report, Table
    from sandbox.running import Running

_ABOUT = "Do to an order at the simulated WeChat Pay what the shop, the customer or WeChat Pay itself does."


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb of the control port, and what it does, for the help."""

    name: str
    words: str
    opens: bool = False  # it creates the order
    completes: bool = False  # it takes an amount and a time


VERBS: Mapping[str, Verb] = {
    "open": Verb("open", "the shop creates the order", opens=True),
    "confirm": Verb("confirm", "the customer confirms it"),
    "complete": Verb("complete", "the shop completes it: the money is due", completes=True),
    "ready": Verb("ready_to_sync", "open, confirm and complete at once, an hour ago", opens=True, completes=True),
    "cancel": Verb("cancel", "the shop cancels it"),
    "expire": Verb("expire", "it expires without the customer's confirmation"),
    "deduct": Verb("deduct", "WeChat Pay collects the money itself"),
    "deducting": Verb("deducting", "WeChat Pay is collecting at this moment; --off ends it without the money"),
}
"""What a command line calls a verb of the control port."""

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
    for name, verb in VERBS.items():
        _add_verb(
            verbs.add_parser(name, help=verb.words, description=f"{verb.words[0].upper()}{verb.words[1:]}."), verb
        )
    show = verbs.add_parser("show", help="the order at WeChat Pay, and the item in the table")
    parser.add_order(show)
    parser.add_output(show)
    listing = verbs.add_parser("list", help="the orders at WeChat Pay, the newest last")
    listing.add_argument("--mchid", type=parser.mchid, help="of this merchant")
    parser.add_output(listing)
    return noun.parse_args(arguments)


def _add_verb(options: argparse.ArgumentParser, verb: Verb) -> None:
    parser.add_order(options)
    if verb.opens:
        options.add_argument("--endpoint", default="", help="direct, partner, acquiringbank, payafter or oversea")
        options.add_argument("--channel-id", default="", help="the channel of an acquiring bank's order")
    if verb.completes:
        options.add_argument("--total-amount", type=parser.fen, metavar="FEN", help="what is due; default: 3900")
    if verb.opens or verb.completes:
        options.add_argument("--ago", type=parser.seconds, metavar="SECONDS", help="do it so long before now")
    if verb.name == "deducting":
        options.add_argument("--off", action="store_true", help="end the deduction without the money")
    parser.add_output(options)


def _arguments(options: argparse.Namespace, now: float) -> dict[str, Any]:
    """Return the arguments of a verb, those that were given."""
    arguments: dict[str, Any] = {"mchid": options.mchid, "out_order_no": options.out_order_no}
    arguments |= {
        name: value
        for name in ("sub_mchid", "endpoint", "channel_id", "total_amount")
        if (value := getattr(options, name, None)) not in (None, "")
    }
    if getattr(options, "ago", None) is not None:
        arguments["at"] = now - options.ago
    if getattr(options, "off", False):
        arguments["on"] = False
    return arguments


def _run(options: argparse.Namespace) -> "Output":
    from sandbox import running  # noqa: PLC0415

    sandbox = running.find(options.endpoint_url)
    if options.verb == "list":
        return _list(sandbox, options)
    if options.verb == "show":
        return _show(sandbox, options)
    order = sandbox.control.act(VERBS[options.verb].name, **_arguments(options, time.time()))
    return _report(order)


def _report(order: Mapping[str, Any]) -> "Report":
    from ops.output import Report  # noqa: PLC0415

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
    order = _order(sandbox.control.view("ledger"), options)
    item = items.find(sandbox.deployment, subject.key)
    if order is None and item is None:
        remedy = f"open it: {HERE.sandbox} order ready {options.mchid} {options.out_order_no}"
        raise OpsError(f"WeChat Pay has no order {options.out_order_no} of merchant {options.mchid}; {remedy}")
    lines: list[str | Table] = ["at WeChat Pay" if order else "WeChat Pay has no such order"]
    lines += [f"  {name:<18}{order[name]}" for name in _FIELDS if order.get(name)] if order else []
    lines += ["", *(view(item, HERE.ops) if item else ["no item in the table: no event of it has been read"])]
    return Report(tuple(lines), {"order": order, "item": item.document if item else None})


def _order(ledger: Sequence[Mapping[str, Any]], options: argparse.Namespace) -> dict[str, Any] | None:
    same = [one for one in ledger if (one["mchid"], one["out_order_no"]) == (options.mchid, options.out_order_no)]
    return next((dict(one) for one in same if not options.sub_mchid or one["sub_mchid"] == options.sub_mchid), None)


def _list(sandbox: "Running", options: argparse.Namespace) -> "Output":
    from ops.output import Report, Table  # noqa: PLC0415

    orders = [one for one in sandbox.control.view("ledger") if options.mchid in {None, one["mchid"]}]
    columns = ("mchid", "out_order_no", "state", "state_description", "collection_state", "paid_type")
    rows = tuple(tuple(one.get(name) for name in columns) for one in orders)
    return Report((Table(columns, rows),) if rows else ("WeChat Pay has no order",), orders)

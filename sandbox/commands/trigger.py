"""`python -m sandbox trigger NAME`: make one thing happen in the running sandbox, with an order of its own."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ops.installation import HERE
from sandbox import triggers
from sandbox.commands import parser
from sandbox.till_events import FAMILIES
from sandbox.triggers import SHORT_NAMES, TRIGGERS, NoSuchTriggerError, Trigger

if TYPE_CHECKING:
    from ops.output import Output, Report
    from sandbox.till import Firing

_ABOUT = """Make one thing happen in the running sandbox: a fresh order, its situation at WeChat Pay, and the till's
events.

It prints the number of the order, how it will end, and the command that shows its timeline."""


def main(arguments: Sequence[str]) -> int:
    """Run the command; return its exit status."""
    options = read(arguments)
    from sandbox.commands.execution import execute  # noqa: PLC0415  after a wrong command line is refused

    return execute(lambda: _list() if options.list else _fire(options), as_json=options.json)


def read(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line; a wrong one ends the program."""
    options = parser.command("trigger", _ABOUT)
    options.add_argument("name", nargs="?", metavar="NAME", help="one of those that --list prints")
    options.add_argument("--list", action="store_true", help="list the triggers, and how each ends")
    options.add_argument("--out-order-no", type=parser.out_order_no, metavar="NUMBER", help="not a fresh one")
    options.add_argument("--endpoint", choices=[*filter(None, FAMILIES)], default="", help="of another family")
    parser.add_output(options)
    values = options.parse_args(arguments)
    if not values.list:
        if values.name is None:
            options.error("which one? give a name, or --list")
        try:
            values.trigger = triggers.trigger_of(values.name)
        except NoSuchTriggerError as error:
            options.error(str(error))
    return values


def _list() -> "Report":
    from ops.output import Report, Table  # noqa: PLC0415

    others = {name: [short for short, full in SHORT_NAMES.items() if full == name] for name in TRIGGERS}
    rows = [(one.name, one.title, one.ends, ", ".join(others[one.name])) for one in TRIGGERS.values()]
    documents = [_document(one) | {"other_names": others[one.name]} for one in TRIGGERS.values()]
    return Report((Table(("name", "what happens", "ends as", "also"), tuple(rows)),), documents)


def _document(trigger: Trigger) -> dict[str, object]:
    return {"name": trigger.name, "title": trigger.title, "ends": trigger.ends, "situation": trigger.situation}


def _fire(options: argparse.Namespace) -> "Output":
    from sandbox import running  # noqa: PLC0415
    from sandbox.till import Till  # noqa: PLC0415

    sandbox = running.find(options.endpoint_url)
    number, family = options.out_order_no or "", FAMILIES[options.endpoint]
    return _report(Till(sandbox.deployment).fire(options.trigger, sandbox.control.act, number, family))


def _report(firing: "Firing") -> "Report":
    from ops.output import Report  # noqa: PLC0415

    trigger = firing.trigger
    lines = [
        f"{trigger.name}: {trigger.title}",
        f"order     {firing.order}",
        *(f"event     {event_id}" for event_id in firing.event_ids),
        f"ends as   {trigger.ends}",
        f"timeline  {HERE.sandbox} timeline {firing.order}",
    ]
    if trigger.hint:
        lines.append(f"then      {HERE.words(trigger.hint.format(order=firing.order))}")
    more = {"mchid": trigger.mchid, "out_order_no": firing.out_order_no, "event_ids": list(firing.event_ids)}
    return Report(tuple(lines), _document(trigger) | more)

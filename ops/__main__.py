"""The command line of `bin/ops` (`python -m ops`); the commands themselves are in the other modules of this package."""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from ops import address, attention, dead_letters, events, items, keys, screen
from ops.dead_letters import Letter
from ops.items import Item
from ops.stack import OPTIONS, Deployment, OpsError, describe
from orders.items import document_of
from orders.order import Status


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 done, 1 it could not be (the reason on stderr), 2 a wrong command line."""
    given = _parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a GBK console lacks characters that others send
    try:
        deployment = _deployment(given)
        command: Callable[[Deployment, argparse.Namespace], int] = given.command
        return command(deployment, given)
    except OpsError as error:
        for text in str(error).splitlines():
            print(screen.line(f"ops: {text}"), file=sys.stderr)
    except (ClientError, BotoCoreError) as error:
        print(f"ops: AWS says: {describe(error)}", file=sys.stderr)
    return 1


def _deployment(given: argparse.Namespace) -> Deployment:
    """Find the stack, with what was given by name instead of its own; no stack where only names were given.

    Where the running sandbox is meant, say so on stderr, and use the sandbox's own credentials.
    """
    names = {output: getattr(given, output) for output in OPTIONS if getattr(given, output)}
    where = address.choose(
        given.stack, given.region, given.endpoint_url, environment=os.environ, sandboxes=address.running()
    )
    session = None
    if where.sandbox:
        session = boto3.Session(where.sandbox.access_key_id, where.sandbox.secret_access_key, region_name=where.region)
        if not given.endpoint_url:
            print(f"ops: using the sandbox on {where.endpoint_url}; give --region for a stack on AWS", file=sys.stderr)
    stack = where.stack if given.stack or not names else None
    return Deployment.find(stack, region=where.region, endpoint_url=where.endpoint_url, session=session, given=names)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bin/ops", description="Orders, dead letters, events and keys of a stack.")
    sandbox = "that of the sandbox that runs here, otherwise"
    parser.add_argument("--stack", help=f"the stack's name; default: $STACK, {sandbox} {address.STACK}")
    parser.add_argument("--region", help=f"default: {sandbox} that of the AWS environment")
    parser.add_argument("--endpoint-url", help=f"default: {sandbox} AWS's own")
    for output, option in OPTIONS.items():
        parser.add_argument(option, dest=output, help=f"{output} of a stack that is deleted, or instead of the stack's")
    things = parser.add_subparsers(required=True, metavar="order | dead-letters | event | keys")

    order = things.add_parser("order", help="look at orders").add_subparsers(required=True)
    show = _command(order, "show", _order_show, "everything about one order")
    show.add_argument("mchid")
    show.add_argument("out_order_no")
    show.add_argument("--sub-mchid", help="for an order of a sub-merchant (endpoints partner, acquiringbank, oversea)")
    listed = _command(order, "list", _order_list, "the orders that need attention")
    listed.add_argument("--attention", action="store_true", required=True, help="the index of that name")
    words = [status.value for status in attention.WORTH_A_LOOK]
    listed.add_argument("--status", action="append", choices=words, help="only these; may be repeated")

    letters = things.add_parser("dead-letters", help="look at and redrive dead letters").add_subparsers(required=True)
    _command(letters, "list", _letters_list, "each with its reason; all stay where they are")
    _command(letters, "show", _letters_show, "one, with its body").add_argument("message_id")
    redrive = _command(letters, "redrive", _letters_redrive, "back to their source, once the cause is mended")
    redrive.add_argument("--message-id", help="this one only; otherwise all")

    event = things.add_parser("event", help="report as a till would").add_subparsers(required=True)
    send = _command(event, "send", _event_send, "check a payload, then publish it")
    send.add_argument("file", nargs="?", type=Path, help="a JSON payload; or give the fields")
    send.add_argument("--mchid")
    send.add_argument("--out-order-no")
    send.add_argument("--paid-time", help="RFC 3339 with an offset, or yyyyMMddHHmmss in Beijing time")
    send.add_argument("--source", help="publish through EventBridge under this source; otherwise to the queue")

    secrets = things.add_parser("keys", help="merchants' keys").add_subparsers(required=True)
    check = _command(secrets, "check", _keys_check, "whether a merchant's secret can be used")
    check.add_argument("mchid")
    check.add_argument("--echo", action="store_true", help="have WeChat Pay echo a word as well: touches no money")
    return parser


def _command(group: Any, name: str, run: Callable[..., int], help: str) -> argparse.ArgumentParser:  # noqa: ANN401  argparse's words
    command: argparse.ArgumentParser = group.add_parser(name, help=help, description=help)
    command.set_defaults(command=run)
    return command


def _order_show(deployment: Deployment, given: argparse.Namespace) -> int:
    owner = f"{given.mchid}/{given.sub_mchid}" if given.sub_mchid else given.mchid
    key = f"{owner}#{given.out_order_no}"
    item = items.find(deployment, key)
    if item is None:
        advice = "" if given.sub_mchid else "; an order of a sub-merchant needs --sub-mchid"
        raise OpsError(f"no item {key}: no event of this order was ever read{advice}")
    if item.order is None:
        print(screen.document({"unreadable": item.problem, "attributes": item.attributes}))
        return 0
    known = {name: value for name, value in document_of(item.order).items() if value not in (None, "", ())}
    print(screen.document(known))
    return 0


def _order_list(deployment: Deployment, given: argparse.Namespace) -> int:
    statuses = [Status(word) for word in given.status or attention.WORTH_A_LOOK]
    for item in attention.items(deployment, statuses):
        print(_line(item))
    return 0


def _line(item: Item) -> str:
    order = item.order
    if order is None:
        return screen.line(item.updated_at, "UNREADABLE", *_owner_and_number(item.key), item.problem)
    said = f"{order.last_error.code} {order.last_error.message}" if order.last_error else ""
    transaction_id = order.facts.transaction_id if order.facts else None
    parts = (*_owner_and_number(item.key), order.reason, said, transaction_id)
    return screen.line(order.updated_at, order.status, *parts)


def _owner_and_number(key: str) -> tuple[str, str]:
    """Split a key of the table into the merchant, a sub-merchant included, and the order's number."""
    owner, _, number = key.rpartition("#")
    return owner, number


def _letters_list(deployment: Deployment, _: argparse.Namespace) -> int:
    letters = dead_letters.peek(deployment)
    for letter in letters:
        sent = datetime.fromtimestamp(letter.sent_at, UTC).isoformat(timespec="seconds")
        print(screen.line(letter.message_id, sent, _order_in(letter), letter.reason))
        print("    " + screen.line(letter.said))
    print(f"{len(letters)} dead letter(s)")
    return 0


def _order_in(letter: Letter) -> str:
    if not letter.key:
        return "-"
    owner, number = _owner_and_number(letter.key)
    return f"{owner} {number}  {letter.order.status if letter.order else '-'}"


def _letters_show(deployment: Deployment, given: argparse.Namespace) -> int:
    for letter in dead_letters.peek(deployment):
        if letter.message_id == given.message_id:
            print(f"{screen.line(letter.reason)}\n{screen.line(letter.said)}\n{screen.escaped(letter.body)}")
            return 0
    raise OpsError(f"no dead letter has the message id {given.message_id}: see `dead-letters list`")


def _letters_redrive(deployment: Deployment, given: argparse.Namespace) -> int:
    if given.message_id:
        dead_letters.redrive_one(deployment, given.message_id)
        print(f"{given.message_id} is back in the order queue")
    else:
        print(f"SQS moves all letters back to their source: {dead_letters.redrive(deployment)}")
    return 0


def _event_send(deployment: Deployment, given: argparse.Namespace) -> int:
    print(screen.line(events.send(deployment, _payload(given), source=given.source)))
    return 0


def _payload(given: argparse.Namespace) -> dict[str, Any]:
    if given.file is None:
        fields = {"mchid": given.mchid, "out_order_no": given.out_order_no}
        payload: dict[str, Any] = {name: value for name, value in fields.items() if value is not None}
        return payload | ({"detail": {"paid_time": given.paid_time}} if given.paid_time else {})
    try:
        value = json.loads(given.file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise OpsError(f"{given.file}: {error}") from error
    if not isinstance(value, dict):
        raise OpsError(f"{given.file} is not a JSON object")
    return value


def _keys_check(deployment: Deployment, given: argparse.Namespace) -> int:
    checked = keys.check(deployment, given.mchid)
    client = checked.client
    print("\n".join(checked.lines))
    asked = f"WeChat Pay echoed, {keys.echo(client)}" if given.echo else "WeChat Pay was not asked"
    print(f"the secret of {client.mchid} can be used (checked {time.strftime('%H:%M:%S')}; {asked})")
    print(f"signs with the certificate  {client.merchant.serial_no}")
    print(f"trusts                      {', '.join(client.platform_keys)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

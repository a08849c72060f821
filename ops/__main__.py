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
    """Run one command; return 0, 1 if it failed (the reason is on stderr), or 2 for a wrong command line."""
    options = _parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a GBK console lacks characters that may be in a message
    try:
        deployment = _deployment(options)
        command: Callable[[Deployment, argparse.Namespace], int] = options.command
        return command(deployment, options)
    except OpsError as error:
        for text in str(error).splitlines():
            print(screen.line(f"ops: {text}"), file=sys.stderr)
    except (ClientError, BotoCoreError) as error:
        print(f"ops: AWS says: {describe(error)}", file=sys.stderr)
    return 1


def _deployment(options: argparse.Namespace) -> Deployment:
    """Look up the stack; resources named by an option replace the stack's own, and are enough without a stack.

    For the running sandbox, use the sandbox's own credentials and say so on stderr.
    """
    names = {output: getattr(options, output) for output in OPTIONS if getattr(options, output)}
    target = address.choose(
        options.stack, options.region, options.endpoint_url, environment=os.environ, sandboxes=address.running()
    )
    session = None
    if sandbox := target.sandbox:
        session = boto3.Session(sandbox.access_key_id, sandbox.secret_access_key, region_name=target.region)
        if not options.endpoint_url:
            print(f"ops: using the sandbox on {target.endpoint_url}; give --region for a stack on AWS", file=sys.stderr)
    stack = target.stack if options.stack or not names else None
    return Deployment.find(
        stack, region=target.region, endpoint_url=target.endpoint_url, session=session, overrides=names
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bin/ops", description="Orders, dead letters, events and keys of a stack.")
    sandbox = "that of the running sandbox, otherwise"
    parser.add_argument("--stack", help=f"name of the stack; default: $STACK, {sandbox} {address.STACK}")
    parser.add_argument("--region", help=f"AWS Region; default: {sandbox} that of the AWS environment")
    parser.add_argument("--endpoint-url", metavar="URL", help=f"AWS endpoint; default: {sandbox} AWS's own")
    for output, option in OPTIONS.items():
        metavar = option.rpartition("-")[2].upper()
        parser.add_argument(
            option, dest=output, metavar=metavar, help=f"{output} to use instead of the stack's, or of a deleted stack"
        )
    nouns = parser.add_subparsers(required=True, metavar="order | dead-letters | event | keys")

    order = nouns.add_parser("order", help="show orders").add_subparsers(required=True)
    show = _command(order, "show", _order_show, "show everything about one order")
    show.add_argument("mchid")
    show.add_argument("out_order_no")
    show.add_argument("--sub-mchid", help="sub-merchant of the order (endpoints partner, acquiringbank, oversea)")
    listing = _command(order, "list", _order_list, "list the orders that need attention")
    listing.add_argument("--attention", action="store_true", required=True, help="list the index of this name")
    statuses = [status.value for status in attention.STATUSES]
    listing.add_argument("--status", action="append", choices=statuses, help="only this status; may be repeated")

    letters = nouns.add_parser("dead-letters", help="list, show and redrive dead-letter messages").add_subparsers(
        required=True
    )
    _command(letters, "list", _letters_list, "list dead-letter messages with their reasons; they stay in the queue")
    _command(letters, "show", _letters_show, "show one message with its body").add_argument("message_id")
    redrive = _command(
        letters, "redrive", _letters_redrive, "move messages back to the order queue, once the cause is fixed"
    )
    redrive.add_argument("--message-id", help="only this message; default: all")

    event = nouns.add_parser("event", help="send an event as a POS does").add_subparsers(required=True)
    send = _command(event, "send", _event_send, "check a payload, then send it")
    send.add_argument("file", nargs="?", type=Path, help="file with a JSON payload; or give the fields as options")
    send.add_argument("--mchid")
    send.add_argument("--out-order-no")
    send.add_argument("--paid-time", help="RFC 3339 with an offset, or yyyyMMddHHmmss in Beijing time")
    send.add_argument("--source", help="send through EventBridge with this source; default: to the queue")

    secrets = nouns.add_parser("keys", help="check merchants' keys").add_subparsers(required=True)
    check = _command(secrets, "check", _keys_check, "check whether a merchant's secret can be used")
    check.add_argument("mchid")
    check.add_argument(
        "--echo", action="store_true", help="also send an echo request to WeChat Pay; it changes no order"
    )
    return parser


def _command(group: Any, name: str, run: Callable[..., int], help: str) -> argparse.ArgumentParser:  # noqa: ANN401  argparse's class is private
    command: argparse.ArgumentParser = group.add_parser(name, help=help, description=help)
    command.set_defaults(command=run)
    return command


def _order_show(deployment: Deployment, options: argparse.Namespace) -> int:
    owner = f"{options.mchid}/{options.sub_mchid}" if options.sub_mchid else options.mchid
    key = f"{owner}#{options.out_order_no}"
    item = items.find(deployment, key)
    if item is None:
        advice = "" if options.sub_mchid else "; for an order of a sub-merchant give --sub-mchid"
        raise OpsError(f"no item {key}: no event of this order has been read{advice}")
    if item.order is None:
        print(screen.document({"unreadable": item.problem, "attributes": item.attributes}))
        return 0
    members = {name: value for name, value in document_of(item.order).items() if value not in (None, "", ())}
    print(screen.document(members))
    return 0


def _order_list(deployment: Deployment, options: argparse.Namespace) -> int:
    statuses = [Status(word) for word in options.status or attention.STATUSES]
    for item in attention.items(deployment, statuses):
        print(_line(item))
    return 0


def _line(item: Item) -> str:
    order = item.order
    if order is None:
        return screen.line(item.updated_at, "UNREADABLE", *_owner_and_number(item.key), item.problem)
    refusal = f"{order.last_error.code} {order.last_error.message}" if order.last_error else ""
    transaction_id = order.facts.transaction_id if order.facts else None
    parts = (*_owner_and_number(item.key), order.reason, refusal, transaction_id)
    return screen.line(order.updated_at, order.status, *parts)


def _owner_and_number(key: str) -> tuple[str, str]:
    """Split a key of the table into the merchant (with a sub-merchant, if any) and the order's number."""
    owner, _, number = key.rpartition("#")
    return owner, number


def _letters_list(deployment: Deployment, _: argparse.Namespace) -> int:
    letters = dead_letters.peek(deployment)
    for letter in letters:
        sent = datetime.fromtimestamp(letter.sent_at, UTC).isoformat(timespec="seconds")
        print(screen.line(letter.message_id, sent, _order_in(letter), letter.reason))
        print("    " + screen.line(letter.explanation))
    print(f"{len(letters)} dead letter(s)")
    return 0


def _order_in(letter: Letter) -> str:
    if not letter.key:
        return "-"
    owner, number = _owner_and_number(letter.key)
    return f"{owner} {number}  {letter.order.status if letter.order else '-'}"


def _letters_show(deployment: Deployment, options: argparse.Namespace) -> int:
    for letter in dead_letters.peek(deployment):
        if letter.message_id == options.message_id:
            print(f"{screen.line(letter.reason)}\n{screen.line(letter.explanation)}\n{screen.escaped(letter.body)}")
            return 0
    raise OpsError(f"no dead letter has the message id {options.message_id}: see `dead-letters list`")


def _letters_redrive(deployment: Deployment, options: argparse.Namespace) -> int:
    if options.message_id:
        dead_letters.redrive_one(deployment, options.message_id)
        print(f"{options.message_id} is back in the order queue")
    else:
        print(f"SQS is moving all dead letters back to their source: {dead_letters.redrive(deployment)}")
    return 0


def _event_send(deployment: Deployment, options: argparse.Namespace) -> int:
    print(screen.line(events.send(deployment, _payload(options), source=options.source)))
    return 0


def _payload(options: argparse.Namespace) -> dict[str, Any]:
    if options.file is None:
        fields = {"mchid": options.mchid, "out_order_no": options.out_order_no}
        payload: dict[str, Any] = {name: value for name, value in fields.items() if value is not None}
        return payload | ({"detail": {"paid_time": options.paid_time}} if options.paid_time else {})
    try:
        value = json.loads(options.file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise OpsError(f"{options.file}: {error}") from error
    if not isinstance(value, dict):
        raise OpsError(f"{options.file} is not a JSON object")
    return value


def _keys_check(deployment: Deployment, options: argparse.Namespace) -> int:
    report = keys.check(deployment, options.mchid)
    client = report.client
    print("\n".join(report.lines))
    echo = f"WeChat Pay echoed, {keys.echo(client)}" if options.echo else "WeChat Pay was not asked"
    print(f"the secret of {client.mchid} can be used (checked {time.strftime('%H:%M:%S')}; {echo})")
    print(f"signs with the certificate  {client.merchant.serial_no}")
    print(f"trusts                      {', '.join(client.platform_keys)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`python -m sandbox signature`: why a signature is refused: what should have been signed, and what was."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.commands import parser

if TYPE_CHECKING:
    from ops.output import Output
    from sandbox.signature import HttpText, KeyBook
    from sandbox.timeline.exchange import Exchange

_ABOUT_REQUEST = """Find the error in a request's signature.

FILE has the request as it was sent: request line, headers, a blank line, the body byte by byte; or the value of
Authorization alone, with --method, --url and --body. `-` reads stdin. The keys are those of the running sandbox's
merchants, and of --certificate. --call takes method, URL and body from the call with the same signature that has
arrived at the sandbox, and compares its body with --body."""

_ABOUT_ANSWER = """Find the error in the verification of an answer or a notification of WeChat Pay.

FILE has it as it arrived: headers, a blank line, the body byte by byte; the body may be in --body instead."""


def main(arguments: Sequence[str]) -> int:
    """Run the command; return its exit status."""
    options = read(arguments)
    from sandbox.commands.execution import execute  # noqa: PLC0415  after a wrong command line is refused

    return execute(lambda: (_request if options.side == "request" else _answer)(options), as_json=options.json)


def read(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line; a wrong one ends the program."""
    noun = parser.command("signature", "Find out why a signature is refused.")
    sides = noun.add_subparsers(required=True, metavar="VERB", dest="side")
    request = sides.add_parser("request", help="of a request to WeChat Pay", description=_ABOUT_REQUEST)
    request.add_argument("file", metavar="FILE", help="the request, or its Authorization; - for stdin")
    request.add_argument("--method", default="", help="the method, where FILE has no request line")
    request.add_argument("--url", default="", help="path and query, or the whole URL, where FILE has no request line")
    request.add_argument("--call", action="store_true", help="take the rest from the call that arrived at the sandbox")
    answer = sides.add_parser("answer", help="of an answer or a notification", description=_ABOUT_ANSWER)
    answer.add_argument("file", metavar="FILE", help="its headers and its body; - for stdin")
    for side in (request, answer):
        side.add_argument("--body", metavar="FILE", help="the body, byte by byte, where FILE has none")
        side.add_argument(
            "--certificate",
            metavar="FILE",
            help="PEM of a key that may have signed: certificate, public or private key",
        )
        side.add_argument("--mchid", type=parser.mchid, help="whose --certificate is; default: WeChat Pay's")
        side.add_argument(
            "--at", type=parser.seconds, metavar="SECONDS", help="when it arrived, Unix seconds; default: now"
        )
        parser.add_output(side)
    return noun.parse_args(arguments)


def _request(options: argparse.Namespace) -> "Output":
    from sandbox.commands.signature_view import report  # noqa: PLC0415
    from sandbox.signature import read_http  # noqa: PLC0415
    from sandbox.timeline.signatures import hunt_pasted  # noqa: PLC0415

    text = read_http(_bytes(options.file))
    pasted = _bytes(options.body) if options.body else text.body
    call = _call(options, text) if options.call else None
    now = options.at if options.at is not None else time.time()
    hunt = hunt_pasted(text, _book(options), now, call, method=options.method, url=options.url, pasted=pasted)
    return report(hunt, call)


def _answer(options: argparse.Namespace) -> "Output":
    from sandbox.commands.signature_view import report  # noqa: PLC0415
    from sandbox.signature import hunt_answer, read_http  # noqa: PLC0415

    text = read_http(_bytes(options.file))
    body = _bytes(options.body) if options.body else text.body or b""
    return report(
        hunt_answer(text.headers, body, _book(options), options.at if options.at is not None else time.time())
    )


def _call(options: argparse.Namespace, text: "HttpText") -> "Exchange":
    """Return the call that arrived with the same signature."""
    from ops.stack import OpsError  # noqa: PLC0415
    from sandbox import running  # noqa: PLC0415
    from sandbox.timeline.exchange import Exchange  # noqa: PLC0415
    from sandbox.timeline.signatures import with_signature  # noqa: PLC0415

    calls = running.find(options.endpoint_url).control.view("calls", detail="true")
    if call := with_signature(map(Exchange.read, calls), text.header("Authorization")):
        return call
    raise OpsError(
        f"none of the {len(calls)} calls that arrived has this signature: leave --call out, or send it again"
    )


def _book(options: argparse.Namespace) -> "KeyBook":
    """Return the keys of the running sandbox, and that of the command line; the latter is enough."""
    from ops.stack import OpsError  # noqa: PLC0415
    from sandbox import running  # noqa: PLC0415
    from sandbox.signature import KeyBook, OwnedKey  # noqa: PLC0415
    from sandbox.signature.key_book import WECHAT_PAY, public_key, serial_of  # noqa: PLC0415

    if not options.certificate:
        return KeyBook.of(running.find(options.endpoint_url).control.view("public_keys"))
    pem = _bytes(options.certificate).decode("utf-8", "replace")
    try:
        own = OwnedKey(options.mchid or WECHAT_PAY, serial_of(pem) or "of --certificate", public_key(pem))
    except ValueError as error:
        remedy = "give the PEM of a certificate, a public key or a private key"
        raise OpsError(f"{options.certificate} is no RSA key: {remedy}") from error
    try:
        book = KeyBook.of(running.find(options.endpoint_url).control.view("public_keys"))
    except OpsError:
        book = KeyBook()
    return book.with_keys([own])


def _bytes(file: str) -> bytes:
    from ops.stack import OpsError  # noqa: PLC0415

    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise OpsError(f"{file} cannot be read: {error.strerror}") from error

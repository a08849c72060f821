"""Arguments that several commands have: an order, a duration, a name."""

import argparse
import re
from datetime import timedelta

from ops.installation import HERE
from ops.stack import OPTIONS

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def duration(text: str) -> timedelta:
    """Read a duration such as `90s`, `30m`, `4h`, `2d` or `1w`."""
    parts = re.fullmatch(r"(\d{1,6})([smhdw])", text, re.ASCII)
    if parts is None:
        raise argparse.ArgumentTypeError(
            f"{text} is no duration: write a number and s, m, h, d or w, such as 30m or 2d"
        )
    return timedelta(**{_UNITS[parts[2]]: int(parts[1])})


def count(text: str) -> int:
    """Read a whole number from 1."""
    if not re.fullmatch(r"[1-9]\d{0,8}", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text} is no whole number from 1")
    return int(text)


def add_order(parser: argparse.ArgumentParser, *, optional: bool = False) -> None:
    """Add the arguments that name an order."""
    nargs = "?" if optional else None
    parser.add_argument("mchid", nargs=nargs, metavar="MCHID", help="the merchant, or its service provider")
    parser.add_argument("out_order_no", nargs=nargs, metavar="OUT_ORDER_NO", help="the merchant's number of the order")
    parser.add_argument(
        "--sub-mchid", metavar="MCHID", help="sub-merchant of the order (endpoints partner, acquiringbank, oversea)"
    )


def key_of(options: argparse.Namespace) -> str:
    """Return the key of the order that `add_order` has read."""
    owner = f"{options.mchid}/{options.sub_mchid}" if options.sub_mchid else options.mchid
    return f"{owner}#{options.out_order_no}"


def program(options: argparse.Namespace) -> str:
    """Return how to begin another command of the same stack: `bin/ops` with the options that this one has."""
    names = {"--profile": "profile", "--region": "region", "--stack": "stack", "--endpoint-url": "endpoint_url"}
    names |= {option: output for output, option in OPTIONS.items()}
    words = [f"{option} {value}" for option, name in names.items() if (value := getattr(options, name))]
    return " ".join([HERE.ops, *(["--sandbox"] if options.sandbox else []), *words])


def complete(text: str, options: argparse.Namespace) -> str:
    """Return a text whose commands of `bin/ops` name the same stack as this one."""
    return HERE.words(text).replace(f"{HERE.ops} ", f"{program(options)} ")

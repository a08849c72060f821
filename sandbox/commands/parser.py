"""The command line of one command: errors are one line with the nearest match. Imports nothing that is slow."""

import argparse
import re
from difflib import get_close_matches
from typing import Any, NoReturn

from ops.installation import HERE

USAGE = 2  # the exit status of a wrong command line

_MCHID = re.compile(r"[0-9]{1,32}", re.ASCII)
_OUT_ORDER_NO = re.compile(r"[0-9A-Za-z_\-|*]{1,32}", re.ASCII)


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line with the remedy."""

    def __init__(self, **arguments: Any) -> None:  # noqa: ANN401  argparse's own
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **arguments)

    def error(self, message: str) -> NoReturn:
        """Print what is wrong with the command line, and where help is."""
        choice = re.fullmatch(r"argument (.+?): invalid choice: '(.*)' \(choose from (.*)\)", message, re.DOTALL)
        if choice is not None:
            name, word, choices = choice.groups()
            words = [one.strip("'") for one in choices.split(", ")]
            nearest = get_close_matches(word, words, n=1, cutoff=0.5)
            kind = "command" if name == "VERB" else name
            remedy = f"do you mean {nearest[0]}?" if nearest else f"it is one of {', '.join(words)}"
            message = f"there is no {kind} {word}: {remedy}"
        line = " ".join(f"sandbox: {message}; see `{self.prog} --help`".split())
        self.exit(USAGE, "".join(one if one.isprintable() else " " for one in line) + "\n")


def command(name: str, description: str) -> Parser:
    """Return the parser of a command."""
    return Parser(prog=f"{HERE.sandbox} {name}", description=description)


def add_output(parser: argparse.ArgumentParser, *, url: bool = True) -> None:
    """Add the options of every command."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    if url:
        parser.add_argument(
            "--endpoint-url",
            metavar="URL",
            help="the AWS of the sandbox, where several run; default: the one that runs",
        )


def add_order(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that name an order."""
    parser.add_argument("mchid", metavar="MCHID", type=mchid, help="the merchant")
    parser.add_argument("out_order_no", metavar="OUT_ORDER_NO", type=out_order_no, help="its number of the order")
    parser.add_argument("--sub-mchid", metavar="MCHID", type=mchid, help="the order's sub-merchant")


def mchid(text: str) -> str:
    """Read the number of a merchant."""
    return _matching(_MCHID, text, "1 to 32 digits")


def out_order_no(text: str) -> str:
    """Read a merchant's number of an order."""
    return _matching(_OUT_ORDER_NO, text, "1 to 32 of digits, letters, _ - | *")


def seconds(text: str) -> float:
    """Read a number of seconds, not negative."""
    return float(_matching(re.compile(r"[0-9]{1,9}(\.[0-9]+)?", re.ASCII), text, "a number of seconds, from 0"))


def _matching(pattern: re.Pattern[str], text: str, rule: str) -> str:
    if not pattern.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not {rule}")
    return text

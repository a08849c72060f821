"""The command line: nouns and verbs, the options of every command, and errors that name the nearest match."""

import argparse
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, NoReturn

from ops import address, screen
from ops.installation import HERE
from ops.output import EXITS, Exit, Output
from ops.stack import OPTIONS, Deployment

PROGRAM = HERE.ops

type Command = Callable[[Deployment, argparse.Namespace], Output]
"""What a noun and a verb stand for."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line with the remedy, and whose help keeps the lines of its description."""

    def __init__(self, **arguments: Any) -> None:  # noqa: ANN401  argparse's own
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **arguments)

    def format_help(self) -> str:
        """Return the help, with the commands as this installation has them."""
        return HERE.words(super().format_help())

    def error(self, message: str) -> NoReturn:
        """Print what is wrong with the command line, the nearest match if there is one, and where help is."""
        self.exit(Exit.USAGE, screen.line(f"ops: {self._explain(message)}; see `{self.prog} --help`") + "\n")

    def _explain(self, message: str) -> str:
        if choice := re.fullmatch(r"argument (.+?): invalid choice: '(.*)' \(choose from (.*)\)", message, re.DOTALL):
            name, word, choices = choice.groups()
            words = [one.strip("'") for one in choices.split(", ")]
            kind = "command" if name in {"NOUN", "VERB"} else name
            return f"there is no {kind} {word}: {_nearest(word, words) or f'it is one of {", ".join(words)}'}"
        if options := re.fullmatch(r"unrecognized arguments: (.*)", message, re.DOTALL):
            first = options[1].split()[0].partition("=")[0] if options[1].split() else options[1]
            nearest = _nearest(first, _option_strings(self)) if first.startswith("-") else ""
            return f"{message}{f': {nearest}' if nearest else ''}"
        return message


def _nearest(word: str, words: Iterable[str]) -> str:
    matches = get_close_matches(word, list(words), n=1, cutoff=0.5)
    return f"do you mean {matches[0]}?" if matches else ""


def _option_strings(parser: argparse.ArgumentParser) -> set[str]:
    """Return the options of a parser and of the parsers of its nouns and verbs."""
    options: set[str] = set()
    for action in parser._actions:
        options |= set(action.option_strings)
        if isinstance(action, argparse._SubParsersAction):
            options = options.union(*map(_option_strings, action.choices.values()))
    return options


@dataclass(frozen=True, slots=True)
class Nouns:
    """Where a module registers its nouns and its commands without a verb."""

    _parsers: Any  # argparse's class for it is private

    def noun(self, name: str, help: str) -> "Noun":
        """Add a noun, and return it for its verbs."""
        parser = self._parsers.add_parser(name, help=help, description=_sentence(help))
        _add_options(parser, first=False)
        return Noun(parser.add_subparsers(required=True, metavar="VERB", title="verbs", dest="verb"))

    def command(self, name: str, run: Command, help: str, description: str = "") -> argparse.ArgumentParser:
        """Add a command without a verb; `help` is its line in the list, `description` the text of its own help."""
        return _command(self._parsers, name, run, help, description)


@dataclass(frozen=True, slots=True)
class Noun:
    """Where a module registers the verbs of a noun."""

    _parsers: Any

    def command(self, name: str, run: Command, help: str, description: str = "") -> argparse.ArgumentParser:
        """Add a verb; `help` is its line in the list, `description` the text of its own help."""
        return _command(self._parsers, name, run, help, description)


def _command(parsers: Any, name: str, run: Command, help: str, description: str) -> argparse.ArgumentParser:  # noqa: ANN401
    parser: argparse.ArgumentParser = parsers.add_parser(name, help=help, description=description or _sentence(help))
    parser.set_defaults(command=run)
    _add_options(parser, first=False)
    return parser


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def command_line(register: Iterable[Callable[[Nouns], None]]) -> Parser:
    """Return the parser of all commands that these functions register."""
    parser = Parser(
        prog=PROGRAM,
        description="Orders, dead letters, events and keys of a stack: know, explain, repair.\n"
        f"`{PROGRAM} NOUN VERB --help` explains a command.",
        epilog="\n".join(["exit statuses:", *(f"  {status:>3}  {text}" for status, text in EXITS.items())]),
    )
    _add_options(parser, first=True)
    nouns = Nouns(parser.add_subparsers(required=True, metavar="NOUN", title="nouns", dest="noun"))
    for function in register:
        function(nouns)
    return parser


def _add_options(parser: argparse.ArgumentParser, *, first: bool) -> None:
    """Add the options of every command; after the noun, an option that is not given leaves the one before it."""
    group = parser.add_argument_group("options of every command")
    sandbox = "that of the running sandbox, otherwise"

    def add(option: str, *, text: str, **arguments: Any) -> None:  # noqa: ANN401  argparse's own
        if not first:
            arguments["default"] = argparse.SUPPRESS
        group.add_argument(option, help=text if first else argparse.SUPPRESS, **arguments)

    add("--json", action="store_true", text="print JSON: one document, or one line for each row of a list")
    add("--stack", metavar="NAME", text=f"name of the stack; default: $STACK, {sandbox} {address.STACK}")
    add("--profile", metavar="NAME", text="profile of the AWS configuration; default: that of the AWS environment")
    add("--region", metavar="NAME", text=f"AWS Region; default: {sandbox} that of the AWS environment")
    add("--endpoint-url", metavar="URL", text=f"AWS endpoint; default: {sandbox} AWS's own")
    add("--sandbox", action="store_true", text="require the running sandbox; without it, it is used if it runs")
    for output, option in OPTIONS.items():
        metavar = option.rpartition("-")[2].upper()
        text = f"{output} to use instead of the stack's, or of a deleted stack"
        add(option, dest=output, metavar=metavar, text=text)
    if not first:
        group.description = f"--json, --stack, --profile, --region, …: see `{PROGRAM} --help`"

"""The frame of `bin/ops`: options, help, exit statuses, errors in one line, and output for people and for programs."""

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ProfileNotFound,
)

from ops import address, failures
from ops.__main__ import main
from ops.address import Sandbox
from ops.commands import MODULES
from ops.commands.arguments import duration, program
from ops.commands.parser import command_line
from ops.output import EXITS, Exit, Output, Progress, Report, Row, Stream, Table
from ops.printer import Printer
from ops.stack import Deployment, OpsError

EVIL = "\x1b[2J\u202egnol\nops: all is well\x9b"
ROOT = Path(__file__).parents[2]


class Terminal(io.StringIO):
    """A text stream that is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def printed(output: Output, *, as_json: bool = False, out: io.StringIO | None = None) -> tuple[Exit, str, str]:
    """Print an output; return the exit status, stdout and stderr. A clock that runs prints all progress."""
    out, err = out or io.StringIO(), Terminal()
    clock = iter(range(1000))
    status = Printer(out, err, as_json=as_json, clock=lambda: float(next(clock))).print(output)
    return status, out.getvalue(), err.getvalue()


# ---- the command line ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ordr", "show"], "there is no command ordr: do you mean order?; see `bin/ops --help`"),
        (["order", "lst"], "there is no command lst: do you mean list?; see `bin/ops order --help`"),
        (["order", "xyzzy"], "there is no command xyzzy: it is one of show, list, acknowledge"),
        (["order", "list", "--statsu", "x"], "--statsu x: do you mean --status?"),
        (["order", "list", "--status", "SYNCED"], "there is no --status SYNCED: it is one of"),
        (["order", "list", "--older-than", "soon"], "soon is no duration: write a number and s, m, h, d or w"),
        (["order", "list", "--limit", "0"], "0 is no whole number from 1"),
        (["order", "show", "1230000109"], "the following arguments are required: OUT_ORDER_NO"),
        (["order", "acknowledge", "1", "A", "--who", "me"], "the following arguments are required: --why"),
        ([], "the following arguments are required: NOUN"),
        (["order", EVIL], "there is no command"),
    ],
)
def test_a_wrong_command_line_is_one_line_with_the_nearest_match(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A typo ends with status 2 and one line that names the nearest noun, verb or option, and where help is."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    error = capsys.readouterr().err
    assert (caught.value.code, error.count("\n"), words in error) == (2, 1, True), error
    assert error.startswith("ops: ")
    assert "\x1b" not in error


def leaves(parser: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the parser of each command, with its words."""
    choices = [action.choices for action in parser._actions if isinstance(action.choices, dict)]
    if not choices:
        yield path, parser
    for verbs in choices:
        for name, verb in verbs.items():
            yield from leaves(verb, (*path, name))


LEAVES = dict(leaves(command_line(module.register for module in MODULES)))


@pytest.mark.parametrize("words", LEAVES)
def test_the_help_of_each_command_reads_like_documentation(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Each help has a sentence about the command and about each of its own arguments, and nothing on stderr."""
    with pytest.raises(SystemExit) as caught:
        main([*words, "--help"])
    output = capsys.readouterr()
    assert (caught.value.code, output.err) == (0, "")
    description = LEAVES[words].description
    assert description[0].isupper()
    assert description.rstrip()[-1] == "."
    assert [action.dest for action in LEAVES[words]._actions if not action.help] == []


def test_the_exit_statuses_are_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    """`bin/ops --help` explains each exit status in one line."""
    with pytest.raises(SystemExit):
        main(["--help"])
    lines = capsys.readouterr().out.splitlines()
    for status in Exit:
        assert f"  {status:>3}  {EXITS[status]}" in lines


def _required(parser: Any) -> Iterator[str]:
    """Yield words for the arguments that a command cannot do without."""
    groups = [group._group_actions for group in parser._mutually_exclusive_groups if group.required]
    for action in parser._actions:
        if action.required or any(action is actions[0] for actions in groups):
            yield from action.option_strings[:1]
            yield str(next(iter(action.choices))) if action.choices else "1"


@pytest.mark.parametrize("words", LEAVES)
def test_options_of_every_command_stand_before_and_after_the_noun(words: tuple[str, ...]) -> None:
    """An option of every command is read at each place, and one after the noun replaces one before it."""
    parser = command_line(module.register for module in MODULES)
    required = list(_required(LEAVES[words]))
    options = ["--region", "r", "--profile", "p", "--stack", "s", "--endpoint-url", "u", "--json", "--sandbox"]
    resources = ["--queue-url", "q", "--dead-letters-url", "d", "--undelivered-url", "n", "--table-name", "t"]
    places = [
        parser.parse_args([*options, *resources, *words, *required]),
        parser.parse_args([words[0], *options, *resources, *words[1:], *required]),
        parser.parse_args([*words, *required, *options, *resources]),
    ]
    assert places[0] == places[1] == places[2]
    assert parser.parse_args(["--stack", "a", *words, *required, "--stack", "b"]).stack == "b"
    assert parser.parse_args(["--stack", "a", *words, *required]).stack == "a"


def test_a_command_that_is_printed_has_the_options_of_the_one_that_prints_it() -> None:
    """What to do next names the same stack, so that it can be copied."""
    parser = command_line(module.register for module in MODULES)
    words = ["--stack", "S", "order", "show", "1", "A", "--region", "cn-north-1", "--table-name", "T"]
    assert program(parser.parse_args(words)) == "bin/ops --region cn-north-1 --stack S --table-name T"
    assert program(parser.parse_args(["order", "list", "--sandbox"])) == "bin/ops --sandbox"


def test_durations_are_read() -> None:
    """A duration is a number and a unit."""
    assert [duration(text).total_seconds() for text in ("90s", "30m", "4h", "2d", "1w")] == [
        90,
        1800,
        14400,
        172800,
        604800,
    ]


# ---- failures --------------------------------------------------------------------------------------------------------


def a_client_error(code: str) -> ClientError:
    """Return an error of AWS with this code."""
    return ClientError({"Error": {"Code": code, "Message": f"about {EVIL}"}}, "Query")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (a_client_error("ExpiredTokenException"), "log in again"),
        (a_client_error("ExpiredToken"), "log in again"),
        (a_client_error("UnrecognizedClientException"), "--profile; those of China"),
        (a_client_error("InvalidClientTokenId"), "--profile; those of China"),
        (a_client_error("AccessDeniedException"), "extend their policy"),
        (a_client_error("ResourceNotFoundException"), "check --table-name, --region and --stack"),
        (a_client_error("ThrottlingException"), "run the command again"),
        (EndpointConnectionError(endpoint_url="https://sqs"), "check --region, --endpoint-url"),
        (NoCredentialsError(), "give --profile"),
        (NoRegionError(), "give --region"),
        (ProfileNotFound(profile="prod"), "aws configure list-profiles"),
    ],
)
def test_an_error_of_aws_is_one_line_with_the_remedy(
    error: ClientError | BotoCoreError,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An error of AWS that any command may meet ends with status 1 and one line: AWS's words, then the remedy."""

    def refuse(_: str) -> None:
        raise error

    monkeypatch.setattr(Deployment, "find", lambda *_, **__: Deployment(refuse, {"OrdersTableName": "t"}, {}))
    assert main(["--region", "us-east-1", "order", "list"]) == 1
    output = capsys.readouterr()
    assert (output.out, output.err.count("\n"), words in output.err) == ("", 1, True), output.err
    assert "\x1b" not in output.err


def test_an_error_that_explains_itself_gets_no_remedy() -> None:
    """An error without a row is printed as AWS words it."""
    assert failures.remedy(a_client_error("ValidationException")) == ""


def test_a_stack_that_cannot_be_looked_up_is_named_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No credentials, an unknown profile and no sandbox are one line each, with status 1."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "STACK", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(address, "running", list)
    for options, words in {
        (
            "--region",
            "eu-west-1",
        ): ": NoCredentialsError: Unable to locate credentials; log in",
        ("--profile", "nowhere"): "(nowhere) could not be found; `aws configure list-profiles`",
        ("--sandbox",): "no sandbox runs: start it with `make sandbox`",
    }.items():
        assert main([*options, "order", "list"]) == 1
        error = capsys.readouterr().err
        assert (error.count("\n"), words in error) == (1, True), error
    assert main(["--sandbox", "--profile", "p", "order", "list"]) == 2
    assert "exclude each other" in capsys.readouterr().err


def test_a_required_sandbox_is_used_in_any_region_and_no_other_stack_is() -> None:
    """`--sandbox` chooses the running sandbox in any region and refuses another stack; `--profile` means AWS."""
    sandbox = Sandbox("sandbox", "us-east-1", "http://127.0.0.1:4566", "x", "x", 1)
    environment: dict[str, str] = {}
    choose: Callable[..., address.Address] = address.choose
    target = choose(None, "eu-west-1", None, environment=environment, sandboxes=[sandbox], require_sandbox=True)
    assert target.sandbox is sandbox
    with pytest.raises(OpsError, match="the sandbox that runs is sandbox on http"):
        choose("shop", None, None, environment=environment, sandboxes=[sandbox], require_sandbox=True)
    target = choose(None, None, None, environment=environment, sandboxes=[sandbox], profile="prod")
    assert target.sandbox is None


def test_an_interrupt_ends_a_command_with_its_own_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C closes the command's generator, so that it releases what it holds, and ends with status 130."""
    released = []

    def steps() -> Iterator[Row]:
        try:
            yield Row(("one",), 1)
            raise KeyboardInterrupt
        finally:
            released.append(True)

    monkeypatch.setattr(Deployment, "find", lambda *_, **__: Deployment(lambda _: None, {}, {}))
    monkeypatch.setattr("ops.attention.items", lambda *_, **__: steps())
    monkeypatch.setattr("ops.commands.order._rows", lambda *_: steps())
    assert main(["--region", "us-east-1", "order", "list"]) == 130
    assert released == [True]
    output = capsys.readouterr()
    assert (output.out, "interrupted" in output.err) == ("one\n", True)


A_MILLION_ROWS = """
import sys
from ops.__main__ import main
from ops.commands import order
from ops.output import Row
from ops.stack import Deployment

Deployment.find = lambda *_, **__: Deployment(None, {}, {})
order._rows = lambda *_: (Row((number,), number) for number in range(1_000_000))
sys.exit(main(["--region", "us-east-1", "order", "list"]))
"""


def test_a_reader_that_ends_ends_the_command() -> None:
    """`bin/ops … | head -1` ends without a traceback, with status 141."""
    with subprocess.Popen(
        [sys.executable, "-c", A_MILLION_ROWS],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"0\n"
        process.stdout.close()
        error = process.stderr.read()
    assert (process.returncode, error) == (141, b"")


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}


# ---- output ----------------------------------------------------------------------------------------------------------


def a_stream() -> Iterator[Row | Progress | Report]:
    """Yield two rows, progress and a summary that needs action."""
    yield Progress("letters read", 1, 2)
    yield Row(("2026", "REJECTED", "", "租金"), {"n": 1}, note="why")
    yield Progress("letters read", 2, 2)
    yield Row(("2027", "SYNCED", "x", EVIL), {"n": EVIL})
    yield Report(("2 of 2",), {"total": 2}, Exit.ACTION)
    yield Report(("end",))


def test_rows_are_lines_in_a_pipe_and_json_lines_for_programs() -> None:
    """In a pipe a row is one line without padding; with --json each row and each summary is one line of JSON."""
    columns = ("at", "status", "note", "text")
    status, out, _ = printed(Stream(columns, a_stream()))
    assert status is Exit.ACTION
    assert out.splitlines()[0] == "2026  REJECTED  租金"
    assert out.splitlines()[1:2] == ["    why"]
    assert out.splitlines()[3:] == ["2 of 2", "end"]
    status, out, _ = printed(Stream(columns, a_stream()), as_json=True)
    assert status is Exit.ACTION
    assert [json.loads(line) for line in out.splitlines()] == [{"n": 1}, {"n": EVIL}, {"total": 2}]
    assert "\x1b" not in out


def test_rows_on_a_terminal_are_aligned_under_the_columns() -> None:
    """On a terminal the columns have heads, cells begin under each other, and Chinese characters count as two."""
    rows = [Row(("租金租金", "REJECTED", "a"), 1), Row(("x", None, "b"), 2)]
    status, out, _ = printed(Stream(("name", "status", "text"), iter(rows)), out=Terminal())
    head, first, second = (_plain(line) for line in out.splitlines())
    assert status is Exit.DONE
    assert (head, first, second) == ("name      status    text", "租金租金  REJECTED  a", "x         -         b")


def test_a_table_and_rows_on_a_terminal_have_widths_of_their_own() -> None:
    """A table in a summary does not move the rows that follow it."""
    steps: list[Row | Progress | Report] = [Report((Table(("a", "b", "c"), ((1, 2, 3),)),)), Row(("x", "y"), 1)]
    _, out, _ = printed(Stream(("first", "last"), iter(steps)), out=Terminal())
    assert [_plain(line) for line in out.splitlines()] == ["a  b  c", "1  2  3", "first  last", "x      y"]


def _plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_progress_is_printed_on_a_terminal_alone() -> None:
    """`N of M` goes to stderr if that is a terminal, is erased before a row, and does not appear in a pipe."""
    _, out, err = printed(Stream(("at", "status", "note", "text"), a_stream()))
    assert "letters read: 1 of 2" in err
    assert err.endswith("\r\x1b[K")
    assert "letters read" not in out
    silent = io.StringIO()
    Printer(io.StringIO(), silent).print(Stream(("at", "status", "note", "text"), a_stream()))
    assert silent.getvalue() == ""


def test_progress_does_not_slow_a_command_down() -> None:
    """Progress is printed ten times a second at most."""
    err = Terminal()
    steps = (Progress("orders read", number) for number in range(1000))
    Printer(io.StringIO(), err, clock=lambda: 7.0).print(Stream(("n",), steps))
    assert err.getvalue().count("orders read") == 1


def test_a_report_is_lines_and_tables_or_one_document() -> None:
    """A report is printed as its lines, with tables whose columns are aligned; with --json as one document."""
    table = Table(("at", "text"), (("2026", None), ("2026-01", EVIL)))
    report = Report(("first", table), {"text": EVIL})
    status, out, _ = printed(report)
    assert (status, out.splitlines()[:3]) == (Exit.DONE, ["first", "at       text", "2026     -"])
    assert len(out.splitlines()) == 4
    assert "\x1b" not in out
    _, out, _ = printed(report, as_json=True)
    assert json.loads(out) == {"text": EVIL}
    assert "\x1b" not in out


# ---- stacks that are not there ---------------------------------------------------------------------------------------


class SimulatedCloudFormation:
    """CloudFormation with these stacks, by name, each with the names of its outputs; None refuses to list them."""

    def __init__(self, stacks: dict[str, list[str]] | None) -> None:
        self.meta = SimpleNamespace(region_name="eu-west-1")
        self._stacks = stacks

    def describe_stacks(self, StackName: str = "") -> dict[str, Any]:  # noqa: N803  boto3's name
        """Return the stack of this name, or all of them."""
        if self._stacks is None or (StackName and StackName not in self._stacks):
            message = f"Stack with id {StackName} does not exist"
            raise ClientError({"Error": {"Code": "ValidationError", "Message": message}}, "DescribeStacks")
        names = [StackName] if StackName else list(self._stacks)
        return {"Stacks": [self._stack(name, self._stacks[name]) for name in names]}

    def _stack(self, name: str, outputs: list[str]) -> dict[str, Any]:
        return {"StackName": name, "Outputs": [{"OutputKey": key, "OutputValue": "v"} for key in outputs]}

    def get_paginator(self, _: str) -> "SimulatedCloudFormation":
        """Return what pages through all stacks."""
        return self

    def paginate(self) -> list[dict[str, Any]]:
        """Return one page."""
        return [self.describe_stacks()]


OURS = ["OrdersTableName"]


@pytest.mark.parametrize(
    ("stacks", "words"),
    [
        ({"payscore-prod": OURS, "payscore-staging": OURS, "web": []}, "do you mean --stack payscore-prod?"),
        ({"x": OURS}, "do you mean --stack x?"),
        ({"web": []}, "no stack of this adapter is in eu-west-1: choose others with --region, --profile or --stack"),
        (None, "no stack of this adapter is in eu-west-1: choose others with --region"),
        ({"payscore-prd": []}, "is not this adapter: it has no output OrdersTableName; name its stack with --stack"),
    ],
)
def test_a_stack_that_is_not_there_is_answered_with_the_nearest_one(
    stacks: dict[str, list[str]] | None, words: str
) -> None:
    """A typo names the nearest stack of this adapter; without one, the Region is named; a foreign stack is refused."""
    session: Any = SimpleNamespace(client=lambda *_, **__: SimulatedCloudFormation(stacks))
    with pytest.raises(OpsError) as caught:
        Deployment.find("payscore-prd", session=session)
    assert str(caught.value).startswith("stack payscore-prd")
    assert words in str(caught.value)

"""Every command that a page prints is run as it is printed, outside the virtual environment, and ends as the page says.

The commands run in a folder that looks like a fresh clone, against one sandbox. Only the words of `_in_this_world` are
replaced. A command without a rule fails its page: say in RULES how it ends. Commands that differ only in a word of
`_shape` run once. The runbook's commands of `bin/ops` run in this process, which saves a second each; those of the
other pages start the program.
"""

import io
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path
from textwrap import dedent
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ops.__main__ import main
from ops.installation import PROGRAM
from orders.order import Status
from sandbox import client_environment, up
from sandbox.place import Place, read_place
from sandbox.testbed import BUILD, MERCHANT, OTHER_MERCHANT, ROOT, Testbed, until
from tests import page_programs
from tests.ops.merchant_files import MerchantFiles

OPERATE = ("runbook.md", "deploy.md", "alarms/*.md", "reasons/*.md")
RUNBOOK = [str(page.relative_to(ROOT)) for pattern in OPERATE for page in sorted((ROOT / "docs/operate").glob(pattern))]
PAGES = (
    "README.md",
    "docs/integrating-a-pos.md",
    *RUNBOOK,
    "sandbox/README.md",
    "events/README.md",
    "layers/wechatpay/README.md",
)
PROGRAMS = (
    *("make", "bin/ops", ".venv/bin/python", ".venv-sam/bin/sam", "aws", "curl", "pip", "export", "env", "eval"),
    *("uvx", "pipx", PROGRAM),
)
README = (ROOT / "README.md").read_text(encoding="utf-8")
EVENT_FILES = dict(
    re.findall(
        r"^\| (\S+\.json) \| [^|]+ \| [^|]+ \| (\d+) \|$", (ROOT / "events/README.md").read_text("utf-8"), re.MULTILINE
    )
)

ANY_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
OUT_ORDER_NO = "WON-BY-WECHAT-1"  # the order that the runbook and the README ask for
EVENT_ID = "9c3e7a52-6f0f-4d6e-8f5e-0d2b8c1a5f01"  # a till's own, of an event that is sent for `find`
ENDS = {
    "1234323JKHDFE1243252": Status.SYNCED,
    "MINE-1": Status.SYNCED,
    "MINE-2": Status.SYNCED,
    "POS-1": Status.SYNCED,
    "PAID-OFFLINE-1": Status.SYNCED,
    OUT_ORDER_NO: Status.PAID_BY_WECHAT,
}
"""The final status of each order that the pages show."""


# ---- what the pages print --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Command:
    """A command as it is printed, with its line."""

    line: int
    text: str


def printed(page: str) -> list[Command]:
    """Return the commands of a page: its indented blocks, and code spans that begin with a program."""
    text = (ROOT / page).read_text(encoding="utf-8")
    commands = [*_in_blocks(text), *_between_backticks(text)]
    return sorted(commands, key=lambda command: command.line)


def _in_blocks(text: str) -> Iterator[Command]:
    fenced, before, collected, first = False, "", "", 0
    for number, line in enumerate(text.splitlines(), 1):
        fenced ^= line.startswith("```")
        indented = line.startswith("    ") and not fenced
        if indented and (collected or not before.strip() or before.startswith("    ")):
            first = first if collected else number
            collected += line.removeprefix("    ") + "\n"
            if _is_whole(collected):
                yield Command(first, collected.strip())
                collected = ""
        before = line
    assert not collected, f"line {first}: a command without its end: {collected}"


def _is_whole(text: str) -> bool:
    if text.endswith("\\\n"):
        return False
    try:
        shlex.split(text, comments=True)
    except ValueError:  # a quotation is open
        return False
    return True


def _between_backticks(text: str) -> Iterator[Command]:
    """Yield commands in code spans; one may continue in the next line, but not in another paragraph or table row."""
    prose = re.sub(
        r"^(```.*?^```|    .*?)$", lambda block: "\n" * block[0].count("\n"), text, flags=re.MULTILINE | re.DOTALL
    )
    for span in re.finditer(r"(?<!`)`((?:[^`\n]|\n(?![\n|]))+)`(?!`)", prose):
        code = " ".join(span[1].split())
        if code.startswith(tuple(f"{program} " for program in PROGRAMS)):
            yield Command(prose.count("\n", 0, span.start()) + 1, code)


@pytest.mark.parametrize("page", PAGES)
def test_a_printed_command_brings_its_environment(page: str) -> None:
    """A page prints no bare `python -m` or `sam`: these fail outside the virtual environment."""
    programs = {command.text.split()[0] for command in _in_blocks((ROOT / page).read_text(encoding="utf-8"))}
    assert programs <= set(PROGRAMS)
    assert not re.search(r"(?<![\w./-])python3? -m|`sam [a-z ]+ -", (ROOT / page).read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", RUNBOOK)
def test_a_command_of_the_runbook_names_its_stack(page: str) -> None:
    """A command of the runbook is whole: without its stack it would ask another one."""
    for command in printed(page):
        if command.text.startswith("bin/ops ") and command.text != "bin/ops --help":
            # a stack, or a table that outlived its stack
            assert re.match(r"bin/ops (--stack S|--table-name TABLE) ", command.text), command


# ---- where they run --------------------------------------------------------------------------------------------------


@dataclass
class Shell:
    """A terminal in a fresh clone, next to a running sandbox."""

    world: Testbed
    clone: Path
    control_url: str
    variables: dict[str, str]
    tried: set[str] = field(default_factory=set)  # shapes of commands that ended as they should, here or elsewhere
    starts_ops: bool = True  # whether `bin/ops` is started; otherwise it runs in this process
    usages: dict[str, str] = field(default_factory=dict)  # what `sam COMMAND --help` prints, by command

    def run(self, command: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        """Run a command line; `variables` are for this one."""
        line = _in_this_world(command, self)
        if line.startswith("bin/ops ") and not self.starts_ops:
            return self._run_ops(line)
        environment = self.variables | variables
        return subprocess.run(
            ["sh", "-c", line],
            cwd=self.clone,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def _run_ops(self, line: str) -> "subprocess.CompletedProcess[str]":
        words, _, file = line.replace("\\\n", " ").partition(" > ")
        out, errors = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(errors):
            patch.chdir(self.clone)
            for name, value in (ANY_CREDENTIALS | {"AWS_ENDPOINT_URL": self.world.cloud.endpoint_url}).items():
                patch.setenv(name, value)
            try:
                status: object = main(shlex.split(words, comments=True)[1:])
            except SystemExit as end:  # of --help, or for a wrong command line
                status = end.code
        if file:
            (self.clone / file.split()[0]).write_text(out.getvalue(), encoding="utf-8")
        assert isinstance(status, int)
        return subprocess.CompletedProcess(line, status, out.getvalue(), errors.getvalue())


def _in_this_world(command: str, shell: Shell) -> str:
    """Replace placeholders, and the ports, which are free ones here."""
    for pattern, word in {
        r"http://127\.0\.0\.1:4566": shell.world.cloud.endpoint_url,
        r"http://127\.0\.0\.1:4510": shell.world.wechat_pay.base_url,
        r"http://127\.0\.0\.1:4512": shell.control_url,
        r"--stack(-name)? S\b": rf"--stack\1 {shell.world.stack.name}",
        r"\bTABLE\b": shell.world.stack.outputs["OrdersTableName"],
        r"\b(KEPT_QUEUE_)?URL\b": shell.world.stack.outputs["DeadLettersUrl"],
        r"\bEVENT_ID\b": EVENT_ID,
        r"\bMCHID\b": MERCHANT,
        r"\bOUT_ORDER_NO\b": OUT_ORDER_NO,
        r"\bFUNCTION\b": shell.world.function,
    }.items():
        command = re.sub(pattern, word, command)
    return command


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with everything of this repository except the files of a developer's own sandbox."""
    clone = tmp_path_factory.mktemp("fresh clone")
    for path in ROOT.iterdir():
        if path.name.startswith((".venv", ".aws-sam")) or not path.name.startswith("."):
            (clone / path.name).symlink_to(path)
    (clone / ".sandbox").mkdir()
    payload, _ = [block for block in re.findall(r"```json\n(.*?)```", README, re.DOTALL) if "paid_time" in block]
    (clone / "mine.json").write_text(payload, encoding="utf-8")
    return clone


@pytest.fixture(scope="module")
def shell(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """Yield a shell next to a sandbox like `make sandbox`, after a collected order and two that cannot be synced."""
    with ExitStack() as stack:
        world = stack.enter_context(Testbed.open(clone / ".sandbox", doorways=True))
        up.seed(world)
        up.write_addresses(world, clone / ".sandbox")
        for file in ("won-by-wechat.json", "revoked.json", "mixed-batch.json"):
            world.publish(file)
        yield Shell(world, clone, world.wechat_pay.control_url, _environment(tmp_path_factory.mktemp("home")))


def _environment(home: Path) -> dict[str, str]:
    """Return a user's environment variables, without AWS settings and outside the virtual environments."""
    programs = home / "bin"
    programs.mkdir()
    for name in ("aws", "curl"):
        if name == "aws" or not shutil.which(name):  # version 2 of the AWS CLI is not a Python package
            stand_in = f'exec {sys.executable} {ROOT / "tests/page_programs.py"} {name} "$@"\n'
            (programs / name).write_text(f"#!/bin/sh\n{stand_in}")
            (programs / name).chmod(0o755)
    inside = {str(ROOT / name / "bin") for name in (".venv", ".venv-sam")} | {str(Path(sys.executable).parent)}
    path = [folder for folder in os.environ["PATH"].split(os.pathsep) if folder not in inside]
    return {"PATH": os.pathsep.join([str(programs), *path]), "HOME": str(home), "LANG": "C.UTF-8"}


# ---- how they end ----------------------------------------------------------------------------------------------------

type Rule = Callable[[Shell, str], None]


def _shows_an_order(shell: Shell, command: str) -> None:
    as_printed = command.split("#", maxsplit=1)[0].strip()
    number = _in_this_world(as_printed, shell).split()[-1]
    output: list[str] = []

    def look() -> dict[str, Any] | None:
        process = shell.run(f"{as_printed} --json")
        output[:] = [process.stdout, process.stderr]
        item: dict[str, Any] = json.loads(process.stdout) if process.returncode == 0 else {}
        return item if item.get("status", Status.RETRYING) != Status.RETRYING else None

    item = until(look, 300.0)
    assert item is not None, output
    assert item["status"] == ENDS[number], output
    assert (number == OUT_ORDER_NO) == ("transaction_id" in item)
    words = _succeeds(shell, command)
    assert re.search(rf"^status +{ENDS[number]}\b", words, re.MULTILINE)
    assert "what to do next" in words


def _checks_keys(shell: Shell, command: str) -> None:
    out = _succeeds(shell, command)
    without_echo = "WeChat Pay was asked" if "--bound" in command else "WeChat Pay was not asked"
    assert ("WeChat Pay echoed" if "--echo" in command else without_echo) in out
    if f"    {command}\n" in README:
        [block] = re.findall(r"```\n(mchid .*?)```", README, re.DOTALL)
        assert _without_chance(out) == _without_chance(block)


def _without_chance(text: str) -> str:
    """Replace what differs in each run: random serials, and the time."""
    return re.sub(r"\b[0-9A-F]{40}\b|(?<=PUB_KEY_ID_)\d+|\d\d:\d\d:\d\d", "…", text)


def _succeeds(shell: Shell, command: str) -> str:
    process = shell.run(command)
    assert process.returncode == 0, f"{command}\n{process.stdout}{process.stderr}"
    return process.stdout


def _lists_letters(shell: Shell, command: str) -> None:
    assert re.search(r"^\d+ dead letter\(s\)$", _succeeds(shell, command), re.MULTILINE)


NEEDS_ACTION = 3  # the exit status of a command of `ops` that did its work and found something to do


def _reports(shell: Shell, command: str) -> str:
    """The command does its work; whether something needs action depends on what other commands left."""
    process = shell.run(command)
    assert process.returncode in {0, NEEDS_ACTION}, f"{command}\n{process.stdout}{process.stderr}"
    return process.stdout


def _works(shell: Shell, command: str) -> None:
    """The command does its work."""
    _reports(shell, command)


def _moves(shell: Shell, command: str) -> None:
    """A message that is to be moved or deleted is there before, and the command reports what it did or would do."""
    _letter(shell)
    if "--mended" in command:  # a message of an order that is settled by now
        _put_letter(shell, (ROOT / "events/paid-offline-eventbridge.json").read_text(encoding="utf-8"))
    command = re.sub(r"--reason \w+", "--reason REVOKED", command)
    assert re.search(r"\bmessage|\bletter", _reports(shell, command)), command


def _invokes(shell: Shell, command: str) -> None:
    """As many messages stay as the table of events/README.md says."""
    out = _succeeds(shell, command)
    result, end = json.JSONDecoder().raw_decode(out)
    assert "FunctionError" not in json.loads(out[end:])
    [file] = re.findall(r"file://events/(\S+)", command)
    assert len(result.get("batchItemFailures", [])) == int(EVENT_FILES[file])


def _put_letter(shell: Shell, body: str) -> None:
    sqs = shell.world.cloud.client("sqs")
    sqs.send_message(QueueUrl=shell.world.stack.outputs["DeadLettersUrl"], MessageBody=body)


def _letter(shell: Shell) -> str:
    """Return the id of a dead-letter message about REVOKED-1; send its event again if none is left."""
    arguments = {"QueueUrl": shell.world.stack.outputs["DeadLettersUrl"], "VisibilityTimeout": 0}
    sqs = shell.world.cloud.client("sqs")

    def find() -> str | None:
        messages = sqs.receive_message(**arguments, MaxNumberOfMessages=10).get("Messages", [])
        return next((message["MessageId"] for message in messages if "REVOKED-1" in message["Body"]), None)

    if (message_id := find()) is None:
        shell.world.publish("revoked.json")
        message_id = until(find, state="a dead letter about REVOKED-1")
    return message_id


def _takes_a_letter(shell: Shell, command: str) -> None:
    """`ID` stands for the id of a dead-letter message that exists; the command reports on it."""
    message_id = _letter(shell)
    assert _reports(shell, re.sub(r"\bID\b", message_id, command)) or ">" in command


def _plans(shell: Shell, command: str) -> None:
    """A plan has the messages of its reason, with what a redrive needs; REVOKED stands for each reason."""
    _letter(shell)
    _succeeds(shell, re.sub(r"--reason \w+", "--reason REVOKED", command))
    plan = json.loads((shell.clone / "redrive.json").read_text(encoding="utf-8"))
    assert {letter["order"] for letter in plan["letters"]} == {f"{MERCHANT}#REVOKED-1"}


def _redrives_a_plan(shell: Shell, command: str) -> None:
    """The messages of the plan are in OrderQueue; of the same plan nothing is left to move."""
    _plans(shell, f"bin/ops --stack {shell.world.stack.name} dead-letters plan --reason REVOKED > redrive.json")
    assert "in the order queue" in _reports(shell, command).replace("OrderQueue", "the order queue")


def _finds_an_event(shell: Shell, command: str) -> None:
    """A till's own id leads to the order that it reported."""
    payload = json.loads((shell.clone / "mine.json").read_text(encoding="utf-8")) | {"event_id": EVENT_ID}
    queue = shell.world.stack.outputs["OrderQueueUrl"]
    shell.world.cloud.client("sqs").send_message(QueueUrl=queue, MessageBody=json.dumps(payload))
    until(lambda: payload["out_order_no"] in shell.run(command).stdout or None, 300.0)


def _asks_the_till(shell: Shell, command: str) -> None:
    """A dry run prints what would be sent, and sends nothing."""
    out = _succeeds(shell, command)
    assert "Order_Paid" in out or "paid_time" in out, out


def _sends_undelivered(shell: Shell, command: str) -> None:
    """An event that EventBridge could not deliver is listed, and sent to OrderQueue as it is."""
    queue = shell.world.stack.outputs["UndeliveredEventsUrl"]
    body = (ROOT / "events/paid-offline-eventbridge.json").read_text(encoding="utf-8")
    sqs = shell.world.cloud.client("sqs")
    sqs.send_message(QueueUrl=queue, MessageBody=body)
    assert re.search(r"\b[1-9]\d* (message|undelivered)", _reports(shell, command))
    if "send" in command:
        answer = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessages"])
        assert answer["Attributes"] == {"ApproximateNumberOfMessages": "0"}


def _acknowledges(shell: Shell, command: str) -> None:
    """The order is no longer in the index of those that need attention, and keeps its status."""
    _succeeds(shell, command)
    key = {"pk": {"S": f"{MERCHANT}#{OUT_ORDER_NO}"}}
    table = shell.world.stack.outputs["OrdersTableName"]
    item = shell.world.cloud.client("dynamodb").get_item(TableName=table, Key=key)["Item"]
    assert "attention" not in item
    assert item["status"] == {"S": Status.PAID_BY_WECHAT}


# ---- merchants -------------------------------------------------------------------------------------------------------

NEW_MERCHANT = "1300000088"  # for `merchant add`, which refuses a merchant that has a secret


def _adds_a_merchant(shell: Shell, command: str) -> None:
    """Without a person to ask, the command shows what it would write; with --yes it writes the secret."""
    [(public_key_id, _)] = _write_files(shell, NEW_MERCHANT).items()
    command = re.sub(r"\bPUB_KEY_ID_\d+", public_key_id, re.sub(r"\bMCHID\b", NEW_MERCHANT, command))
    process = shell.run(command)
    assert (process.returncode, "nothing was written" in process.stdout) == (NEEDS_ACTION, True), process
    _succeeds(shell, f"{command} --yes")


def _rotates_a_key(shell: Shell, command: str) -> None:
    """The new key replaces the old one, or the new platform key joins those that the secret has."""
    shell.world.wechat_pay.merchant(OTHER_MERCHANT).rotate_key()
    _write_files(shell, OTHER_MERCHANT)
    successor = shell.world.wechat_pay.merchant(NEW_MERCHANT).key.public_key()  # any other key than the present one
    pem = successor.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (shell.clone / "pub_key.pem").write_bytes(pem)
    process = shell.run(re.sub(r"\bMCHID\b", OTHER_MERCHANT, command) + " --yes")
    assert process.returncode in {0, NEEDS_ACTION}, process


def _write_files(shell: Shell, mchid: str) -> Mapping[str, str]:
    """Write the files that the merchant platform gives a merchant; return WeChat Pay's public key by its id."""
    merchant = shell.world.wechat_pay.merchant(mchid)
    keys = merchant.platform_keys()
    MerchantFiles(shell.clone, mchid, merchant.key, merchant.serial_no).write_text("pub_key.pem", *keys.values())
    return keys


def _describes_the_stack(shell: Shell, command: str) -> None:
    """The command asks the AWS of the environment, which is the sandbox's here."""
    process = shell.run(command, AWS_ENDPOINT_URL=shell.world.cloud.endpoint_url, **ANY_CREDENTIALS)
    assert shell.world.stack.outputs["OrdersTableName"] in process.stdout, process


def _is_an_operation(_: Shell, command: str) -> None:
    """AWS has the operation with these options. It is not called: it deletes what other commands need, or needs AWS."""
    _aws(f"{command} --only-read-the-command-line yes")


def _asks_aws(shell: Shell, command: str) -> None:
    """The sandbox's AWS answers."""
    assert json.loads(_aws(_in_this_world(command, shell), AWS_ENDPOINT_URL=shell.world.cloud.endpoint_url))


def _aws(command: str, **variables: str) -> str:
    """Run the stand-in for the AWS CLI in this process, and return what it prints."""
    words = shlex.split(re.sub(r"^aws deploy ", "aws codedeploy ", command))  # the CLI's name of CodeDeploy
    output = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(output):
        for name, value in (ANY_CREDENTIALS | variables).items():
            patch.setenv(name, value)
        page_programs.aws(words[1:])
    return output.getvalue()


def _puts_an_event(shell: Shell, command: str) -> None:
    assert json.loads(_succeeds(shell, command))["FailedEntryCount"] == 0


def _is_answered(shell: Shell, command: str) -> None:
    assert "error" not in json.loads(_succeeds(shell, command))


def _sets_variables(shell: Shell, command: str) -> None:
    for word in shlex.split(_in_this_world(command, shell))[1:]:
        name, _, value = word.partition("=")
        shell.variables[name] = value


def _writes_credentials(shell: Shell, command: str) -> None:
    """Run it against this world, whose ports are not the usual ones; `eval` sets what it prints."""
    wechat_pay, output = shell.world.wechat_pay, io.StringIO()
    control, proxy = (urlsplit(url).port or 0 for url in (wechat_pay.control_url, wechat_pay.proxy_url))
    place = Place(control=control, proxy=proxy)
    arguments = shlex.split(command.removeprefix('eval "$(').removesuffix(')"'))[4:] or [MERCHANT, "keys"]
    arguments[1] = str(shell.clone / arguments[1])
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(output):
        patch.setattr(client_environment, "place_of", lambda _: place)
        assert client_environment.main(arguments) == 0
    assert (shell.clone / "keys" / "apiclient_key.pem").exists()
    for line in output.getvalue().splitlines():
        _sets_variables(shell, line)


def _is_a_target(shell: Shell, command: str) -> None:
    """Print what make would run. The targets themselves take minutes, an account, or do not end; see NOT_RUN."""
    target = command.split()[1]
    assert target in NOT_RUN, f"say why a test does not run `make {target}`, and what tries it instead"
    _succeeds(shell, command.replace("make ", "make --dry-run ", 1))


NOT_RUN: Mapping[str, str] = {
    "axe": "fetches axe-core from npm; tests/console run it where it is",
    "screenshots": "writes into docs; tests/console run the same stories",
    "pos-examples": "fetches SDKs from npm and the Go proxy; tests/pos runs the examples that need none",
    "interop": "fetches clients from PyPI and npm; tests/tools/test_interop.py runs the one that needs no download",
    "demo": "tests/test_end_to_end.py runs its stories; .ci/run runs it",
    "test": "runs this test",
    "sandbox": "does not end; this module runs next to such a sandbox, and tests/sandbox tries its start",
    "sandbox-package": "tests/sandbox/test_package.py builds the same wheel",
    "sandbox-package-trial": "asks the package index, minutes; the release workflow runs it",
    "sam-local": "needs a container engine; tests/sandbox/test_sam_local.py tries its parts",
    "conformance": "runs a file of this suite",
    "lock": "asks the package index; tests/test_supply_chain.py reads what it writes",
    "chaos": "minutes; tests/sandbox/test_chaos.py tries a small one, and .ci/run runs it",
    "day": "minutes; tests/sandbox/test_day.py runs a short one",
    "bench": "ten minutes, and packages that are not installed here; .ci/run runs a round",
    "build": "minutes; `make sandbox` builds by the same two commands, and the sandbox deploys what they write",
    "deploy": "needs an AWS account; tests/test_template.py tries the template that it deploys",
    "docs": "half a minute of pdoc; nothing of it ships",
    "python-versions": "minutes for each version; tests/tools tries its parts, and the GitHub workflow runs it",
}


def _finds_no_container_engine(shell: Shell, command: str) -> None:
    """SAM reads its command line, the template, the event and the variables, and then asks for an engine.

    Where there is one, it would download an image of 600 MB; DOCKER_HOST keeps it from looking. AWS_ENDPOINT_URL keeps
    it from asking AWS for the caller's identity.
    """
    nowhere = f"unix://{shell.clone}/none.sock"
    process = shell.run(
        command, DOCKER_HOST=nowhere, AWS_ENDPOINT_URL=shell.world.cloud.endpoint_url, SAM_CLI_TELEMETRY="0"
    )
    assert "requires a container runtime" in process.stderr, process


def _is_a_command_of_sam(shell: Shell, command: str) -> None:
    """SAM has the command with these options, and samconfig.toml the environment. It would change an AWS account."""
    program, name, *options = shlex.split(command)
    if name not in shell.usages:
        shell.usages[name] = _succeeds(shell, f"{program} {name} --help")
    assert [option for option in options if option.startswith("--") and option not in shell.usages[name]] == []
    environments = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))
    assert "--config-env" not in options or options[options.index("--config-env") + 1] in environments


def _installs(shell: Shell, command: str) -> None:
    """Install into a folder, without the package index: the build backend and the requirements are installed."""
    target = shell.clone.parent / "installed"
    settings = {"PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1", "PIP_TARGET": str(target)}
    path = f"{Path(sys.executable).parent}{os.pathsep}{shell.variables['PATH']}"
    process = shell.run(command, PATH=path, PIP_DISABLE_PIP_VERSION_CHECK="1", **settings)
    assert process.returncode == 0, process
    assert (target / "wechatpay/__init__.py").is_file()


def _installs_the_sandbox(shell: Shell, command: str) -> None:
    """The file is what `make sandbox-package` builds. Not run: it asks the package index for fifty packages.

    `make sandbox-package-trial` runs all three ways; tests/sandbox/test_package.py tries what the file holds.
    """
    [file] = re.findall(r"\S+\.whl", command)
    assert f"--directory ../../{Path(file).parent}" in shell.run("make --dry-run sandbox-package").stdout
    assert command.endswith((file, PROGRAM))


def _is_installed(shell: Shell, command: str) -> None:
    """The installed program has the commands of a clone (tests/sandbox/test_package.py); here the clone runs them."""
    words = command.removeprefix(f"{PROGRAM} ")
    _works(shell, f"bin/{words}" if words.startswith("ops ") else f".venv/bin/python -m sandbox {words}")


def _does_not_end(_: Shell, command: str) -> None:
    """The program reads this command line. `make sandbox-package-trial` starts it."""
    assert read_place(shlex.split(command)[1:]) is not None


def _prints(text: str) -> Rule:
    def rule(shell: Shell, command: str) -> None:
        assert text in _succeeds(shell, command)

    return rule


def _may_need_action(shell: Shell, command: str) -> None:
    """The command does its work, says that something needs action, or that the order has no outcome."""
    process = shell.run(command)
    assert process.returncode in {0, 1, NEEDS_ACTION}, process
    assert "Traceback" not in process.stderr


OPS = r"(?:bin/ops|\.venv/bin/python -m ops)(?: --(?!help)[\w-]+ \S+)*"
RULES: Mapping[str, Rule] = {
    r"export ": _sets_variables,
    r"make help": _prints("demo"),
    r"make ": _is_a_target,
    rf"{OPS} --help": _prints("dead-letters"),
    rf"{OPS} doctor": _works,
    rf"{OPS} find ": _finds_an_event,
    rf"{OPS} order show ": _shows_an_order,
    rf"{OPS} order list": _works,
    rf"{OPS} order acknowledge ": _acknowledges,
    rf"{OPS} dead-letters list": _lists_letters,
    rf"{OPS} dead-letters analyze": _works,
    rf"{OPS} dead-letters \w+ .*\bID\b": _takes_a_letter,
    rf"{OPS} dead-letters plan ": _plans,
    rf"{OPS} dead-letters redrive --plan ": _redrives_a_plan,
    rf"{OPS} dead-letters (redrive|delete)": _moves,
    rf"{OPS} undelivered ": _sends_undelivered,
    rf"{OPS} outcome send ": _may_need_action,
    rf"{OPS} event send .*--dry-run": _asks_the_till,
    rf"{OPS} event send ": _prints("-"),  # an id
    rf"{OPS} keys check ": _checks_keys,
    rf"{OPS} merchant add ": _adds_a_merchant,
    rf"{OPS} merchant rotate ": _rotates_a_key,
    r"aws .*events put-events": _puts_an_event,
    r"aws cloudformation describe-stacks ": _describes_the_stack,
    r"aws (cloudformation describe-stack-events|lambda list-)": _asks_aws,
    r"aws lambda invoke ": _invokes,
    r"aws \w+ (abort|create|delete|describe|get|restore|start|stop|update)-": _is_an_operation,
    r"curl ": _is_answered,
    r"\.venv/bin/python -W ignore -m jsonschema ": _prints(""),
    r"\.venv/bin/python -m sandbox faults": _prints("connection_refused"),
    r"\.venv/bin/python -m sandbox credentials ": _writes_credentials,
    r'eval "\$\(\.venv/bin/python -m sandbox credentials\)"': _writes_credentials,
    r"\.venv/bin/python -m sandbox (trigger|timeline|event|order|signature) ": _works,
    r"\.venv/bin/python -m bench\.cost": _prints("ours, through EventBridge | **2.58**"),
    r"\.venv-sam/bin/sam local invoke": _finds_no_container_engine,
    r"env AWS_ENDPOINT_URL=\S+ \.venv-sam/bin/sam ": _prints(""),
    r"\.venv-sam/bin/sam (delete|deploy) ": _is_a_command_of_sam,
    r"pip install \./layers/wechatpay": _installs,
    r"(uvx|pipx run|pip install) .*build/sandbox-package/": _installs_the_sandbox,
    rf"{PROGRAM} --port": _does_not_end,
    rf"{PROGRAM} ": _is_installed,
}


def _shape(command: str) -> str:
    """Return a command without its comment, and without the reason or the remark that a page has put into it."""
    text = " ".join(shlex.split(command, comments=True))
    return re.sub(r"(?<=--reason )\w+|(?<=--why ).*", "…", text)


def _try(shell: Shell, command: Command) -> None:
    """Run a command and check its end; a command that several pages print alike runs once."""
    rule = next((rule for pattern, rule in RULES.items() if re.match(pattern, command.text)), None)
    assert rule, f"line {command.line}: RULES does not say how this ends: {command.text}"
    shape = _shape(command.text)
    if shape not in shell.tried or rule in {_sets_variables, _is_answered}:
        rule(shell, command.text)
        shell.tried.add(shape)


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_prints_ends_as_it_says(shell: Shell, page: str) -> None:
    """The commands of a page run in the page's order, in one terminal."""
    commands = printed(page)
    assert commands
    terminal = replace(shell, variables=dict(shell.variables), starts_ops=page not in RUNBOOK)
    try:
        for command in commands:
            _try(terminal, command)
    finally:
        shell.world.wechat_pay.behave()  # a page that failed during its outage must not leave it to the next page


def test_what_the_sandbox_prints_ends_as_it_says(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    """The commands that `make sandbox` prints end as they should."""
    up._welcome(shell.world, shell.clone / ".sandbox", "http://127.0.0.1:4514/")
    welcome = re.sub(r"^  ", "    ", capsys.readouterr().out, flags=re.MULTILINE)
    commands = list(_in_blocks(welcome))
    assert len(commands) >= 2
    terminal = replace(shell, variables=dict(shell.variables))
    for command in commands:
        _try(terminal, command)


def test_the_sandboxs_template_needs_no_more_parameters_for_sam_local() -> None:
    """It was built for this machine's architecture, and says so; the pages name parameters that exist."""
    template = yaml.load((BUILD / "template.yaml").read_text(encoding="utf-8"), Loader=_AnyTag)  # noqa: S506  a SafeLoader
    host = {"aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "x86_64")
    assert template["Parameters"]["Architecture"]["Default"] == host
    for page in PAGES:
        for command in printed(page):
            for name in re.findall(r"--parameter-overrides (\w+)=", command.text):
                assert name in template["Parameters"]


class _AnyTag(yaml.SafeLoader):
    """Reads CloudFormation's short forms as None."""


_AnyTag.add_multi_constructor("!", lambda *_: None)


# ---- bin/ops ---------------------------------------------------------------------------------------------------------


def test_bin_ops_runs_from_anywhere(shell: Shell, tmp_path: Path) -> None:
    """`bin/ops` runs by a link, from a folder with an `ops` of its own, and passes every argument unchanged."""
    (tmp_path / "ops").mkdir()
    (tmp_path / "ops/__init__.py").write_text("raise SystemExit('the wrong one')")
    (tmp_path / "link").symlink_to(ROOT / "bin/ops")
    for program in (str(ROOT / "bin/ops"), "./link"):
        options = ("--endpoint-url", shell.world.cloud.endpoint_url, "--stack", "no such stack")
        process = subprocess.run(
            [program, *options, "order", "show", MERCHANT, "A B"],
            cwd=tmp_path,
            env=shell.variables | ANY_CREDENTIALS,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert (process.returncode, process.stdout) == (1, "")
        assert "ops: stack no such stack: " in process.stderr


MAKEFILE = dedent("""
    venv:
    \t@mkdir -p .venv/bin
    \t@printf '#!/bin/sh\\necho "$$PYTHONPATH" "$$@"\\n' > .venv/bin/python
    \t@chmod +x .venv/bin/python
    \t@touch .venv/.ready
    """)


def test_bin_ops_makes_its_environment_once(shell: Shell, tmp_path: Path) -> None:
    """`bin/ops` makes the missing virtual environment once, and says so in one line."""
    root = tmp_path / "a clone"
    (root / "bin").mkdir(parents=True)
    shutil.copy(ROOT / "bin/ops", root / "bin/ops")
    (root / "Makefile").write_text(MAKEFILE)

    def call() -> "subprocess.CompletedProcess[str]":
        words = [str(root / "bin/ops"), "order", "A B"]
        return subprocess.run(
            words, env=shell.variables, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
        )

    first, second = call(), call()
    assert first.stderr == "bin/ops: the virtual environment is missing; running make venv\n"
    assert second.stderr == ""
    assert {first.stdout, second.stdout} == {f"{root} -P -m ops order A B\n"}
    shutil.rmtree(root / ".venv")
    (root / "Makefile").write_text("venv:\n\t@echo no Python >&2; exit 7\n")
    failed = call()
    assert (failed.returncode != 0, failed.stdout, "no Python" in failed.stderr) == (True, "", True)

"""The commands for a running sandbox: what they print, their exit statuses, and the errors in one line."""

import importlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ops.address import Sandbox
from ops.output import Exit
from ops.stack import Deployment
from sandbox import running
from sandbox.commands import NAMES
from sandbox.control_client import ControlClient, ControlError
from sandbox.journal import Journal
from sandbox.running import NotRunningError
from sandbox.testbed import MERCHANT, Testbed, until
from sandbox.triggers import TRIGGERS
from tests.sandbox.signed import BASE, LONG_AGO, PAID, signed_request

ROOT = Path(__file__).parents[2]

type Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def record(world: Testbed) -> Sandbox:
    """The record that a sandbox writes of itself."""
    control_url = world.wechat_pay.control_url
    return Sandbox("sandbox", "us-east-1", world.cloud.endpoint_url, "x", "x", os.getpid(), control_url)


@pytest.fixture(scope="module")
def deployment(world: Testbed) -> Deployment:
    """The shared sandbox's stack, looked up once: making clients takes longer than most commands."""
    return Deployment.find("sandbox", endpoint_url=world.cloud.endpoint_url, session=world.cloud.session)


@pytest.fixture
def run(
    record: Sandbox, deployment: Deployment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Run a command in this process against the shared sandbox; return its exit status, stdout and stderr."""
    monkeypatch.setattr("ops.address.running", lambda: [record])
    monkeypatch.setattr(Deployment, "find", lambda *_, **__: deployment)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        try:
            code = int(importlib.import_module(f"sandbox.commands.{arguments[0]}").main(arguments[1:]))
        except SystemExit as end:  # of a wrong command line
            code = int(end.code or 0)
        output = capsys.readouterr()
        return code, output.out, output.err

    return run


def ends(run: Run, number: str, words: str) -> str:
    """Wait until the timeline of an order has these words; return it."""

    def look() -> str | None:
        output = run("timeline", MERCHANT, number)[1]
        return output if words in output else None

    return until(look, state=f"{number}: {words}", instead=lambda: run("timeline", MERCHANT, number)[1])


# ---- trigger and timeline --------------------------------------------------------------------------------------------


def test_a_trigger_prints_its_order_and_how_to_see_it(run: Run) -> None:
    """A trigger makes a fresh order, says how it ends, and prints the command that shows its timeline."""
    code, output, _ = run("trigger", "won-by-wechat")
    lines = dict(line.split(None, 1) for line in output.splitlines()[1:])
    number = lines["order"].split()[1]
    assert code == Exit.DONE
    assert lines["timeline"] == f".venv/bin/python -m sandbox timeline {MERCHANT} {number}"
    story = ends(run, number, "PAID_BY_WECHAT NEWTON")
    for words in ("published on the bus", "matched by", "receive 1", "400 ORDER_DONE: 订单已完成", "query: 200"):
        assert words in story
    code, output, _ = run("timeline", lines["event"], "--json")
    document = json.loads(output)
    assert code == Exit.ACTION
    assert document["subject"]["out_order_no"] == number
    assert document["item"]["status"] == "PAID_BY_WECHAT"
    assert [moment["kind"] for moment in document["moments"]][:2] == ["event", "rule"]


def test_an_outage_ends_with_the_trigger(run: Run, world: Testbed) -> None:
    """The trigger of an outage waits for the first attempt, and ends the outage; the order is synced."""
    code, _, error = run("trigger", "outage", "--out-order-no", "TRIGGER-OUTAGE-1")
    assert (code, error) == (Exit.DONE, "")
    assert world.wechat_pay.refusing == frozenset()
    assert "RETRYING UNREACHABLE" in ends(run, "TRIGGER-OUTAGE-1", "SYNCED")


def test_the_list_of_triggers_has_each_of_them(run: Run) -> None:
    """The list has every trigger with how it ends, for people and programs."""
    assert all(name in run("trigger", "--list")[1] for name in TRIGGERS)
    assert [one["name"] for one in json.loads(run("trigger", "--list", "--json")[1])] == list(TRIGGERS)


def test_what_never_arrived_is_an_action(run: Run) -> None:
    """A timeline without any fact says what is missing, with exit status 3."""
    code, output, _ = run("timeline", MERCHANT, "NEVER-1")
    assert code == Exit.ACTION
    assert f"no event and no message about {MERCHANT} NEVER-1 has arrived here" in output


# ---- event -----------------------------------------------------------------------------------------------------------


def test_an_event_is_checked_before_it_is_sent(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the function or the rule would not take is refused with the field; unchecked it is sent, and told why."""
    assert run("order", "ready", MERCHANT, "SEND-1")[0] == Exit.DONE
    code, output, _ = run("event", "send", "--out-order-no", "SEND-1", "--json")
    assert code == Exit.DONE
    assert json.loads(output)["by"] == "the event bus"
    ends(run, "SEND-1", "SYNCED")
    for options, words in (
        (["--source", "shop.x"], "the rule of this stack takes sources that start with pos."),
        (["--paid-time", "soon"], "detail.paid_time: is not a time"),
        (["--detail-type", "Paid"], "no rule would take it with this --detail-type"),
    ):
        code, output, error = run("event", "send", "--out-order-no", "SEND-2", *options)
        assert (code, output) == (Exit.FAILED, "")
        assert words in error
        assert len(error.splitlines()) == 1
    code, output, _ = run("event", "send", "--out-order-no", "SEND-3", "--source", "shop.x", "--unchecked", "--json")
    sent = json.loads(output)["event_id"]
    code, output, _ = run("event", "unmatched")
    assert code == Exit.ACTION
    assert sent in output
    assert "-> send source pos.shop" in output
    documents = {one["event_id"]: one for one in json.loads(run("event", "unmatched", "--json")[1])}
    assert documents[sent]["objections"][0]["field"] == "source"

    monkeypatch.setattr("sys.stdin", io.StringIO("{broken SEND-4"))
    code, output, _ = run("event", "send", "-", "--queue", "--unchecked", "--json")
    assert json.loads(output)["by"] == "the queue"
    ends(run, "SEND-4", "UNREADABLE")
    broken = tmp_path / "event.json"
    for text, words in (("{", "is not JSON"), ("[]", "is not a JSON object")):
        broken.write_text(text)
        assert words in run("event", "send", str(broken))[2]
    assert "cannot be read" in run("event", "send", str(tmp_path / "none"))[2]


# ---- order -----------------------------------------------------------------------------------------------------------


def test_an_order_is_brought_through_its_life(run: Run) -> None:
    """Open, confirm, complete and deduct by command; the order shows its state at WeChat Pay, and no item."""
    for arguments, state in (
        (["open", MERCHANT, "LIFE-1", "--ago", "60"], "CREATED"),
        (["confirm", MERCHANT, "LIFE-1"], "DOING USER_CONFIRM"),
        (["complete", MERCHANT, "LIFE-1", "--total-amount", "1200"], "DOING MCH_COMPLETE USER_PAYING"),
        (["deducting", MERCHANT, "LIFE-1"], "DOING MCH_COMPLETE USER_PAYING"),
        (["deducting", MERCHANT, "LIFE-1", "--off"], "DOING MCH_COMPLETE USER_PAYING"),
        (["deduct", MERCHANT, "LIFE-1"], "DONE USER_PAID"),
    ):
        code, output, _ = run("order", *arguments)
        assert code == Exit.DONE
        assert f"{MERCHANT} LIFE-1: {state}" in output
    code, output, _ = run("order", "show", MERCHANT, "LIFE-1")
    assert "total_amount      1200" in output
    assert "no item in the table" in output
    document = json.loads(run("order", "show", MERCHANT, "LIFE-1", "--json")[1])
    assert (document["order"]["paid_type"], document["item"]) == ("NEWTON", None)
    assert "LIFE-1" in run("order", "list", "--mchid", MERCHANT)[1]


def test_what_wechat_pay_refuses_is_one_line(run: Run) -> None:
    """A step that the order's state forbids, and an order that does not exist, are one line with exit status 1."""
    for arguments, words in (
        (["confirm", MERCHANT, "NONE-1"], "merchant 1230000109 has no order 'NONE-1'"),
        (["show", MERCHANT, "NONE-1"], "python -m sandbox order ready 1230000109 NONE-1"),
        (["open", MERCHANT, "NONE-2", "--endpoint", "no"], "endpoint must be one of"),
    ):
        code, output, error = run("order", *arguments)
        assert (code, output) == (Exit.FAILED, "")
        assert error.startswith("sandbox: ")
        assert words in error
        assert len(error.splitlines()) == 1


# ---- signature -------------------------------------------------------------------------------------------------------


def test_a_call_that_arrived_is_compared_with_the_own_body(run: Run, world: Testbed, tmp_path: Path) -> None:
    """With --call the received body is compared with the own one; without, the own request alone is verified."""
    world.wechat_pay.ready_to_sync(MERCHANT, "SIGN-1", at=LONG_AGO)
    request = signed_request(world.wechat_pay, "POST", f"{BASE}/SIGN-1/sync", PAID)
    wrong = type(request)(request.method, request.target, request.headers, PAID.replace(b"2026", b"2025"))
    world.wechat_pay.answer(wrong)
    header, body, whole = tmp_path / "header", tmp_path / "body", tmp_path / "request"
    header.write_text(request.header("Authorization"))
    body.write_bytes(PAID)
    head = f"POST {request.target} HTTP/1.1\nAuthorization: {request.header('Authorization')}\n\n"
    whole.write_bytes(head.encode() + PAID)
    code, output, _ = run("signature", "request", str(header), "--call", "--body", str(body))
    assert code == Exit.ACTION
    assert "the first byte that differs" in output
    assert "⟦5⟧" in output
    assert "⟦6⟧" in output
    assert run("signature", "request", str(whole))[0] == Exit.DONE
    code, output, _ = run("signature", "request", str(whole), "--json")
    assert json.loads(output)["verified"] is True
    whole.write_bytes(head.encode() + PAID + b"\n")
    assert "the blanks or line breaks around it" in run("signature", "request", str(whole))[1]

    reply = world.wechat_pay.answer(signed_request(world.wechat_pay, "POST", f"{BASE}/SIGN-1/sync", PAID)).reply
    answer = tmp_path / "answer"
    lines = [f"{name}: {value}" for name, value in reply.headers.items()]
    answer.write_bytes("\r\n".join(["HTTP/1.1 200 OK", *lines, "", ""]).encode() + reply.body)
    assert run("signature", "answer", str(answer))[0] == Exit.DONE
    header.write_text(request.header("Authorization").replace('signature="', 'signature="AAAA'))
    assert "calls that arrived has this signature" in run("signature", "request", str(header), "--call")[2]


def test_an_own_certificate_verifies_without_a_sandbox(
    run: Run, world: Testbed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --certificate no sandbox has to run; a file that is no key is refused in one line."""
    monkeypatch.setattr("ops.address.running", list)
    request = signed_request(world.wechat_pay, "GET", f"{BASE}?x=1")
    whole, key = tmp_path / "request", tmp_path / "key.pem"
    whole.write_text(f"GET {request.target} HTTP/1.1\nAuthorization: {request.header('Authorization')}\n\n")
    key.write_text(world.wechat_pay.merchant(MERCHANT).private_key)
    output = run("signature", "request", str(whole), "--certificate", str(key), "--mchid", MERCHANT)[1]
    assert "the signature covers exactly this text" in output
    key.write_text("nothing")
    code, _, error = run("signature", "request", str(whole), "--certificate", str(key))
    assert code == Exit.FAILED
    assert "give the PEM of a certificate, a public key or a private key" in error
    assert "no sandbox runs: start it with `make sandbox`" in run("signature", "request", str(whole))[2]
    assert "cannot be read" in run("signature", "request", str(tmp_path / "none"))[2]


# ---- wrong command lines, and no sandbox -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trigger"], "which one? give a name, or --list"),
        (["trigger", "won-by-wechta"], "there is no trigger won-by-wechta: do you mean won-by-wechat?"),
        (["trigger", "synced", "--out-order-no", "a b"], "'a b' is not 1 to 32 of digits, letters"),
        (["event"], "the following arguments are required: VERB"),
        (["event", "sned"], "there is no command sned: do you mean send?"),
        (["event", "send"], "what to send? give FILE, or --out-order-no"),
        (["event", "send", "--mchid", "x"], "'x' is not 1 to 32 digits"),
        (["order", "opn", "1", "2"], "there is no command opn: do you mean open?"),
        (["order", "open", "1"], "the following arguments are required: OUT_ORDER_NO"),
        (["order", "complete", "1", "2", "--total-amount", "1.5"], "'1.5' is not a whole number"),
        (["order", "open", "1", "2", "--ago", "-1"], "--ago"),
        (["timeline"], "the following arguments are required"),
        (["timeline", "1", "2", "3"], "give an order by MCHID and OUT_ORDER_NO, or an event by its id"),
        (["signature", "reqest", "x"], "there is no command reqest: do you mean request?"),
        (["signature", "request", "x", "--at", "now"], "is not a number of seconds"),
    ],
)
def test_a_wrong_command_line_is_one_line(run: Run, arguments: list[str], words: str) -> None:
    """A wrong command line is refused with one line that has the remedy and where help is, and exit status 2."""
    code, output, error = run(*arguments)
    assert (code, output) == (Exit.USAGE, "")
    assert error.startswith("sandbox: ")
    assert words in error
    assert "--help`" in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize("name", NAMES)
def test_a_command_line_is_read_without_slow_imports(name: str) -> None:
    """A module of a command imports neither boto3 nor cryptography nor the simulator before its line is read."""
    program = f"import sys, sandbox.commands.{name}; print([one for one in sys.modules if one.split('.')[0] in "
    program += "{'boto3', 'botocore', 'cryptography', 'requests', 'rich'}])"
    output = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert output.stdout == "[]\n"


def test_the_program_names_the_nearest_command() -> None:
    """An unknown command is refused with the nearest one and the usage; help is there for each."""
    command = [sys.executable, "-m", "sandbox"]
    output = subprocess.run([*command, "tigger"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert output.returncode == 1
    assert "there is no command tigger: do you mean trigger?" in output.stderr
    assert "usage: .venv/bin/python -m sandbox demo" in output.stderr
    output = subprocess.run([*command, "trigger", "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "usage: .venv/bin/python -m sandbox trigger" in output.stdout


def test_without_a_sandbox_the_remedy_is_named(run: Run, record: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a running sandbox, with two of them, and with one of an earlier version, one line says what to do."""
    monkeypatch.setattr("ops.address.running", list)
    for arguments in (["timeline", "1", "2"], ["order", "list"], ["event", "unmatched"], ["trigger", "synced"]):
        code, output, error = run(*arguments)
        assert (code, output, error) == (Exit.FAILED, "", "sandbox: no sandbox runs: start it with `make sandbox`\n")
    second = Sandbox("sandbox", "us-east-1", "http://127.0.0.1:9", "x", "x", os.getpid(), record.control_url)
    monkeypatch.setattr("ops.address.running", lambda: [record, second])
    assert "several sandboxes run: choose one with --endpoint-url" in run("order", "list")[2]
    assert run("order", "list", "--endpoint-url", record.endpoint_url)[0] == Exit.DONE
    monkeypatch.setattr("ops.address.running", lambda: [Sandbox("s", "r", "http://127.0.0.1:9", "x", "x", 1)])
    with pytest.raises(NotRunningError, match="of an earlier version"):
        running.find()


def test_a_control_port_that_does_not_answer_is_one_line() -> None:
    """A control port that is gone is an error with the remedy."""
    with pytest.raises(ControlError, match="is the sandbox running"):
        ControlClient("http://127.0.0.1:9").view("ledger")


def test_what_aws_does_not_answer_is_said_in_the_timeline(world: Testbed) -> None:
    """Where a place cannot be searched, the timeline has the rest, and says which place and why."""
    from botocore.exceptions import EndpointConnectionError

    from sandbox.timeline import Subject, compose
    from sandbox.timeline.reader import NearWeChatPay, Reader

    def fail(_: str) -> Any:
        raise EndpointConnectionError(endpoint_url="http://127.0.0.1:9")

    deployment: Any = SimpleNamespace(client=fail, outputs=world.stack.outputs)
    reader = Reader(deployment, Journal(world.cloud.endpoint_url), NearWeChatPay(world.wechat_pay))
    subject = Subject(MERCHANT, "UNREAD-1")
    notes = [note.words for note in compose(subject, reader.read(subject)).notes]
    for place in ("the function's log", "the table", "the rules", "the queue's timeout"):
        assert any(f"not searched: {place}: EndpointConnectionError" in note for note in notes)

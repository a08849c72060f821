"""The commands for dead letters and undelivered events: dry run first, what was done, and every error in one line."""

import json
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ops.__main__ import main
from ops.letters.plan import SCHEMA, Selection, moment, read_plan
from ops.stack import Deployment, OpsError
from orders.order import Refusal, Status
from tests.ops.simulated_queues import MERCHANT, Bench, a_body, refusal

OTHER = "1900000109"
ENTRY = ("message_id", "sha256", "reason", "order", "sent_at")


@dataclass
class Operator:
    """An operator in a folder of their own, with simulated services."""

    bench: Bench
    folder: Path
    capsys: pytest.CaptureFixture[str]

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run a command; return its exit status, stdout and stderr."""
        try:
            code = main(list(arguments))
        except SystemExit as end:
            code = int(str(end.code))
        output = self.capsys.readouterr()
        return code, output.out, output.err

    def letter(self, number: str, reason: str, mchid: str = MERCHANT) -> str:
        """Put a letter and its rejected order; return the message's id."""
        self.bench.table.put(number, mchid=mchid, reason=reason, last_error=Refusal(reason, "as told"))
        return self.bench.sqs.put(a_body(number, mchid))

    def file(self, pattern: str) -> Path:
        """Return the one file of this pattern in the folder."""
        [path] = self.folder.glob(pattern)
        return path


@pytest.fixture
def operator(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Operator:
    """An operator whose queue has letters of two causes and two merchants, and one that cannot be read."""
    bench = Bench.of()
    operator = Operator(bench, tmp_path, capsys)
    deployment = bench.deployment
    monkeypatch.setattr(Deployment, "find", lambda *_, **__: deployment)
    monkeypatch.setattr("ops.letters.tasks.PAUSE", 0)
    monkeypatch.chdir(tmp_path)
    operator.letter("A-0", "NO_AUTH")
    operator.letter("A-1", "REVOKED")
    operator.letter("A-2", "NO_AUTH", OTHER)
    bench.sqs.put("nonsense")
    return operator


# ---- list, show, plan ------------------------------------------------------------------------------------------------


def test_a_listing_is_restricted_by_conditions(operator: Operator) -> None:
    """`dead-letters list` prints the letters that meet the conditions, and how many there are in all."""
    _, out, _ = operator.run("dead-letters", "list")
    assert out.endswith("4 dead letter(s)\n")
    _, out, _ = operator.run("dead-letters", "list", "--reason", "no_auth", "--merchant", MERCHANT)
    assert "A-0" in out
    assert out.endswith("1 dead letter(s) of 4 meet the conditions\n")
    _, out, _ = operator.run("--json", "dead-letters", "list", "--reason", "UNREADABLE")
    assert (json.loads(out)["reason"], json.loads(out)["cause"]) == ("UNREADABLE", "body")


def test_a_listing_says_which_letters_come_back_later(operator: Operator) -> None:
    """If SQS refuses to put letters back, the listing is printed, and says that they come back when the hold ends."""
    operator.bench.sqs.refused_entries["change_message_visibility_batch"] = "InternalError"
    code, out, _ = operator.run("dead-letters", "list")
    assert (code, "1 message(s) become visible again only when their hold ends (InternalError)" in out) == (0, True)


def test_a_letter_that_does_not_exist_is_named(operator: Operator) -> None:
    """`dead-letters show` of an unknown id fails and names the command that lists the ids."""
    code, out, err = operator.run("dead-letters", "show", "no-such-id")
    assert (code, out) == (1, "")
    assert err == "ops: no dead letter has the message id no-such-id: see `dead-letters list`\n"


@pytest.mark.parametrize(
    ("conditions", "orders"),
    [
        (["--reason", "NO_AUTH"], {f"{MERCHANT}#A-0", f"{OTHER}#A-2"}),
        (["--reason", "NO_AUTH", "--reason", "REVOKED"], {f"{MERCHANT}#A-0", f"{MERCHANT}#A-1", f"{OTHER}#A-2"}),
        (["--reason", "NO_AUTH", "--merchant", OTHER], {f"{OTHER}#A-2"}),
        (["--order", "A-1"], {f"{MERCHANT}#A-1"}),
        (["--order", f"{MERCHANT}#A-1", "--order", "A-0"], {f"{MERCHANT}#A-0", f"{MERCHANT}#A-1"}),
        (["--message-id", "dead-4"], {""}),
        (["--older-than", "1h"], {f"{MERCHANT}#A-0", f"{MERCHANT}#A-1", f"{OTHER}#A-2", ""}),
        (["--newer-than", "2026-01-01T00:00:00Z", "--reason", "REVOKED"], {f"{MERCHANT}#A-1"}),
    ],
)
def test_a_plan_has_what_the_conditions_take(operator: Operator, conditions: list[str], orders: set[str]) -> None:
    """A plan has the selected letters with digests, and neither a body nor a key; all letters stay visible."""
    code, out, _ = operator.run("dead-letters", "plan", *conditions)
    document = json.loads(out)
    assert (code, document["schema"]) == (0, SCHEMA)
    assert {letter["order"] for letter in document["letters"]} == orders
    assert all(len(letter["sha256"]) == 64 for letter in document["letters"])
    assert "paid_time" not in out
    assert (operator.bench.sqs.in_flight(), len(operator.bench.sqs.bodies("dead"))) == (0, 4)


@pytest.mark.parametrize("command", ["plan", "redrive", "delete"])
def test_conditions_that_no_letter_meets_are_an_error(operator: Operator, command: str) -> None:
    """A selection without a letter fails, says how many letters there are, and writes no plan."""
    code, out, err = operator.run("dead-letters", command, "--reason", "EXPIRED")
    assert (code, out) == (1, "")
    assert err == "ops: none of 4 dead letter(s) meets the conditions: see `dead-letters analyze`\n"


def test_an_age_is_checked(operator: Operator) -> None:
    """An age that cannot be read is a wrong command line: the error names both forms."""
    code, _, err = operator.run("dead-letters", "list", "--older-than", "soon")
    assert (code, "'soon' is neither an age (90s, 15m, 2h, 3d) nor a time with an offset" in err) == (2, True)
    code, _, err = operator.run("dead-letters", "redrive", "--rate", "none")
    assert (code, "'none' is not a number of messages per second" in err) == (2, True)
    assert moment("2h", 10_000.0) == 2_800.0
    assert moment("2026-01-01T08:00:00+08:00", 0.0) == 1_767_225_600.0
    with pytest.raises(ValueError, match="an offset"):
        moment("2026-01-01T08:00:00", 0.0)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "is not JSON"),
        ("[]", "its schema is None"),
        ('{"schema": "ops.dead-letters.plan/9"}', "is not a plan of this version"),
        (json.dumps({"schema": SCHEMA}), "is a damaged plan (KeyError: 'selection')"),
        (json.dumps({"schema": SCHEMA, "letters": [{"x": 1}], "selection": {}}), "is a damaged plan"),
        (json.dumps({"schema": SCHEMA, "letters": [dict.fromkeys(ENTRY, 7)], "selection": {}}), "is a damaged plan"),
    ],
)
def test_a_file_that_is_no_plan_is_refused(operator: Operator, text: str, problem: str) -> None:
    """A file that is not a plan is named with the problem and the command that writes one; nothing is received."""
    path = operator.folder / "redrive.json"
    path.write_text(text)
    code, _, err = operator.run("dead-letters", "redrive", "--plan", str(path))
    assert (code, err.count("\n")) == (1, 1)
    assert problem in err
    assert operator.bench.sqs.calls["receive_message"] == 0
    assert "No such file" in operator.run("dead-letters", "redrive", "--plan", "absent.json")[2]


def test_a_plan_is_read_as_it_was_written(operator: Operator) -> None:
    """A plan's document is read as the same selection and the same letters."""
    _, out, _ = operator.run("dead-letters", "plan", "--reason", "NO_AUTH", "--older-than", "1h")
    plan = read_plan(out, "plan")
    assert plan.selection.reasons == ("NO_AUTH",)
    assert plan.selection.sent_before is not None
    assert json.loads(json.dumps(plan.document())) == json.loads(out)
    with pytest.raises(OpsError, match="damaged"):
        read_plan(out.replace('"reasons"', '"colours"'), "plan")


# ---- redrive ---------------------------------------------------------------------------------------------------------


def test_a_redrive_is_a_dry_run_without_yes(operator: Operator) -> None:
    """Without --yes `redrive` prints counts by reason and moves nothing; with --json it is one document."""
    code, out, _ = operator.run("dead-letters", "redrive", "--reason", "NO_AUTH")
    assert (code, "2 message(s) would be redriven: add --yes to do it" in out) == (0, True)
    _, out, _ = operator.run("--json", "dead-letters", "redrive")
    assert json.loads(out)["reasons"] == {"NO_AUTH": 2, "REVOKED": 1, "UNREADABLE": 1}
    assert (operator.bench.sqs.bodies("orders"), list(operator.folder.iterdir())) == ([], [])


def test_a_plan_is_executed(operator: Operator) -> None:
    """`redrive --plan` moves the letters of the plan and says how many; done once more, it moves none."""
    _, out, _ = operator.run("dead-letters", "plan", "--reason", "NO_AUTH")
    path = operator.folder / "redrive.json"
    path.write_text(out)
    code, out, _ = operator.run("dead-letters", "redrive", "--plan", "redrive.json", "--rate", "100")
    assert (code, out) == (0, "2 message(s) are back in OrderQueue (2 of the plan's 2)\n")
    assert len(operator.bench.sqs.bodies("orders")) == 2
    code, out, _ = operator.run("dead-letters", "redrive", "--plan", "redrive.json")
    assert (code, out) == (0, "0 message(s) are back in OrderQueue (2 of the plan's 2)\n")


def test_a_selection_with_yes_leaves_a_plan_to_continue_by(operator: Operator) -> None:
    """`redrive --yes` names the plan that it writes, which only its owner can read, and the command to continue."""
    code, out, _ = operator.run("dead-letters", "redrive", "--order", "A-0", "--yes")
    path = operator.file("redrive-*.json")
    assert (code, f"bin/ops dead-letters redrive --plan {path.name}" in out) == (0, True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert operator.bench.sqs.bodies("orders") == [a_body("A-0")]
    assert operator.bench.table.history("A-0") == [("dead-1", "REDRIVEN")]


def test_letters_that_stay_are_reported(operator: Operator) -> None:
    """Letters that SQS refuses, and letters of the plan that are gone, are reported, and the status asks to act."""
    _, out, _ = operator.run("dead-letters", "plan")
    (operator.folder / "redrive.json").write_text(out)
    del operator.bench.sqs.queues["dead"].messages["dead-4"]
    operator.bench.sqs.refused_entries["send_message_batch"] = "InvalidMessageContents"
    code, out, _ = operator.run("dead-letters", "redrive", "--plan", "redrive.json", "--own-mover")
    assert code == 3
    assert "dead-1: InvalidMessageContents: refused" in out
    assert "1 message(s) failed and stay; to try again: bin/ops dead-letters redrive --plan redrive.json" in out
    assert "1 message(s) of the plan are not in the queue" in out


def test_a_plan_and_conditions_do_not_go_together(operator: Operator) -> None:
    """--plan together with a condition is a wrong command line."""
    code, _, err = operator.run("dead-letters", "redrive", "--plan", "x.json", "--reason", "NO_AUTH")
    assert (code, err.startswith("ops: --plan has its own selection")) == (2, True)


def test_a_folder_that_is_read_only_is_named(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the plan's file cannot be written, nothing is moved, and the error says where to run the command."""

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("ops.letters.keep.os.open", refuse)
    code, _, err = operator.run("dead-letters", "redrive", "--yes")
    assert (code, "Permission denied: nothing was moved" in err) == (1, True)
    assert operator.bench.sqs.bodies("orders") == []


# ---- SQS's own task --------------------------------------------------------------------------------------------------


def a_task(status: str, **members: Any) -> dict[str, Any]:
    """Return a task as ListMessageMoveTasks has it."""
    numbers = {"ApproximateNumberOfMessagesMoved": 3, "ApproximateNumberOfMessagesToMove": 4}
    return {"Status": status, **numbers, **members}


@pytest.mark.parametrize(
    ("end", "status", "words"),
    [
        (a_task("COMPLETED"), 0, "SQS's task is complete: 3 message(s) moved"),
        (a_task("CANCELLED"), 130, "SQS's task was cancelled: 3 message(s) moved, the rest stays"),
        (
            a_task("FAILED", FailureReason="AccessDenied"),
            3,
            "SQS's task is FAILED after 3 message(s): AccessDenied; --own-mover does without it",
        ),
    ],
)
def test_all_letters_are_moved_by_a_task_of_sqs(
    operator: Operator, end: dict[str, Any], status: int, words: str
) -> None:
    """All letters are moved by SQS's task at the given rate; how it ends is reported, and the histories have lines."""
    operator.bench.sqs.tasks = [a_task("COMPLETED"), a_task("RUNNING"), end]
    code, out, _ = operator.run("dead-letters", "redrive", "--yes", "--rate", "50")
    assert (code, words in out) == (status, True)
    [start] = [arguments for name, arguments in operator.bench.sqs.arguments if name == "start_message_move_task"]
    assert start == {"SourceArn": "arn:dead", "DestinationArn": "arn:orders", "MaxNumberOfMessagesPerSecond": 50}
    assert operator.bench.table.history("A-1") == [("dead-2", "REDRIVEN")]
    assert operator.bench.sqs.bodies("orders") == []


@pytest.mark.parametrize("arguments", [["--own-mover"], ["--rate", "501"], ["--reason", "NO_AUTH"]])
def test_what_a_task_cannot_do_is_done_without_it(operator: Operator, arguments: list[str]) -> None:
    """A selection, a rate above SQS's limit, and --own-mover are done by this program."""
    operator.bench.sqs.tasks = []
    assert operator.run("dead-letters", "redrive", "--yes", *arguments)[0] == 0
    assert operator.bench.sqs.calls["start_message_move_task"] == 0
    assert operator.bench.sqs.bodies("orders") != []


def test_a_region_without_the_task_is_detected(operator: Operator) -> None:
    """Where SQS has no such task, the command says so and moves the letters itself."""
    code, out, _ = operator.run("dead-letters", "redrive", "--yes")
    assert (code, "SQS has no move task here" in out) == (0, True)
    assert len(operator.bench.sqs.bodies("orders")) == 4


def test_a_task_that_is_running_already_is_reported(operator: Operator) -> None:
    """While another task moves the letters, a redrive fails with its progress, and writes no line."""
    operator.bench.sqs.tasks = [a_task("RUNNING")]
    code, _, err = operator.run("dead-letters", "redrive", "--yes")
    assert (code, err) == (1, "ops: a task that moves them is running (3 of 4): wait until it ends\n")
    assert operator.bench.table.history("A-1") == []


@pytest.mark.parametrize("operation", ["list_message_move_tasks", "start_message_move_task"])
def test_a_task_that_aws_refuses_names_the_alternative(operator: Operator, operation: str) -> None:
    """A refused task fails with AWS's error, and names --own-mover."""
    operator.bench.sqs.tasks = []

    def refuse(name: str, _: int, is_after: bool) -> None:
        if name == operation and not is_after:
            raise refusal("StartMessageMoveTask", "AccessDenied", "User is not authorized\nto perform sqs:Start")

    operator.bench.sqs.strike = refuse
    code, _, err = operator.run("dead-letters", "redrive", "--yes")
    assert (code, err.count("\n")) == (1, 1)
    assert "AccessDenied: User is not authorized to perform sqs:Start; --own-mover does without its task" in err


def test_a_task_is_cancelled_on_request(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C cancels SQS's task, and the command waits for its end."""
    operator.bench.sqs.tasks = [a_task("COMPLETED"), a_task("RUNNING"), a_task("CANCELLING"), a_task("CANCELLED")]
    interrupts: list[Callable[[], object]] = []

    class Interrupted:
        """Ctrl-C was pressed."""

        def __enter__(self) -> Callable[[], bool]:
            return lambda: True

        def __exit__(self, *_: object) -> None:
            interrupts.clear()

    monkeypatch.setattr("ops.commands.dead_letters.interruptible", Interrupted)
    assert operator.run("dead-letters", "redrive", "--yes")[0] == 130
    assert operator.bench.sqs.calls["cancel_message_move_task"] == 1


# ---- delete ----------------------------------------------------------------------------------------------------------


def test_letters_are_deleted_with_yes_only(operator: Operator) -> None:
    """`delete` is a dry run without --yes; with it the letters are gone, and are in a new file."""
    code, out, _ = operator.run("dead-letters", "delete", "--reason", "UNREADABLE")
    assert (code, "1 message(s) would be deleted: add --yes to do it" in out) == (0, True)
    assert len(operator.bench.sqs.bodies("dead")) == 4
    code, out, _ = operator.run("dead-letters", "delete", "--reason", "UNREADABLE", "--yes")
    path = operator.file("deleted-letters-*.jsonl")
    assert (code, out) == (0, f"1 message(s) are deleted and kept in {path.name} (1 of the plan's 1)\n")
    assert json.loads(path.read_text())["body"] == "nonsense"
    assert len(operator.bench.sqs.bodies("dead")) == 3


def test_a_plan_can_be_deleted(operator: Operator) -> None:
    """`delete --plan` deletes the letters of the plan, into the file of --keep."""
    _, out, _ = operator.run("dead-letters", "plan", "--reason", "REVOKED")
    (operator.folder / "hopeless.json").write_text(out)
    assert "add --yes" in operator.run("dead-letters", "delete", "--plan", "hopeless.json")[1]
    assert operator.run("dead-letters", "delete", "--plan", "hopeless.json", "--yes", "--keep", "kept.jsonl")[0] == 0
    assert json.loads((operator.folder / "kept.jsonl").read_text())["reason"] == "REVOKED"
    assert operator.bench.table.history("A-1") == [("dead-2", "DELETED")]
    code, _, err = operator.run("dead-letters", "delete", "--plan", "hopeless.json", "--yes", "--keep", "kept.jsonl")
    assert (code, "File exists: no letter was deleted" in err) == (1, True)


def test_not_all_letters_are_deleted_at_once(operator: Operator) -> None:
    """`delete` without a condition is a wrong command line, with --yes as well."""
    code, _, err = operator.run("dead-letters", "delete", "--yes")
    assert (code, "nothing was deleted" in err) == (2, True)
    assert len(operator.bench.sqs.bodies("dead")) == 4


# ---- undelivered -----------------------------------------------------------------------------------------------------


def undelivered(operator: Operator, count: int = 2) -> list[str]:
    """Put events that EventBridge could not deliver; return their bodies."""
    texts = {"ERROR_CODE": "NO_PERMISSIONS", "ERROR_MESSAGE": "Lack of permissions\x1b[2J", "RETRY_ATTEMPTS": "0"}
    attributes = {name: {"DataType": "String", "StringValue": text} for name, text in texts.items()}
    bodies = [
        json.dumps(
            {
                "id": f"e{number}",
                "source": "pos.x",
                "detail-type": "Order_Paid",
                "detail": json.loads(a_body(f"U-{number}")),
            }
        )
        for number in range(count)
    ]
    for body in bodies:
        operator.bench.sqs.put(body, "undelivered", MessageAttributes=attributes)
    return bodies


def test_undelivered_events_are_listed_with_the_reason(operator: Operator) -> None:
    """`undelivered list` prints the order, and EventBridge's error; the events stay, and the status asks to act."""
    undelivered(operator)
    operator.bench.sqs.put("nonsense", "undelivered")
    code, out, _ = operator.run("undelivered", "list")
    assert (code, f"{MERCHANT} U-0  NO_PERMISSIONS\n    Lack of permissions [2J; 0 retries" in out) == (3, True)
    assert "UNKNOWN\n    the function could not read it: body: " in out
    assert "3 undelivered event(s)" in out
    _, out, _ = operator.run("--json", "undelivered", "list")
    assert json.loads(out.splitlines()[0])["error_code"] == "NO_PERMISSIONS"
    assert (operator.bench.sqs.in_flight("undelivered"), len(operator.bench.sqs.bodies("undelivered"))) == (0, 3)


def test_undelivered_events_are_sent_unchanged(operator: Operator) -> None:
    """`undelivered send --yes` sends the bodies, without EventBridge's attributes, and deletes the events."""
    bodies = undelivered(operator)
    code, out, _ = operator.run("undelivered", "send")
    assert (code, "2 message(s) would be sent to OrderQueue: add --yes" in out) == (0, True)
    assert operator.bench.sqs.bodies("orders") == []
    code, out, _ = operator.run("undelivered", "send", "--yes")
    assert (code, "2 message(s) are in OrderQueue" in out) == (0, True)
    assert (operator.bench.sqs.bodies("orders"), operator.bench.sqs.bodies("undelivered")) == (bodies, [])
    assert all(
        "MessageAttributes" not in message.entry for message in operator.bench.sqs.queues["orders"].messages.values()
    )
    path = operator.file("undelivered-*.json")
    code, out, _ = operator.run("undelivered", "send", "--plan", path.name)
    assert (code, out) == (0, "0 message(s) are in OrderQueue (2 of the plan's 2)\n")


def test_one_undelivered_event_is_sent(operator: Operator) -> None:
    """`undelivered send --message-id` sends that event; an unknown id is an error."""
    bodies = undelivered(operator)
    message_id = list(operator.bench.sqs.queues["undelivered"].messages)[1]
    assert operator.run("undelivered", "send", "--message-id", message_id, "--yes")[0] == 0
    assert operator.bench.sqs.bodies("orders") == [bodies[1]]
    code, _, err = operator.run("undelivered", "send", "--message-id", "x")
    assert (code, "see `undelivered list`" in err) == (1, True)


def test_an_empty_queue_needs_no_action(operator: Operator) -> None:
    """Without undelivered events and dead letters the commands say so, with status 0."""
    for name in list(operator.bench.sqs.queues["dead"].messages):
        del operator.bench.sqs.queues["dead"].messages[name]
    assert operator.run("undelivered", "list")[:2] == (0, "0 undelivered event(s)\n")
    assert operator.run("dead-letters", "analyze", "--offline")[:2] == (0, "0 dead letter(s)\n")


def test_a_final_order_is_named_with_its_status(operator: Operator) -> None:
    """A letter whose order is final is explained by that; it may be selected by the status."""
    operator.bench.table.put("A-0", status=Status.SYNCED)
    _, out, _ = operator.run("dead-letters", "list", "--reason", "SYNCED")
    assert f"{MERCHANT} A-0  SYNCED  SYNCED\n    the order is SYNCED since " in out
    assert Selection().takes_all

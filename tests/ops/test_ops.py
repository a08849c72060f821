"""The operator's commands, run against a deployed stack with orders of several statuses."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ops.__main__ import main
from ops.letters import tasks
from orders.order import Status
from sandbox import up
from sandbox.testbed import MERCHANT, OTHER_MERCHANT, Testbed, until
from tests.ops.conftest import Operator


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    """A sandbox with one order synced, one paid twice, one deducting, one revoked, and one unreadable message."""
    with pytest.MonkeyPatch.context() as patch, Testbed.open(tmp_path_factory.mktemp("busy")) as world:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "sandbox")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        up.seed(world)
        for file in ("paid-offline", "won-by-wechat", "deducting", "revoked", "mixed-batch"):
            world.publish(f"{file}.json")
        ends = {"PAID-OFFLINE-1": "SYNCED", "WON-BY-WECHAT-1": "PAID_BY_WECHAT", "DEDUCTING-1": "RETRYING"}
        for number, status in (ends | {"REVOKED-1": "REJECTED", "MIXED-3": "SYNCED"}).items():
            _becomes(world, number, Status(status))
        yield world


def _becomes(world: Testbed, number: str, status: Status) -> None:
    """Wait until the order has this status."""

    def has_status() -> bool:
        order = world.order(number)
        return order is not None and order.status is status

    until(has_status, state=f"{number}: {status}", instead=lambda: world.order(number))


@pytest.fixture
def operator(busy: Testbed, capsys: pytest.CaptureFixture[str]) -> Operator:
    """An operator of that sandbox."""
    return Operator(busy, capsys)


def test_an_order_is_shown_whole(operator: Operator) -> None:
    """`order show` prints the whole item as JSON, including WeChat Pay's answer."""
    code, out, _ = operator.run("order", "show", MERCHANT, "PAID-OFFLINE-1", "--json")
    item = json.loads(out)
    assert (code, item["status"], item["wechat"]["state"]) == (0, "SYNCED", "DONE")


def test_an_order_without_an_item_is_an_error(operator: Operator) -> None:
    """An order without an item ends `order show` with status 1 and an error that names the key."""
    code, out, err = operator.run("order", "show", MERCHANT, "NEVER")
    assert (code, out) == (1, "")
    assert f"{MERCHANT}#NEVER" in err


def test_orders_that_need_attention_are_listed(operator: Operator) -> None:
    """`order list` prints the reason or transaction of each order that needs attention, and no synced order."""
    code, out, _ = operator.run("order", "list", "--attention")
    assert code == 0
    lines = {line.split("  ")[3]: line for line in out.splitlines()}
    assert "DEDUCTING" in lines["DEDUCTING-1"]
    assert "4200" in lines["WON-BY-WECHAT-1"]
    assert "REVOKED" in lines["REVOKED-1"]
    assert "PAID-OFFLINE-1" not in lines
    _, only, _ = operator.run("order", "list", "--attention", "--status", "REJECTED")
    assert "REVOKED-1" in only
    assert "DEDUCTING-1" not in only


def test_dead_letters_are_listed_with_their_reasons_and_stay(operator: Operator) -> None:
    """`dead-letters list` takes the reason from the item or the parser, and leaves the messages in the queue."""

    def list_letters() -> str | None:
        _, out, _ = operator.run("dead-letters", "list")
        return out if "2 dead letter(s)" in out else None

    out = until(list_letters, state="two dead letters are listed", instead=lambda: operator.run("dead-letters", "list"))
    assert "REVOKED-1  REJECTED  REVOKED" in out
    assert "UNREADABLE\n    detail.paid_time: is not a time" in out
    assert list_letters() == out


def test_a_dead_letter_is_shown_with_its_body(operator: Operator) -> None:
    """`dead-letters show` prints the message with this id, its reason and its body; an unknown id is an error."""
    _, out, _ = operator.run("dead-letters", "list")
    unreadable = next(line.split("  ")[0] for line in out.splitlines() if "UNREADABLE" in line)
    code, text, _ = operator.run("dead-letters", "show", unreadable)
    assert (code, text.splitlines()[0]) == (0, "UNREADABLE")
    assert "MIXED-2" in text
    assert operator.run("dead-letters", "show", "no-such-id")[0] == 1
    assert operator.run("dead-letters", "redrive", "--message-id", "no-such-id")[0] == 1


def test_an_event_is_checked_before_it_is_sent(operator: Operator, tmp_path: Path) -> None:
    """An invalid event is refused and not sent; a valid one reaches the table through the queue or the bus."""
    code, _, err = operator.run(
        "event", "send", "--mchid", MERCHANT, "--out-order-no", "OPS-1", "--paid-time", "yesterday"
    )
    assert code == 1
    assert "detail.paid_time" in err
    code, _, err = operator.run("event", "send", "--mchid", MERCHANT)
    assert (code, "out_order_no: is missing" in err) == (1, True)
    for number, source in (("OPS-1", ()), ("OPS-2", ("--source", "pos.ops"))):
        operator.world.ready(number)
        fields = ("--mchid", MERCHANT, "--out-order-no", number, "--paid-time", "20260101120000", *source)
        assert operator.run("event", "send", *fields)[0] == 0
        _becomes(operator.world, number, Status.SYNCED)
    file = tmp_path / "mine.json"
    file.write_text("[]")
    assert operator.run("event", "send", str(file))[0] == 1
    assert operator.run("event", "send", str(tmp_path / "absent.json"))[0] == 1


def test_keys_are_checked_without_being_shown(operator: Operator) -> None:
    """`keys check` prints serials only: of the certificate that signs and of the keys that are trusted."""
    code, out, _ = operator.run("keys", "check", MERCHANT)
    secret = operator.world.wechat_pay.merchant(MERCHANT).secret()
    assert code == 0
    assert secret["serial_no"] in out
    assert next(iter(secret["platform_keys"])) in out
    assert "PRIVATE KEY" not in out
    operator.world.cloud.put_secret("wechatpay/4711", secret | {"mchid": "4711", "private_key": "nonsense!"})
    code, out, err = operator.run("keys", "check", "4711")
    assert (code, err) == (3, "")
    assert "private_key    is not PEM" in out
    assert "nonsense" not in out
    assert "create it" in operator.run("keys", "check", "4712")[1]
    assert operator.run("keys", "check", OTHER_MERCHANT)[0] == 0


def test_an_echo_checks_the_keys_with_wechat_pay(operator: Operator) -> None:
    """`keys check --echo` calls WeChat Pay, and reports WeChat Pay's own error if it refuses the key."""
    code, out, _ = operator.run("keys", "check", MERCHANT, "--echo")
    assert (code, "WeChat Pay echoed, 08" in out) == (0, True)
    stale = operator.world.wechat_pay.merchant("4713").secret()
    operator.world.cloud.put_secret("wechatpay/4713", stale)
    operator.world.wechat_pay.merchant("4713").rotate_key()
    code, out, _ = operator.run("keys", "check", "4713", "--echo")
    assert (code, "echo           failed: the echo request failed: " in out, "SIGN_ERROR" in out) == (3, True, True)


def test_a_query_tells_whether_the_numbers_are_bound(operator: Operator) -> None:
    """`keys check --bound` queries an order that cannot exist; WeChat Pay's ORDER_NOT_EXIST and NO_AUTH are hints."""
    code, out, _ = operator.run("keys", "check", MERCHANT, "--bound")
    assert (code, "seem to belong together" in out, "ORDER_NOT_EXIST" in out) == (0, True, True)
    no_auth: dict[str, Any] = {"status": 403, "code": "NO_AUTH", "message": "商户信息不合法"}
    wechat_pay = operator.world.wechat_pay
    wechat_pay.misbehave("unsigned_error", times=1, operation="query", **no_auth)
    code, out, _ = operator.run("keys", "check", MERCHANT, "--bound")
    assert (code, "seem not to belong together" in out, "NO_AUTH 商户信息不合法" in out) == (3, True, True)
    [query] = [call for call in wechat_pay.calls if call.out_order_no.startswith("OPS-BOUND-")][-1:]
    assert len(query.out_order_no) == 32


def test_a_stack_that_does_not_exist_is_named(operator: Operator, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit status is 1 for a stack that does not exist, and 2 for a wrong command line."""
    endpoint = operator.world.cloud.endpoint_url
    assert main(["--stack", "nowhere", "--endpoint-url", endpoint, "order", "list", "--attention"]) == 1
    assert "nowhere" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        main(["order", "shew"])
    assert caught.value.code == 2


def test_a_move_task_of_sqs_redrives_all_letters(
    operator: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A redrive of all letters is SQS's own task; those whose cause is still there come back at once."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tasks, "PAUSE", 0.05)
    code, out, _ = operator.run("dead-letters", "redrive")
    assert (code, "2 message(s) would be redriven: add --yes to do it" in out) == (0, True)
    code, out, err = operator.run("dead-letters", "redrive", "--yes")
    assert (code, err) == (0, "")
    assert "SQS is moving all dead letters: " in out
    assert "SQS's task is complete: 2 message(s) moved" in out
    _letters_are_back(operator)


def test_without_a_move_task_this_program_moves_the_letters(
    operator: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where SQS has no message move task, as in China, a redrive of all letters says so and moves them itself."""
    monkeypatch.chdir(tmp_path)
    operator.world.cloud.offer_move_tasks(False)
    try:
        code, out, err = operator.run("dead-letters", "redrive", "--yes")
    finally:
        operator.world.cloud.offer_move_tasks(True)
    assert (code, err) == (0, "")
    assert "SQS has no move task here (ListMessageMoveTasks: " in out
    assert "2 message(s) are back in OrderQueue (2 of the plan's 2)" in out
    _letters_are_back(operator)


def _letters_are_back(operator: Operator) -> None:
    until(
        lambda: "2 dead letter(s)" in operator.run("dead-letters", "list")[1],
        state="both letters are back",
        instead=lambda: operator.run("dead-letters", "list"),
    )
    history = json.loads(operator.run("order", "show", MERCHANT, "REVOKED-1", "--json")[1])["history"]
    assert [line["outcome"] for line in history][-2:] == ["REDRIVEN", "REJECTED"]


def test_causes_are_grouped_and_tested(operator: Operator) -> None:
    """`dead-letters analyze` prints a group for each cause, with a verdict and what to do; the status asks to act."""
    code, out, _ = operator.run("--json", "dead-letters", "analyze")
    groups = {line["reason"]: line for line in map(json.loads, out.splitlines())}
    assert (code, {reason: group["verdict"] for reason, group in groups.items()}) == (
        3,
        {"REVOKED": "never", "UNREADABLE": "never"},
    )
    assert "order acknowledge" in groups["REVOKED"]["remedy"]
    assert groups["REVOKED"]["count"] == 1

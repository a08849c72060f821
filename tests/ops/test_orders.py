"""`order show`, `order list` and `order acknowledge` against the deployed template, with items of every kind."""

import json
import time
from typing import Any

import pytest

from ops import acknowledgement, items
from ops.acknowledgement import Acknowledgement
from ops.stack import Deployment, OpsError
from orders import rules
from orders.order import Attempt, Facts, Outcome, Payment, Receipt, Refusal, Reporter, Status, instant
from sandbox.testbed import BEFORE_THE_EVENTS, MERCHANT, Testbed, until
from tests.ops.conftest import AT, Operator

EVIL = "\x1b[2J\u202egnol\nops: all is well\x9b"
HISTORY = (
    Attempt(AT, "m-1", "UNKNOWN", "OUTCOME_UNKNOWN", "", "08AB", 120),
    Attempt(AT, "m-1", "REJECTED", "DEDUCTING"),
)


def send(operator: Operator, number: str) -> None:
    """Report a payment of the order."""
    fields = ("--mchid", MERCHANT, "--out-order-no", number, "--paid-time", "20260101120000")
    assert operator.run("event", "send", *fields)[0] == 0


def becomes(world: Testbed, number: str, status: Status, attempts: int = 1) -> None:
    """Wait until the order has this status after so many attempts."""

    def has_status() -> bool:
        order = world.order(number)
        return order is not None and order.status is status and order.attempts >= attempts

    until(has_status, state=f"{number}: {status}", instead=lambda: world.order(number))


# ---- show ------------------------------------------------------------------------------------------------------------


def test_an_order_is_shown_with_what_to_do_next(operator: Operator) -> None:
    """`order show` prints the status, the last error, the advice for the reason and its cause, and the history."""
    refusal = Refusal("SYSTEM_ERROR", "busy", "service_id", issue="wrong", http_status=500, request_id="08AB")
    facts = Facts({"state": "DOING", "openid": "o"}, state="DOING", state_description="MCH_COMPLETE")
    operator.put(
        "SHOW-1", Status.REJECTED, reason="RETRIES_EXHAUSTED", history=HISTORY, facts=facts, last_error=refusal
    )
    code, out, err = operator.run("order", "show", MERCHANT, "SHOW-1")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == f"{MERCHANT} SHOW-1"
    assert "status        REJECTED  RETRIES_EXHAUSTED  the last cause was DEDUCTING" in lines
    assert "WeChat Pay    state=DOING  state_description=MCH_COMPLETE" in lines
    assert "last error    SYSTEM_ERROR: busy  HTTP 500" in lines
    assert "              field=service_id  issue=wrong  request_id=08AB" in lines
    start = lines.index("what to do next")
    assert lines[start + 1] == "  hours of retries did not succeed, and SQS gave the message up"
    assert lines[start + 3] == f"       {_program(operator)} dead-letters redrive --order '{MERCHANT}#SHOW-1' --yes"
    assert "     docs/operate/reasons/RETRIES_EXHAUSTED.md" in lines
    assert "     docs/operate/reasons/DEDUCTING.md" in lines
    history = lines[lines.index("history") + 1 :]
    assert history[0].split() == ["at", "outcome", "reason", "code", "ms", "message", "Request-ID", "note"]
    assert history[1].split() == [AT, "UNKNOWN", "OUTCOME_UNKNOWN", "-", "120", "m-1", "08AB", "-"]
    assert '  "openid": "o"' in lines[lines.index("WeChat Pay's answer") :]


def _program(operator: Operator) -> str:
    return f"bin/ops --stack sandbox --endpoint-url {operator.world.cloud.endpoint_url}"


def test_an_order_is_shown_as_one_flat_document(operator: Operator) -> None:
    """`order show --json` prints the item as one JSON document, and parses to the texts that the item holds."""
    operator.put("SHOW-2", Status.REJECTED, reason="REVOKED", last_error=Refusal("X", EVIL))
    code, out, _ = operator.run("order", "show", MERCHANT, "SHOW-2", "--json")
    item = json.loads(out)
    assert (code, item["status"], item["reason"], item["last_error"]["message"]) == (0, "REJECTED", "REVOKED", EVIL)
    assert "\x1b" not in out


def test_a_text_from_outside_cannot_forge_a_line(operator: Operator) -> None:
    """Control and direction characters of an item do not reach the terminal, in the view as in the list."""
    operator.put("SHOW-3", Status.REJECTED, reason="NO_AUTH", last_error=Refusal("NO_AUTH", EVIL), event_id=EVIL)
    for arguments in (("show", MERCHANT, "SHOW-3"), ("list", "--reason", "NO_AUTH")):
        _, out, _ = operator.run("order", *arguments)
        assert "gnol" in out
        assert not {"\x1b", "\u202e", "\x9b"} & set(out)
        assert "ops: all is well" not in out.splitlines()


def test_an_unreadable_item_is_shown_with_its_problem(operator: Operator) -> None:
    """An item that this version cannot read is shown with the attribute's name, the advice and its attributes."""
    operator.put("SHOW-4", Status.REJECTED, raw={"status": {"S": "REFUNDED"}})
    code, out, _ = operator.run("order", "show", MERCHANT, "SHOW-4")
    assert code == 0
    assert "status        unreadable: status 'REFUNDED' is none of this version's" in out
    assert "what to do next\n  this version cannot read the order's item" in out
    assert '"S": "REFUNDED"' in out
    _, out, _ = operator.run("order", "show", MERCHANT, "SHOW-4", "--json")
    assert json.loads(out)["attributes"]["status"] == {"S": "REFUNDED"}
    assert "UNREADABLE" in operator.run("order", "list", "--reason", "UNREADABLE_ITEM", "--older-than", "1d")[1]


def test_an_order_of_a_sub_merchant_is_named_by_both(operator: Operator) -> None:
    """The commands that the view prints name the sub-merchant; without --sub-mchid the error asks for it."""
    payment = Payment(MERCHANT, "SHOW-5", "20260101120000", endpoint="partner", sub_mchid="1900000109")
    operator.put("SHOW-5", Status.REJECTED, payment=payment, reason="EXPIRED")
    _, out, _ = operator.run("order", "show", MERCHANT, "SHOW-5", "--sub-mchid", "1900000109")
    assert f"order acknowledge {MERCHANT} SHOW-5 --sub-mchid 1900000109 --who NAME --why TEXT" in out
    code, _, err = operator.run("order", "show", MERCHANT, "SHOW-5")
    assert (code, "give --sub-mchid" in err) == (1, True)


def test_an_order_is_shown_with_its_log_lines(operator: Operator) -> None:
    """`order show --logs` prints the function's lines about this order after the view, with --json as JSON Lines."""
    operator.world.ready("LOGS-1")
    send(operator, "LOGS-1")
    becomes(operator.world, "LOGS-1", Status.SYNCED)

    def line() -> str | None:
        _, out, _ = operator.run("order", "show", MERCHANT, "LOGS-1", "--logs")
        return next((line for line in out.splitlines() if "out_order_no=LOGS-1" in line), None)

    text = until(
        line, state="its log line", instead=lambda: operator.run("order", "show", MERCHANT, "LOGS-1", "--logs")
    )
    assert text is not None
    assert text.split("  ")[1:3] == ["INFO", "synced"]
    _, out, _ = operator.run("order", "show", MERCHANT, "LOGS-1", "--logs", "--json")
    order, log_line = map(json.loads, out.splitlines())
    assert (order["status"], log_line["message"], log_line["out_order_no"]) == ("SYNCED", "synced", "LOGS-1")


def test_an_order_without_log_lines_says_so(operator: Operator) -> None:
    """Where the log has no line in the time that is searched, the view says what to do, and the status is 0."""
    operator.put("LOGS-2", Status.SYNCED)
    for options in ((), ("--since", "2d")):
        code, out, _ = operator.run("order", "show", MERCHANT, "LOGS-2", "--logs", *options)
        assert (code, "none: give --since to look further back" in out) == (0, True)


# ---- list ------------------------------------------------------------------------------------------------------------


def numbers(operator: Operator, *options: str) -> list[str]:
    """Return the numbers of the orders in a list, with --json."""
    code, out, _ = operator.run("order", "list", "--merchant", "4720", "--json", *options)
    assert code == 0
    return [json.loads(line)["out_order_no"] for line in out.splitlines()]


@pytest.fixture
def four_orders(operator: Operator) -> Operator:
    """An operator of a table with four orders of merchant 4720, one of them written now."""

    def payment(number: str) -> Payment:
        return Payment("4720", number, "20260101120000")

    operator.put("L-1", Status.REJECTED, payment=payment("L-1"), reason="REVOKED")
    operator.put(
        "L-2",
        Status.REJECTED,
        payment=payment("L-2"),
        reason="RETRIES_EXHAUSTED",
        history=HISTORY,
        at=AT.replace("04", "05"),
    )
    operator.put("L-3", Status.RETRYING, payment=payment("L-3"), reason="DEDUCTING", at=instant(time.time()))
    operator.put("L-4", Status.SYNCED, payment=payment("L-4"))
    return operator


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), ["L-3", "L-1", "L-2"]),
        (("--attention",), ["L-3", "L-1", "L-2"]),
        (("--status", "REJECTED"), ["L-1", "L-2"]),
        (("--status", "PAID_BY_WECHAT", "--status", "RETRYING"), ["L-3"]),
        (("--reason", "revoked"), ["L-1"]),
        (("--reason", "DEDUCTING"), ["L-3", "L-2"]),
        (("--reason", "DEDUCTING", "--reason", "REVOKED"), ["L-3", "L-1", "L-2"]),
        (("--older-than", "1h"), ["L-1", "L-2"]),
        (("--newer-than", "1h"), ["L-3"]),
        (("--newer-than", "1h", "--older-than", "2h"), []),
        (("--older-than", "1h", "--newer-than", "520w"), ["L-1", "L-2"]),
        (("--limit", "2"), ["L-3", "L-1"]),
    ],
)
def test_orders_are_listed_by_status_reason_merchant_and_age(
    four_orders: Operator, options: tuple[str, ...], expected: list[str]
) -> None:
    """Each filter of `order list` leaves the orders that it names; a cause of RETRIES_EXHAUSTED counts as a reason."""
    assert numbers(four_orders, *options) == expected


def test_an_empty_list_says_so(four_orders: Operator) -> None:
    """A list without orders is one line for people, and no line for programs."""
    assert four_orders.run("order", "list", "--merchant", "4721") == (0, "no order of this kind needs attention\n", "")
    assert four_orders.run("order", "list", "--merchant", "4721", "--json") == (0, "", "")


# ---- acknowledge -----------------------------------------------------------------------------------------------------


def acknowledge(operator: Operator, number: str, *options: str) -> tuple[int, str, str]:
    """Acknowledge an order as dana."""
    return operator.run("order", "acknowledge", MERCHANT, number, "--who", "dana", "--why", "told the shop", *options)


def test_an_acknowledged_order_leaves_the_list_and_keeps_its_verdict(operator: Operator) -> None:
    """`order acknowledge` removes `attention` and writes who, why and when, and a line in the history; nothing else."""
    key = operator.put("ACK-1", Status.REJECTED, reason="REVOKED", history=HISTORY, message_id="m-1", version=3)
    before = operator.item(key)
    code, out, _ = acknowledge(operator, "ACK-1")
    assert (code, "acknowledged by dana at 20" in out) == (0, True)
    after = operator.item(key)
    at = after["updated_at"]
    line = {"at": at, "message_id": {"S": "m-1"}, "outcome": {"S": "ACKNOWLEDGED"}}
    line |= {"by": {"S": "dana"}, "why": {"S": "told the shop"}, "latency_ms": {"N": "0"}}
    assert after == {
        **{name: value for name, value in before.items() if name != "attention"},
        "version": {"N": "4"},
        "updated_at": at,
        "acknowledged": {"M": {"who": {"S": "dana"}, "why": {"S": "told the shop"}, "at": at}},
        "history": {"L": [*before["history"]["L"], {"M": line}]},
    }
    assert "ACK-1" not in operator.run("order", "list")[1]
    _, out, _ = operator.run("order", "show", MERCHANT, "ACK-1")
    assert f"acknowledged  by dana at {at['S']}: told the shop" in out
    assert "what to do next\n  nothing: it was acknowledged" in out
    _, out, _ = operator.run("order", "show", MERCHANT, "ACK-1", "--json")
    assert json.loads(out)["acknowledged"] == {"who": "dana", "why": "told the shop", "at": at["S"]}


def test_an_acknowledgement_is_written_once(operator: Operator) -> None:
    """A second acknowledgement reports the first one, and writes nothing."""
    key = operator.put("ACK-2", Status.PAID_BY_WECHAT, reason="NEWTON")
    acknowledge(operator, "ACK-2")
    item = operator.item(key)
    code, out, _ = operator.run("order", "acknowledge", MERCHANT, "ACK-2", "--who", "li", "--why", "again", "--json")
    assert (code, json.loads(out)["acknowledged"]["who"]) == (0, "dana")
    assert operator.item(key) == item


def test_the_function_puts_an_acknowledged_order_back_with_its_next_attempt(operator: Operator) -> None:
    """A new attempt records its verdict, keeps `acknowledged` and its line, and the order is in the list again."""
    world = operator.world
    world.wechat_pay.open(MERCHANT, "ACK-3", at=BEFORE_THE_EVENTS)
    world.wechat_pay.confirm(MERCHANT, "ACK-3")
    world.wechat_pay.cancel(MERCHANT, "ACK-3")
    send(operator, "ACK-3")
    becomes(world, "ACK-3", Status.REJECTED)
    acknowledge(operator, "ACK-3")
    assert "ACK-3" not in operator.run("order", "list", "--reason", "REVOKED")[1]
    send(operator, "ACK-3")
    becomes(world, "ACK-3", Status.REJECTED, attempts=2)
    assert "ACK-3" in operator.run("order", "list", "--reason", "REVOKED")[1]
    item = operator.item(f"{MERCHANT}#ACK-3")
    assert item["acknowledged"]["M"]["who"] == {"S": "dana"}
    assert [line["M"]["outcome"]["S"] for line in item["history"]["L"]] == ["REJECTED", "ACKNOWLEDGED", "REJECTED"]
    _, out, _ = operator.run("order", "show", MERCHANT, "ACK-3")
    assert "before a later attempt: told the shop" in out
    assert "nothing: it was acknowledged" not in out
    assert acknowledge(operator, "ACK-3")[0] == 0
    assert "ACK-3" not in operator.run("order", "list", "--reason", "REVOKED")[1]


def test_an_attempt_under_way_records_on_top_of_an_acknowledgement(operator: Operator) -> None:
    """The function's write of an order that was acknowledged meanwhile loses the race, and loses no line."""
    operator.put("ACK-4", Status.REJECTED, reason="NO_AUTH", history=HISTORY)
    loaded = operator.world.order("ACK-4")
    acknowledge(operator, "ACK-4")
    outcome = Outcome(Status.SYNCED, Payment(MERCHANT, "ACK-4", "20260101120000"), facts=Facts({"state": "DONE"}))
    reporter = Reporter("m-2", "e-2", "sqs")
    stale = rules.record(loaded, outcome, [reporter], 0.0)
    assert stale is not None
    table = operator.world.deployment.table
    with pytest.raises(Exception, match="ACK-4"):
        table.save(stale)
    order = rules.record(operator.world.order("ACK-4"), outcome, [reporter], 0.0, raced=True)
    assert order is not None
    table.save(order)
    item = operator.item(f"{MERCHANT}#ACK-4")
    assert ("attention" in item, "acknowledged" in item) == (False, True)
    assert [line["M"]["outcome"]["S"] for line in item["history"]["L"]][-2:] == ["ACKNOWLEDGED", "SYNCED"]
    assert "nothing: it was acknowledged" not in operator.run("order", "show", MERCHANT, "ACK-4")[1]


@pytest.mark.parametrize(
    ("status", "fields", "words"),
    [
        (Status.SYNCED, {}, "is SYNCED: it needs no attention"),
        (Status.RETRYING, {"reason": "DEDUCTING", "at": instant(time.time())}, "is still being retried (DEDUCTING"),
        (Status.REJECTED, {"raw": {"paid_time": {"L": []}}}, "cannot be read (paid_time"),
    ],
)
def test_an_order_that_is_not_dealt_with_is_not_acknowledged(
    operator: Operator, status: Status, fields: dict[str, Any], words: str
) -> None:
    """A settled order, one whose retries go on, and one that cannot be read are refused in one line with the remedy."""
    key = operator.put("ACK-5", status, **fields)
    before = operator.item(key)
    code, out, err = acknowledge(operator, "ACK-5")
    assert (code, out, err.count("\n"), words in err) == (1, "", 1, True), err
    assert operator.item(key) == before


def test_an_order_whose_message_is_gone_is_acknowledged(operator: Operator) -> None:
    """An order RETRYING that no queue can have a message of any more, after four days, may be acknowledged."""
    operator.put("ACK-6", Status.RETRYING, reason="DEDUCTING", messages={"m": Receipt(3)})
    assert acknowledge(operator, "ACK-6")[0] == 0


def test_who_and_why_must_say_something(operator: Operator) -> None:
    """Empty words and an order without an item are errors; words are cleaned before they are written."""
    key = operator.put("ACK-7", Status.REJECTED, reason="REVOKED")
    code, _, err = operator.run("order", "acknowledge", MERCHANT, "ACK-7", "--who", " ", "--why", "x")
    assert (code, "must not be empty" in err) == (1, True)
    assert operator.run("order", "acknowledge", MERCHANT, "NEVER", "--who", "x", "--why", "x")[0] == 1
    operator.run("order", "acknowledge", MERCHANT, "ACK-7", "--who", "dana\x1b", "--why", EVIL)
    members = operator.item(key)["acknowledged"]["M"]
    assert members["who"] == {"S": "dana"}
    assert not {"\x1b", "\u202e", "\n"} & set(members["why"]["S"])


def test_an_order_that_was_written_meanwhile_is_not_acknowledged(operator: Operator) -> None:
    """An item of another version than the one that was read is left as it is, and the error says to look again."""
    deployment: Deployment = operator.world.deployment
    key = operator.put("ACK-8", Status.REJECTED, reason="REVOKED")
    item = items.find(deployment, key)
    assert item is not None
    operator.put("ACK-8", Status.REJECTED, reason="EXPIRED", version=2)
    before = operator.item(key)
    with pytest.raises(OpsError, match="written meanwhile, so nothing was changed: look at it with `order show`"):
        acknowledgement.acknowledge(deployment, item, who="dana", why="told", now=time.time())
    assert operator.item(key) == before


def test_an_acknowledgement_that_cannot_be_read_is_none(operator: Operator) -> None:
    """An attribute `acknowledged` of another shape does not make the order unreadable."""
    key = operator.put("ACK-9", Status.REJECTED, reason="REVOKED", raw={"acknowledged": {"S": "by hand"}})
    item = items.find(operator.world.deployment, key)
    assert item is not None
    assert item.order is not None
    assert Acknowledgement.of(item.order) is None
    assert operator.run("order", "show", MERCHANT, "ACK-9")[0] == 0

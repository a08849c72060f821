"""What to do about an order: every reason has a row, and every row leads to a page and to commands that exist."""

import ast
import re
from pathlib import Path

import pytest

from ops import advice
from ops.advice import Advice, Course
from ops.commands import MODULES
from ops.commands.parser import command_line
from orders import cases, dialogue, rules, settlement
from orders.order import Attempt, Order, Payment, Status
from orders.wechat import refusals
from orders.wechat.verdicts import VERDICTS, PaymentState
from wechatpay.endpoints import ENDPOINTS

ROOT = Path(__file__).parents[2]
ORDERS = ROOT / "functions/orders"
AT = "2026-01-01T04:00:00.000Z"

# Words in capitals that are no reasons: statuses, steps, judgements, WeChat Pay's words for an order, codes to query.
NO_REASONS = {
    *(status.value for status in Status),
    *(step.value for step in rules.Step),
    *(action.value for action in dialogue.Action),
    *(state.value for state in PaymentState if state.value not in {"CREATED", "REVOKED", "EXPIRED"}),
    *("DONE", "DOING", "MCH_COMPLETE", "MCH", "USER_ACCEPTED", "FINISHED", "USER_PAID", "TIMESTAMP", "UNKNOWN"),
    *("ORDER_DONE", "ORDER_CANCELED", "INVALID_ORDER_STATE", "SYSTEM_ERROR", "UNANSWERED"),
    *("FREQUENCY_LIMITED", "FREQUENCY_LIMIT_EXCEED", "RATELIMIT_EXCEEDED", "RATELIMIT_EXCEED", "RATE_LIMITED"),
}


def _words(module: str) -> set[str]:
    """Return the words in capitals that a module of the function writes."""
    tree = ast.parse((ORDERS / module).with_suffix(".py").read_text(encoding="utf-8"))
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {text for text in texts if re.fullmatch(r"[A-Z][A-Z_]+[A-Z]", text)}


@pytest.mark.parametrize("module", ["cases", "dialogue", "rules", "settlement", "wechat/refusals", "wechat/verdicts"])
def test_every_reason_that_the_function_can_write_has_a_row(module: str) -> None:
    """A word in capitals of the function is a reason with a row, or is listed here as none."""
    assert _words(module) - NO_REASONS - set(advice.ROWS) == set()


def test_reasons_of_the_function_s_own_tables_have_a_row() -> None:
    """Verdicts, codes that reject, broken keys and failures without a conversation have rows of their own."""
    reasons = {verdict.reason for verdict in VERDICTS.values()} | settlement.KEY_REASONS | dialogue.CLOSED_REASONS
    rejecting = {dialogue.Action.REJECT, dialogue.Action.REJECT_UNLESS_CLOSED, dialogue.Action.NOT_EXIST}
    reasons |= {code for code, action in refusals._CODES.items() if action in rejecting}
    reasons |= {cases.CIRCUIT_OPEN, cases.UNEXPECTED, cases.TABLE_UNAVAILABLE, rules.RETRIES_EXHAUSTED}
    assert reasons - {""} <= set(advice.ROWS)


def test_reasons_made_of_others_words_have_advice() -> None:
    """A missing field of any endpoint, and a code of WeChat Pay that has no row, are answered."""
    fields = {name for endpoint in ENDPOINTS.values() for name in endpoint.required}
    for name in fields:
        assert "add it to one of them" in advice.for_reason(f"MISSING_{name.upper()}").action
    assert "its own code" in advice.for_reason("SERVICE_PAUSED").meaning
    assert "its own code" in advice.for_reason("HTTP_409").meaning


ALL = [*advice.ROWS.values(), advice.for_reason("MISSING_APPID"), advice.for_reason("SERVICE_PAUSED")]


def test_a_row_leads_to_the_page_of_its_reason() -> None:
    """The page of each reason exists, and its title names the reason."""
    for reason, row in advice.ROWS.items():
        assert reason in (ROOT / row.page).read_text(encoding="utf-8").partition("\n")[0]
    assert all((ROOT / row.page).is_file() for row in ALL)


@pytest.mark.parametrize("row", ALL)
def test_a_command_of_a_row_can_be_run(row: Advice) -> None:
    """A command that a row prints is one that the command line accepts."""
    parser = command_line(module.register for module in MODULES)
    for line in row.command_lines("1230000109/1900000109", "A|1*-_"):
        program, *words = line.split()
        assert program == "bin/ops"
        assert parser.parse_args(words).command


def an_order(status: Status, reason: str = "", *history: str) -> Order:
    """Return an order whose attempts ended for these reasons."""
    attempts = tuple(Attempt(AT, "m", "RETRYING", one) for one in history)
    payment = Payment("1230000109", "A", "20260101120000")
    return Order(payment, None, status, 1, AT, AT, reason, history=attempts)


@pytest.mark.parametrize(
    ("order", "courses"),
    [
        (an_order(Status.SYNCED), [Course.NOTHING]),
        (an_order(Status.SYNCED, "OTHER_PAID_TIME"), [Course.NOTHING]),
        (an_order(Status.NOTHING_DUE), [Course.NOTHING]),
        (an_order(Status.PAID_BY_WECHAT, "NEWTON"), [Course.REFUND]),
        (an_order(Status.RETRYING, "DEDUCTING"), [Course.WAIT]),
        (an_order(Status.REJECTED, "REVOKED"), [Course.END]),
        (an_order(Status.REJECTED, "NO_AUTH"), [Course.REPAIR]),
        (an_order(Status.REJECTED, "RETRIES_EXHAUSTED"), [Course.REPAIR]),
        (an_order(Status.REJECTED, "RETRIES_EXHAUSTED", "CLOCK", "DEDUCTING", ""), [Course.REPAIR, Course.WAIT]),
    ],
)
def test_an_order_gets_the_advice_of_its_status_and_reason(order: Order, courses: list[Course]) -> None:
    """A status that closes an order decides; after RETRIES_EXHAUSTED the newest cause is explained as well."""
    assert [row.course for row in advice.for_order(order)] == courses

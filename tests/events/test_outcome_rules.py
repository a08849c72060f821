"""The rules in events/outcome-rules.yaml deliver each outcome to the team that acts on it."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from orders.order import Facts, Order, Payment, Status
from outcomes.announcement import announce_again
from outcomes.bus import Bus
from sandbox.refund_team import RULES, SimulatedRefundTeam
from sandbox.testbed import MERCHANT, Testbed, until

AT = "2026-01-01T04:00:00.000Z"


def test_the_rules_are_a_valid_template() -> None:
    """cfn-lint finds nothing in the rules."""
    cfn_lint = Path(__file__).parents[2] / ".venv-sam/bin/cfn-lint"
    process = subprocess.run([cfn_lint, RULES], capture_output=True, text=True, check=False)
    assert (process.returncode, process.stdout) == (0, "")


@pytest.fixture(scope="module")
def team(world: Testbed) -> SimulatedRefundTeam:
    """The deployed rules, and the one who reads the mail."""
    return SimulatedRefundTeam.of(world.cloud)


def _publish(world: Testbed, number: str, status: Status, **changes: Any) -> None:
    order = Order(
        Payment(MERCHANT, number, "20260101120000"), status=status, version=1, created_at=AT, updated_at=AT, **changes
    )
    announcement = announce_again(order)
    assert announcement is not None
    assert Bus(world.cloud.client("events"), "default").publish([announcement]) == [""]


def _message(world: Testbed, queue: str) -> Any:
    def look() -> Any:
        return world.cloud.client("sqs").receive_message(QueueUrl=queue).get("Messages")

    [message] = until(look, state="a message")
    return json.loads(message["Body"])


def test_the_refund_team_gets_a_mail(world: Testbed, team: SimulatedRefundTeam) -> None:
    """A double payment becomes one sentence with the order, the amount and the transaction to refund."""
    facts = Facts({"total_amount": 3900}, transaction_id="4200001")
    _publish(world, "RULE-1", Status.PAID_BY_WECHAT, facts=facts)
    sentence = f"Paid twice: order RULE-1 of merchant {MERCHANT}, 3900 fen. Refund WeChat Pay transaction 4200001."
    assert until(lambda: team.mail_about("RULE-1"), state="a mail") == sentence


def test_the_pos_hears_of_a_rejection(world: Testbed, team: SimulatedRefundTeam) -> None:
    """A rejected order is told to the POS, whole, with its reason; a synced one is not."""
    _publish(world, "RULE-2", Status.SYNCED, facts=None)
    _publish(world, "RULE-3", Status.REJECTED, facts=None, reason="REVOKED")
    event = _message(world, team.outputs["TillQueueUrl"])
    assert (event["detail-type"], event["detail"]["out_order_no"]) == ("OrderRejected", "RULE-3")
    assert event["detail"]["reason"] == "REVOKED"

"""End to end: the demo's stories through the deployed template, the event files, and dead-letter messages."""

import json
from pathlib import Path
from typing import Any

import pytest

from ops import dead_letters, events
from ops.letters.reasons import Letter
from orders.order import Status
from sandbox import up
from sandbox.sam_local.command import check
from sandbox.sam_local.event_table import EventFile, event_files
from sandbox.stories import STORIES, Story
from sandbox.testbed import MERCHANT, ROOT, Testbed, until
from tests.conftest import DemoRun

TABLE = event_files()


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_a_story_ends_as_promised(evidence: tuple[DemoRun, Any], story: Story) -> None:
    """The demo runs each story through the deployed template, and reports it as ended as promised."""
    output = evidence[0].output
    assert [line for line in output.splitlines() if line.startswith(f"✗ {story.name}: ")] == [], output
    assert f"✓   {story.title}" in output


def test_a_dead_letter_is_the_original(world: Testbed) -> None:
    """A dead-letter message has its original id and body and its source, so the console's redrive to source works."""
    body = json.dumps({"mchid": MERCHANT, "out_order_no": "ORIGINAL-1", "detail": {"paid_time": "20260101120000"}})
    world.wechat_pay.ready_to_sync(MERCHANT, "ORIGINAL-1")
    world.wechat_pay.cancel(MERCHANT, "ORIGINAL-1")
    sqs, outputs = world.cloud.client("sqs"), world.stack.outputs
    message_id = sqs.send_message(QueueUrl=outputs["OrderQueueUrl"], MessageBody=body)["MessageId"]

    def look() -> dict[str, Any] | None:
        answer = sqs.receive_message(
            QueueUrl=outputs["DeadLettersUrl"], AttributeNames=["All"], MaxNumberOfMessages=10, VisibilityTimeout=0
        )
        return next((letter for letter in answer.get("Messages", []) if letter["MessageId"] == message_id), None)

    letter = until(look, state="the message is in the dead-letter queue")
    assert letter["Body"] == body
    assert letter["Attributes"]["DeadLetterQueueSourceArn"] == outputs["OrderQueueArn"]
    calls = [call for call in world.wechat_pay.calls if call.out_order_no == "ORIGINAL-1"]
    assert [(call.operation, call.code) for call in calls] == [("sync", "ORDER_CANCELED"), ("query", "")]
    order = world.order("ORIGINAL-1")
    assert order is not None
    assert (order.status, order.reason, order.attempts) == (Status.REJECTED, "REVOKED", 1)
    assert order.last_error is not None
    assert (order.last_error.code, order.last_error.http_status) == ("ORDER_CANCELED", 400)


def test_a_redriven_message_gets_one_new_attempt(world: Testbed) -> None:
    """A redriven message whose cause is not fixed is attempted once, and becomes a dead-letter message again."""
    body = {"mchid": "1999999998", "out_order_no": "REDRIVEN-1", "detail": {"paid_time": "20260101120000"}}
    deployment = world.deployment
    events.send(deployment, body, source=None)

    def look() -> Letter | None:
        return next((letter for letter in dead_letters.peek(deployment) if "REDRIVEN-1" in letter.body), None)

    first = until(look, state="the message is in the dead-letter queue")
    assert _attempts(first) == 1
    dead_letters.redrive_one(deployment, first.message_id)
    second = until(
        lambda: letter if (letter := look()) and letter.message_id != first.message_id else None,
        state="the redriven message is in the dead-letter queue",
        instead=look,
    )
    assert (_attempts(second), second.reason) == (2, "UNKNOWN_MERCHANT")


def _attempts(letter: Letter) -> int:
    return letter.order.attempts if letter.order else 0


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A sandbox with the orders of `make sandbox`, whose function is invoked with each event file."""
    with Testbed.open(tmp_path_factory.mktemp("seeded")) as world:
        up.seed(world)
        yield world


def test_the_table_of_event_files_is_complete() -> None:
    """Every event file has its outcome in the table."""
    files = {path.name for path in (ROOT / "events").glob("*.json") if not path.name.endswith(".schema.json")}
    assert {file.name for file in TABLE} == files


@pytest.mark.parametrize("file", TABLE, ids=lambda file: file.name)
def test_an_event_file_ends_as_its_table_says(seeded: Testbed, file: EventFile) -> None:
    """The deployed function, invoked with a whole event file, ends with the outcome of the table."""

    def invoke(name: str) -> dict[str, Any]:
        payload = (ROOT / "events" / name).read_bytes()
        answer = seeded.cloud.client("lambda").invoke(FunctionName=seeded.function, Payload=payload)
        result: dict[str, Any] = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, result
        return result

    assert check(seeded, file, invoke) == ""


def test_a_bare_event_that_is_not_settled_fails_its_invoker(seeded: Testbed) -> None:
    """A bare event that is not settled fails its invocation: no queue keeps it, so the caller must retry."""
    event = {"id": "e1", "source": "pos.till", "detail-type": "Order_Paid"}
    event["detail"] = {"mchid": MERCHANT, "out_order_no": "NO-SUCH-1", "detail": {"paid_time": "20260101120000"}}  # type: ignore[assignment]
    answer = seeded.cloud.client("lambda").invoke(FunctionName=seeded.function, Payload=json.dumps(event))
    assert "FunctionError" in answer
    assert "ORDER_NOT_EXIST" in answer["Payload"].read().decode()


def test_the_sandbox_writes_what_sam_local_needs(seeded: Testbed, tmp_path: Path) -> None:
    """The file for `sam local invoke --env-vars` has the function's variables of this sandbox."""
    variables = up.environment(seeded)
    assert variables["WECHATPAY_BASE_URL"] == seeded.wechat_pay.base_url.replace("127.0.0.1", "host.docker.internal")
    assert variables["AWS_ENDPOINT_URL"] == seeded.cloud.endpoint_url.replace("127.0.0.1", "host.docker.internal")
    assert variables["ORDERS_TABLE"] == seeded.stack.outputs["OrdersTableName"]

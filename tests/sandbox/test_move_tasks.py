"""SQS's message move tasks on the embedded AWS, by both protocols and by the operator's program."""

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any
from xml.etree import ElementTree

import pytest
import requests
from botocore.exceptions import ClientError

from ops.letters.queue import Queue
from ops.letters.tasks import MoveTask, NoMoveTaskError, TaskEnd
from sandbox.place import read_place
from sandbox.testbed import Testbed
from sandbox.waiting import until

ACCOUNT = "arn:aws:sqs:us-east-1:000000000000:"


@pytest.fixture(scope="module")
def sqs(world: Testbed) -> Any:
    """SQS of the shared sandbox."""
    return world.cloud.client("sqs")


class Pair:
    """A queue, its dead-letter queue and one more, each new."""

    def __init__(self, sqs: Any, name: str) -> None:
        self.sqs = sqs
        self.dead, self.queue, self.other = (f"{name}-{part}" for part in ("dead", "queue", "other"))
        sqs.create_queue(QueueName=self.dead)
        policy = json.dumps({"deadLetterTargetArn": self.arn(self.dead), "maxReceiveCount": 1})
        sqs.create_queue(QueueName=self.queue, Attributes={"RedrivePolicy": policy})
        sqs.create_queue(QueueName=self.other)

    def arn(self, name: str) -> str:
        """Return a queue's ARN."""
        return ACCOUNT + name

    def url(self, name: str) -> str:
        """Return a queue's URL."""
        return str(self.sqs.get_queue_url(QueueName=name)["QueueUrl"])

    def die(self, *bodies: str) -> None:
        """Send messages and let SQS move them to the dead letters."""
        for body in bodies:
            colour = {"Colour": {"DataType": "String", "StringValue": "red"}}
            self.sqs.send_message(QueueUrl=self.url(self.queue), MessageBody=body, MessageAttributes=colour)
        for _ in bodies:
            self.sqs.receive_message(QueueUrl=self.url(self.queue), VisibilityTimeout=0)
        assert "Messages" not in self.sqs.receive_message(QueueUrl=self.url(self.queue))

    def messages(self, name: str) -> list[dict[str, Any]]:
        """Receive what is in a queue, with all attributes."""
        answer = self.sqs.receive_message(
            QueueUrl=self.url(name),
            MaxNumberOfMessages=10,
            VisibilityTimeout=0,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        return list(answer.get("Messages", []))

    def start(self, **options: Any) -> str:
        """Start a task on the dead letters; return its handle."""
        return str(self.sqs.start_message_move_task(SourceArn=self.arn(self.dead), **options)["TaskHandle"])

    def tasks(self) -> list[dict[str, Any]]:
        """Return the tasks of the dead letters, newest first."""
        return list(self.sqs.list_message_move_tasks(SourceArn=self.arn(self.dead), MaxResults=10)["Results"])

    def end(self) -> dict[str, Any]:
        """Wait for the end of the newest task."""
        return until(
            lambda: next((task for task in self.tasks()[:1] if task["Status"] not in {"RUNNING", "CANCELLING"}), None),
            state="the task has ended",
            instead=self.tasks,
        )


@pytest.fixture
def pair(sqs: Any, request: pytest.FixtureRequest) -> Pair:
    """Three queues for one test."""
    return Pair(sqs, request.node.name.replace("[", "-").replace("]", "")[:60])


@pytest.fixture
def offer(world: Testbed) -> Iterator[Callable[[bool], None]]:
    """The switch of the move tasks; they are there again after the test."""
    yield world.cloud.offer_move_tasks
    world.cloud.offer_move_tasks(True)


def test_messages_go_back_to_where_they_came_from(pair: Pair) -> None:
    """Without a destination each message returns to its source as a new one, with its attributes and no receives."""
    pair.die("one", "two")
    before = {message["MessageId"] for message in pair.messages(pair.dead)}
    handle = pair.start()
    content = json.loads(base64.b64decode(handle))
    assert content["sourceArn"] == pair.arn(pair.dead)
    task = pair.end()
    started = task.pop("StartedTimestamp")
    assert started.isoformat() if hasattr(started, "isoformat") else started > 1_600_000_000_000
    assert task == {
        "Status": "COMPLETED",
        "SourceArn": pair.arn(pair.dead),
        "ApproximateNumberOfMessagesMoved": 2,
        "ApproximateNumberOfMessagesToMove": 2,
    }
    assert pair.messages(pair.dead) == []
    back = pair.messages(pair.queue)
    assert sorted(message["Body"] for message in back) == ["one", "two"]
    assert before.isdisjoint(message["MessageId"] for message in back)
    assert {message["Attributes"]["ApproximateReceiveCount"] for message in back} == {"1"}
    assert all("DeadLetterQueueSourceArn" not in message["Attributes"] for message in back)
    assert all(message["MessageAttributes"]["Colour"]["StringValue"] == "red" for message in back)


def test_a_destination_takes_them_whatever_their_origin(pair: Pair) -> None:
    """With a destination a message that was sent straight to the dead letters is moved too."""
    pair.die("one")
    pair.sqs.send_message(QueueUrl=pair.url(pair.dead), MessageBody="sent there")
    pair.start(DestinationArn=pair.arn(pair.other), MaxNumberOfMessagesPerSecond=500)
    task = pair.end()
    assert (task["Status"], task["DestinationArn"]) == ("COMPLETED", pair.arn(pair.other))
    assert task["MaxNumberOfMessagesPerSecond"] == 500
    assert sorted(message["Body"] for message in pair.messages(pair.other)) == ["one", "sent there"]


def test_a_message_without_an_origin_fails_the_task(pair: Pair) -> None:
    """Without a destination a message of unknown origin ends the task, and stays."""
    pair.sqs.send_message(QueueUrl=pair.url(pair.dead), MessageBody="sent there")
    pair.start()
    task = pair.end()
    assert (task["Status"], task["FailureReason"]) == ("FAILED", "CouldNotDetermineMessageSource")
    assert task["ApproximateNumberOfMessagesMoved"] == 0
    assert [message["Body"] for message in pair.messages(pair.dead)] == ["sent there"]


def test_a_source_that_is_gone_fails_the_task(pair: Pair) -> None:
    """A message whose queue was deleted meanwhile ends the task; the reason names the queue's absence."""
    pair.die("one")
    second = json.dumps({"deadLetterTargetArn": pair.arn(pair.dead), "maxReceiveCount": 1})
    pair.sqs.set_queue_attributes(QueueUrl=pair.url(pair.other), Attributes={"RedrivePolicy": second})
    pair.sqs.delete_queue(QueueUrl=pair.url(pair.queue))
    pair.start()
    assert pair.end()["FailureReason"] == "AWS.SimpleQueueService.NonExistentQueue"


def test_a_running_task_is_listed_alone_and_cancelled(pair: Pair) -> None:
    """One task runs at a time; only a running one has a handle; what is moved stays moved."""
    pair.die("one", "two", "three")
    handle = pair.start(DestinationArn=pair.arn(pair.other), MaxNumberOfMessagesPerSecond=1)
    [task] = pair.tasks()
    assert (task["Status"], task["TaskHandle"]) == ("RUNNING", handle)
    with pytest.raises(ClientError, match=r"already a task running\. Only one active task") as refused:
        pair.start()
    assert refused.value.response["Error"]["Code"] == "InvalidParameterValue"
    moved = pair.sqs.cancel_message_move_task(TaskHandle=handle)["ApproximateNumberOfMessagesMoved"]
    task = pair.end()
    assert task["Status"] == "CANCELLED"
    assert "TaskHandle" not in task
    assert moved <= task["ApproximateNumberOfMessagesMoved"] < 3
    with pytest.raises(ClientError, match="Only active tasks"):
        pair.sqs.cancel_message_move_task(TaskHandle=handle)
    pair.start()
    pair.end()
    assert [task["Status"] for task in pair.tasks()] == ["COMPLETED", "CANCELLED"]
    newest = pair.sqs.list_message_move_tasks(SourceArn=pair.arn(pair.dead))["Results"]
    assert [task["Status"] for task in newest] == ["COMPLETED"]


FORM = "arn:<partition>:<service>:<region>:<account-id>:<resource-id>"


@pytest.mark.parametrize(
    ("changes", "code", "text"),
    [
        ({"SourceArn": "nothing"}, "InvalidParameterValue", f"specify the SourceArn: {FORM}"),
        ({"SourceArn": ""}, "MissingParameter", "must contain the parameter SourceArn"),
        ({"SourceArn": f"{ACCOUNT}gone"}, "ResourceNotFoundException", "for the SourceArn parameter doesn't exist"),
        ({"DestinationArn": "nothing"}, "InvalidParameterValue", f"specify the DestinationArn: {FORM}"),
        ({"DestinationArn": f"{ACCOUNT}gone"}, "ResourceNotFoundException", "for the DestinationArn parameter"),
        ({"DestinationArn": f"{ACCOUNT}REFUSED-dead"}, "InvalidParameterValue", "cannot be the same"),
        ({"DestinationArn": f"{ACCOUNT}REFUSED.fifo"}, "InvalidParameterValue", "must be of the same queue type"),
        (
            {"SourceArn": f"{ACCOUNT}REFUSED-other"},
            "InvalidParameterValue",
            "must be configured as a Dead Letter Queue",
        ),
        ({"MaxNumberOfMessagesPerSecond": 0}, "InvalidParameterValue", "Must be between 1 and 500"),
        ({"MaxNumberOfMessagesPerSecond": 501}, "InvalidParameterValue", "Must be between 1 and 500"),
    ],
)
def test_a_start_is_refused_in_awss_words(sqs: Any, changes: dict[str, Any], code: str, text: str) -> None:
    """A task that SQS does not start is refused with its code and text."""
    pair = Pair(sqs, "REFUSED")
    sqs.create_queue(QueueName="REFUSED.fifo", Attributes={"FifoQueue": "true"})
    with pytest.raises(ClientError) as refused:
        sqs.start_message_move_task(**{"SourceArn": pair.arn(pair.dead), **changes})
    assert refused.value.response["Error"]["Code"] == code
    assert text in refused.value.response["Error"]["Message"]
    assert pair.tasks() == []


def a_handle(source: str) -> str:
    """Return a well-formed handle of a task that does not exist."""
    return base64.b64encode(json.dumps({"taskId": "1", "sourceArn": source}).encode()).decode()


@pytest.mark.parametrize(
    ("handle", "code", "text"),
    [
        ("", "MissingParameter", "must contain the parameter TaskHandle"),
        ("nothing", "InvalidParameterValue", "Value for parameter TaskHandle is invalid."),
        (base64.b64encode(b"[]").decode(), "InvalidParameterValue", "Value for parameter TaskHandle is invalid."),
        (a_handle(f"{ACCOUNT}gone"), "ResourceNotFoundException", "SourceArn parameter doesn't exist"),
        (a_handle(f"{ACCOUNT}HANDLES-dead"), "ResourceNotFoundException", "Task does not exist."),
    ],
)
def test_a_cancellation_is_refused_in_awss_words(sqs: Any, handle: str, code: str, text: str) -> None:
    """A handle that names no task is refused with SQS's code and text."""
    Pair(sqs, "HANDLES")
    with pytest.raises(ClientError) as refused:
        sqs.cancel_message_move_task(TaskHandle=handle)
    assert refused.value.response["Error"]["Code"] == code
    assert text in refused.value.response["Error"]["Message"]


@pytest.mark.parametrize("most", [0, 11])
def test_a_list_holds_one_to_ten_tasks(pair: Pair, most: int) -> None:
    """A list of no task, or of more than ten, is refused."""
    with pytest.raises(ClientError, match="Must be between 1 and 10"):
        pair.sqs.list_message_move_tasks(SourceArn=pair.arn(pair.dead), MaxResults=most)


def test_the_sources_of_dead_letters_are_listed(pair: Pair) -> None:
    """The queues that move their dead letters to a queue are listed, by pages where that is asked for."""
    policy = json.dumps({"deadLetterTargetArn": pair.arn(pair.dead), "maxReceiveCount": 1})
    pair.sqs.set_queue_attributes(QueueUrl=pair.url(pair.other), Attributes={"RedrivePolicy": policy})
    pages = pair.sqs.get_paginator("list_dead_letter_source_queues").paginate(
        QueueUrl=pair.url(pair.dead), PaginationConfig={"PageSize": 1}
    )
    assert [page["queueUrls"] for page in pages] == [[pair.url(pair.queue)], [pair.url(pair.other)]]
    assert pair.sqs.list_dead_letter_source_queues(QueueUrl=pair.url(pair.queue))["queueUrls"] == []
    with pytest.raises(ClientError, match="does not exist"):
        pair.sqs.list_dead_letter_source_queues(QueueUrl="http://127.0.0.1/000000000000/gone")
    with pytest.raises(ClientError, match="between 1 and 1000"):
        pair.sqs.list_dead_letter_source_queues(QueueUrl=pair.url(pair.dead), MaxResults=0)
    with pytest.raises(ClientError, match="next token"):
        pair.sqs.list_dead_letter_source_queues(QueueUrl=pair.url(pair.dead), NextToken="x")


def test_the_query_protocol_says_the_same(world: Testbed, pair: Pair) -> None:
    """An older SDK, which speaks the query protocol, starts, lists and cancels tasks in XML."""

    def ask(action: str, **parameters: str) -> ElementTree.Element:
        scope = {"Authorization": "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/sqs/aws4_request"}
        content = {"Action": action, **parameters}
        answer = requests.post(world.cloud.endpoint_url, data=content, headers=scope, timeout=60)
        plain = answer.text.replace(' xmlns="http://queue.amazonaws.com/doc/2012-11-05/"', "")
        return ElementTree.fromstring(plain)  # noqa: S314  the sandbox's own answer

    pair.die("one", "two")
    source = pair.arn(pair.dead)
    handle = ask("StartMessageMoveTask", SourceArn=source, MaxNumberOfMessagesPerSecond="1").findtext(".//TaskHandle")
    assert ask("ListMessageMoveTasks", SourceArn=source).findtext(".//ListMessageMoveTasksResultEntry/Status")
    assert ask("CancelMessageMoveTask", TaskHandle=str(handle)).findtext(".//ApproximateNumberOfMessagesMoved")
    queues = ask("ListDeadLetterSourceQueues", QueueUrl=pair.url(pair.dead))
    assert queues.findtext(".//QueueUrl") == pair.url(pair.queue)
    assert ask("StartMessageMoveTask", SourceArn="x").findtext(".//Code") == "InvalidParameterValue"
    assert pair.end()["Status"] == "CANCELLED"


def test_the_operators_program_uses_the_task(pair: Pair) -> None:
    """The class with which `dead-letters redrive` uses a task sees it run and end as on AWS."""
    pair.die("one", "two")
    task = MoveTask(pair.sqs, Queue(pair.sqs, pair.url(pair.dead)), Queue(pair.sqs, pair.url(pair.queue)))
    task.probe()
    task.start(500)
    steps = list(task.watch(sleep=lambda _: pair.end()))
    assert steps[-1] == TaskEnd("COMPLETED", 2)


def test_a_region_without_move_tasks(pair: Pair, offer: Callable[[bool], None]) -> None:
    """With the switch off the actions are unknown, as in China, and the operator's program notices it."""
    offer(False)
    for ask in (
        pair.start,
        pair.tasks,
        lambda: pair.sqs.cancel_message_move_task(TaskHandle="x"),
    ):
        with pytest.raises(ClientError) as refused:
            ask()
        assert refused.value.response["Error"]["Code"] == "InvalidAction"
    assert pair.sqs.list_dead_letter_source_queues(QueueUrl=pair.url(pair.dead))["queueUrls"]
    task = MoveTask(pair.sqs, Queue(pair.sqs, pair.url(pair.dead)), Queue(pair.sqs, pair.url(pair.queue)))
    with pytest.raises(NoMoveTaskError):
        task.probe()


def test_the_switch_is_asked_for_in_words_that_it_knows(world: Testbed, offer: Callable[[bool], None]) -> None:
    """The switch says how it stands, and refuses what it does not know with the remedy."""
    url = f"{world.cloud.endpoint_url}/__sandbox__/move_tasks"
    offer(False)
    assert requests.get(url, timeout=60).json() == {"available": False}
    wrong: list[object] = [{"available": "no"}, {"available": True, "also": 1}, []]
    for content in wrong:
        assert "nothing else" in requests.post(url, json=content, timeout=60).json()["error"]
    assert requests.post(url, data="{", headers={"Content-Type": "application/json"}, timeout=60).status_code == 400
    assert requests.post(url, data="{}", timeout=60).status_code == 415
    assert requests.get(url, timeout=60).json() == {"available": False}


def test_the_switch_is_an_option_of_the_sandbox() -> None:
    """`make sandbox` has move tasks, and none with --no-move-tasks."""
    assert read_place([]).move_tasks
    assert not read_place(["--no-move-tasks"]).move_tasks

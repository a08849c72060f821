"""The order queue: waits are set by tens, and what cannot be set comes back by itself."""

from botocore.config import Config

from orders.queue import OrderQueue
from sandbox.cloud import Cloud


def test_more_than_ten_waits_are_set(cloud: Cloud) -> None:
    """Each on its own message."""
    sqs = cloud.client("sqs")
    url = sqs.create_queue(QueueName="waits")["QueueUrl"]
    for number in range(12):
        sqs.send_message(QueueUrl=url, MessageBody=str(number))
    taken: dict[str, int] = {}
    while len(taken) < 12:
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=600)["Messages"]:
            taken[message["ReceiptHandle"]] = 0
    assert OrderQueue(lambda: sqs, url).make_visible(taken) == {}
    again = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert len(again) == 10


def test_handles_that_are_no_more_are_told(cloud: Cloud) -> None:
    """One code for each; the others of the batch are not touched by it."""
    url = cloud.client("sqs").get_queue_url(QueueName="orders")["QueueUrl"]
    codes = OrderQueue(lambda: cloud.client("sqs"), url).make_visible({"stale": 1, "older": 2})
    assert sorted(codes) == ["older", "stale"]


def test_a_queue_that_is_not_there_is_told(cloud: Cloud) -> None:
    """The messages keep their visibility, and come back when it ends."""
    url = f"{cloud.endpoint_url}/000000000000/nobody"
    codes = OrderQueue(lambda: cloud.client("sqs"), url).make_visible({"a": 1, "b": 2})
    assert codes == dict.fromkeys("ab", "AWS.SimpleQueueService.NonExistentQueue")


def test_an_aws_that_does_not_answer_is_told(cloud: Cloud) -> None:
    """By the name of the error."""
    nobody = cloud.session.client(
        "sqs", endpoint_url="http://127.0.0.1:9", config=Config(retries={"total_max_attempts": 1})
    )
    codes = OrderQueue(lambda: nobody, "http://127.0.0.1:9/1/orders").make_visible({"a": 1})
    assert codes == {"a": "EndpointConnectionError"}

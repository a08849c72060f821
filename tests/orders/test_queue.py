"""The order queue: visibility timeouts are set ten at a time; a refused one is reported by its error code."""

from botocore.config import Config

from orders.queue import OrderQueue
from sandbox.cloud import Cloud


def test_more_than_ten_waits_are_set(cloud: Cloud) -> None:
    """Twelve timeouts are set by two calls, each on its own message."""
    sqs = cloud.client("sqs")
    url = sqs.create_queue(QueueName="waits")["QueueUrl"]
    for number in range(12):
        sqs.send_message(QueueUrl=url, MessageBody=str(number))
    waits: dict[str, int] = {}
    while len(waits) < 12:
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=600)["Messages"]:
            waits[message["ReceiptHandle"]] = 0
    assert OrderQueue(lambda: sqs, url).make_visible(waits) == {}
    again = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert len(again) == 10


def test_expired_receipt_handles_are_reported(cloud: Cloud) -> None:
    """Each invalid receipt handle has its error code in the answer."""
    url = cloud.client("sqs").get_queue_url(QueueName="orders")["QueueUrl"]
    codes = OrderQueue(lambda: cloud.client("sqs"), url).make_visible({"stale": 1, "older": 2})
    assert sorted(codes) == ["older", "stale"]


def test_a_missing_queue_is_reported_for_each_message(cloud: Cloud) -> None:
    """Each message of a call to a missing queue has the error code of the call."""
    url = f"{cloud.endpoint_url}/000000000000/missing"
    codes = OrderQueue(lambda: cloud.client("sqs"), url).make_visible({"a": 1, "b": 2})
    assert codes == dict.fromkeys("ab", "AWS.SimpleQueueService.NonExistentQueue")


def test_an_unreachable_sqs_is_reported_by_the_name_of_the_error(cloud: Cloud) -> None:
    """Without an answer the code is the name of the exception."""
    unreachable = cloud.session.client(
        "sqs", endpoint_url="http://127.0.0.1:9", config=Config(retries={"total_max_attempts": 1})
    )
    codes = OrderQueue(lambda: unreachable, "http://127.0.0.1:9/1/orders").make_visible({"a": 1})
    assert codes == {"a": "EndpointConnectionError"}

"""What the embedded AWS does differently from AWS: each entry of the list in sandbox/README.md, asserted."""

import json
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import requests

from sandbox.notifications_front import SimulatedFront
from sandbox.testbed import MERCHANT, ROOT, Testbed
from sandbox.waiting import until

README = (ROOT / "sandbox/README.md").read_text(encoding="utf-8")
LIST = README[README.index("Behaves differently:") :]
ENTRIES = [" ".join(entry.split()) for entry in re.findall(r"^- (.*?)(?=\n- |\n\n|\Z)", LIST, re.MULTILINE | re.DOTALL)]
ASSERTED: dict[str, str] = {}


def differs[Test: Callable[..., object]](begins: str) -> Callable[[Test], Test]:
    """Enter a test as the one of the entry that begins so."""

    def enter(test: Test) -> Test:
        ASSERTED[begins] = test.__name__
        return test

    return enter


def test_every_entry_is_asserted_once() -> None:
    """Each entry of the list begins as a test here says, and each test here has its entry."""
    assert [entry for entry in ENTRIES if sum(entry.startswith(begins) for begins in ASSERTED) != 1] == []
    assert [begins for begins in ASSERTED if not any(entry.startswith(begins) for entry in ENTRIES)] == []


@differs("Some resources are left out")
def test_resources_that_do_not_exist_here_are_left_out(world: Testbed) -> None:
    """The stack has neither saved queries nor a deployment in steps, and its dashboard shows nothing."""
    resources = world.cloud.client("cloudformation").describe_stack_resources(StackName="sandbox")["StackResources"]
    kinds = {resource["ResourceType"] for resource in resources}
    assert not [kind for kind in kinds if kind.startswith(("AWS::Logs::QueryDefinition", "AWS::CodeDeploy"))]
    assert "AWS::CloudWatch::Dashboard" in kinds


@differs("The front of the notifications is")
def test_the_front_throttles_nothing() -> None:
    """Requests that come at once are all answered, two at a time."""
    running: list[int] = []
    most: list[int] = []

    def invoke(_: Mapping[str, Any]) -> Mapping[str, Any]:
        running.append(1)
        most.append(len(running))
        running.pop()
        return {"statusCode": 204}

    with SimulatedFront(invoke) as front, ThreadPoolExecutor(12) as pool:
        url = front.notify_url(MERCHANT)
        answers = list(pool.map(lambda _: requests.post(url, data=b"{}", timeout=60).status_code, range(24)))
    assert answers == [204] * 24
    assert max(most) <= 2


@differs("The table's time to live is not switched on")
def test_time_to_live_is_not_switched_on(world: Testbed) -> None:
    """The table that the template wants with a time to live has none."""
    answer = world.cloud.client("dynamodb").describe_time_to_live(TableName=world.stack.outputs["OrdersTableName"])
    assert answer["TimeToLiveDescription"]["TimeToLiveStatus"] == "DISABLED"


@differs("Alarms are never evaluated")
def test_alarms_are_never_evaluated(world: Testbed) -> None:
    """No alarm is ever in alarm, whatever happens to its metric."""
    alarms = world.cloud.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert {alarm["StateValue"] for alarm in alarms} == {"INSUFFICIENT_DATA"}


@differs("The function's own metrics do not exist")
def test_metrics_of_the_log_do_not_exist(world: Testbed) -> None:
    """What the function writes in the embedded metric format stays a line of its log."""
    world.ready("METRIC-1")
    body = json.dumps({"mchid": MERCHANT, "out_order_no": "METRIC-1", "detail": {"paid_time": "20260101120000"}})
    world.cloud.client("sqs").send_message(QueueUrl=world.stack.outputs["OrderQueueUrl"], MessageBody=body)

    def look() -> list[str]:
        lines = [line for line in world.cloud.logs(world.function) if '"Namespace"' in line]
        return [re.findall(r'"Namespace": *"([^"]+)"', line)[0] for line in lines]

    [namespace, *_] = until(lambda: look() or None, state="a metric in the log")
    assert world.cloud.client("cloudwatch").list_metrics(Namespace=namespace)["Metrics"] == []


@differs("IAM is not enforced")
def test_any_credentials_will_do(world: Testbed) -> None:
    """A caller with credentials that nothing issued may do everything, over HTTP."""
    make: Any = boto3.Session("x", "nothing", region_name="us-east-1").client
    queues = make("sqs", endpoint_url=world.cloud.endpoint_url).list_queues()["QueueUrls"]
    assert world.stack.outputs["OrderQueueUrl"] in queues
    assert world.cloud.endpoint_url.startswith("http://")


@differs("A rule's dead-letter queue stays empty")
def test_an_event_that_cannot_be_delivered_is_dropped(world: Testbed) -> None:
    """An event whose target does not exist is dropped, and not in the target's dead-letter queue."""
    events, sqs = world.cloud.client("events"), world.cloud.client("sqs")
    dead = sqs.create_queue(QueueName="differences-dead")["QueueUrl"]
    events.create_event_bus(Name="differences")
    events.put_rule(Name="differences", EventBusName="differences", EventPattern='{"source": ["pos"]}')
    arn = "arn:aws:sqs:us-east-1:000000000000:differences-"
    target = {"Id": "1", "Arn": f"{arn}gone", "DeadLetterConfig": {"Arn": f"{arn}dead"}}
    events.put_targets(Rule="differences", EventBusName="differences", Targets=[target])
    entry = {"EventBusName": "differences", "Source": "pos", "DetailType": "Paid", "Detail": "{}"}
    assert events.put_events(Entries=[entry])["FailedEntryCount"] == 0
    assert "Messages" not in sqs.receive_message(QueueUrl=dead)


@differs("Events have no limit of size")
def test_an_event_may_be_of_any_size(world: Testbed) -> None:
    """An entry of two megabytes is accepted."""
    entry = {"Source": "pos", "DetailType": "Paid", "Detail": json.dumps({"text": "x" * 2_000_000})}
    assert world.cloud.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0


@differs("A secret is not rotated")
def test_a_rotation_calls_nothing(world: Testbed) -> None:
    """A rotation is accepted, and the value stays."""
    secrets = world.cloud.client("secretsmanager")
    secrets.create_secret(Name="differences", SecretString="one")
    arn = world.cloud.client("lambda").get_function(FunctionName=world.function)["Configuration"]["FunctionArn"]
    rules = {"AutomaticallyAfterDays": 30}
    secrets.rotate_secret(SecretId="differences", RotationLambdaARN=arn, RotationRules=rules)
    assert secrets.get_secret_value(SecretId="differences")["SecretString"] == "one"


@differs("Backups and deletion protection have no effect")
def test_a_protected_table_can_be_deleted_with_its_stack(world: Testbed) -> None:
    """Point-in-time recovery of the orders table reads as disabled, although the template enables it."""
    table = world.stack.outputs["OrdersTableName"]
    backups = world.cloud.client("dynamodb").describe_continuous_backups(TableName=table)
    recovery = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    assert recovery["PointInTimeRecoveryStatus"] == "DISABLED"


@differs("Items that expire are in no stream")
def test_a_stream_is_one_shard(world: Testbed) -> None:
    """A stream has one shard, which is never closed."""
    dynamodb = world.cloud.client("dynamodb")
    stream = dynamodb.create_table(
        TableName="differences",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
    )["TableDescription"]["LatestStreamArn"]
    streams = world.cloud.client("dynamodbstreams").describe_stream(StreamArn=stream)["StreamDescription"]
    assert len(streams["Shards"]) == 1
    assert "EndingSequenceNumber" not in streams["Shards"][0]["SequenceNumberRange"]


@differs("Only the functions write logs")
def test_only_the_functions_write_logs(world: Testbed) -> None:
    """There is no log group but those of functions."""
    groups = world.cloud.client("logs").describe_log_groups()["logGroups"]
    names = [group["logGroupName"] for group in groups if not group["logGroupName"].startswith("conformance-")]
    assert [name for name in names if "/lambda/" not in name and "sandbox" not in name] == []


@differs("A search of a log by fields")
def test_a_search_of_a_log_knows_words_alone(world: Testbed) -> None:
    """A search of a log by a word finds its lines; one by a field of JSON finds all, by a regular expression none."""
    logs = world.cloud.client("logs")
    logs.create_log_group(logGroupName="/lambda/differences")
    logs.create_log_stream(logGroupName="/lambda/differences", logStreamName="s")
    texts = ['{"a": 1}', "plain words"]
    lines = [{"timestamp": 1_767_300_000_000, "message": text} for text in texts]
    logs.put_log_events(logGroupName="/lambda/differences", logStreamName="s", logEvents=lines)

    def search(pattern: str) -> list[str]:
        events = logs.filter_log_events(logGroupName="/lambda/differences", filterPattern=pattern)["events"]
        return [event["message"] for event in events]

    assert (search("plain"), search("{ $.a = 2 }"), search("%pl[a-z]+%")) == (texts[1:], texts, [])


@differs("A mapping polls once a second")
def test_a_mapping_has_one_poller(world: Testbed) -> None:
    """The mapping of the orders' queue is enabled at once, with the template's limit of concurrency."""
    [mapping] = world.cloud.client("lambda").list_event_source_mappings(FunctionName=world.function)[
        "EventSourceMappings"
    ]
    assert mapping["State"] == "Enabled"
    assert mapping["ScalingConfig"]["MaximumConcurrency"] >= 2

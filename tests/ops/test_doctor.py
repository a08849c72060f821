"""`doctor`: each check's judgements over AWS's answers, the checks that cannot run, and one run against the sandbox."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from samtranslator.yaml_helper import yaml_parse

from ops.__main__ import main
from ops.doctor import (
    alarms,
    clock,
    examination,
    function,
    mapping,
    merchants,
    orders,
    permissions,
    queues,
    rule,
    stack,
)
from ops.doctor.examination import Part, examine
from ops.doctor.resources import Resource
from ops.findings import Finding, State
from ops.stack import Deployment, OpsError
from sandbox.testbed import MERCHANT, Testbed

OK, WARNING, FAILED, NOT_CHECKED = State.OK, State.WARNING, State.FAILED, State.NOT_CHECKED
TEMPLATE = yaml_parse((Path(__file__).parents[2] / "template.yaml").read_text(encoding="utf-8"))


def judged(findings: Iterator[Finding]) -> list[tuple[State, str]]:
    """Return state and words of each finding."""
    return [(finding.state, finding.words) for finding in findings]


# ---- clock, stack ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("skew", "state", "words"),
    [
        (0, OK, "0 s"),
        (-4, OK, "4 s behind AWS"),
        (60, WARNING, "60 s ahead of AWS"),
        (-400, FAILED, "refuse what is signed here"),
    ],
)
def test_the_clock_is_compared_with_that_of_aws(skew: int, state: State, words: str) -> None:
    """A clock that is off by more than a few seconds is a warning, from five minutes on a failure."""
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    finding = clock.judge("Fri, 02 Jan 2026 03:04:05 GMT", now + timedelta(seconds=skew))
    assert (finding.state, words in finding.words) == (state, True)


@pytest.mark.parametrize("header", ["", "yesterday", "Fri, 99 Jan 2026 03:04:05 GMT"])
def test_an_answer_without_a_date_is_not_checked(header: str) -> None:
    """Without a readable header the clock is not checked."""
    assert clock.judge(header, datetime.now(UTC)).state is NOT_CHECKED


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("CREATE_COMPLETE", OK),
        ("UPDATE_COMPLETE", OK),
        ("UPDATE_ROLLBACK_COMPLETE", WARNING),
        ("UPDATE_IN_PROGRESS", WARNING),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", WARNING),
        ("UPDATE_ROLLBACK_FAILED", FAILED),
        ("ROLLBACK_COMPLETE", FAILED),
        ("DELETE_FAILED", FAILED),
    ],
)
def test_the_status_of_the_stack_is_judged(status: str, state: State) -> None:
    """A deployment that ended is ok, one that was rolled back or runs is a warning, one that failed is a failure."""
    finding = stack.judge_status("orders", status, "a reason")
    assert finding.state is state
    assert finding.words.startswith(f"orders is {status}: a reason")


def test_the_resources_of_the_stack_are_judged() -> None:
    """A resource that is not complete is named."""
    good = {"Queue": Resource("AWS::SQS::Queue", "q", "UPDATE_COMPLETE")}
    assert stack.judge_resources("orders", good).state is OK
    bad = stack.judge_resources("orders", good | {"Table": Resource("AWS::DynamoDB::Table", "t", "UPDATE_FAILED")})
    assert (bad.state, bad.words) == (FAILED, "Table is UPDATE_FAILED")
    assert stack.judge_resources("orders", {}).state is FAILED


# ---- rule ------------------------------------------------------------------------------------------------------------

RULE = {
    "Name": "OrderRule-1",
    "State": "ENABLED",
    "EventPattern": '{"source": [{"prefix": "pos."}], "detail-type": ["Order_Paid"]}',
}


@pytest.mark.parametrize(
    ("changes", "state", "words"),
    [
        ({}, OK, "enabled on the bus default, takes Order_Paid of sources pos.*"),
        ({"State": "DISABLED"}, FAILED, "OrderRule-1 is DISABLED: events are dropped"),
        ({"EventPattern": '{"source": ["other"]}'}, FAILED, "not of EventSourcePrefix pos."),
    ],
)
def test_the_rule_is_judged(changes: Mapping[str, str], state: State, words: str) -> None:
    """A rule that is disabled, or takes other events than those of the parameter, is a failure with its remedy."""
    finding = rule.judge_rule(RULE | dict(changes), "default", "pos.")
    assert (finding.state, words in finding.words) == (state, True)
    assert state is OK or finding.remedy


def test_the_targets_of_the_rule_are_judged() -> None:
    """The rule must send to OrderQueue, and the target must have UndeliveredEvents as its dead-letter queue."""
    target = {"Arn": "orders", "DeadLetterConfig": {"Arn": "undelivered"}}
    assert rule.judge_targets([target], "orders", "undelivered").state is OK
    assert "further targets: x" in rule.judge_targets([target, {"Arn": "x"}], "orders", "undelivered").words
    assert rule.judge_targets([{"Arn": "x"}], "orders", "undelivered").state is FAILED
    assert "drops what it cannot deliver" in rule.judge_targets([{"Arn": "orders"}], "orders", "undelivered").words


@pytest.mark.parametrize("physical_id", ["OrderRule-1", "bus|OrderRule-1", "aws.partner/x/y|OrderRule-1"])
def test_a_rule_of_another_bus_has_the_same_name(physical_id: str) -> None:
    """CloudFormation names a rule of another bus than the default by bus and name."""
    assert rule.rule_name(physical_id) == "OrderRule-1"


# ---- queues ----------------------------------------------------------------------------------------------------------

POLICY = {
    "Statement": [
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sqs:*",
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
        {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage"},
    ]
}
ORDER_QUEUE = {
    "QueueArn": "orders",
    "RedrivePolicy": '{"deadLetterTargetArn": "letters", "maxReceiveCount": 16}',
    "Policy": json.dumps(POLICY),
    "SqsManagedSseEnabled": "true",
}
LETTERS = {
    "QueueArn": "letters",
    "RedriveAllowPolicy": '{"redrivePermission": "byQueue", "sourceQueueArns": ["orders"]}',
}


@pytest.mark.parametrize(
    ("order_queue", "letters", "state"),
    [
        ({}, {}, OK),
        ({"RedrivePolicy": "{}"}, {}, FAILED),
        ({"RedrivePolicy": '{"deadLetterTargetArn": "other", "maxReceiveCount": 16}'}, {}, FAILED),
        ({"RedrivePolicy": '{"deadLetterTargetArn": "letters", "maxReceiveCount": 3}'}, {}, FAILED),
        ({}, {"RedriveAllowPolicy": '{"redrivePermission": "byQueue", "sourceQueueArns": ["other"]}'}, FAILED),
        ({}, {"RedriveAllowPolicy": '{"redrivePermission": "denyAll"}'}, FAILED),
        ({}, {"RedriveAllowPolicy": "{}"}, OK),
    ],
)
def test_the_redrive_policy_is_judged(order_queue: Mapping[str, str], letters: Mapping[str, str], state: State) -> None:
    """OrderQueue must lead to DeadLetters after MaxReceiveCount receives, and DeadLetters must allow it."""
    assert queues.judge_redrive(ORDER_QUEUE | dict(order_queue), LETTERS | dict(letters), "16").state is state


def test_the_policies_of_the_queues_are_judged() -> None:
    """Without permission for EventBridge events are lost; without the denial of plain HTTP there is a warning."""
    [deny, allow] = POLICY["Statement"]
    assert queues.judge_policy("q", ORDER_QUEUE, rule_sends=True).state is OK
    assert queues.judge_policy("q", {"Policy": json.dumps({"Statement": [deny]})}, rule_sends=True).state is FAILED
    assert queues.judge_policy("q", {"Policy": json.dumps({"Statement": [allow]})}, rule_sends=True).state is WARNING
    assert queues.judge_policy("q", {}, rule_sends=False).state is WARNING


def test_the_encryption_of_the_queues_is_judged() -> None:
    """Each queue has the stack's KMS key, or that of SQS if the stack has none."""
    encrypted = {"OrderQueue": {"KmsMasterKeyId": "key"}}
    assert queues.judge_encryption({"OrderQueue": ORDER_QUEUE}, "").state is OK
    assert queues.judge_encryption(encrypted, "key").state is OK
    assert queues.judge_encryption({"OrderQueue": ORDER_QUEUE}, "key").state is FAILED
    assert queues.judge_encryption(encrypted, "").state is FAILED
    assert queues.judge_encryption({"OrderQueue": {"SqsManagedSseEnabled": "false"}}, "").state is WARNING


@pytest.mark.parametrize(
    ("count", "state"), [(0, OK), (89_999, OK), (90_000, WARNING), (119_999, WARNING), (120_000, FAILED)]
)
def test_messages_in_flight_are_compared_with_the_quota(count: int, state: State) -> None:
    """From three quarters of SQS's 120,000 on there is a warning; at the quota SQS delivers no more."""
    finding = queues.judge_in_flight({"ApproximateNumberOfMessagesNotVisible": str(count)})
    assert (finding.state, f"{count} of at most 120000" in finding.words) == (state, True)


def test_waiting_messages_are_counted() -> None:
    """A backlog, a dead-letter message and an undelivered event are warnings; hidden messages count as well."""
    assert queues.judge_backlog({"ApproximateNumberOfMessages": "1000"}).state is OK
    assert queues.judge_backlog({"ApproximateNumberOfMessages": "1001"}).state is WARNING
    assert queues.judge_letters({"ApproximateNumberOfMessages": "0"}).state is OK
    assert queues.judge_undelivered({}).state is OK
    hidden = {"ApproximateNumberOfMessages": "1", "ApproximateNumberOfMessagesNotVisible": "2"}
    for judge in (queues.judge_letters, queues.judge_undelivered):
        finding = judge(hidden)
        assert (finding.state, "3" in finding.words, finding.remedy.startswith("bin/ops ")) == (WARNING, True, True)


# ---- mapping ---------------------------------------------------------------------------------------------------------

MAPPING: dict[str, Any] = {
    "UUID": "1-2",
    "State": "Enabled",
    "FunctionArn": "arn:aws:lambda:eu-west-1:1:function:orders:live",
    "BatchSize": 10,
    "ScalingConfig": {"MaximumConcurrency": 5},
    "FunctionResponseTypes": ["ReportBatchItemFailures"],
}
SIZES = {"BatchSize": "10", "MaximumConcurrency": "5"}


@pytest.mark.parametrize(
    ("changes", "state", "words"),
    [
        ({}, OK, "enabled: batches of 10, concurrency 5, partial batch responses, alias live"),
        ({"State": "Disabled"}, FAILED, "it is Disabled: orders wait"),
        ({"State": "Creating"}, WARNING, "it is Creating"),
        ({"FunctionResponseTypes": []}, FAILED, "one bad message fails its whole batch"),
        ({"FunctionArn": "arn:aws:lambda:eu-west-1:1:function:orders:3"}, FAILED, "it invokes 3, not the alias live"),
        ({"BatchSize": 1}, WARNING, "BatchSize is 1, the parameter is 10"),
        ({"ScalingConfig": {}}, WARNING, "MaximumConcurrency is None, the parameter is 5"),
    ],
)
def test_the_mapping_is_judged(changes: Mapping[str, Any], state: State, words: str) -> None:
    """A mapping that is disabled, reports no failures, or invokes another version than the alias is a failure."""
    [finding] = mapping.judge([MAPPING | dict(changes)], "orders", SIZES)
    assert (finding.state, words in finding.words) == (state, True)
    assert state is OK or finding.remedy


def test_a_queue_without_a_mapping_or_with_a_foreign_one_is_a_failure() -> None:
    """OrderQueue must have the function as its only reader."""
    assert judged(mapping.judge([], "orders", SIZES)) == [(FAILED, "nothing polls OrderQueue: orders wait")]
    foreign = MAPPING | {"FunctionArn": "arn:aws:lambda:eu-west-1:1:function:orders2"}
    states = [finding.state for finding in mapping.judge([foreign, MAPPING], "orders", SIZES)]
    assert states == [FAILED, OK]


# ---- function --------------------------------------------------------------------------------------------------------

LIVE: dict[str, Any] = {"State": "Active", "CodeSha256": "x", "Description": "1 arm64", "Layers": [{"Arn": "layer:1"}]}
ALIAS = {"FunctionVersion": "7"}


@pytest.mark.parametrize(
    ("alias", "live", "latest", "state", "words"),
    [
        ({}, {}, {}, OK, "live → version 7: 1 arm64"),
        ({}, {"State": "Inactive"}, {}, OK, "version 7"),
        ({}, {"State": "Failed", "StateReason": "no role"}, {}, FAILED, "version 7 is Failed: no role"),
        ({"RoutingConfig": {"AdditionalVersionWeights": {"8": 0.1}}}, {}, {}, WARNING, "version 8 10%"),
        (
            {},
            {},
            {"Description": "2 arm64"},
            FAILED,
            "$LATEST has another Description: it was changed and not published",
        ),
        ({}, {}, {"CodeSha256": "y", "MemorySize": 1}, FAILED, "$LATEST has another CodeSha256, MemorySize"),
    ],
)
def test_the_alias_is_judged(alias: Any, live: Any, latest: Any, state: State, words: str) -> None:
    """The alias must lead to an active version, which is the one that was deployed last."""
    finding = function.judge_alias(ALIAS | alias, LIVE | live, LIVE | latest)
    assert (finding.state, words in finding.words) == (state, True)


PARAMETERS = {
    "HttpConnectTimeout": "3",  # compared as text, no call is made
    "HttpReadTimeout": "8",  # compared as text, no call is made
    "LogLevel": "INFO",
    "MemorySize": "512",
    "Architecture": "arm64",
    "SnapStart": "None",
}
OUTPUTS = {"OrdersTableName": "table", "OrderQueueUrl": "url"}


def test_the_configuration_that_runs_is_compared_with_the_parameters() -> None:
    """Each setting of the version that runs is the one that the template makes of the parameters."""
    variables = {"POWERTOOLS_LOG_LEVEL": "INFO", "ORDERS_TABLE": "table", "ORDER_QUEUE_URL": "url"}
    variables["WECHATPAY_TIMEOUT"] = "3,8"
    live = {
        "MemorySize": 512,
        "Architectures": ["arm64"],
        "Environment": {"Variables": variables},
    }
    assert function.judge_configuration(live, PARAMETERS, OUTPUTS).state is OK
    changes = {"HttpReadTimeout": "5", "MemorySize": "1024"}  # compared as text, no call is made
    finding = function.judge_configuration(live, PARAMETERS | changes, OUTPUTS)
    assert finding.state is FAILED
    assert (
        finding.words == "WECHATPAY_TIMEOUT is '3,8', the stack says '3,5'; MemorySize is '512', the stack says '1024'"
    )
    assert function.judge_configuration(live, {}, OUTPUTS).state is WARNING


def test_the_variables_are_those_of_the_template() -> None:
    """Each variable that doctor compares is made of the same parameters in the template, and none is left out."""
    variables = TEMPLATE["Resources"]["OrdersFunction"]["Properties"]["Environment"]["Variables"]
    template_variables: dict[str, str] = {}
    for name, value in variables.items():
        if isinstance(value, dict) and value.get("Ref") in TEMPLATE["Parameters"]:
            template_variables[name] = f"{{{value['Ref']}}}"
        elif isinstance(value, dict) and "Fn::Sub" in value:
            template_variables[name] = value["Fn::Sub"].replace("${", "{")
    assert template_variables == function.VARIABLES


def test_the_reserved_concurrency_is_judged() -> None:
    """A reserved concurrency of 0 stops the function; one below MaximumConcurrency throttles it."""
    states = [function.judge_concurrency("orders", reserved, "5").state for reserved in (None, 5, 4, 0)]
    assert states == [OK, OK, WARNING, FAILED]


# ---- permissions -----------------------------------------------------------------------------------------------------


def test_denied_actions_are_named() -> None:
    """An action that the role may not take is a failure with the resource; the rest is ok."""
    need = permissions.Need("record orders", ("dynamodb:PutItem",), "table")
    result = {"EvalActionName": "dynamodb:PutItem", "EvalDecision": "allowed"}
    assert permissions.judge(need, [result]).state is OK
    finding = permissions.judge(need, [result | {"EvalDecision": "explicitDeny"}])
    assert finding.state is FAILED
    assert finding.words == "the function may not record orders: dynamodb:PutItem (explicitDeny) on table"


def test_the_needs_are_the_statements_of_the_template() -> None:
    """What is simulated is what the template's role allows, action by action."""
    [policy] = TEMPLATE["Resources"]["OrdersFunctionRole"]["Properties"]["Policies"]
    statements = [statement for statement in policy["PolicyDocument"]["Statement"] if "Action" in statement]
    actions = sorted(
        action
        for statement in statements
        for action in (statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]])
    )
    queue = "arn:aws-cn:sqs:cn-north-1:1:OrderQueue"
    rows = permissions.needs(queue, "table", "logs", "wechatpay")
    assert sorted(action for need in rows for action in need.actions) == actions
    secret = next(need.resource for need in rows if "secret" in need.purpose)
    assert secret.startswith("arn:aws-cn:secretsmanager:cn-north-1:1:secret:wechatpay/")
    assert permissions.needs(queue, "table", "logs", "wechatpay", "key")[-1].actions == ("kms:Decrypt",)


# ---- alarms ----------------------------------------------------------------------------------------------------------

IDS = frozenset({"url/DeadLetters", "orders", "OrderRule-1"})
OWN = ("WeChatPayScore", "prod")


def an_alarm(name: str = "A", **changes: Any) -> dict[str, Any]:
    """Return an alarm of CloudWatch that watches a metric of the function and notifies a topic."""
    alarm = {
        "AlarmName": name,
        "StateValue": "OK",
        "ActionsEnabled": True,
        "AlarmActions": ["arn:aws:sns:eu-west-1:1:topic"],
        "Namespace": "WeChatPayScore",
        "MetricName": "CircuitOpened",
        "Dimensions": [{"Name": "service", "Value": "prod"}],
    }
    return alarm | changes


SQS = {"Namespace": "AWS/SQS", "MetricName": "ApproximateNumberOfMessagesVisible"}
CASES: dict[str, tuple[dict[str, Any], State, str]] = {
    "fires": ({}, OK, "1 of 1 exist: 1 OK"),
    "queue": (SQS | {"Dimensions": [{"Name": "QueueName", "Value": "DeadLetters"}]}, OK, "1 of 1"),
    "unknown metric": ({"MetricName": "CircuitClosed"}, FAILED, "A cannot fire: the function emits no metric"),
    "other service": ({"Dimensions": [{"Name": "service", "Value": "dev"}]}, FAILED, "its service is dev"),
    "other queue": (SQS | {"Dimensions": [{"Name": "QueueName", "Value": "x"}]}, FAILED, "QueueName x is not of this"),
    "sent messages": (SQS | {"MetricName": "NumberOfMessagesSent"}, FAILED, "does not count what it is for"),
    "expression": (
        {
            "MetricName": ...,
            "Metrics": [
                {"MetricStat": {"Metric": {"Namespace": OWN[0], "MetricName": "Nonsense"}}},
                {"Expression": "a"},
            ],
        },
        FAILED,
        "emits no metric Nonsense",
    ),
    "in alarm": ({"StateValue": "ALARM", "AlarmDescription": "It burns."}, WARNING, "A is in ALARM: It burns."),
    "no actions": ({"AlarmActions": []}, WARNING, "no alarm notifies an SNS topic"),
    "disabled actions": ({"ActionsEnabled": False}, WARNING, "no alarm notifies an SNS topic"),
}


@pytest.mark.parametrize("name", CASES)
def test_an_alarm_is_judged(name: str) -> None:
    """An alarm whose metric never arrives cannot fire; one that burns or notifies no topic is a warning."""
    changes, state, words = CASES[name]
    alarm = {key: value for key, value in an_alarm(**changes).items() if value is not ...}
    findings = judged(alarms.judge(["A"], [alarm], OWN, IDS))
    assert any((state, True) == (one, words in text) for one, text in findings), findings


def test_a_deleted_alarm_is_named() -> None:
    """An alarm of the stack that does not exist is a failure, and so is a stack without alarms."""
    assert judged(alarms.judge(["A", "B"], [an_alarm()], OWN, IDS))[0] == (FAILED, "deleted: B")
    assert judged(alarms.judge([], [], OWN, IDS))[0] == (FAILED, "there are none")


def test_an_alarm_within_a_composite_alarm_needs_no_topic() -> None:
    """An alarm that a composite alarm watches may be silent itself."""
    composite = {"AlarmName": "C", "AlarmRule": 'ALARM("A")', "StateValue": "OK"}
    notifies = {"ActionsEnabled": True, "AlarmActions": ["arn:aws:sns:eu-west-1:1:topic"]}
    silent = an_alarm(AlarmActions=[])
    assert judged(alarms.judge(["A", "C"], [silent, composite | notifies], OWN, IDS)) == [(OK, "2 of 2 exist: 2 OK")]
    other = an_alarm("D", AlarmActions=[])
    findings = judged(alarms.judge(["A", "C", "D"], [silent, composite | notifies, other], OWN, IDS))
    assert findings[0] == (WARNING, "D notify no SNS topic")


def test_a_topic_without_a_subscription_reaches_no_operator() -> None:
    """Alarms that notify a topic without a confirmed subscription are a failure."""
    assert alarms.judge_topic("topic", {"SubscriptionsConfirmed": "2"}).state is OK
    finding = alarms.judge_topic("topic", {"SubscriptionsConfirmed": "0", "SubscriptionsPending": "1"})
    assert (finding.state, "1 wait for confirmation" in finding.words) == (FAILED, True)


def test_the_metrics_of_the_templates_alarms_are_known() -> None:
    """Each alarm of the template watches a metric that doctor knows: of the function, or of AWS."""
    for name, resource in TEMPLATE["Resources"].items():
        if resource["Type"] != "AWS::CloudWatch::Alarm" or "MetricName" not in resource["Properties"]:
            continue
        properties = resource["Properties"]
        metrics = alarms.OF_AWS.get(properties["Namespace"], alarms.emitted())
        assert properties["MetricName"] in metrics, name


# ---- orders ----------------------------------------------------------------------------------------------------------


def test_the_table_is_judged() -> None:
    """The table and its index must be active; without protection against deletion there is a warning."""
    table = {
        "TableStatus": "ACTIVE",
        "GlobalSecondaryIndexes": [{"IndexName": "attention", "IndexStatus": "ACTIVE"}],
        "DeletionProtectionEnabled": True,
    }
    assert orders.judge_table(table).state is OK
    assert orders.judge_table(table | {"TableStatus": "INACCESSIBLE_ENCRYPTION_CREDENTIALS"}).state is FAILED
    assert orders.judge_table(table | {"GlobalSecondaryIndexes": []}).state is FAILED
    assert orders.judge_table(table | {"DeletionProtectionEnabled": False}).state is WARNING


def test_the_circuit_is_judged() -> None:
    """No item and a closed circuit are ok; an open one is a warning with its time."""
    assert orders.judge_circuit(None, 0).state is OK
    assert orders.judge_circuit({"state": {"S": "CLOSED"}}, 0).state is OK
    opened = {"state": {"S": "OPEN"}, "opened_at": {"N": "1800000000"}}
    finding = orders.judge_circuit(opened, 1_800_000_060)
    assert (finding.state, "OPEN since 2027-01-15T08:00:00Z" in finding.words) == (WARNING, True)
    assert "no batch has probed it lately" in orders.judge_circuit(opened, 1_800_009_999).words


def test_orders_that_need_attention_are_counted() -> None:
    """Orders that are retried need none yet; rejected and twice paid ones do."""
    assert orders.judge_attention({"RETRYING": (7, True), "REJECTED": (0, True)}).state is OK
    finding = orders.judge_attention({"RETRYING": (0, True), "REJECTED": (9, False)})
    assert (finding.state, finding.words) == (WARNING, "0 RETRYING, more than 9 REJECTED")


# ---- the checks themselves, against fakes of AWS ---------------------------------------------------------------------

type Answers = Mapping[str, Any]


class SimulatedAws:
    """Clients of AWS that answer each operation with a value, or raise it if it is an error."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def answer(*_: object, **__: object) -> Any:
            value = self._answers[operation]
            if isinstance(value, Exception):
                raise value
            return value

        return answer

    def get_paginator(self, operation: str) -> "SimulatedAws":
        """Return a paginator whose only page is the answer."""
        return SimulatedAws({"paginate": _pages(self._answers[operation])})


def _pages(value: Any) -> Any:
    return value if isinstance(value, Exception | list) else [value]


def refused(code: str, **more: Any) -> ClientError:
    """Return an error answer of AWS."""
    response: Any = {"Error": {"Code": code, "Message": "no"}, **more}
    return ClientError(response, "Operation")


def a_deployment(**answers: Any) -> Deployment:
    """Return a deployment whose AWS gives these answers."""
    outputs = {
        "EventBusName": "default",
        "OrderQueueArn": "arn:aws:sqs:eu-west-1:1:orders",
        "OrderQueueUrl": "orders",
        "OrdersFunctionName": "orders",
        "OrdersTableName": "table",
    }
    return Deployment(lambda _: SimulatedAws(answers), outputs, {}, name="prod")


def run(deployment: Deployment, part: str) -> list[tuple[State, str, str]]:
    """Run one part; return state, words and remedy of each finding."""
    checks = [one for one in examination.parts(5) if one.subject == part]
    return [(finding.state, finding.words, finding.remedy) for finding in examine(deployment, checks)]


@pytest.mark.parametrize("part", [part.subject for part in examination.parts(5) if part.subject != "clock"])
def test_a_missing_permission_is_named(part: str) -> None:
    """A check that AWS denies is not checked, and names the permissions that it needs."""

    class Denied(SimulatedAws):
        """AWS that denies every call."""

        def __getattr__(self, _: str) -> Callable[..., Any]:
            def deny(*_: object, **__: object) -> None:
                raise refused("AccessDeniedException")

            return deny

        def get_paginator(self, _: str) -> "SimulatedAws":
            """Return a paginator that is denied as well."""
            return self

    deployment = replace(a_deployment(), client=lambda _: Denied({}))
    [(state, words, remedy)] = run(deployment, part)
    assert (state, words.startswith("needs "), words.endswith("; Operation is denied")) == (NOT_CHECKED, True, True)
    assert "--profile" in remedy


def test_a_check_that_cannot_run_does_not_stop_the_others() -> None:
    """An error of AWS, of the network, of the command or of our own code costs one finding."""

    def raising(error: Exception) -> Callable[[Deployment], Iterator[Finding]]:
        def check(_: Deployment) -> Iterator[Finding]:
            yield Finding("x", OK, "before")
            raise error

        return check

    errors = (
        refused("Throttling"),
        EndpointConnectionError(endpoint_url="http://x"),
        OpsError("this needs the stack's name: give --stack"),
        KeyError("Surprise"),
    )
    checks = [Part(f"part {number}", raising(error), "x:Y") for number, error in enumerate(errors)]
    findings = list(examine(a_deployment(), checks))
    assert [finding.state for finding in findings] == [OK, NOT_CHECKED] * len(errors)
    words = [finding.words for finding in findings[1::2]]
    assert words[0] == "Operation: Throttling: no"
    assert "Could not connect" in words[1]
    assert words[2] == "this needs the stack's name: give --stack"
    assert words[3] == "the answer of AWS cannot be read (KeyError: 'Surprise')"


def test_the_clock_is_read_from_an_error_as_well() -> None:
    """An answer that denies the call has the time too."""
    headers = {"HTTPHeaders": {"date": "Fri, 02 Jan 2015 03:04:05 GMT"}}
    deployment = a_deployment(get_caller_identity=refused("AccessDenied", ResponseMetadata=headers))
    [(state, words, _)] = run(deployment, "clock")
    assert (state, "ahead of AWS" in words) == (FAILED, True)


def test_a_rule_or_an_alias_that_is_deleted_is_a_failure() -> None:
    """A rule or an alias that does not exist is a failure, not an error of the check."""
    rows = {"StackResourceSummaries": [_row("OrderRule", "AWS::Events::Rule", "OrderRule-1")]}
    absent = refused("ResourceNotFoundException")
    assert run(a_deployment(list_stack_resources=rows, describe_rule=absent), "rule")[0][:2] == (
        FAILED,
        "OrderRule-1 does not exist on the bus default: its events go nowhere",
    )
    assert run(a_deployment(get_alias=absent), "function")[0][0] is FAILED
    [(state, words, _)] = run(a_deployment(list_stack_resources={"StackResourceSummaries": []}), "rule")
    assert (state, words) == (NOT_CHECKED, "the stack has no resource OrderRule: deploy it again")


def _row(name: str, kind: str, physical_id: str) -> dict[str, str]:
    return {
        "LogicalResourceId": name,
        "ResourceType": kind,
        "PhysicalResourceId": physical_id,
        "ResourceStatus": "CREATE_COMPLETE",
    }


@pytest.mark.parametrize(
    ("topic", "state", "words"),
    [
        ({"Attributes": {"SubscriptionsConfirmed": "1"}}, OK, "1 subscription(s)"),
        (refused("NotFound"), FAILED, "does not exist: the alarms notify nothing"),
        (refused("AuthorizationError"), NOT_CHECKED, "AuthorizationError"),
    ],
)
def test_the_topic_of_the_alarms_is_looked_up(topic: Any, state: State, words: str) -> None:
    """Each topic that the alarms notify must exist and have a subscription."""
    variables = {"POWERTOOLS_METRICS_NAMESPACE": OWN[0], "POWERTOOLS_SERVICE_NAME": OWN[1]}
    deployment = a_deployment(
        list_stack_resources={"StackResourceSummaries": [_row("A", "AWS::CloudWatch::Alarm", "A")]},
        get_function_configuration={"Environment": {"Variables": variables}},
        describe_alarms={"MetricAlarms": [an_alarm()], "CompositeAlarms": []},
        get_topic_attributes=topic,
    )
    *_, finding = run(deployment, "alarms")
    assert (finding[0], words in finding[1]) == (state, True)


def test_merchants_are_bounded_and_their_faults_named() -> None:
    """At most so many secrets are read; a faulty one, a denied one, and none at all have their findings."""
    names = [{"Name": name} for name in ("wechatpay/1", "wechatpay/2", "wechatpay/notes", "wechatpayments/3")]
    listing = {"SecretList": names}
    deployment = a_deployment(list_secrets=listing, get_secret_value={"SecretString": '{"serial_no": "1"}'})
    [(state, words, remedy), more] = [
        (finding.state, finding.words, finding.remedy) for finding in merchants.limited(1)(deployment)
    ]
    assert (state, "private_key is missing" in words) == (FAILED, True)
    assert remedy == "bin/ops keys check 1, then merchant rotate"
    assert more[:2] == (NOT_CHECKED, "only the first 1 were checked")
    denied = a_deployment(list_secrets=listing, get_secret_value=refused("AccessDeniedException"))
    findings = list(merchants.limited(5)(denied))
    assert [(finding.subject, finding.state) for finding in findings] == [
        ("merchant 1", NOT_CHECKED),
        ("merchant 2", NOT_CHECKED),
    ]
    [none] = merchants.limited(5)(a_deployment(list_secrets={"SecretList": []}))
    assert (none.state, "UNKNOWN_MERCHANT" in none.words) == (WARNING, True)


# ---- against the sandbox ---------------------------------------------------------------------------------------------


@pytest.fixture
def command(world: Testbed, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A function that runs doctor against the sandbox, and returns its exit status and its stdout."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "sandbox")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")

    def run_doctor(*options: str) -> tuple[int, str]:
        code = main(["--stack", "sandbox", "--endpoint-url", world.cloud.endpoint_url, "doctor", *options])
        output = capsys.readouterr()
        assert output.err == ""
        return int(code), output.out

    return run_doctor


PARTS = [part.subject for part in examination.PARTS]  # without the merchants: other tests store faulty secrets


def test_the_sandbox_is_healthy(command: Callable[..., Any]) -> None:
    """Against the deployed template nothing fails, and every check runs."""
    code, out = command("--json", *(word for part in PARTS for word in ("--only", part)))
    findings = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [finding for finding in findings if finding["state"] in {"failed", "not checked"}] == []
    subjects = {finding["subject"] for finding in findings}
    assert subjects >= {*PARTS, "redrive", "in flight", "alias", "configuration", "circuit", "attention"} - {
        "queues"
    } - {
        "function",
        "orders",
    }


def test_a_person_reads_the_findings(command: Callable[..., Any]) -> None:
    """A line has the state, the check and the observation; the remedy is below it, the sum at the end."""
    code, out = command("--only", "mapping", "--only", "alarms")
    assert code == 0
    assert out.startswith("ok  mapping  enabled: batches of 10, concurrency 5, partial batch responses, alias live\n")
    assert "\n    → deploy with AlarmTopicArn" in out
    assert re.search(r"^\d+ ok, 1 warning, 0 failed, 0 not checked$", out, re.MULTILINE)


def test_a_failure_ends_with_3(command: Callable[..., Any], world: Testbed) -> None:
    """A disabled mapping is a failure with the command that enables it, and the exit status is 3."""
    functions = world.cloud.client("lambda")
    [row] = functions.list_event_source_mappings()["EventSourceMappings"]
    functions.update_event_source_mapping(UUID=row["UUID"], Enabled=False)
    try:
        code, out = command("--only", "mapping")
    finally:
        functions.update_event_source_mapping(UUID=row["UUID"], Enabled=True)
    assert code == 3
    assert "failed  mapping  it is Disabl" in out
    assert f"→ aws lambda update-event-source-mapping --uuid {row['UUID']} --enabled\n" in out


def test_merchants_of_the_sandbox_are_checked(command: Callable[..., Any]) -> None:
    """Each merchant's secret has its line, up to the number of the option."""
    _, out = command("--only", "merchants", "--merchants", "1")
    assert f"ok  merchant {MERCHANT}  well formed (`keys check --echo` asks WeChat Pay), signs with " in out
    with pytest.raises(SystemExit) as caught:
        main(["doctor", "--merchants", "0"])
    assert caught.value.code == 2

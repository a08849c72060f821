"""The template as CloudFormation gets it: translated by the official SAM translator, for `aws` and `aws-cn`."""

import json
import os
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import yaml
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

from ops.outcomes import ANNOUNCED
from orders.settlement import KEY_REASONS
from tools import package

ROOT = Path(__file__).parents[1]
STACK_ID = {
    "Id": {"Fn::Select": [2, {"Fn::Split": ["/", {"Ref": "AWS::StackId"}]}]}
}  # the unique part of the stack's ARN
TEXT = (ROOT / "template.yaml").read_text(encoding="utf-8")
BUILD = ROOT / ".aws-sam/sandbox"
NONE = {"Ref": "AWS::NoValue"}


@pytest.fixture(scope="module", params=["us-east-1", "cn-north-1"])
def template(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The translated template, in a Region of each partition."""
    return _translated(request.param)


def _translated(region: str = "us-east-1", layer: str = "s3://bucket/code.zip", **parameters: str) -> dict[str, Any]:
    source = yaml_parse(TEXT)
    for name, resource in source["Resources"].items():
        for uri in ("CodeUri", "ContentUri"):
            if uri in resource.get("Properties", {}):
                resource["Properties"][uri] = layer if name == "WeChatPayLayer" else "s3://bucket/code.zip"
    values = {name: parameter.get("Default", "") for name, parameter in source["Parameters"].items()} | parameters
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", region)
        translated: dict[str, Any] = Translator({}, Parser()).translate(source, values)
    return translated


@pytest.fixture(scope="module")
def resources(template: dict[str, Any]) -> dict[str, Any]:
    """The properties of its resources by name."""
    return {name: resource.get("Properties", {}) for name, resource in template["Resources"].items()}


@pytest.fixture(scope="module")
def source() -> dict[str, Any]:
    """The template of the repository, not translated."""
    parsed: dict[str, Any] = yaml_parse(TEXT)
    return parsed


def test_the_rule_sends_paid_orders_to_the_queue(resources: dict[str, Any]) -> None:
    """The rule matches the source's prefix and the detail-type, sends whole events, and has a dead-letter queue."""
    rule = resources["OrderRule"]
    assert rule["EventPattern"] == {"source": [{"prefix": {"Ref": "EventSourcePrefix"}}], "detail-type": ["Order_Paid"]}
    assert rule["EventBusName"] == {"Ref": "EventBusName"}
    [target] = rule["Targets"]
    assert target["Arn"] == {"Fn::GetAtt": ["OrderQueue", "Arn"]}
    assert target["DeadLetterConfig"]["Arn"] == {"Fn::GetAtt": ["UndeliveredEvents", "Arn"]}
    assert "InputPath" not in target
    assert "InputTransformer" not in target


def test_the_archive_keeps_what_the_rule_takes(template: dict[str, Any]) -> None:
    """The optional archive has the rule's pattern and bus; without ArchiveDays there is none."""
    resources = template["Resources"]
    archive = resources["OrderArchive"]
    assert archive["Condition"] == "HasArchive"
    assert archive["Properties"]["EventPattern"] == resources["OrderRule"]["Properties"]["EventPattern"]
    assert archive["Properties"]["SourceArn"]["Fn::Sub"].endswith(":event-bus/${EventBusName}")
    assert template["Parameters"]["ArchiveDays"]["Default"] == 0


def test_sqs_itself_moves_the_dead_letters(resources: dict[str, Any]) -> None:
    """The redrive policy alone moves dead-letter messages; they are retained for 14 days, with OrderQueue as source."""
    redrive = resources["OrderQueue"]["RedrivePolicy"]
    assert redrive["deadLetterTargetArn"] == {"Fn::GetAtt": ["DeadLetters", "Arn"]}
    assert redrive["maxReceiveCount"] == {"Ref": "MaxReceiveCount"}
    letters = resources["DeadLetters"]
    assert letters["MessageRetentionPeriod"] == 14 * 24 * 3600
    assert letters["RedriveAllowPolicy"]["redrivePermission"] == "byQueue"
    [source] = letters["RedriveAllowPolicy"]["sourceQueueArns"]
    assert source["Fn::Sub"][0].endswith(":sqs:${AWS::Region}:${AWS::AccountId}:OrderQueue-${Id}")
    assert resources["OrderQueue"]["QueueName"]["Fn::Sub"][0] == "OrderQueue-${Id}"
    assert source["Fn::Sub"][1] == resources["OrderQueue"]["QueueName"]["Fn::Sub"][1] == STACK_ID
    function = resources["OrdersFunction"]
    assert "DeadLetterConfig" not in function


def test_the_visibility_timeout_is_six_times_the_functions_timeout(resources: dict[str, Any]) -> None:
    """The visibility timeout is six times the function's timeout, as AWS recommends for event source mappings."""
    assert resources["OrderQueue"]["VisibilityTimeout"] == 6 * resources["OrdersFunction"]["Timeout"]


def test_one_call_fits_into_the_functions_time(source: dict[str, Any], resources: dict[str, Any]) -> None:
    """With the largest parameters, connecting to both hosts, one answer and 2 s for the write fit into the timeout."""
    parameters = source["Parameters"]
    longest = 2 * parameters["HttpConnectTimeout"]["MaxValue"] + parameters["HttpReadTimeout"]["MaxValue"] + 2
    assert longest < resources["OrdersFunction"]["Timeout"]


@pytest.mark.parametrize("queue", ["OrderQueue", "DeadLetters", "UndeliveredEvents", "UndeliveredOutcomes"])
def test_every_queue_is_encrypted_and_refuses_plain_http(resources: dict[str, Any], queue: str) -> None:
    """Every queue is encrypted, and its policy denies requests without TLS."""
    assert resources[queue]["SqsManagedSseEnabled"] == {"Fn::If": ["HasKmsKey", False, True]}
    assert resources[queue]["KmsMasterKeyId"] == {"Fn::If": ["HasKmsKey", {"Ref": "KmsKeyArn"}, NONE]}
    [denial] = [one for one in _statements(resources, queue) if one.get("Effect") == "Deny"]
    assert denial["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert (denial["Principal"], denial["Action"]) == ("*", "sqs:*")


def test_only_the_rule_named_accounts_and_the_topic_may_send(resources: dict[str, Any]) -> None:
    """The queue's policy allows the rule, by name and account, the accounts of ProducerAccounts, and OrderTopicArn."""
    allowed = [one for one in _statements(resources, "OrderQueue") if one.get("Effect") == "Allow"]
    [rule] = allowed
    assert rule["Principal"] == {"Service": "events.amazonaws.com"}
    assert rule["Condition"] == RULE_MAY
    others, topic = [one["Fn::If"] for one in _statements(resources, "OrderQueue") if "Fn::If" in one]
    assert topic == _topic_may_send("OrderQueue")
    assert others[0] == "HasProducerAccounts"
    assert (others[1]["Action"], others[1]["Principal"]) == ("sqs:SendMessage", {"AWS": {"Ref": "ProducerAccounts"}})
    assert others[2] == {"Ref": "AWS::NoValue"}


def _topic_may_send(queue: str) -> list[Any]:
    statement = {
        "Sid": "TopicMaySend",
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": {"Fn::GetAtt": [queue, "Arn"]},
        "Condition": {"ArnEquals": {"aws:SourceArn": {"Ref": "OrderTopicArn"}}},
    }
    return ["HasOrderTopic", statement, {"Ref": "AWS::NoValue"}]


def test_what_a_topic_cannot_deliver_is_kept(resources: dict[str, Any]) -> None:
    """The subscription keeps its envelope, and its dead-letter queue admits the topic."""
    subscription = resources["OrderTopicSubscription"]
    assert "RawMessageDelivery" not in subscription
    assert subscription["RedrivePolicy"] == {"deadLetterTargetArn": {"Fn::GetAtt": ["UndeliveredEvents", "Arn"]}}
    conditional = [one["Fn::If"] for one in _statements(resources, "UndeliveredEvents") if "Fn::If" in one]
    assert conditional == [_topic_may_send("UndeliveredEvents")]


RULE_MAY = {
    "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}},
    "ArnLike": {
        "aws:SourceArn": {
            "Fn::Sub": [
                "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/*OrderRule-${Id}*",
                STACK_ID,
            ]
        }
    },
}


def test_both_queues_admit_the_rule_before_it_exists(template: dict[str, Any]) -> None:
    """The queues' policies allow the rule by name and are created before it, so that no event is dropped."""
    rule = template["Resources"]["OrderRule"]
    assert set(rule["DependsOn"]) == {"OrderQueuePolicy", "UndeliveredEventsPolicy"}
    for queue in ("OrderQueue", "UndeliveredEvents"):
        policy = template["Resources"][f"{queue}Policy"]
        assert _references(policy) & set(template["Resources"]) == {queue}
        [allowed] = [
            one for one in policy["Properties"]["PolicyDocument"]["Statement"] if one.get("Sid") == "RuleMaySend"
        ]
        assert allowed["Condition"] == RULE_MAY
    [name, parts] = rule["Properties"]["Name"]["Fn::Sub"]
    on_bus = {"Fn::If": ["OnDefaultBus", "", "-bus"]}
    assert (name, parts) == ("OrderRule-${Id}${OnBus}", STACK_ID | {"OnBus": on_bus})
    identity = "0" * 36  # a UUID
    pattern = RULE_MAY["ArnLike"]["aws:SourceArn"]["Fn::Sub"][0].partition(":rule/")[2].replace("${Id}", identity)  # type: ignore[index]
    for arn in (
        f"OrderRule-{identity}",
        f"a-bus/OrderRule-{identity}-bus",
        f"aws.partner/x/y/OrderRule-{identity}-bus",
    ):
        assert fnmatchcase(arn, pattern)
    assert not fnmatchcase(f"OrderRule-{'1' * 36}", pattern)


LONGEST_STACK_NAME = 128  # AWS::CloudFormation, CreateStack
NAMED = {  # each name in the template, with the maximum length of its service
    ("OrderRule", "Name"): 64,
    ("OrderQueue", "QueueName"): 80,
    ("WeChatPayLayer", "LayerName"): 140,
    ("OneEventQuery", "Name"): 255,
    ("OneOrderQuery", "Name"): 255,
    ("DeadLettersByReasonQuery", "Name"): 255,
    ("RetriesByReasonQuery", "Name"): 255,
    ("KeyErrorsByMerchantQuery", "Name"): 255,
    ("SlowestConversationsQuery", "Name"): 255,
    ("NotificationsApi", "Name"): 128,
}


def test_few_resources_are_named_and_suit_the_longest_stack_name(template: dict[str, Any]) -> None:
    """Ten resources have names, which fit with the longest stack name; CloudFormation generates all others."""
    naming = {"Name", "QueueName", "LayerName", "LogGroupName", "TableName", "RoleName", "AlarmName", "FunctionName"}
    fixed = {
        (re.sub(r"[0-9a-f]{10}$", "", name), key): value
        for name, resource in template["Resources"].items()
        for key, value in resource["Properties"].items()
        if key in naming and resource["Type"] not in {"AWS::Lambda::Version", "AWS::Lambda::Alias", MAPPING, PERMISSION}
    }
    assert fixed.keys() == NAMED.keys()
    for key, value in fixed.items():
        if value == {"Ref": "AWS::StackName"}:
            value = {"Fn::Sub": "${AWS::StackName}"}  # noqa: PLW2901  the same in another form
        pattern = value["Fn::Sub"] if isinstance(value["Fn::Sub"], str) else value["Fn::Sub"][0]
        text = pattern.replace("${AWS::StackName}", "s" * LONGEST_STACK_NAME).replace("${Id}", "0" * 36)
        assert len(text.replace("${OnBus}", "-bus")) <= NAMED[key], key


MAPPING, PERMISSION = "AWS::Lambda::EventSourceMapping", "AWS::Lambda::Permission"


# ---- a deployment publishes a version --------------------------------------------------------------------------------


def _references(value: Any) -> set[str]:  # noqa: PLR0911  one line per intrinsic function
    """Return the parameters, resources and conditions that a part of a template refers to."""
    match value:
        case {"Ref": str(name)}:
            return {name}
        case {"Fn::GetAtt": [str(name), *_]}:
            return {name}
        case {"Fn::If": [str(condition), *branches]}:
            return {condition} | _references(branches)
        case {"Fn::Sub": [str(text), dict(variables)]}:
            return _references({"Fn::Sub": text}) - set(variables) | _references(variables)
        case {"Fn::Sub": str(text)}:
            return {name.partition(".")[0] for name in re.findall(r"\$\{([^!}]+)\}", text) if "::" not in name}
        case dict():
            return {name for member in value.values() for name in _references(member)}
        case list():
            return {name for member in value for name in _references(member)}
        case _:
            return set()


def _parameters_in(template: dict[str, Any], value: Any) -> set[str]:
    """Return the parameters that a value depends on, directly or through conditions."""
    references = _references(value)
    for name in references & set(template["Conditions"]):
        references |= _parameters_in(template, template["Conditions"][name])
    return references & set(template["Parameters"])


def _published(template: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    [(name, version)] = [one for one in template["Resources"].items() if one[1]["Type"] == "AWS::Lambda::Version"]
    return name, version


def test_every_parameter_of_the_function_publishes_a_version(template: dict[str, Any]) -> None:
    """The version's description has each parameter of the function's configuration, so its change publishes a version.

    The function has the same description, because Lambda publishes no second version of an unchanged function.
    """
    function = template["Resources"]["OrdersFunction"]["Properties"]
    _, version = _published(template)
    used = _parameters_in(template, {name: value for name, value in function.items() if name != "Description"})
    described = _parameters_in(template, version["Properties"]["Description"])
    assert {"MerchantSecretPrefix", "LogLevel", "SnapStart", "MemorySize", "Architecture", "BackoffCap"} <= used
    assert used <= described
    assert function["Description"] == version["Properties"]["Description"]
    assert version["DeletionPolicy"] == "Retain"


def test_the_mapping_invokes_the_alias_of_that_version(template: dict[str, Any]) -> None:
    """The event source mapping invokes the alias, and the alias points to the published version."""
    name, version = _published(template)
    [alias] = [one for one in template["Resources"].items() if one[1]["Type"] == "AWS::Lambda::Alias"]
    mapping = template["Resources"]["OrdersFunctionOrders"]
    assert mapping["Properties"]["FunctionName"] == {"Ref": alias[0]}
    assert alias[1]["Properties"]["FunctionVersion"] == {"Fn::GetAtt": [name, "Version"]}
    assert version["Properties"]["FunctionName"] == {"Ref": "OrdersFunction"}


def test_a_changed_layer_publishes_a_version() -> None:
    """A changed layer has a new version number, which the description of the function's version contains."""
    before, after = _translated(layer="s3://bucket/one.zip"), _translated(layer="s3://bucket/two.zip")
    layers = [[name for name in one["Resources"] if name.startswith("WeChatPayLayer")] for one in (before, after)]
    assert layers[0] != layers[1]
    for template, [layer] in zip((before, after), layers, strict=True):
        assert layer in _references(_published(template)[1]["Properties"]["Description"])


CREATE_ONLY = {  # CloudFormation replaces the resource if one of these changes
    "AWS::DynamoDB::Table": {"TableName", "ImportSourceSpecification"},
    "AWS::SQS::Queue": {"QueueName", "FifoQueue"},
    "AWS::Logs::LogGroup": {"LogGroupName"},
    "AWS::IAM::Role": {"RoleName", "Path"},
    "AWS::Lambda::LayerVersion": set(),  # the version's description has its number
}


def test_no_parameter_replaces_what_the_function_refers_to(template: dict[str, Any]) -> None:
    """No parameter replaces a table, queue, log or role, because published versions keep the old address."""
    function = template["Resources"]["OrdersFunction"]["Properties"]
    referred = _references(function) & set(template["Resources"])
    assert {"OrdersTable", "OrderQueue", "OrdersFunctionLogs", "OrdersFunctionRole"} <= referred
    for name in referred:
        resource = template["Resources"][name]
        decisive = {key: resource["Properties"].get(key) for key in CREATE_ONLY[resource["Type"]]}
        assert _parameters_in(template, decisive) == set(), name


def test_the_longest_description_fits(source: dict[str, Any]) -> None:
    """The version's description fits into Lambda's 256 characters with the longest value of each parameter."""
    text, variables = source["Resources"]["OrdersFunction"]["Properties"]["VersionDescription"]["Fn::Sub"]
    lengths = {"Layer": 5, "Start": 4, "Endpoint": 0}  # no AwsEndpointUrl outside sandboxes
    assert lengths.keys() == variables.keys()
    for name in re.findall(r"\$\{(\w+)\}", text):
        parameter = source["Parameters"].get(name, {})
        if name in lengths:
            continue
        if "AllowedValues" in parameter:
            lengths[name] = max(len(str(value)) for value in [*parameter["AllowedValues"], "x86_64"])
        elif parameter["Type"] == "Number":
            whole = isinstance(parameter.get("MinValue"), int)
            lengths[name] = len(str(parameter["MaxValue"])) + (0 if whole else 4)  # three digits after the point
        else:
            lengths[name] = parameter["MaxLength"]
    assert len(re.sub(r"\$\{(\w+)\}", lambda match: "x" * lengths[match[1]], text)) <= 256


def test_the_build_allows_the_architecture_of_its_binaries() -> None:
    """The built template allows one architecture, that of its binaries."""
    parameter = yaml_parse((BUILD / "template.yaml").read_text(encoding="utf-8"))["Parameters"]["Architecture"]
    assert parameter["AllowedValues"] == [parameter["Default"]] == [package.architecture(BUILD)]


@pytest.mark.parametrize(("machine", "name"), [(0x3E, "x86_64"), (0xB7, "arm64")])
def test_the_architecture_is_read_from_the_binaries(tmp_path: Path, machine: int, name: str) -> None:
    """The architecture is read from the binaries and written to the template; a second time changes nothing."""
    _binary(tmp_path / "one.so", machine)
    assert package.architecture(tmp_path) == name
    template = tmp_path / "template.yaml"
    template.write_text(TEXT, encoding="utf-8")
    for _ in range(2):
        package.fix_architecture(template, name)
        parameters = yaml_parse(template.read_text(encoding="utf-8"))["Parameters"]
        assert parameters["Architecture"]["AllowedValues"] == [name] == [parameters["Architecture"]["Default"]]
        assert parameters.keys() == yaml_parse(TEXT)["Parameters"].keys()


def test_binaries_of_several_architectures_are_refused(tmp_path: Path) -> None:
    """A build is refused if its binaries are for two architectures, for none of Lambda's, or if there are none."""
    with pytest.raises(SystemExit, match="none"):
        package.architecture(tmp_path)
    _binary(tmp_path / "one.so", 0x3E)
    _binary(tmp_path / "two.so.1", 0xB7)
    with pytest.raises(SystemExit, match=r"arm64.*x86_64"):
        package.architecture(tmp_path)
    _binary(tmp_path / "two.so.1", 0x28)  # 32-bit ARM
    with pytest.raises(SystemExit, match=r"two\.so\.1"):
        package.architecture(tmp_path)
    (tmp_path / "template.yaml").write_text("Parameters: {}\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="one parameter Architecture"):
        package.fix_architecture(tmp_path / "template.yaml", "arm64")


def _binary(path: Path, machine: int) -> None:
    path.write_bytes(b"\x7fELF" + bytes(14) + machine.to_bytes(2, "little"))


# ---- permissions, environment, table ---------------------------------------------------------------------------------


def _statements(resources: dict[str, Any], queue: str) -> list[dict[str, Any]]:
    statements: list[dict[str, Any]] = resources[f"{queue}Policy"]["PolicyDocument"]["Statement"]
    assert resources[f"{queue}Policy"]["Queues"] == [{"Ref": queue}]
    return statements


def test_a_batch_may_fail_in_part_and_concurrency_is_limited(template: dict[str, Any]) -> None:
    """The mapping reports failures by item, and MaximumConcurrency limits the calls in flight at WeChat Pay."""
    properties = template["Resources"]["OrdersFunctionOrders"]["Properties"]
    assert properties["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert properties["ScalingConfig"] == {"MaximumConcurrency": {"Ref": "MaximumConcurrency"}}
    assert properties["BatchSize"] == {"Ref": "BatchSize"}
    assert properties["EventSourceArn"] == {"Fn::GetAtt": ["OrderQueue", "Arn"]}


def test_the_function_may_do_what_it_does_and_nothing_else(resources: dict[str, Any]) -> None:
    """The role allows each action by name on one resource, and has no managed policy."""
    role = resources["OrdersFunctionRole"]
    assert "ManagedPolicyArns" not in role
    [policy] = role["Policies"]
    statements = policy["PolicyDocument"]["Statement"]
    [key] = [one["Fn::If"] for one in statements if "Fn::If" in one]
    use = {"Sid": "UseKey", "Effect": "Allow", "Action": "kms:Decrypt", "Resource": {"Ref": "KmsKeyArn"}}
    assert key == ["HasKmsKey", use, NONE]
    granted = {one["Sid"]: one for one in statements if "Sid" in one}
    actions = {
        sid: one["Action"] if isinstance(one["Action"], list) else [one["Action"]] for sid, one in granted.items()
    }
    assert actions == {
        "TakeOrders": [
            "sqs:ReceiveMessage",
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
            "sqs:ChangeMessageVisibility",
        ],
        "KeepOrders": ["dynamodb:BatchGetItem", "dynamodb:PartiQLInsert", "dynamodb:PutItem"],
        "KeepCircuit": ["dynamodb:GetItem", "dynamodb:UpdateItem"],
        "SignForMerchants": ["secretsmanager:GetSecretValue"],
        "WriteOwnLog": ["logs:CreateLogStream", "logs:PutLogEvents"],
    }
    assert all(one["Resource"] != "*" for one in granted.values())
    assert granted["SignForMerchants"]["Resource"]["Fn::Sub"].endswith(":secret:${MerchantSecretPrefix}/*")
    assert granted["KeepOrders"]["Resource"] == {"Fn::GetAtt": ["OrdersTable", "Arn"]}
    assert granted["KeepCircuit"]["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["CIRCUIT#*"]}}


def test_no_arn_names_a_partition(template: dict[str, Any]) -> None:
    """No ARN contains a partition, so that the template can be deployed in the China Regions."""
    assert "arn:aws:" not in json.dumps(template["Resources"])
    assert "amazonaws.com.cn" not in json.dumps(template["Resources"])


def test_the_environment_is_what_settings_reads(resources: dict[str, Any]) -> None:
    """The function's environment has the variables that `settings` and Powertools read, and no others."""
    variables = set(resources["OrdersFunction"]["Environment"]["Variables"])
    settings = (ROOT / "functions/orders/settings.py").read_text(encoding="utf-8")
    read = set(re.findall(r'"([A-Z]+(?:_[A-Z]+)+)"', settings))
    powertools = {"POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE", "POWERTOOLS_LOG_LEVEL"}
    users = {"AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"}  # of boto3 and requests, for deployments that need them
    lambdas = {"AWS_LAMBDA_FUNCTION_VERSION"}
    assert variables == read - users - lambdas | powertools
    endpoint = resources["OrdersFunction"]["Environment"]["Variables"]["AWS_ENDPOINT_URL"]
    assert endpoint == {"Fn::If": ["InSandbox", {"Ref": "AwsEndpointUrl"}, {"Ref": "AWS::NoValue"}]}


def test_the_function_runs_what_is_tested(resources: dict[str, Any]) -> None:
    """The function uses Python 3.13, the architecture of the parameter, and the layer with the library."""
    function = resources["OrdersFunction"]
    assert (function["Runtime"], function["Handler"]) == ("python3.13", "orders.handler.lambda_handler")
    assert function["Architectures"] == [{"Ref": "Architecture"}]
    [layer] = function["Layers"]
    assert "WeChatPayLayer" in json.dumps(layer)
    assert (ROOT / ".python-version").read_text().strip() == "3.13"


def test_the_table_keeps_orders(template: dict[str, Any]) -> None:
    """The table is on demand, with point-in-time recovery, deletion protection, a TTL and the index `attention`."""
    table = template["Resources"]["OrdersTable"]
    properties = table["Properties"]
    assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert properties["DeletionProtectionEnabled"] is True
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert properties["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert properties["KeySchema"] == [{"AttributeName": "pk", "KeyType": "HASH"}]
    [index] = properties["GlobalSecondaryIndexes"]
    assert index["IndexName"] == "attention"
    assert [key["AttributeName"] for key in index["KeySchema"]] == ["attention", "updated_at"]


def test_the_queues_outlive_the_stack(template: dict[str, Any]) -> None:
    """The queues outlive the stack with their messages; a first deployment that fails deletes them again."""
    for name in ("OrderQueue", "DeadLetters", "UndeliveredEvents"):
        assert template["Resources"][name]["DeletionPolicy"] == "RetainExceptOnCreate"
        assert template["Resources"][name]["UpdateReplacePolicy"] == "Retain"


ALARMS = {
    "DeadLettersAlarm": ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum"),
    "UndeliveredEventsAlarm": ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum"),
    "RuleFailedAlarm": ("AWS/Events", "FailedInvocations", "Sum"),
    "EventLostAlarm": ("AWS/Events", "InvocationsFailedToBeSentToDlq", "Sum"),
    "OrdersFailingAlarm": ("WeChatPayScore", "Failing", "Average"),
    "OrderAgeAlarm": ("AWS/SQS", "ApproximateAgeOfOldestMessage", "Maximum"),
    "InFlightAlarm": ("AWS/SQS", "ApproximateNumberOfMessagesNotVisible", "Maximum"),
    "ErrorsAlarm": ("AWS/Lambda", "Errors", "Sum"),
    "ThrottlesAlarm": ("AWS/Lambda", "Throttles", "Sum"),
    "PaidByWeChatAlarm": ("WeChatPayScore", "PaidByWeChat", "Sum"),
    "CircuitAlarm": ("WeChatPayScore", "CircuitOpened", "Sum"),
    "SignatureRefusedAlarm": ("WeChatPayScore", "SignatureRefused", "Sum"),
    "UnknownWordAlarm": ("WeChatPayScore", "UnknownWord", "Sum"),
    "UnreadableItemAlarm": ("WeChatPayScore", "UnreadableItem", "Sum"),
    "NewDeadLetterAlarm": ("WeChatPayScore", "DeadLetter", "Sum"),
    "KeyExpiryAlarm": ("WeChatPayScore", "KeyDaysLeft", "Minimum"),
    "NotificationsErrorsAlarm": ("AWS/Lambda", "Errors", "Sum"),
    "NotificationsThrottlesAlarm": ("AWS/Lambda", "Throttles", "Sum"),
    "NotificationsFailedAlarm": ("WeChatPayScore", "NotificationsFailed", "Sum"),
    "NotificationsUntrustedAlarm": ("WeChatPayScore", "NotificationsUntrusted", "Sum"),
    "OutcomesLateAlarm": ("AWS/Lambda", "IteratorAge", "Maximum"),
    "OutcomeUnreadableAlarm": ("WeChatPayScore", "OutcomeUnreadable", "Sum"),
    "UndeliveredOutcomesAlarm": ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum"),
    "VersionErrorsAlarm": ("AWS/Lambda", "Errors", "Sum"),
    "VersionFaultyAlarm": ("WeChatPayScore", "Faulty", "Sum"),
}
ROLLBACK = {"VersionErrorsAlarm", "VersionFaultyAlarm"}  # exist only if CodeDeploy moves the traffic
SECOND = {name for name in ALARMS if name.startswith("Notifications")}  # exist only with the second function
THIRD = {name for name in ALARMS if "Outcome" in name}  # exist only with the function that publishes the outcomes


def test_the_alarms_watch_metrics_that_exist(template: dict[str, Any]) -> None:
    """Each alarm has a metric of AWS, or one that `orders.report` emits, in the namespace of the environment."""
    alarms = {name: one["Properties"] for name, one in template["Resources"].items() if one["Type"].endswith("::Alarm")}
    metrics = {name: (one["Namespace"], one["MetricName"], one["Statistic"]) for name, one in alarms.items()}
    assert metrics == ALARMS
    variables = template["Resources"]["OrdersFunction"]["Properties"]["Environment"]["Variables"]
    for name, alarm in alarms.items():
        assert alarm["TreatMissingData"] == "notBreaching"
        assert alarm["AlarmActions"] == {
            "Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}], {"Ref": "AWS::NoValue"}]
        }
        dimensions = frozenset(dimension["Name"] for dimension in alarm["Dimensions"] if "Name" in dimension)
        assert dimensions in _METRICS[alarm["Namespace"]][alarm["MetricName"]], name
        if alarm["Namespace"] == "WeChatPayScore":
            assert alarm["Namespace"] == variables["POWERTOOLS_METRICS_NAMESPACE"]


def test_an_alarm_exists_always_or_with_what_it_is_about(template: dict[str, Any]) -> None:
    """Rollback alarms, about the version that is being deployed, and those of the two other functions are optional."""
    alarms = {name: one for name, one in template["Resources"].items() if one["Type"].endswith("::Alarm")}
    assert {name for name, alarm in alarms.items() if "Condition" in alarm} == ROLLBACK | SECOND | THIRD
    version = {"Fn::GetAtt": [_published(template)[0], "Version"]}
    for name in ROLLBACK:
        assert version in [dimension["Value"] for dimension in alarms[name]["Properties"]["Dimensions"]]


def test_the_description_of_an_alarm_leads_to_the_runbook(template: dict[str, Any], source: dict[str, Any]) -> None:
    """The description says what happened, then leads to the alarm's page; it fits into 1024 characters."""
    longest = source["Parameters"]["RunbookUrl"]["MaxLength"]
    for name in ALARMS:
        text = template["Resources"][name]["Properties"]["AlarmDescription"]["Fn::Sub"]
        sentence, _, link = text.rpartition(" ")
        assert sentence.endswith(".")
        assert link == f"${{RunbookUrl}}/alarms/{name}.md"
        assert len(text) + longest <= 1024


# ---- metrics and log lines: what is looked at is what is emitted -----------------------------------------------------

REPORT = (ROOT / "functions/orders/report.py").read_text(encoding="utf-8")
SECOND_REPORT = (ROOT / "functions/notifications/report.py").read_text(encoding="utf-8")
THIRD_REPORT = (ROOT / "functions/outcomes/handler.py").read_text(encoding="utf-8")
_SERVICE, _QUEUE, _FUNCTION, _TABLE, _RULE = (
    frozenset({frozenset({name})}) for name in ("service", "QueueName", "FunctionName", "TableName", "RuleName")
)
_VERSION = frozenset({frozenset({"service", "version"})})
_EVENT = frozenset({frozenset({"service", "event", "outcome"})})
_METRICS: dict[str, dict[str, frozenset[frozenset[str]]]] = {
    # namespace → metric → its sets of dimensions; AWS's by the service's page "CloudWatch metrics"
    "AWS/SQS": dict.fromkeys(
        (
            "ApproximateNumberOfMessagesVisible",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateAgeOfOldestMessage",
            "NumberOfMessagesReceived",
            "NumberOfEmptyReceives",
        ),
        _QUEUE,
    ),
    "AWS/Lambda": {
        "Errors": _FUNCTION | {frozenset({"FunctionName", "Resource", "ExecutedVersion"})},
        "Throttles": _FUNCTION,
        "Invocations": _FUNCTION,
        "Duration": _FUNCTION,
        "IteratorAge": _FUNCTION,
    },
    "AWS/Events": dict.fromkeys(("FailedInvocations", "InvocationsFailedToBeSentToDlq"), _RULE),
    "AWS/DynamoDB": dict.fromkeys(("ConsumedWriteCapacityUnits", "ConsumedReadCapacityUnits"), _TABLE),
    "AWS/Logs": {"IncomingBytes": frozenset({frozenset({"LogGroupName"})})},
    "WeChatPayScore": {
        **dict.fromkeys(re.findall(r'(?:_count|add_metric)\(\s*"(\w+)"', REPORT), _SERVICE),
        **dict.fromkeys(re.findall(r'single_metric\("(\w+)"', REPORT), _VERSION),
        **dict.fromkeys(re.findall(r'add_metric\("(\w+)"', SECOND_REPORT + THIRD_REPORT), _SERVICE),
        **dict.fromkeys(re.findall(r'single_metric\("(\w+)"', SECOND_REPORT), _EVENT),
    },
}


@pytest.fixture(scope="module")
def widgets(template: dict[str, Any]) -> list[dict[str, Any]]:
    """The widgets of the dashboard; `${…}` stays as it is."""
    dashboard = template["Resources"]["OperationsDashboard"]
    assert dashboard["Condition"] == "HasDashboard"
    body = _dashboard_body(dashboard, complete=True)
    names = {*template["Resources"], *template["Parameters"], "AWS::Region", "AWS::StackName"}
    assert {name.partition(".")[0] for name in re.findall(r"\$\{([^}]+)\}", body)} <= names
    parsed: list[dict[str, Any]] = json.loads(body)["widgets"]
    return parsed


def _dashboard_body(dashboard: dict[str, Any], *, complete: bool) -> str:
    """Return the dashboard's text with or without the rows of the two other functions; `${…}` stays as it is."""
    body, variables = dashboard["Properties"]["DashboardBody"]["Fn::Sub"]
    for name, condition in {"NotificationsRows": "HasNotifications", "OutcomesRow": "HasOutcomes"}.items():
        conditional, rows, no_rows = variables[name]["Fn::If"]
        assert (conditional, no_rows) == (condition, "")
        body = body.replace(f"${{{name}}}", rows["Fn::Sub"] if complete else "")
    return str(body)


def test_every_widget_shows_a_metric_that_is_emitted(template: dict[str, Any], widgets: list[dict[str, Any]]) -> None:
    """Each metric of the dashboard is one of AWS or of `orders.report`, with dimensions that are this stack's own."""
    own = {
        ("service", "${AWS::StackName}"),
        ("FunctionName", "${OrdersFunction}"),
        ("FunctionName", "${NotificationsFunction}"),
        ("FunctionName", "${OutcomesFunction}"),
        ("TableName", "${OrdersTable}"),
        ("LogGroupName", "${OrdersFunctionLogs}"),
        *(("QueueName", f"${{{name}.QueueName}}") for name in ("OrderQueue", "DeadLetters", "UndeliveredEvents")),
    }
    lines = [line for widget in widgets if widget["type"] == "metric" for line in widget["properties"]["metrics"]]
    assert len(lines) > 30
    for line in lines:
        if isinstance(line[0], dict):
            assert "expression" in line[0]
            if search := re.search(r"SEARCH\('\{(\w+),([\w,]+)\} MetricName=\"(\w+)\" service=", line[0]["expression"]):
                assert frozenset(search[2].split(",")) in _METRICS[search[1]][search[3]]
            continue
        namespace, metric, *rest = line
        pairs = [part for part in rest if isinstance(part, str)]
        dimensions = dict(zip(pairs[::2], pairs[1::2], strict=True))
        assert frozenset(dimensions) in _METRICS[namespace][metric], metric
        assert set(dimensions.items()) <= own


def test_the_dashboard_answers_the_questions_of_an_incident(widgets: list[dict[str, Any]]) -> None:
    """The dashboard has the state of every alarm, and each metric that the operator's questions need."""
    boards = [widget["properties"]["alarms"] for widget in widgets if widget["type"] == "alarm"]
    names = (ALARMS.keys() - ROLLBACK - SECOND - THIRD, SECOND, THIRD)
    assert boards == [[f"${{{name}.Arn}}" for name in _in_order(each)] for each in names]
    metrics = {line[1] for widget in widgets for line in widget["properties"].get("metrics", ()) if len(line) > 1}
    assert metrics >= {
        *("ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage", "PaidToSynced", "Synced"),
        *("PaidByWeChat", "Rejected", "SyncLatency", "CircuitOpened", "KeyDaysLeft", "DeadLetter"),
        *("OutcomesPublished", "OutcomesRefused", "IteratorAge"),
        *("DoublePaymentNotified", "RememberedCollection", "NotificationsUntrusted", "NotificationsFailed"),
        *("NumberOfMessagesReceived", "Invocations", "Duration", "ConsumedWriteCapacityUnits", "IncomingBytes"),
    }
    percentiles = {line[-1]["stat"] for widget in widgets for line in _lines_of(widget, "PaidToSynced")}
    assert percentiles == {"p50", "p95", "p99"}


def _lines_of(widget: dict[str, Any], metric: str) -> list[Any]:
    return [line for line in widget["properties"].get("metrics", ()) if metric in line]


def _in_order(names: set[str]) -> list[str]:
    return sorted(names, key=lambda name: TEXT.index(f"\n  {name}:\n"))


def test_no_widget_covers_another(widgets: list[dict[str, Any]]) -> None:
    """The widgets lie side by side in the 24 columns of a dashboard."""
    cells = [
        (x, y)
        for widget in widgets
        for x in range(widget["x"], widget["x"] + widget["width"])
        for y in range(widget["y"], widget["y"] + widget["height"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) == 23


LINE_FIELDS = {*re.findall(r'"(\w+)":', REPORT), *re.findall(r'fields\["(\w+)"\]', REPORT), "message", "level"}
MESSAGES = set(re.findall(r'logger\.\w+\("([^"]+)"', REPORT))


def _queries(template: dict[str, Any], widgets: list[dict[str, Any]]) -> list[str]:
    """The queries of CloudWatch Logs Insights, saved ones and those of the dashboard."""
    resources = template["Resources"].values()
    saved = [one["Properties"] for one in resources if one["Type"] == "AWS::Logs::QueryDefinition"]
    assert all(one["LogGroupNames"] == [{"Ref": "OrdersFunctionLogs"}] for one in saved)
    on_dashboard = [widget["properties"]["query"] for widget in widgets if widget["type"] == "log"]
    source = "SOURCE '${OrdersFunctionLogs}' | "
    assert all(query.startswith(source) for query in on_dashboard)
    return [*(one["QueryString"] for one in saved), *(query.removeprefix(source) for query in on_dashboard)]


def test_a_query_asks_for_fields_and_messages_that_are_logged(
    template: dict[str, Any], widgets: list[dict[str, Any]]
) -> None:
    """Each field of a query is in a log line of `orders.report`, and each message that it filters by is written."""
    queries = _queries(template, widgets)
    assert len(queries) == 8
    words = {"fields", "filter", "stats", "sort", "desc", "by", "as", "in", "like", "and", "limit", "count", "latest"}
    words |= {"ispresent", "floor", "count_distinct"}
    for query in queries:
        without_texts = re.sub(r'"[^"]*"', "", query)
        aliases = set(re.findall(r"\bas (\w+)", without_texts))
        names = set(re.findall(r"(?<![@\w])[a-z]\w*", without_texts)) - words - aliases
        assert names <= LINE_FIELDS, query
        for text in re.findall(r'message (?:like|in|=) \[?((?:"[^"]*"(?:, )?)+)', query):
            for part in re.findall(r'"([^"]*)"', text):
                assert any(part in message for message in MESSAGES), part


def test_the_query_for_keys_has_every_reason_of_keys(template: dict[str, Any]) -> None:
    """The saved query for errors of keys has the reasons that SignatureRefusedAlarm counts."""
    query = template["Resources"]["KeyErrorsByMerchantQuery"]["Properties"]["QueryString"]
    assert set(re.findall(r'"(\w+)"', query)) == KEY_REASONS


# ---- deployment in steps ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["us-east-1", "cn-north-1"])
def in_steps(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The resources of the template, translated for a deployment that CodeDeploy makes in steps."""
    resources: dict[str, Any] = _translated(request.param, DeploymentPreference="Canary10Percent5Minutes")["Resources"]
    return resources


def _if_in_steps(value: Any) -> dict[str, Any]:
    return {"Fn::If": ["MovesInSteps", value, NONE]}


def test_traffic_moves_in_steps_after_a_self_test_and_back_on_our_alarms(in_steps: dict[str, Any]) -> None:
    """CodeDeploy runs the hook first, moves the alias as the parameter says, and rolls back on the two alarms."""
    [alias] = [one for one in in_steps.values() if one["Type"] == "AWS::Lambda::Alias"]
    update = alias["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
    assert update["BeforeAllowTrafficHook"] == _if_in_steps({"Ref": "PreTrafficFunction"})
    group = in_steps[update["DeploymentGroupName"]["Ref"]]["Properties"]
    assert group["AlarmConfiguration"]["Fn::If"][1]["Alarms"] == [
        {"Name": {"Ref": name}} for name in _in_order(ROLLBACK)
    ]
    assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]
    assert group["DeploymentConfigName"]["Fn::Sub"][1] == {"ConfigName": "Canary10Percent5Minutes"}
    assert group["ServiceRoleArn"] == _if_in_steps({"Fn::GetAtt": ["CodeDeployRole", "Arn"]})
    assert not any("ManagedPolicyArns" in one["Properties"] for one in in_steps.values())


def test_the_hook_may_test_versions_and_report(in_steps: dict[str, Any]) -> None:
    """The hook tests the new version; its role allows that, the report and its log lines, and nothing else."""
    hook = in_steps["PreTrafficFunction"]["Properties"]
    [version] = [name for name, one in in_steps.items() if one["Type"] == "AWS::Lambda::Version"]
    assert hook["Environment"]["Variables"] == {"NEW_VERSION": {"Ref": version}}
    granted = {one["Sid"]: one["Action"] for one in _role_statements(in_steps, "PreTrafficRole")}
    assert granted == {
        "TestTheVersion": ["lambda:GetFunctionConfiguration", "lambda:InvokeFunction"],
        "Report": "codedeploy:PutLifecycleEventHookExecutionStatus",
        "WriteLog": ["logs:CreateLogStream", "logs:PutLogEvents"],
    }
    assert all(one["Resource"] != "*" for one in _role_statements(in_steps, "PreTrafficRole"))
    unlimited = [one["Action"] for one in _role_statements(in_steps, "CodeDeployRole") if one["Resource"] == "*"]
    assert unlimited == ["cloudwatch:DescribeAlarms"]


def _role_statements(resources: dict[str, Any], role: str) -> list[dict[str, Any]]:
    [policy] = resources[role]["Properties"]["Policies"]
    statements: list[dict[str, Any]] = policy["PolicyDocument"]["Statement"]
    return statements


def test_every_preference_is_one_of_codedeploys_and_enables_it(source: dict[str, Any]) -> None:
    """Each allowed value but AllAtOnce has CodeDeploy move the traffic; AllAtOnce needs no CodeDeploy."""
    allowed = source["Parameters"]["DeploymentPreference"]["AllowedValues"]
    enabled = {name: one["Enabled"] for name, one in source["Mappings"]["DeployedByCodeDeploy"].items()}
    assert enabled == {name: "false" if name == "AllAtOnce" else "true" for name in allowed}
    assert all(
        re.fullmatch(r"AllAtOnce|Canary10Percent\d+Minutes|Linear10PercentEvery\d+Minutes?", name) for name in allowed
    )
    at_once = _translated()["Resources"]
    assert not [name for name, one in at_once.items() if "CodeDeploy::" in one["Type"] or "UpdatePolicy" in one]


QUEUES = ("OrderQueue", "DeadLetters", "UndeliveredEvents", "UndeliveredOutcomes")
OWN = {  # dimension → values that are unique to this stack
    "service": {"Ref": "AWS::StackName"},
    "FunctionName": [{"Ref": f"{name}Function"} for name in ("Orders", "Notifications", "Outcomes")],
    "QueueName": [{"Fn::GetAtt": [name, "QueueName"]} for name in QUEUES],
}


def test_every_alarm_is_the_stacks_own(template: dict[str, Any]) -> None:
    """The dimensions of all alarms are unique to the stack, so that two stacks in one account share none."""
    resources = template["Resources"]
    variables = resources["OrdersFunction"]["Properties"]["Environment"]["Variables"]
    assert variables["POWERTOOLS_SERVICE_NAME"] == OWN["service"]  # the dimension of all metrics of Powertools
    for name, alarm in resources.items():
        if not alarm["Type"].endswith("::Alarm"):
            continue
        if alarm["Properties"]["Namespace"] == "AWS/Events":
            bus = {"Name": "EventBusName", "Value": {"Ref": "EventBusName"}}
            rule = {"Name": "RuleName", "Value": resources["OrderRule"]["Properties"]["Name"]}
            assert alarm["Properties"]["Dimensions"] == [{"Fn::If": ["OnDefaultBus", NONE, bus]}, rule]
            continue
        dimensions = {dimension["Name"]: dimension["Value"] for dimension in alarm["Properties"]["Dimensions"]}
        assert dimensions.keys() & OWN.keys(), name
        for dimension in dimensions.keys() & OWN.keys():
            own = OWN[dimension]
            assert dimensions[dimension] == own or dimensions[dimension] in own, name


def test_every_alarm_is_in_the_runbook() -> None:
    """The runbook links to the page of every alarm."""
    runbook = (ROOT / "docs/operate/runbook.md").read_text(encoding="utf-8")
    assert [alarm for alarm in ALARMS if f"[{alarm}](alarms/{alarm}.md)" not in runbook] == []


def test_every_parameter_is_described_and_used(source: dict[str, Any]) -> None:
    """Every parameter has a description, and the template uses it."""
    rest = TEXT.partition("\nRules:")[2]
    for name, parameter in source["Parameters"].items():
        assert parameter["Description"]
        assert re.search(rf"\b{name}\b", rest), name


def test_what_ships_is_what_is_tested() -> None:
    """The pins of what ships are those of the tests, with hashes."""
    tested = _pins(ROOT / "requirements/dev.lock")
    for path in ("functions/requirements.txt", "layers/wechatpay/python/requirements.txt"):
        shipped = _pins(ROOT / path)
        assert shipped
        assert shipped.items() <= tested.items()
        assert (ROOT / path).read_text().count("--hash=sha256:") >= len(shipped)
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for name in ("aws-lambda-powertools", "boto3", "cryptography", "requests"):
        assert f'"{name}=={tested[name]}"' in project


def _pins(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ;\\]+)", path.read_text(encoding="utf-8"), re.MULTILINE))


def test_the_package_contains_only_what_ships() -> None:
    """The build contains our modules and the pinned dependencies, and neither tests nor tools."""
    function, layer = BUILD / "OrdersFunction", BUILD / "WeChatPayLayer/python"
    for name in ("orders", "notifications", "outcomes"):
        ours = {path.name for path in (ROOT / "functions" / name).iterdir()} | {"__pycache__"}
        assert {path.name for path in (function / name).iterdir()} == ours
    library = {path.name for path in (ROOT / "layers/wechatpay/python/wechatpay").iterdir()} | {"__pycache__"}
    assert {path.name for path in (layer / "wechatpay").iterdir()} == library
    shipped = {path.name.partition("-")[0].lower() for path in BUILD.rglob("*.dist-info")}
    pinned = {name.replace("-", "_") for name in _shipped_pins()}
    assert shipped == pinned
    for name in ("pytest", "mypy", "ministack", "sandbox", "ops", "tools", "tests"):
        assert not (function / name).exists()
        assert not (layer / name).exists()


def _shipped_pins() -> set[str]:
    paths = ("functions/requirements.txt", "layers/wechatpay/python/requirements.txt")
    return {name for path in paths for name in _pins(ROOT / path)}


def test_the_package_stands_alone() -> None:
    """The built function and layer can be imported with nothing else on the path."""
    folders = [str(BUILD / "OrdersFunction"), str(BUILD / "WeChatPayLayer/python")]
    names = ["orders.relay", "orders.merchants", "orders.table", "wechatpay", "boto3", "requests", "cryptography"]
    places = f"print(*(sys.modules[name].__file__ for name in {names!r}))"
    code = f"import sys; import {', '.join(names)}; {places}"
    command, path = [sys.executable, "-BPS", "-c", code], {"PYTHONPATH": os.pathsep.join(folders)}
    run = subprocess.run(command, env=path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.count(str(BUILD)) == len(names)


def test_samconfig_asks_before_it_changes(source: dict[str, Any]) -> None:
    """A deployment asks for confirmation, but to dev; it needs CAPABILITY_IAM only, and sets parameters that exist."""
    sections = tomllib.loads((ROOT / "samconfig.toml").read_text())
    stacks = [sections["default"]["global"]["parameters"]["stack_name"]]
    for name in ("default", "dev", "staging", "prod"):
        deploy = sections[name]["deploy"]["parameters"]
        assert deploy["confirm_changeset"] is (name != "dev")
        assert (deploy["capabilities"], deploy["resolve_s3"]) == ("CAPABILITY_IAM", True)
        overrides = dict(re.findall(r"(\w+)=(\S+)", deploy.get("parameter_overrides", "")))
        for parameter, value in overrides.items():
            declaration = source["Parameters"][parameter]
            assert value in map(str, declaration.get("AllowedValues", [value]))
            assert re.fullmatch(declaration.get("AllowedPattern", ".*"), value)
        stacks += [deploy["stack_name"]] if "stack_name" in deploy else []
    assert len(set(stacks)) == 3  # prod is the default stack


def test_the_environments_share_nothing_in_one_account(source: dict[str, Any]) -> None:
    """No environment's prefix of events or secrets begins with another's, so that each event has one stack."""
    sections = tomllib.loads((ROOT / "samconfig.toml").read_text())
    for parameter in ("EventSourcePrefix", "MerchantSecretPrefix"):
        default = source["Parameters"][parameter]["Default"]
        values = []
        for name in ("dev", "staging", "prod"):
            overrides = sections[name]["deploy"]["parameters"].get("parameter_overrides", "")
            match = re.search(rf"{parameter}=(\S+)", overrides)
            values.append(match[1] if match else default)
        assert not [(one, other) for one in values for other in values if one is not other and one.startswith(other)]


def test_the_built_template_is_this_template() -> None:
    """The built template differs from the repository's in the location of the code and the architecture only."""
    built = yaml.safe_load(json.dumps(yaml_parse((BUILD / "template.yaml").read_text(encoding="utf-8"))))
    own = yaml.safe_load(json.dumps(yaml_parse(TEXT)))
    for template in (built, own):
        template["Parameters"].pop("Architecture")  # the build fixes it
        for resource in template["Resources"].values():
            for volatile in ("CodeUri", "ContentUri"):
                resource.get("Properties", {}).pop(volatile, None)
            resource.pop("Metadata", None)
    assert built == own


def test_the_log_group_hides_openids(resources: dict[str, Any]) -> None:
    """The log group audits and masks openids, outside the China Regions, which have no data protection."""
    condition, _, policy = resources["OrdersFunctionLogs"]["DataProtectionPolicy"]["Fn::If"]
    assert condition == "InChina"
    [identifier] = policy["Configuration"]["CustomDataIdentifier"]
    assert re.fullmatch(identifier["Regex"], "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o")
    assert {next(iter(one["Operation"])) for one in policy["Statement"]} == {"Audit", "Deidentify"}
    assert all(one["DataIdentifier"] == [identifier["Name"]] for one in policy["Statement"])


def test_every_exception_of_the_audit_has_its_reason(source: dict[str, Any]) -> None:
    """Each exception of checkov has a sentence with its reason."""
    resources = source["Resources"].values()
    skipped = [one for each in resources for one in each.get("Metadata", {}).get("checkov", {}).get("skip", [])]
    assert skipped
    assert all(re.fullmatch(r"CKV_AWS_\d+", one["id"]) and len(one["comment"]) > 20 for one in skipped)


# ---- the China regions -----------------------------------------------------------------------------------------------

UNCONDITIONAL = {  # resource type → properties that the China Regions are known to accept (docs/operate/china.md)
    "AWS::Events::Rule": {"Name", "Description", "EventBusName", "EventPattern", "Targets"},
    "AWS::SQS::Queue": {
        *("QueueName", "VisibilityTimeout", "MessageRetentionPeriod", "SqsManagedSseEnabled"),
        *("RedrivePolicy", "RedriveAllowPolicy"),
    },
    "AWS::SQS::QueuePolicy": {"Queues", "PolicyDocument"},
    "AWS::Lambda::Function": {
        *("Description", "Code", "Handler", "Runtime", "Architectures", "Layers", "Role", "MemorySize", "Timeout"),
        *("LoggingConfig", "Environment", "Tags"),
        "SnapStart",  # ApplyOn: None; the rule SnapStartIsOffered refuses the other value
    },
    "AWS::Lambda::Version": {"Description", "FunctionName"},
    "AWS::Lambda::Alias": {"Name", "FunctionName", "FunctionVersion"},
    "AWS::Lambda::LayerVersion": {
        *("Content", "Description", "LayerName", "CompatibleRuntimes", "CompatibleArchitectures"),
    },
    "AWS::Lambda::EventSourceMapping": {
        *("BatchSize", "EventSourceArn", "FunctionName", "FunctionResponseTypes", "ScalingConfig"),
        *("StartingPosition", "ParallelizationFactor", "BisectBatchOnFunctionError", "MaximumRecordAgeInSeconds"),
        *("FilterCriteria", "DestinationConfig"),  # of the outcomes' stream, which is a parameter of the deployment
    },
    "AWS::SNS::Subscription": {"TopicArn", "Protocol", "Endpoint", "RedrivePolicy"},
    "AWS::IAM::Role": {"AssumeRolePolicyDocument", "Policies", "Tags"},
    "AWS::Logs::LogGroup": {"RetentionInDays"},
    "AWS::DynamoDB::Table": {
        *("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "StreamSpecification"),
        *("PointInTimeRecoverySpecification", "SSESpecification", "DeletionProtectionEnabled"),
        "TimeToLiveSpecification",
    },
    "AWS::ApiGatewayV2::Api": {"Name", "Description", "ProtocolType", "Tags"},
    "AWS::ApiGatewayV2::Integration": {"ApiId", "IntegrationType", "IntegrationUri", "PayloadFormatVersion"},
    "AWS::ApiGatewayV2::Route": {"ApiId", "RouteKey", "Target"},
    "AWS::ApiGatewayV2::Stage": {"ApiId", "StageName", "AutoDeploy", "DefaultRouteSettings"},
    "AWS::Lambda::Permission": {
        *("Action", "FunctionName", "Principal", "SourceArn"),
        *("FunctionUrlAuthType", "InvokedViaFunctionUrl"),  # of a Function URL, which the rule refuses there
    },
    "AWS::Lambda::Url": {"AuthType", "TargetFunctionArn"},  # refused there by the rule FunctionUrlIsOffered
    "AWS::Events::Archive": {"Description", "SourceArn", "EventPattern", "RetentionDays"},
    "AWS::IAM::ManagedPolicy": {"Description", "PolicyDocument"},
    "AWS::CloudWatch::Dashboard": {"DashboardBody"},
    "AWS::Logs::QueryDefinition": {"Name", "LogGroupNames", "QueryString"},
    "AWS::CloudWatch::Alarm": {
        *("AlarmDescription", "Namespace", "MetricName", "Dimensions", "Statistic", "Period", "EvaluationPeriods"),
        *("DatapointsToAlarm", "ComparisonOperator", "Threshold", "TreatMissingData"),
    },
}


def test_properties_unknown_in_the_china_regions_are_conditional(template: dict[str, Any]) -> None:
    """A property that the China Regions may refuse has a condition, because one refusal fails the deployment."""
    for name, resource in template["Resources"].items():
        unconditional = {key for key, value in resource["Properties"].items() if not _may_be_absent(value)}
        assert unconditional <= UNCONDITIONAL[resource["Type"]], name


# ---- the second function ---------------------------------------------------------------------------------------------

OURS = "NotificationsFront"


def _with_conditions(template: dict[str, Any], values: dict[str, str]) -> dict[str, bool]:
    """Evaluate the template's conditions with these parameters, the others at their defaults."""
    parameters = {name: one.get("Default", "") for name, one in template["Parameters"].items()} | values
    parameters |= {"AWS::Partition": "aws", "AWS::Region": "us-east-1"}

    def is_true(expression: Any) -> bool:
        match expression:
            case {"Condition": str(name)}:
                return is_true(template["Conditions"][name])
            case {"Fn::Not": [inner]}:
                return not is_true(inner)
            case {"Fn::Equals": [one, other]}:
                return bool(text_of(one) == text_of(other))
        raise AssertionError(expression)

    def text_of(value: Any) -> str:
        match value:
            case {"Ref": str(name)}:
                return str(parameters[name])
            case {"Fn::Join": [separator, {"Ref": str(name)}]}:
                return str(separator.join(str(parameters[name]).split(",")))
        return str(value)

    return {name: is_true(expression) for name, expression in template["Conditions"].items()}


def _expanded(value: Any, conditions: dict[str, bool]) -> Any:
    """Return a part of a template with each `Fn::If` replaced by its branch, and without what has no value."""
    match value:
        case {"Fn::If": [str(name), yes, no]}:
            return _expanded(yes if conditions[name] else no, conditions)
        case dict():
            members = {name: _expanded(member, conditions) for name, member in value.items()}
            return {name: member for name, member in members.items() if member != NONE}
        case list():
            return [member for member in (_expanded(one, conditions) for one in value) if member != NONE]
    return value


def _created(template: dict[str, Any], **values: str) -> dict[str, Any]:
    """Return the resources and outputs that CloudFormation creates with these parameters."""
    conditions = _with_conditions(template, values)
    parts = template["Resources"] | {f"output {name}": one for name, one in template["Outputs"].items()}
    return {
        name: _expanded({key: member for key, member in one.items() if key != "Condition"}, conditions)
        for name, one in parts.items()
        if conditions.get(one.get("Condition", ""), True)
    }


def test_without_a_front_nothing_of_the_second_function_exists(template: dict[str, Any]) -> None:
    """By default no resource, output, permission or widget of the notifications exists, so that they cost nothing."""
    created = _created(template)
    assert not [name for name in created if "Notifications" in name]
    text = json.dumps({name: one for name, one in created.items() if name != "OperationsDashboard"})
    assert not re.search("Notifications|CollectedDays", text)
    [body, variables] = created["OperationsDashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    assert variables == {"NotificationsRows": "", "OutcomesRow": ""}
    assert "Notifications" not in body.replace("${NotificationsRows}", "")


@pytest.mark.parametrize(("front", "condition"), [("http-api", "HasHttpApi"), ("function-url", "HasFunctionUrl")])
def test_each_front_creates_its_own_resources(template: dict[str, Any], front: str, condition: str) -> None:
    """A front adds the function with its role, log and alarms, and its own address; it changes no other resource."""
    before, after = _created(template), _created(template, NotificationsFront=front)
    more = after.keys() - before.keys()
    outputs = {"output NotificationsUrl", "output NotificationsFunctionName"}
    assert more == CONDITIONAL["HasNotifications"] | CONDITIONAL[condition] | outputs
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"OperatorPolicy", "OperationsDashboard"}
    unresolved = {name for one in after.values() for name in _references(one)} - after.keys()
    assert unresolved <= template["Parameters"].keys() | {
        name for name in _references(after) if name.startswith("AWS::")
    } | {"mchid", "NotificationsRows", "Id", "OnBus"}


def test_the_fronts_are_throttled(template: dict[str, Any]) -> None:
    """The HTTP API limits the rate of its stage; behind a Function URL the function has a reserved concurrency."""
    by_api, by_url = (_created(template, NotificationsFront=front) for front in ("http-api", "function-url"))
    rate = {"Ref": "NotificationsRate"}
    settings = by_api["NotificationsStage"]["Properties"]["DefaultRouteSettings"]
    assert settings == {"ThrottlingRateLimit": rate, "ThrottlingBurstLimit": rate}
    concurrency = "ReservedConcurrentExecutions"
    assert concurrency not in by_api["NotificationsFunction"]["Properties"]
    assert by_url["NotificationsFunction"]["Properties"][concurrency] == {"Ref": "NotificationsConcurrency"}


def test_the_api_has_one_route_with_the_merchant_in_its_path(template: dict[str, Any]) -> None:
    """The one route takes POST with the merchant's number, in the payload format of both fronts; only it may invoke."""
    created = _created(template, NotificationsFront="http-api")
    assert created["NotificationsRoute"]["Properties"]["RouteKey"] == "POST /{mchid}"
    assert created["NotificationsIntegration"]["Properties"]["PayloadFormatVersion"] == "2.0"
    assert created["NotificationsStage"]["Properties"]["StageName"] == "$default"
    permission = created["NotificationsApiPermission"]["Properties"]
    assert permission["SourceArn"]["Fn::Sub"].endswith(":${NotificationsApi}/*/POST/{mchid}")


def test_a_function_url_is_refused_in_the_china_regions(source: dict[str, Any]) -> None:
    """A rule refuses a Function URL in the China Regions, before anything is created."""
    rule = source["Rules"]["FunctionUrlIsOffered"]
    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": OURS}, "function-url"]}
    [assertion] = rule["Assertions"]
    [[regions, region]] = [one["Fn::Contains"] for one in assertion["Assert"]["Fn::Not"]]
    assert (regions, region) == (["cn-north-1", "cn-northwest-1"], {"Ref": "AWS::Region"})
    assert source["Parameters"][OURS]["Default"] == "none"


def test_the_second_function_may_do_what_it_does_and_nothing_else(resources: dict[str, Any]) -> None:
    """Its role reads and writes orders, reads secrets and writes its log: no queue, no circuit breaker, no delete."""
    role = resources["NotificationsRole"]
    assert "ManagedPolicyArns" not in role
    [policy] = role["Policies"]
    granted = {one["Sid"]: one for one in policy["PolicyDocument"]["Statement"] if "Sid" in one}
    assert {sid: one["Action"] for sid, one in granted.items()} == {
        "KeepOrders": ["dynamodb:BatchGetItem", "dynamodb:PartiQLInsert", "dynamodb:PutItem"],
        "VerifyForMerchants": "secretsmanager:GetSecretValue",
        "WriteOwnLog": ["logs:CreateLogStream", "logs:PutLogEvents"],
    }
    keys = granted["KeepOrders"]["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
    assert any(fnmatchcase("1230000109#A1", key) for key in keys)
    assert not any(fnmatchcase("CIRCUIT#wechat-pay", key) for key in keys)
    assert granted["VerifyForMerchants"]["Resource"]["Fn::Sub"].endswith(":secret:${MerchantSecretPrefix}/*")


def test_the_environment_of_the_second_function_is_what_its_settings_read(resources: dict[str, Any]) -> None:
    """Its environment has the variables that its `settings` and Powertools read, and no others."""
    variables = resources["NotificationsFunction"]["Environment"]["Variables"]
    settings = (ROOT / "functions/notifications/settings.py").read_text(encoding="utf-8")
    read = set(re.findall(r'"([A-Z]+(?:_[A-Z]+)+)"', settings)) - {"AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"}
    powertools = {"POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE", "POWERTOOLS_LOG_LEVEL"}
    assert set(variables) == read | powertools | {"AWS_ENDPOINT_URL"}
    first = resources["OrdersFunction"]["Environment"]["Variables"]
    for name in powertools | {"ORDERS_TABLE", "MERCHANT_SECRET_PREFIX", "WECHATPAY_BASE_URL"}:
        assert variables[name] == first[name]


def test_wechat_pay_has_its_answer_within_five_seconds(source: dict[str, Any], resources: dict[str, Any]) -> None:
    """By default the function ends after the five seconds that WeChat Pay waits, and knows this limit."""
    function = resources["NotificationsFunction"]
    limit = {"Ref": "NotificationsTimeout"}
    assert function["Timeout"] == function["Environment"]["Variables"]["ANSWER_WITHIN"] == limit
    assert source["Parameters"]["NotificationsTimeout"]["Default"] == 5


@pytest.mark.parametrize("other", ["NotificationsFunction", "OutcomesFunction"])
def test_the_functions_have_the_same_code(source: dict[str, Any], other: str) -> None:
    """The functions have one package and one layer, so that all follow the same rules; the build keeps one copy."""
    first, second = (source["Resources"][name]["Properties"] for name in ("OrdersFunction", other))
    for name in ("CodeUri", "Runtime", "Architectures", "Layers", "MemorySize"):
        assert first[name] == second[name]
    built = yaml_parse((BUILD / "template.yaml").read_text(encoding="utf-8"))["Resources"]
    assert built[other]["Properties"]["CodeUri"] == "OrdersFunction"
    assert not (BUILD / other).exists()


def test_without_the_parameter_no_outcome_costs_anything(template: dict[str, Any]) -> None:
    """By default nothing of the outcome events is created."""
    assert {name for name in _created(template) if "Outcome" in name} == set()
    assert set(_created(template, OutcomeEvents="yes")) > THIRD


def test_the_outcomes_of_an_order_stay_in_order(template: dict[str, Any]) -> None:
    """The mapping reads every change of an outcome from the start, in order, and keeps what it gives up."""
    mapping = template["Resources"]["OutcomesFunctionOutcomes"]["Properties"]
    assert mapping["EventSourceArn"] == {"Fn::GetAtt": ["OrdersTable", "StreamArn"]}
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert (mapping["StartingPosition"], mapping["MaximumRecordAgeInSeconds"]) == ("TRIM_HORIZON", 23 * 3600)
    assert mapping["DestinationConfig"] == {
        "OnFailure": {"Destination": {"Fn::GetAtt": ["UndeliveredOutcomes", "Arn"]}}
    }
    [pattern] = [json.loads(one["Pattern"]) for one in mapping["FilterCriteria"]["Filters"]]
    assert set(pattern["dynamodb"]["NewImage"]["status"]["S"]) == {one.value for one in ANNOUNCED}


SAVED_QUERIES = {name for name, _ in NAMED if name.endswith("Query")}
CONDITIONAL = {  # condition → the resources that exist only with it
    "HasArchive": {"OrderArchive"},
    "HasDashboard": {"OperationsDashboard"},
    "HasNotifications": {"NotificationsFunction", "NotificationsRole", "NotificationsLogs", *SECOND},
    "HasOrderTopic": {"OrderTopicSubscription"},
    "HasOutcomes": {
        *("OutcomesFunction", "OutcomesFunctionOutcomes", "OutcomesFunctionRole", "OutcomesFunctionLogs"),
        *("UndeliveredOutcomes", "UndeliveredOutcomesPolicy", *THIRD),
    },
    "HasHttpApi": {
        *("NotificationsApi", "NotificationsIntegration", "NotificationsRoute", "NotificationsStage"),
        "NotificationsApiPermission",
    },
    "HasFunctionUrl": {
        *("NotificationsFunctionUrl", "NotificationsUrlPermission", "NotificationsUrlInvokePermission"),
    },
    "MovesInSteps": {"PreTrafficFunction", "PreTrafficRole", "CodeDeployRole", *ROLLBACK},
    "OnAws": SAVED_QUERIES,  # the embedded AWS has no such type
}


def test_few_resources_depend_on_a_condition(template: dict[str, Any]) -> None:
    """The sandbox lacks the saved queries only; the other conditions are parameters of the deployment."""
    conditional: dict[str, set[str]] = {}
    for name, resource in template["Resources"].items():
        if "Condition" in resource:
            conditional.setdefault(resource["Condition"], set()).add(name)
    assert conditional == CONDITIONAL
    assert template["Conditions"]["OnAws"] == {"Fn::Not": [{"Condition": "InSandbox"}]}


def _may_be_absent(value: Any) -> bool:
    return isinstance(value, dict) and NONE in value.get("Fn::If", [])


def test_china_has_a_page_row_by_row() -> None:
    """The page on China has each resource type of the template, and the features that are missing there."""
    page = (ROOT / "docs/operate/china.md").read_text(encoding="utf-8")
    for resource_type in UNCONDITIONAL:
        assert f"`{resource_type}`" in page
    for word in (
        "SnapStart",
        "Function URL",
        "X-Ray",
        "redrive",
        "recursive",
        "ICP",
        "documented",
        "inferred",
        "unknown",
    ):
        assert word in page


def test_snap_start_is_refused_in_regions_without_it(source: dict[str, Any]) -> None:
    """A rule refuses SnapStart in the four Regions without it, before anything is created."""
    rule = source["Rules"]["SnapStartIsOffered"]
    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "SnapStart"}, "PublishedVersions"]}
    [assertion] = rule["Assertions"]
    [[regions, region]] = [one["Fn::Contains"] for one in assertion["Assert"]["Fn::Not"]]
    assert region == {"Ref": "AWS::Region"}
    assert regions == ["cn-north-1", "cn-northwest-1", "ap-east-2", "ap-southeast-6"]


def test_a_kms_key_and_a_permissions_boundary_are_optional(resources: dict[str, Any]) -> None:
    """The parameters for a KMS key and a permissions boundary apply to all resources, and are empty by default."""
    key = {"Fn::If": ["HasKmsKey", {"Ref": "KmsKeyArn"}, NONE]}
    assert resources["OrdersTable"]["SSESpecification"]["KMSMasterKeyId"] == key
    assert resources["OrdersFunctionLogs"]["KmsKeyId"] == key
    boundary = {"Fn::If": ["HasPermissionsBoundary", {"Ref": "PermissionsBoundaryArn"}, NONE]}
    for role in ("OrdersFunctionRole", "PreTrafficRole", "CodeDeployRole", "NotificationsRole"):
        assert resources[role]["PermissionsBoundary"] == boundary

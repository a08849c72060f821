"""What CloudFormation gets: the template as the official translator writes it, for `aws` and for `aws-cn`."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "template.yaml").read_text(encoding="utf-8")
BUILD = ROOT / ".aws-sam/sandbox"


@pytest.fixture(scope="module", params=["us-east-1", "cn-north-1"])
def template(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The translated template, in a region of either partition."""
    source = yaml_parse(TEXT)
    for resource in source["Resources"].values():
        for uri in ("CodeUri", "ContentUri"):
            if uri in resource.get("Properties", {}):
                resource["Properties"][uri] = "s3://bucket/code.zip"
    defaults = {name: parameter.get("Default", "") for name, parameter in source["Parameters"].items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", request.param)
        translated: dict[str, Any] = Translator({}, Parser()).translate(source, defaults)
    return translated


@pytest.fixture(scope="module")
def resources(template: dict[str, Any]) -> dict[str, Any]:
    """Its resources by name, properties only."""
    return {name: resource.get("Properties", {}) for name, resource in template["Resources"].items()}


@pytest.fixture(scope="module")
def source() -> dict[str, Any]:
    """The template as it stands in the repository."""
    parsed: dict[str, Any] = yaml_parse(TEXT)
    return parsed


def test_the_rule_takes_paid_orders_of_the_tills_to_the_queue(resources: dict[str, Any]) -> None:
    """By the prefix of the source and the detail-type; what cannot be delivered is kept."""
    rule = resources["OrderRule"]
    assert rule["EventPattern"] == {"source": [{"prefix": {"Ref": "EventSourcePrefix"}}], "detail-type": ["Order_Paid"]}
    assert rule["EventBusName"] == {"Ref": "EventBusName"}
    [target] = rule["Targets"]
    assert target["Arn"] == {"Fn::GetAtt": ["OrderQueue", "Arn"]}
    assert target["DeadLetterConfig"]["Arn"] == {"Fn::GetAtt": ["UndeliveredEvents", "Arn"]}
    assert "InputPath" not in target
    assert "InputTransformer" not in target


def test_sqs_itself_moves_the_dead_letters(resources: dict[str, Any]) -> None:
    """The queue's redrive policy, nobody else; dead letters live as long as SQS allows, and know their source."""
    redrive = resources["OrderQueue"]["RedrivePolicy"]
    assert redrive["deadLetterTargetArn"] == {"Fn::GetAtt": ["DeadLetters", "Arn"]}
    assert redrive["maxReceiveCount"] == {"Ref": "MaxReceiveCount"}
    letters = resources["DeadLetters"]
    assert letters["MessageRetentionPeriod"] == 14 * 24 * 3600
    assert letters["RedriveAllowPolicy"]["redrivePermission"] == "byQueue"
    assert "${AWS::StackName}-OrderQueue" in json.dumps(letters["RedriveAllowPolicy"]["sourceQueueArns"])
    assert resources["OrderQueue"]["QueueName"] == {"Fn::Sub": "${AWS::StackName}-OrderQueue"}
    function = resources["OrdersFunction"]
    assert "DeadLetterConfig" not in function


def test_a_message_stays_hidden_six_times_as_long_as_the_function_may_run(resources: dict[str, Any]) -> None:
    """AWS's advice for event source mappings."""
    assert resources["OrderQueue"]["VisibilityTimeout"] == 6 * resources["OrdersFunction"]["Timeout"]


def test_one_call_fits_into_the_functions_time(source: dict[str, Any], resources: dict[str, Any]) -> None:
    """At the largest values of the parameters: both hosts' connecting, one answer, and two seconds to write it down."""
    parameters = source["Parameters"]
    longest = 2 * parameters["HttpConnectTimeout"]["MaxValue"] + parameters["HttpReadTimeout"]["MaxValue"] + 2
    assert longest < resources["OrdersFunction"]["Timeout"]


@pytest.mark.parametrize("queue", ["OrderQueue", "DeadLetters", "UndeliveredEvents"])
def test_every_queue_is_encrypted_and_refuses_plain_http(resources: dict[str, Any], queue: str) -> None:
    """By a policy that denies whatever comes without TLS."""
    assert resources[queue]["SqsManagedSseEnabled"] is True
    [denial] = [one for one in _statements(resources, queue) if one.get("Effect") == "Deny"]
    assert denial["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert (denial["Principal"], denial["Action"]) == ("*", "sqs:*")


def test_only_the_rule_and_named_accounts_may_send(resources: dict[str, Any]) -> None:
    """The rule is bound by its ARN; other accounts come in by parameter; own producers by their IAM."""
    allowed = [one for one in _statements(resources, "OrderQueue") if one.get("Effect") == "Allow"]
    [rule] = allowed
    assert rule["Principal"] == {"Service": "events.amazonaws.com"}
    assert rule["Condition"] == {"ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": ["OrderRule", "Arn"]}}}
    [others] = [one["Fn::If"] for one in _statements(resources, "OrderQueue") if "Fn::If" in one]
    assert others[0] == "HasProducerAccounts"
    assert (others[1]["Action"], others[1]["Principal"]) == ("sqs:SendMessage", {"AWS": {"Ref": "ProducerAccounts"}})
    assert others[2] == {"Ref": "AWS::NoValue"}


def _statements(resources: dict[str, Any], queue: str) -> list[dict[str, Any]]:
    statements: list[dict[str, Any]] = resources[f"{queue}Policy"]["PolicyDocument"]["Statement"]
    assert resources[f"{queue}Policy"]["Queues"] == [{"Ref": queue}]
    return statements


def test_a_batch_may_fail_in_part_and_the_function_is_bounded(template: dict[str, Any]) -> None:
    """ReportBatchItemFailures, and a limit to the calls in flight at WeChat Pay."""
    [mapping] = [one for one in template["Resources"].values() if one["Type"] == "AWS::Lambda::EventSourceMapping"]
    properties = mapping["Properties"]
    assert properties["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert properties["ScalingConfig"] == {"MaximumConcurrency": {"Ref": "MaximumConcurrency"}}
    assert properties["BatchSize"] == {"Ref": "BatchSize"}
    assert properties["EventSourceArn"] == {"Fn::GetAtt": ["OrderQueue", "Arn"]}


def test_the_function_may_do_what_it_does_and_nothing_else(resources: dict[str, Any]) -> None:
    """Each action by name, each on one resource; no managed policy."""
    role = resources["OrdersFunctionRole"]
    assert "ManagedPolicyArns" not in role
    [policy] = role["Policies"]
    granted = {one["Sid"]: one for one in policy["PolicyDocument"]["Statement"]}
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
    """The same template in the China regions."""
    assert "arn:aws:" not in json.dumps(template["Resources"])
    assert "amazonaws.com.cn" not in json.dumps(template["Resources"])


def test_the_environment_is_what_settings_reads(resources: dict[str, Any]) -> None:
    """No variable that nobody reads, none missing; no secret among them."""
    variables = set(resources["OrdersFunction"]["Environment"]["Variables"])
    settings = (ROOT / "functions/orders/settings.py").read_text(encoding="utf-8")
    read = set(re.findall(r'"([A-Z]+(?:_[A-Z]+)+)"', settings))
    powertools = {"POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE", "POWERTOOLS_LOG_LEVEL"}
    users = {"AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"}  # boto3's own names, for whoever must add them
    assert variables == read - users | powertools
    endpoint = resources["OrdersFunction"]["Environment"]["Variables"]["AWS_ENDPOINT_URL"]
    assert endpoint == {"Fn::If": ["InSandbox", {"Ref": "AwsEndpointUrl"}, {"Ref": "AWS::NoValue"}]}


def test_the_function_runs_what_is_tested(resources: dict[str, Any]) -> None:
    """Python 3.13, arm64 unless a parameter says otherwise, the layer with the library."""
    function = resources["OrdersFunction"]
    assert (function["Runtime"], function["Handler"]) == ("python3.13", "orders.handler.lambda_handler")
    assert function["Architectures"] == [{"Ref": "Architecture"}]
    [layer] = function["Layers"]
    assert "WeChatPayLayer" in json.dumps(layer)
    assert (ROOT / ".python-version").read_text().strip() == "3.13"


def test_the_table_keeps_orders_for_good(template: dict[str, Any]) -> None:
    """On demand, restorable to any second, protected from deletion, nothing expires; a sparse index for operators."""
    table = template["Resources"]["OrdersTable"]
    properties = table["Properties"]
    assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert properties["DeletionProtectionEnabled"] is True
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert "TimeToLiveSpecification" not in properties
    assert properties["KeySchema"] == [{"AttributeName": "pk", "KeyType": "HASH"}]
    [index] = properties["GlobalSecondaryIndexes"]
    assert index["IndexName"] == "attention"
    assert [key["AttributeName"] for key in index["KeySchema"]] == ["attention", "updated_at"]


def test_what_holds_messages_outlives_the_stack(template: dict[str, Any]) -> None:
    """Deleting the stack deletes no dead letter."""
    for name in ("DeadLetters", "UndeliveredEvents"):
        assert template["Resources"][name]["DeletionPolicy"] == "Retain"


ALARMS = {
    "DeadLettersAlarm": ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum"),
    "UndeliveredEventsAlarm": ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum"),
    "OrderAgeAlarm": ("AWS/SQS", "ApproximateAgeOfOldestMessage", "Maximum"),
    "InFlightAlarm": ("AWS/SQS", "ApproximateNumberOfMessagesNotVisible", "Maximum"),
    "ErrorsAlarm": ("AWS/Lambda", "Errors", "Sum"),
    "PaidByWeChatAlarm": ("WeChatPayScore", "PaidByWeChat", "Sum"),
    "CircuitAlarm": ("WeChatPayScore", "CircuitOpened", "Sum"),
    "SignatureRefusedAlarm": ("WeChatPayScore", "SignatureRefused", "Sum"),
    "UnknownWordAlarm": ("WeChatPayScore", "UnknownWord", "Sum"),
}


def test_the_alarms_watch_metrics_that_exist(template: dict[str, Any]) -> None:
    """AWS's own by name and dimension; ours by what the handler counts, in the namespace that the environment sets."""
    alarms = {name: one["Properties"] for name, one in template["Resources"].items() if one["Type"].endswith("::Alarm")}
    seen = {name: (one["Namespace"], one["MetricName"], one["Statistic"]) for name, one in alarms.items()}
    assert seen == ALARMS
    handler = (ROOT / "functions/orders/handler.py").read_text(encoding="utf-8")
    variables = template["Resources"]["OrdersFunction"]["Properties"]["Environment"]["Variables"]
    for name, alarm in alarms.items():
        assert alarm["TreatMissingData"] == "notBreaching"
        assert alarm["AlarmActions"] == {
            "Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}], {"Ref": "AWS::NoValue"}]
        }
        assert alarm["AlarmDescription"].strip()
        if alarm["Namespace"] == "WeChatPayScore":
            assert f'_count("{alarm["MetricName"]}")' in handler, name
            assert alarm["Namespace"] == variables["POWERTOOLS_METRICS_NAMESPACE"]
            assert alarm["Dimensions"] == [{"Name": "service", "Value": variables["POWERTOOLS_SERVICE_NAME"]}]


def test_every_alarm_is_in_the_runbook() -> None:
    """Whoever is called finds the page."""
    runbook = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
    assert [alarm for alarm in ALARMS if f"## {alarm}" not in runbook] == []


def test_every_parameter_is_described_and_used(source: dict[str, Any]) -> None:
    """A setting that does nothing, or that nobody explains, misleads."""
    rest = TEXT.partition("\nConditions:")[2]
    for name, parameter in source["Parameters"].items():
        assert parameter["Description"]
        assert re.search(rf"\b{name}\b", rest), name


def test_what_ships_is_what_is_tested() -> None:
    """One version of each dependency, everywhere it is pinned."""
    tested = _pins(ROOT / "requirements.lock")
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


def test_the_package_holds_only_what_ships() -> None:
    """`sam build`, as `make test` runs it first: our modules and the pinned dependencies, no tests, no tools."""
    function, layer = BUILD / "OrdersFunction", BUILD / "WeChatPayLayer/python"
    ours = {path.name for path in (ROOT / "functions/orders").iterdir()} | {"__pycache__"}
    assert {path.name for path in (function / "orders").iterdir()} == ours
    library = {path.name for path in (ROOT / "layers/wechatpay/python/wechatpay").iterdir()} | {"__pycache__"}
    assert {path.name for path in (layer / "wechatpay").iterdir()} == library
    shipped = {path.name.partition("-")[0].lower() for path in BUILD.rglob("*.dist-info")}
    pinned = {name.replace("-", "_") for name in _shipped_pins()}
    assert shipped == pinned
    for name in ("pytest", "mypy", "ministack", "sandbox", "ops", "tests"):
        assert not (function / name).exists()
        assert not (layer / name).exists()


def _shipped_pins() -> set[str]:
    paths = ("functions/requirements.txt", "layers/wechatpay/python/requirements.txt")
    return {name for path in paths for name in _pins(ROOT / path)}


def test_the_package_stands_alone() -> None:
    """The built function and layer import with nothing else on the path, as in /var/task and /opt/python."""
    folders = [str(BUILD / "OrdersFunction"), str(BUILD / "WeChatPayLayer/python")]
    names = ["orders.relay", "orders.merchants", "orders.table", "wechatpay", "boto3", "requests", "cryptography"]
    places = f"print(*(sys.modules[name].__file__ for name in {names!r}))"
    code = f"import sys; sys.path[:0] = {folders!r}; import {', '.join(names)}; {places}"
    run = subprocess.run([sys.executable, "-IBS", "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.count(str(BUILD)) == len(names)


def test_samconfig_asks_before_it_changes() -> None:
    """`make deploy` shows the change set first, and asks for no right beyond one unnamed role."""
    import tomllib

    deploy = tomllib.loads((ROOT / "samconfig.toml").read_text())["default"]["deploy"]["parameters"]
    assert deploy["confirm_changeset"] is True
    assert deploy["capabilities"] == "CAPABILITY_IAM"


def test_the_built_template_is_this_template() -> None:
    """What the sandbox deploys differs from the repository's by where the code lies, and by the processor."""
    built = yaml.safe_load(json.dumps(yaml_parse((BUILD / "template.yaml").read_text(encoding="utf-8"))))
    own = yaml.safe_load(json.dumps(yaml_parse(TEXT)))
    for template in (built, own):
        template["Parameters"].pop("Architecture")  # which the build fixes
        for resource in template["Resources"].values():
            for volatile in ("CodeUri", "ContentUri"):
                resource.get("Properties", {}).pop(volatile, None)
            resource.pop("Metadata", None)
    assert built == own


def test_the_log_group_hides_openids(resources: dict[str, Any]) -> None:
    """Found and masked alike, outside the China regions, which have no data protection."""
    condition, _, policy = resources["OrdersFunctionLogs"]["DataProtectionPolicy"]["Fn::If"]
    assert condition == "InChina"
    [identifier] = policy["Configuration"]["CustomDataIdentifier"]
    assert re.fullmatch(identifier["Regex"], "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o")
    assert {next(iter(one["Operation"])) for one in policy["Statement"]} == {"Audit", "Deidentify"}
    assert all(one["DataIdentifier"] == [identifier["Name"]] for one in policy["Statement"])


def test_every_exception_of_the_audit_has_its_reason(source: dict[str, Any]) -> None:
    """One sentence beside the resource."""
    resources = source["Resources"].values()
    skipped = [one for each in resources for one in each.get("Metadata", {}).get("checkov", {}).get("skip", [])]
    assert skipped
    assert all(re.fullmatch(r"CKV_AWS_\d+", one["id"]) and len(one["comment"]) > 20 for one in skipped)

"""Repeated deployments with `sam deploy` to the embedded AWS: the mapping invokes what was deployed last."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from samtranslator.yaml_helper import yaml_parse

from ops.__main__ import main
from ops.stack import Deployment, OpsError
from sandbox.cloud import Cloud, CloudError
from sandbox.testbed import BUILD, MERCHANT

ROOT = Path(__file__).parents[1]
SAM = ROOT / ".venv-sam/bin/sam"
STACK = "two-steps"
LONG_NAME = "a" * 128  # the maximum of CloudFormation


@dataclass(frozen=True)
class Account:
    """An AWS account with a bucket for code and a copy of the build, which tests may change."""

    cloud: Cloud
    build: Path

    def deploy(self, stack: str = STACK, **parameters: str) -> "subprocess.CompletedProcess[str]":
        """Run `sam deploy` as in the README, with options instead of questions."""
        overrides = {"AwsEndpointUrl": self.cloud.endpoint_url, **parameters}
        command = [
            *(str(SAM), "deploy", "--template-file", "template.yaml", "--stack-name", stack, "--s3-bucket", "code"),
            *("--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset", "--no-progressbar"),
            *("--parameter-overrides", *(f"{name}={value}" for name, value in overrides.items())),
        ]
        return subprocess.run(
            command, env=self._environment(), cwd=self.build, capture_output=True, text=True, check=False
        )

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SAM_CLI_"))}
        return inherited | {
            "AWS_ENDPOINT_URL": self.cloud.endpoint_url,
            "AWS_ACCESS_KEY_ID": "sandbox",
            "AWS_SECRET_ACCESS_KEY": "sandbox",
            "AWS_DEFAULT_REGION": "us-east-1",
            "SAM_CLI_TELEMETRY": "0",
            "SAM_CLI_POLL_DELAY": "0.2",  # seconds between two requests for the state of the stack
        }

    def configuration(self) -> dict[str, Any]:
        """Return the configuration of the version that the event source mapping invokes."""
        functions = self.cloud.client("lambda")
        [mapping] = [
            one
            for one in functions.list_event_source_mappings()["EventSourceMappings"]
            if f":{STACK}-" in one["FunctionArn"]
        ]
        configuration: dict[str, Any] = functions.get_function_configuration(FunctionName=mapping["FunctionArn"])
        return configuration

    def variables(self) -> Mapping[str, str]:
        """Return the environment variables of that version."""
        variables: Mapping[str, str] = self.configuration()["Environment"]["Variables"]
        return variables


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """An account to which the template has been deployed once."""
    directory = tmp_path_factory.mktemp("account")
    shutil.copytree(BUILD, directory / "build")
    with Cloud.start(directory / "aws") as cloud:
        cloud.client("s3").create_bucket(Bucket="code")
        account = Account(cloud, directory / "build")
        run = account.deploy()
        assert run.returncode == 0, run.stdout + run.stderr
        yield account


@pytest.fixture
def first(account: Account) -> dict[str, Any]:
    """The configuration that the mapping invokes before a test deploys again."""
    return account.configuration()


CHANGES = {  # parameter → new value, the variable that depends on it, the variable's new value
    "MerchantSecretPrefix": ("others", "MERCHANT_SECRET_PREFIX", "others"),
    "WeChatPayBaseUrl": ("https://egress.example", "WECHATPAY_BASE_URL", "https://egress.example"),
    "WeChatPayBackupUrl": ("https://egress2.example", "WECHATPAY_BACKUP_URL", "https://egress2.example"),
    "HttpConnectTimeout": ("2", "WECHATPAY_TIMEOUT", "2,5"),
    "HttpReadTimeout": ("5", "WECHATPAY_TIMEOUT", "2,5"),
    "BackoffCap": ("600", "BACKOFF_CAP", "600"),
    "MaxReceiveCount": ("20", "MAX_RECEIVE_COUNT", "20"),
    "RetryScale": ("0.5", "RETRY_SCALE", "0.5"),
    "LogLevel": ("DEBUG", "POWERTOOLS_LOG_LEVEL", "DEBUG"),
}


def test_changed_parameters_reach_the_version_that_the_mapping_invokes(account: Account, first: dict[str, Any]) -> None:
    """A deployment that changes parameters only publishes a version with all new values."""
    run = account.deploy(**{name: value for name, (value, _, _) in CHANGES.items()}, MemorySize="1024")
    assert run.returncode == 0, run.stdout + run.stderr
    configuration = account.configuration()
    assert configuration["Version"] != first["Version"]
    assert configuration["MemorySize"] == 1024
    variables = {variable: account.variables()[variable] for _, variable, _ in CHANGES.values()}
    assert variables == {variable: text for _, variable, text in CHANGES.values()}


@dataclass(frozen=True)
class QuickAccount:
    """An account that deploys without `sam deploy`, for many changes: CloudFormation gets what `sam package` sends."""

    cloud: Cloud
    build: Path
    parameters: dict[str, str]

    def deploy(self, **parameters: str) -> dict[str, Any]:
        """Deploy with these parameters and all earlier ones; return the configuration that the mapping invokes."""
        self.cloud.deploy(self.parameters | parameters, self.build)
        self.parameters.update(parameters)
        return self.configuration()

    def configuration(self) -> dict[str, Any]:
        """Return the configuration of the version that the event source mapping invokes."""
        functions = self.cloud.client("lambda")
        [mapping] = functions.list_event_source_mappings()["EventSourceMappings"]
        configuration: dict[str, Any] = functions.get_function_configuration(FunctionName=mapping["FunctionArn"])
        return configuration


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QuickAccount]:
    """An account to which the template has been deployed once."""
    directory = tmp_path_factory.mktemp("quick")
    shutil.copytree(BUILD, directory / "build")
    with Cloud.start(directory / "aws") as cloud:
        quick = QuickAccount(cloud, directory / "build", {})
        quick.deploy()
        yield quick


@pytest.mark.parametrize("parameter", [name for name in CHANGES if name != "HttpConnectTimeout"])
def test_one_changed_parameter_publishes_a_version(quick: QuickAccount, parameter: str) -> None:
    """Each parameter, changed alone, publishes a version with its new value."""
    value, variable, _ = CHANGES[parameter]
    before = quick.configuration()
    after = quick.deploy(**{parameter: value})
    assert after["Version"] != before["Version"]
    assert after["Environment"]["Variables"][variable].endswith(value)


def test_changed_code_of_layer_or_function_is_deployed(quick: QuickAccount) -> None:
    """A change of the layer's or the function's code alone is deployed, without a changed parameter."""
    before = quick.configuration()
    _touch(quick.build / "WeChatPayLayer/python/wechatpay/__init__.py")
    layer_changed = quick.deploy()
    assert layer_changed["Layers"] != before["Layers"]
    assert layer_changed["CodeSha256"] == before["CodeSha256"]
    _touch(quick.build / "OrdersFunction/orders/__init__.py")
    assert quick.deploy()["CodeSha256"] != before["CodeSha256"]


def _touch(module: Path) -> None:
    module.write_text(module.read_text(encoding="utf-8") + "\n# changed\n", encoding="utf-8")


def test_another_architecture_than_the_builds_is_refused_before_anything_changes(quick: QuickAccount) -> None:
    """The built template allows only the architecture of its binaries; CloudFormation refuses the other one."""
    before = quick.configuration()
    other = "x86_64" if before["Architectures"] == ["arm64"] else "arm64"
    with pytest.raises(CloudError, match="AllowedValues"):
        quick.deploy(Architecture=other)
    assert quick.configuration()["Version"] == before["Version"]


def test_snap_start_is_refused_if_the_region_lacks_it(quick: QuickAccount) -> None:
    """SnapStart is refused in a China Region before anything changes; elsewhere it is applied to the version."""
    assert quick.deploy(SnapStart="PublishedVersions")["SnapStart"]["ApplyOn"] == "PublishedVersions"
    template = json.loads(json.dumps(yaml_parse((BUILD / "template.yaml").read_text(encoding="utf-8"))))
    china = boto3.Session("sandbox", "sandbox", region_name="cn-north-1").client(
        "cloudformation", endpoint_url=quick.cloud.endpoint_url
    )
    with pytest.raises(ClientError, match="no SnapStart for Python"):
        china.create_stack(
            StackName="china",
            TemplateBody=json.dumps({name: template[name] for name in ("Parameters", "Rules")} | {"Resources": WAIT}),
            Parameters=[{"ParameterKey": "SnapStart", "ParameterValue": "PublishedVersions"}],
        )


WAIT = {"Nothing": {"Type": "AWS::CloudFormation::WaitConditionHandle"}}


def test_queues_and_table_outlive_the_stack_and_ops_reaches_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After `sam delete`, the three queues and the table exist, and `ops` reaches them by their names.

    The stack has the longest name that CloudFormation accepts.
    """
    with Cloud.start(tmp_path) as cloud:
        outputs = cloud.deploy({}, BUILD, LONG_NAME).outputs
        stacks = cloud.client("cloudformation")
        stacks.delete_stack(StackName=LONG_NAME)
        stacks.get_waiter("stack_delete_complete").wait(
            StackName=LONG_NAME, WaiterConfig={"Delay": 1, "MaxAttempts": 120}
        )
        queues, sqs = ("OrderQueueUrl", "DeadLettersUrl", "UndeliveredEventsUrl"), cloud.client("sqs")
        assert {outputs[name] for name in queues} <= set(sqs.list_queues()["QueueUrls"])
        sqs.send_message(QueueUrl=outputs["DeadLettersUrl"], MessageBody="no payload")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "sandbox")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        options = [
            *("--endpoint-url", cloud.endpoint_url, "--table-name", outputs["OrdersTableName"]),
            *("--queue-url", outputs["OrderQueueUrl"], "--dead-letters-url", outputs["DeadLettersUrl"]),
        ]
        assert main([*options, "dead-letters", "list"]) == 0
        assert "1 dead letter(s)" in capsys.readouterr().out
        assert main([*options, "order", "show", MERCHANT, "NEVER"]) == 1
        assert f"no item {MERCHANT}#NEVER" in capsys.readouterr().err
        names = {name: outputs[name] for name in ("OrderQueueUrl", "DeadLettersUrl")}
        deployment = Deployment.find(None, endpoint_url=cloud.endpoint_url, overrides=names)
        arns = {"SourceArn": outputs["DeadLettersArn"], "DestinationArn": outputs["OrderQueueArn"]}
        assert deployment.redrive == arns  # the queue's original source has no function any more
        with pytest.raises(OpsError, match="--table-name"):
            deployment.table  # noqa: B018  reading the property raises
        second = cloud.deploy({}, BUILD, LONG_NAME).outputs  # the old queue does not prevent it
        assert second["OrderQueueUrl"] != outputs["OrderQueueUrl"]


def test_a_first_deployment_that_fails_leaves_no_queue(tmp_path: Path) -> None:
    """After a failed first deployment only the table exists, because of its deletion protection."""
    build = tmp_path / "build"
    build.mkdir()
    for name in ("OrdersFunction", "WeChatPayLayer"):
        (build / name).symlink_to(BUILD / name)
    template = json.loads(json.dumps(yaml_parse((BUILD / "template.yaml").read_text(encoding="utf-8"))))
    resources = template["Resources"]
    resources["Last"] = {  # created last; the embedded AWS cannot create it
        "Type": "AWS::CloudWatch::Alarm",
        "DependsOn": [name for name, resource in resources.items() if "Serverless" not in resource["Type"]],
        "Properties": {"Metrics": [{"Id": "none", "Expression": "1"}]},
    }
    (build / "template.yaml").write_text(json.dumps(template), encoding="utf-8")
    with Cloud.start(tmp_path / "aws") as cloud:
        with pytest.raises(CloudError, match="Last"):
            cloud.deploy({}, build=build)
        assert cloud.client("sqs").list_queues().get("QueueUrls", []) == []
        assert len(cloud.client("dynamodb").list_tables()["TableNames"]) == 1

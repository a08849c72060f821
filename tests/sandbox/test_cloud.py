"""The embedded AWS deploys the whole template, listens on loopback alone, and leaves nothing behind."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from sandbox.cloud import Cloud, CloudError
from sandbox.testbed import BUILD, Testbed
from tests.test_template import CONDITIONAL


@pytest.fixture
def declared() -> dict[str, Any]:
    """The template's resources."""
    resources: dict[str, Any] = yaml_parse((BUILD / "template.yaml").read_text(encoding="utf-8"))["Resources"]
    return resources


def test_every_resource_of_the_template_is_deployed(world: Testbed, declared: dict[str, Any]) -> None:
    """Every resource that the template declares is deployed, but for what a default or this AWS leaves out."""
    resources = world.cloud.client("cloudformation").describe_stack_resources(StackName="sandbox")["StackResources"]
    deployed = [resource["LogicalResourceId"] for resource in resources]
    absent = {name for name in declared if not any(one.startswith(name) for one in deployed)}
    left_out = (
        "MovesInSteps",
        "OnAws",
        "HasArchive",
        "HasNotifications",
        "HasHttpApi",
        "HasFunctionUrl",
        "HasOutcomes",
    )
    assert absent == {name for condition in left_out for name in CONDITIONAL[condition]} & set(declared)
    assert "OperationsDashboard" in deployed


def test_every_output_names_something(world: Testbed) -> None:
    """The stack has the documented outputs, and the table that one of them names exists."""
    outputs = world.stack.outputs
    assert set(outputs) >= {"OrderQueueUrl", "DeadLettersUrl", "OrdersTableName", "OrdersFunctionName", "EventBusName"}
    assert world.cloud.client("dynamodb").describe_table(TableName=outputs["OrdersTableName"])["Table"]


def test_the_alarms_are_there(world: Testbed) -> None:
    """The template's alarms are created, although this AWS never evaluates them."""
    names = [alarm["MetricName"] for alarm in world.cloud.client("cloudwatch").describe_alarms()["MetricAlarms"]]
    assert {"PaidByWeChat", "SignatureRefused", "ApproximateAgeOfOldestMessage", "Errors", "Failing"} <= set(names)


def test_it_listens_on_loopback_alone(world: Testbed) -> None:
    """The embedded AWS accepts no connection on another address of this machine than loopback."""
    port = int(world.cloud.endpoint_url.rpartition(":")[2])
    own_addresses = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    for address in own_addresses - {"127.0.0.1"}:
        with socket.socket() as attempt:
            attempt.settimeout(1)  # an address that drops packets counts as refusing them
            assert attempt.connect_ex((str(address), port)) != 0


def test_it_ends_with_its_block(tmp_path: Path) -> None:
    """The embedded AWS and its workers end with the block, also where the block fails."""
    process = 0
    with pytest.raises(RuntimeError), Cloud.start(tmp_path) as cloud:  # noqa: PT012  the block is what fails
        process = cloud._process.pid
        raise RuntimeError
    with pytest.raises(ProcessLookupError):
        os.killpg(process, 0)


def test_a_stack_that_fails_says_why(tmp_path: Path) -> None:
    """A stack that cannot be created raises an error with the failed resource."""
    build = tmp_path / "build"
    build.mkdir()
    (build / "template.yaml").write_text("Parameters: {}\nResources: {Nothing: {Type: AWS::No::Such}}\n")
    with Cloud.start(tmp_path / "run") as cloud, pytest.raises(CloudError, match="No::Such"):
        cloud.deploy({}, build=build)

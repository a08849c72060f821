"""Least privilege, proven: what the deployed function asks of AWS is what its role grants, no less and no more."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from orders.order import Status
from sandbox.aws_proxy import AwsProxy
from sandbox.cloud import Cloud
from sandbox.wechat_pay import Simulator
from sandbox.world import BUILD, MERCHANT, World, until

TEMPLATE = Path(__file__).parents[1] / "template.yaml"

# The API operations that the function calls → the IAM actions that they need.
NEEDS = {
    "BatchGetItem": "dynamodb:BatchGetItem",
    "PutItem": "dynamodb:PutItem",
    "GetItem": "dynamodb:GetItem",
    "UpdateItem": "dynamodb:UpdateItem",
    "GetSecretValue": "secretsmanager:GetSecretValue",
    "ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
}
# Lambda itself uses the role for these: its pollers for the queue, its runtime for the log.
LAMBDAS_OWN = {
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
}


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, AwsProxy]]:
    """The deployed function, whose every request to AWS passes a proxy that notes it."""
    with (
        Simulator() as wechat_pay,
        Cloud.start(tmp_path_factory.mktemp("privileges")) as cloud,
        AwsProxy(cloud.endpoint_url) as proxy,
    ):
        hosts = {"WeChatPayBaseUrl": wechat_pay.base_url, "WeChatPayBackupUrl": wechat_pay.backup_url}
        waits = {"RetryScale": "0.01", "HttpConnectTimeout": "0.5", "HttpReadTimeout": "1", "MaximumConcurrency": "2"}
        parameters = {"AwsEndpointUrl": proxy.url, **hosts, **waits}
        world = World(cloud, cloud.deploy(parameters, build=BUILD), wechat_pay)
        world.put_secret(MERCHANT)
        yield world, proxy


def _is(world: World, number: str, status: Status) -> bool | None:
    order = world.order(number)
    return True if order and order.status is status else None


def test_the_role_is_what_the_function_uses(observed: tuple[World, AwsProxy]) -> None:
    """A settled order, and an outage that opens the circuit and ends."""
    world, proxy = observed
    report(world, "SETTLED")
    assert until(lambda: _is(world, "SETTLED", Status.SYNCED))
    world.wechat_pay.misbehave("connection_refused")
    report(world, "OUTAGE")
    assert until(lambda: proxy.deeds["UpdateItem", "pass"] or None, 60), "the circuit did not open"
    world.wechat_pay.behave()
    assert until(lambda: _is(world, "OUTAGE", Status.SYNCED), 60)
    assert until(lambda: True if proxy.deeds["UpdateItem", "pass"] > 1 else None, 20), "the circuit did not close"
    used = {operation for operation, _ in proxy.deeds}
    assert used <= NEEDS.keys(), "an operation that nobody has granted"
    assert {NEEDS[operation] for operation in used} == _granted() - LAMBDAS_OWN


def report(world: World, number: str) -> None:
    """A till reports a payment, straight to the queue."""
    world.ready(number)
    payload = {"mchid": MERCHANT, "out_order_no": number, "detail": {"paid_time": "20260101120000"}}
    world.cloud.client("sqs").send_message(
        QueueUrl=world.stack.outputs["OrderQueueUrl"], MessageBody=json.dumps(payload)
    )


def _granted() -> set[str]:
    role: dict[str, Any] = yaml_parse(TEMPLATE.read_text(encoding="utf-8"))["Resources"]["OrdersFunctionRole"]
    statements = [one for policy in role["Properties"]["Policies"] for one in policy["PolicyDocument"]["Statement"]]
    actions = [one["Action"] for one in statements if one["Effect"] == "Allow"]
    return {action for given in actions for action in (given if isinstance(given, list) else [given])}

"""Least privilege: the deployed function's role grants the calls that the function makes to AWS, and no others."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from orders.circuit import SILENT_ORDERS
from orders.order import Status
from sandbox.aws_proxy import AwsProxy, ProxyAction
from sandbox.cloud import Cloud
from sandbox.testbed import APPID, BUILD, MERCHANT, SERVICE_ID, SHORT_WAITS, Testbed, until
from sandbox.wechat_pay import Simulator

TEMPLATE = Path(__file__).parents[1] / "template.yaml"

# The API operations that the function calls → the IAM actions that they need.
NEEDS = {
    "DynamoDB_20120810.BatchGetItem": "dynamodb:BatchGetItem",
    "DynamoDB_20120810.PutItem": "dynamodb:PutItem",
    "DynamoDB_20120810.BatchExecuteStatement": "dynamodb:PartiQLInsert",
    "DynamoDB_20120810.GetItem": "dynamodb:GetItem",
    "DynamoDB_20120810.UpdateItem": "dynamodb:UpdateItem",
    "secretsmanager.GetSecretValue": "secretsmanager:GetSecretValue",
    "AmazonSQS.ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
}
# Lambda itself uses the role for these actions: its pollers for the queue, its runtime for the log.
LAMBDAS_OWN = {
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
}


@dataclass
class ObservedFunction:
    """The deployed function; a proxy records all its requests to AWS."""

    world: Testbed
    proxy: AwsProxy
    requests: list[tuple[str, dict[str, Any]]]
    conflicts: Counter[str] = field(default_factory=Counter)  # planned, by operation

    def report(self, number: str, *, ready: bool = True, **changes: Any) -> None:
        """Send an event of a POS to the queue."""
        if ready:
            self.world.ready(number)
        payload = {"mchid": MERCHANT, "out_order_no": number, "detail": {"paid_time": "20260101120000"}, **changes}
        self.send(json.dumps(payload))

    def send(self, body: str) -> None:
        """Send any text to the queue."""
        self.world.cloud.client("sqs").send_message(
            QueueUrl=self.world.stack.outputs["OrderQueueUrl"], MessageBody=body
        )

    def becomes(self, number: str, status: Status) -> None:
        """Wait until the order has this status."""

        def has_status() -> bool:
            order = self.world.order(number)
            return order is not None and order.status is status

        until(has_status, state=f"{number}: {status}", instead=lambda: self.world.order(number))

    def count(self, target: str) -> int:
        """Return the number of requests for an operation."""
        return sum(1 for one, _ in self.requests if one == target)

    def decide(self, operation: str) -> ProxyAction:
        """Answer with a conflict if one is planned; otherwise pass the request on."""
        if self.conflicts[operation] > 0:
            self.conflicts[operation] -= 1
            return "conflict"
        return "pass"


@pytest.fixture(scope="module")
def function(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObservedFunction]:
    """The function after one order of each kind: settled, repeated, raced, unreadable, refused, new keys, outage."""
    requests: list[tuple[str, dict[str, Any]]] = []

    def hear(target: str, body: bytes) -> None:
        requests.append((target, json.loads(body or b"{}")))

    with (
        Simulator() as wechat_pay,
        Cloud.start(tmp_path_factory.mktemp("privileges")) as cloud,
        AwsProxy(cloud.endpoint_url, inspect=hear) as proxy,
    ):
        hosts = {"WeChatPayBaseUrl": wechat_pay.base_url, "WeChatPayBackupUrl": wechat_pay.backup_url}
        waits = {**SHORT_WAITS, "MaximumConcurrency": "2"}
        parameters = {"AwsEndpointUrl": proxy.url, **hosts, **waits}
        world = Testbed(cloud, cloud.deploy(parameters, build=BUILD), wechat_pay)
        world.put_secret(MERCHANT)
        function = ObservedFunction(world, proxy, requests)
        proxy.decide = function.decide
        _process_orders(function)
        yield function


def _process_orders(function: ObservedFunction) -> None:
    wechat_pay = function.world.wechat_pay
    function.report("SETTLED")
    function.becomes("SETTLED", Status.SYNCED)
    function.report("SETTLED", ready=False)
    function.send("no JSON")
    function.conflicts["BatchExecuteStatement"] = 1
    function.report("RACED")
    function.becomes("RACED", Status.SYNCED)
    fetches = function.count("secretsmanager.GetSecretValue")
    wechat_pay.misbehave("bad_sign_401", times=1)
    function.report("NEW-KEYS")
    function.becomes("NEW-KEYS", Status.SYNCED)
    assert function.count("secretsmanager.GetSecretValue") > fetches
    function.report("REFUSED", ready=False, appid=APPID, service_id=SERVICE_ID)
    function.becomes("REFUSED", Status.REJECTED)
    wechat_pay.misbehave("connection_refused")
    for number in range(SILENT_ORDERS):
        function.report(f"OUTAGE-{number}")
    updates = "DynamoDB_20120810.UpdateItem"
    until(lambda: function.count(updates) > 0, state="the circuit has opened")
    wechat_pay.behave()
    function.becomes("OUTAGE-0", Status.SYNCED)
    until(lambda: function.count(updates) > 1, state="the circuit has closed")


def test_the_role_is_what_the_function_uses(function: ObservedFunction) -> None:
    """Each action of the role is used by a request or by Lambda itself, and each request is allowed by an action."""
    used = {target for target, _ in function.requests}
    assert used <= NEEDS.keys(), "an operation that the role does not allow"
    granted = {action for statement in _statements() for action in _actions(statement)}
    assert {NEEDS[target] for target in used} == granted - LAMBDAS_OWN


def test_every_request_is_allowed(function: ObservedFunction) -> None:
    """Each request is for the table, queue or secret of its statement, with keys that the condition allows."""
    denied = {
        f"{target} {body}"
        for target, body in function.requests
        if not any(_allows(function.world, statement, NEEDS[target], body) for statement in _statements())
    }
    assert denied == set()


def test_the_evaluation_denies_what_is_not_granted(function: ObservedFunction) -> None:
    """The evaluation denies another table, queue or secret, and an order where only the circuit may be read."""
    outputs = function.world.stack.outputs
    table = outputs["OrdersTableName"]
    allowed: dict[str, dict[str, Any]] = {"dynamodb:GetItem": {"TableName": table, "Key": {"pk": {"S": "CIRCUIT#x"}}}}
    foreign: dict[str, dict[str, Any]] = {
        "dynamodb:PutItem": {"TableName": "another", "Item": {"pk": {"S": "1#2"}}},
        "dynamodb:PartiQLInsert": {"Statements": [{"Statement": "INSERT INTO \"another\" VALUE {'pk': ?}"}]},
        "dynamodb:BatchGetItem": {"RequestItems": {table: {}, "another": {}}},
        "dynamodb:GetItem": {"TableName": table, "Key": {"pk": {"S": "1#2"}}},
        "dynamodb:DeleteItem": {"TableName": table, "Key": {"pk": {"S": "1#2"}}},
        "sqs:ChangeMessageVisibility": {"QueueUrl": outputs["DeadLettersUrl"]},
        "secretsmanager:GetSecretValue": {"SecretId": f"wechatpay-of-others/{MERCHANT}"},
    }
    for action, body in allowed.items():
        assert any(_allows(function.world, statement, action, body) for statement in _statements())
    for action, body in foreign.items():
        assert not any(_allows(function.world, statement, action, body) for statement in _statements()), action


def _statements() -> list[dict[str, Any]]:
    role: dict[str, Any] = yaml_parse(TEMPLATE.read_text(encoding="utf-8"))["Resources"]["OrdersFunctionRole"]
    statements = [one for policy in role["Properties"]["Policies"] for one in policy["PolicyDocument"]["Statement"]]
    statements = [one for one in statements if "Fn::If" not in one]  # UseKey is for a deployment with its own KMS key
    assert all(one["Effect"] == "Allow" for one in statements)
    return statements


def _actions(statement: dict[str, Any]) -> set[str]:
    actions = statement["Action"]
    return set(actions if isinstance(actions, list) else [actions])


def _allows(world: Testbed, statement: dict[str, Any], action: str, body: dict[str, Any]) -> bool:
    """Evaluate a statement as IAM does, for the kinds of statements of the role; fail for an unknown condition."""
    if action not in _actions(statement):
        return False
    on = _granted_names(world, statement["Resource"])
    if not all(fnmatchcase(name, on) for name in _names(body)):
        return False
    condition = statement.get("Condition", {})
    assert not condition or set(condition) == {"ForAllValues:StringLike"}
    for key, patterns in condition.get("ForAllValues:StringLike", {}).items():
        assert key == "dynamodb:LeadingKeys"
        if not any(fnmatchcase(body["Key"]["pk"]["S"], pattern) for pattern in patterns):
            return False
    return True


_INSERTED = re.compile(r'INSERT INTO "([^"]+)" VALUE \{')


def _names(body: dict[str, Any]) -> list[str]:
    """Return the names of the resources of a request."""
    names = [body[name] for name in ("TableName", "QueueUrl", "SecretId") if name in body] + [
        *body.get("RequestItems", {}),
        *(_INSERTED.match(one["Statement"])[1] for one in body.get("Statements", ())),  # type: ignore[index]
    ]
    assert names, body
    return names


def _granted_names(world: Testbed, resource: dict[str, Any]) -> str:
    """Return the name of a statement's resource as requests have it."""
    if "Fn::Sub" in resource:
        name = str(resource["Fn::Sub"]).rpartition(":secret:")[2]
        return name.replace("${MerchantSecretPrefix}", "wechatpay")
    [name, attribute] = resource["Fn::GetAtt"]
    assert attribute == "Arn"
    outputs = {"OrdersTable": "OrdersTableName", "OrderQueue": "OrderQueueUrl"}
    return world.stack.outputs[outputs[name]] if name in outputs else f"(no request) {name}"

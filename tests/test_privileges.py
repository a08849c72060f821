"""Least privilege, proven: what the deployed function asks of AWS is what its role grants, no less and no more."""

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
# Lambda itself uses the role for these: its pollers for the queue, its runtime for the log.
LAMBDAS_OWN = {
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
}


@dataclass
class Watched:
    """The deployed function, whose every request to AWS passes a proxy that notes it."""

    world: Testbed
    proxy: AwsProxy
    asked: list[tuple[str, dict[str, Any]]]
    refused: Counter[str] = field(default_factory=Counter)  # deeds of the proxy still to come, by operation

    def report(self, number: str, *, ready: bool = True, **changes: Any) -> None:
        """A till reports a payment, straight to the queue."""
        if ready:
            self.world.ready(number)
        payload = {"mchid": MERCHANT, "out_order_no": number, "detail": {"paid_time": "20260101120000"}, **changes}
        self.send(json.dumps(payload))

    def send(self, body: str) -> None:
        """Anything at all, straight to the queue."""
        self.world.cloud.client("sqs").send_message(
            QueueUrl=self.world.stack.outputs["OrderQueueUrl"], MessageBody=body
        )

    def becomes(self, number: str, status: Status) -> None:
        """Wait until the order gets there."""

        def there() -> bool:
            order = self.world.order(number)
            return order is not None and order.status is status

        until(there, state=f"{number}: {status}", instead=lambda: self.world.order(number))

    def asked_for(self, target: str) -> int:
        """How often."""
        return sum(1 for one, _ in self.asked if one == target)

    def decide(self, operation: str) -> ProxyAction:
        """Pass on, unless a race is to be lost."""
        if self.refused[operation] > 0:
            self.refused[operation] -= 1
            return "conflict"
        return "pass"


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """Every story is told once: settled, repeated, raced, unreadable, refused, new keys, and an outage."""
    asked: list[tuple[str, dict[str, Any]]] = []

    def hear(target: str, body: bytes) -> None:
        asked.append((target, json.loads(body or b"{}")))

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
        watched = Watched(world, proxy, asked)
        proxy.decide = watched.decide
        _tell(watched)
        yield watched


def _tell(watched: Watched) -> None:
    wechat_pay = watched.world.wechat_pay
    watched.report("SETTLED")
    watched.becomes("SETTLED", Status.SYNCED)
    watched.report("SETTLED", ready=False)
    watched.send("no JSON")
    watched.refused["BatchExecuteStatement"] = 1
    watched.report("RACED")
    watched.becomes("RACED", Status.SYNCED)
    fetched = watched.asked_for("secretsmanager.GetSecretValue")
    wechat_pay.misbehave("bad_sign_401", times=1)
    watched.report("NEW-KEYS")
    watched.becomes("NEW-KEYS", Status.SYNCED)
    assert watched.asked_for("secretsmanager.GetSecretValue") > fetched
    watched.report("REFUSED", ready=False, appid=APPID, service_id=SERVICE_ID)
    watched.becomes("REFUSED", Status.REJECTED)
    wechat_pay.misbehave("connection_refused")
    for number in range(SILENT_ORDERS):
        watched.report(f"OUTAGE-{number}")
    updates = "DynamoDB_20120810.UpdateItem"
    until(lambda: watched.asked_for(updates) > 0, state="the circuit has opened")
    wechat_pay.behave()
    watched.becomes("OUTAGE-0", Status.SYNCED)
    until(lambda: watched.asked_for(updates) > 1, state="the circuit has closed")


def test_the_role_is_what_the_function_uses(watched: Watched) -> None:
    """Each action of the role is needed by a request or by Lambda itself, and each request needs an action of it."""
    used = {target for target, _ in watched.asked}
    assert used <= NEEDS.keys(), "an operation that nobody has granted"
    granted = {action for statement in _statements() for action in _actions(statement)}
    assert {NEEDS[target] for target in used} == granted - LAMBDAS_OWN


def test_every_request_falls_on_what_is_granted(watched: Watched) -> None:
    """The very table, queue and secrets that the action is granted on, and the keys that its condition names."""
    refused = {
        f"{target} {body}"
        for target, body in watched.asked
        if not any(_allows(watched.world, statement, NEEDS[target], body) for statement in _statements())
    }
    assert refused == set()


def test_the_judge_refuses_what_is_not_granted(watched: Watched) -> None:
    """Another table, queue or secret, and an order where only the circuit may be read: else it proves nothing."""
    outputs = watched.world.stack.outputs
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
        assert any(_allows(watched.world, statement, action, body) for statement in _statements())
    for action, body in foreign.items():
        assert not any(_allows(watched.world, statement, action, body) for statement in _statements()), action


def _statements() -> list[dict[str, Any]]:
    role: dict[str, Any] = yaml_parse(TEMPLATE.read_text(encoding="utf-8"))["Resources"]["OrdersFunctionRole"]
    given = [one for policy in role["Properties"]["Policies"] for one in policy["PolicyDocument"]["Statement"]]
    statements = [one for one in given if "Fn::If" not in one]  # UseKey, where a deployment brings a key of its own
    assert all(one["Effect"] == "Allow" for one in statements)
    return statements


def _actions(statement: dict[str, Any]) -> set[str]:
    given = statement["Action"]
    return set(given if isinstance(given, list) else [given])


def _allows(world: Testbed, statement: dict[str, Any], action: str, body: dict[str, Any]) -> bool:
    """IAM's judgement, for the kinds of statements that the role has; fails for a condition it does not know."""
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
    """What a request is about, by the name that stands in it."""
    named = [body[name] for name in ("TableName", "QueueUrl", "SecretId") if name in body] + [
        *body.get("RequestItems", {}),
        *(_INSERTED.match(one["Statement"])[1] for one in body.get("Statements", ())),  # type: ignore[index]
    ]
    assert named, body
    return named


def _granted_names(world: Testbed, resource: dict[str, Any]) -> str:
    """What a statement's resource is called in a request."""
    if "Fn::Sub" in resource:
        name = str(resource["Fn::Sub"]).rpartition(":secret:")[2]
        return name.replace("${MerchantSecretPrefix}", "wechatpay")
    [name, attribute] = resource["Fn::GetAtt"]
    assert attribute == "Arn"
    outputs = {"OrdersTable": "OrdersTableName", "OrderQueue": "OrderQueueUrl"}
    return world.stack.outputs[outputs[name]] if name in outputs else f"(unasked) {name}"

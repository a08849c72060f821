"""Least privilege: the deployed function's role grants the calls that the function makes to AWS, and no others.

The operator's policies grant the calls that `ops` makes, by name and on this stack.
"""

import ast
import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name
from samtranslator.yaml_helper import yaml_parse

from orders.circuit import SILENT_ORDERS
from orders.order import Order, Payment, Status, instant
from sandbox.aws_proxy import AwsProxy, ProxyAction
from sandbox.cloud import Cloud
from sandbox.notifications_front import event_of
from sandbox.testbed import APPID, BUILD, DOORWAYS, MERCHANT, SERVICE_ID, SHORT_WAITS, Testbed, until
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
    notifications: int = 0  # from this request on, the second function alone is at work

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
        parameters = {"AwsEndpointUrl": proxy.url, **hosts, **waits, **DOORWAYS, "OutcomeEvents": "no"}
        world = Testbed(cloud, cloud.deploy(parameters, build=BUILD), wechat_pay)
        world.put_secret(MERCHANT)
        function = ObservedFunction(world, proxy, requests)
        proxy.decide = function.decide
        _process_orders(function)
        _disable_the_mapping(cloud)
        function.notifications = len(requests)
        _process_notifications(function)
        yield function


def _disable_the_mapping(cloud: Cloud) -> None:
    """Let the first function rest."""
    functions = cloud.client("lambda")
    mappings = functions.list_event_source_mappings()["EventSourceMappings"]
    [mapping] = [one for one in mappings if ":sqs:" in one["EventSourceArn"]]
    functions.delete_event_source_mapping(UUID=mapping["UUID"])


def _process_notifications(function: ObservedFunction) -> None:
    """Have WeChat Pay tell of an order that no till has reported, again, and of one that is retried, in a race."""
    world, wechat_pay = function.world, function.world.wechat_pay
    for number in ("TOLD", "OPEN"):
        world.ready(number)
        wechat_pay.deduct(MERCHANT, number)
    payment = Payment(MERCHANT, "OPEN", "20260101120000")
    at = instant(1_767_240_000.0)
    world.deployment.table.save(Order(payment, None, Status.RETRYING, 1, at, at))
    function.conflicts["PutItem"] = 1
    name = world.stack.outputs["NotificationsFunctionName"]
    for number in ("TOLD", "TOLD", "OPEN"):
        headers, body = wechat_pay.notification(MERCHANT, number)
        event = event_of("POST", f"/{MERCHANT}", headers.items(), body, time.time())
        answer = world.cloud.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
        assert json.loads(answer["Payload"].read()) == {"statusCode": 204}
    orders = [world.order(number) for number in ("TOLD", "OPEN")]
    assert [order and order.status for order in orders] == [Status.COLLECTED, Status.PAID_BY_WECHAT]


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
    for role, requests in _by_role(function):
        used = {target for target, _ in requests}
        assert used <= NEEDS.keys(), "an operation that the role does not allow"
        granted = {action for statement in _statements(role) for action in _actions(statement)}
        assert {NEEDS[target] for target in used} == granted - LAMBDAS_OWN


def _by_role(function: ObservedFunction) -> list[tuple[str, list[tuple[str, dict[str, Any]]]]]:
    """Return each function's role with the requests of the function."""
    first, second = function.requests[: function.notifications], function.requests[function.notifications :]
    return [("OrdersFunctionRole", first), ("NotificationsRole", second)]


def test_every_request_is_allowed(function: ObservedFunction) -> None:
    """Each request is for the table, queue or secret of its statement, with keys that the condition allows."""
    denied = {
        f"{target} {body}"
        for role, requests in _by_role(function)
        for target, body in requests
        if not any(_allows(function.world, statement, NEEDS[target], body) for statement in _statements(role))
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


def test_the_second_role_is_about_orders_only(function: ObservedFunction) -> None:
    """The evaluation denies the second function the circuit breaker's state, the journal of `ops`, and other tables."""
    table = function.world.stack.outputs["OrdersTableName"]
    foreign: list[tuple[str, dict[str, Any]]] = [
        ("dynamodb:PutItem", {"TableName": table, "Item": {"pk": {"S": "CIRCUIT#wechat-pay"}}}),
        ("dynamodb:BatchGetItem", {"RequestItems": {table: {"Keys": [{"pk": {"S": "REDRIVE#1"}}]}}}),
        ("dynamodb:PutItem", {"TableName": "another", "Item": {"pk": {"S": "1#2"}}}),
        ("sqs:SendMessage", {"QueueUrl": function.world.stack.outputs["OrderQueueUrl"]}),
    ]
    for action, body in foreign:
        assert not any(_allows(function.world, one, action, body) for one in _statements("NotificationsRole")), action


@cache
def _resources() -> dict[str, Any]:
    resources: dict[str, Any] = yaml_parse(TEMPLATE.read_text(encoding="utf-8"))["Resources"]
    return resources


def _statements(name: str = "OrdersFunctionRole") -> list[dict[str, Any]]:
    role = _resources()[name]
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
        if not all(any(fnmatchcase(one, pattern) for pattern in patterns) for one in _leading_keys(body)):
            return False
    return True


def _leading_keys(body: dict[str, Any]) -> list[str]:
    """Return the keys of a request's items."""
    items = [body[name] for name in ("Key", "Item") if name in body]
    items += [key for table in body.get("RequestItems", {}).values() for key in table["Keys"]]
    keys = [item["pk"]["S"] for item in items]
    for one in body.get("Statements", ()):
        names = re.findall(r"'(\w+)': \?", one["Statement"])
        keys.append(one["Parameters"][names.index("pk")]["S"])
    return keys


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


# ---- the operator ----------------------------------------------------------------------------------------------------

ROOT = TEMPLATE.parent
SERVICES = ("cloudformation", "cloudwatch", "dynamodb", "events", "lambda", "logs", "secretsmanager", "sqs", "sts")
"""Services whose operations are looked for in the operator's code."""
DOORS = (ROOT / "functions/orders/table.py", ROOT / "functions/orders/merchants.py")
"""Modules of the function by which `ops` reads the table and the secrets."""
OTHER_NAME = {  # operation → the IAM action that allows it, where the two have different names
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:SendMessageBatch": "sqs:SendMessage",
    "dynamodb:BatchExecuteStatement": "dynamodb:PartiQLInsert",
}
NOT_OPERATORS = {"dynamodb:PartiQLInsert"}  # the relay alone inserts new orders of a batch
NO_PERMISSION = {"sts:GetCallerIdentity"}  # every identity may ask who it is
NO_RESOURCE = {
    *("cloudwatch:DescribeAlarms", "cloudwatch:GetMetricData", "cloudwatch:GetMetricStatistics"),
    *("cloudwatch:ListMetrics", "lambda:GetEventSourceMapping", "lambda:ListEventSourceMappings"),
    *("logs:DescribeLogGroups", "logs:GetQueryResults", "logs:StopQuery", "secretsmanager:ListSecrets"),
}
"""Actions that read and accept no resource of this stack (AWS, Service Authorization Reference)."""


def _operations() -> dict[str, set[str]]:
    """Return the actions of each method of boto3's clients and of each name of a paginator."""
    session = botocore.session.get_session()
    methods: dict[str, set[str]] = {}
    for service in SERVICES:
        for operation in session.get_service_model(service).operation_names:
            methods.setdefault(xform_name(operation), set()).add(f"{service}:{operation}")
    return methods


def _calls(paths: Iterator[Path]) -> set[str]:
    """Return the actions that modules call: `client.method(…)` and `get_paginator("method")`, on any expression."""
    methods = _operations()
    calls: set[str] = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Attribute(attr="get_paginator"), args=[ast.Constant(value=name)]):
                    calls |= methods[str(name)]
                case ast.Attribute(attr=name) if name in methods and _is_client(node):
                    calls |= methods[name]
    return {OTHER_NAME.get(call, call) for call in calls} - NO_PERMISSION


def _is_client(node: ast.Attribute) -> bool:
    """Whether the owner of a method of such a name can be a client of AWS: not WeChat Pay's `query`, nor a socket's."""
    return not ast.unparse(node.value).endswith(("payscore", "socket"))


def _policy(name: str) -> list[dict[str, Any]]:
    statements: list[dict[str, Any]] = _resources()[name]["Properties"]["PolicyDocument"]["Statement"]
    [key] = [one["Fn::If"] for one in statements if "Fn::If" in one]
    assert (key[0], key[1]["Resource"]) == ("HasKmsKey", {"Ref": "KmsKeyArn"})
    return [one for one in statements if "Fn::If" not in one]


def test_the_operators_policies_allow_what_ops_calls() -> None:
    """Each operation that `ops` calls is allowed by one of the two policies."""
    calls = _calls(iter([*(ROOT / "ops").rglob("*.py"), *DOORS]))
    granted = {
        action for name in ("OperatorPolicy", "MerchantKeysPolicy") for one in _policy(name) for action in _actions(one)
    }
    assert {"sqs:ReceiveMessage", "sqs:StartMessageMoveTask", "dynamodb:Query", "dynamodb:GetItem"} <= calls
    assert {"events:PutEvents", "secretsmanager:GetSecretValue", "cloudformation:DescribeStacks"} <= calls
    assert calls - NOT_OPERATORS <= granted


def test_the_operators_policies_name_every_action_and_resource() -> None:
    """No policy has a wildcard for actions; only what accepts no resource is allowed everywhere."""
    for name in ("OperatorPolicy", "MerchantKeysPolicy"):
        for statement in _policy(name):
            assert statement["Effect"] == "Allow"
            assert not [action for action in _actions(statement) if "*" in action]
            assert statement["Resource"] != "*" or _actions(statement) == NO_RESOURCE


def test_only_the_keys_policy_writes_secrets() -> None:
    """An operator reads secrets under the stack's prefix; writing them needs the other policy."""
    writes = {"secretsmanager:CreateSecret", "secretsmanager:PutSecretValue"}
    granted = {
        name: {one for each in _policy(name) for one in _actions(each)}
        for name in ("OperatorPolicy", "MerchantKeysPolicy")
    }
    assert not writes & granted["OperatorPolicy"]
    assert writes <= granted["MerchantKeysPolicy"]
    for name in granted:
        for statement in _policy(name):
            if any(
                action.startswith("secretsmanager:") and action not in NO_RESOURCE for action in _actions(statement)
            ):
                assert statement["Resource"]["Fn::Sub"].endswith(":secret:${MerchantSecretPrefix}/*")

"""What the function's role may do, as far as IAM's policy simulator tells."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ops.doctor.mapping import ALIAS
from ops.findings import Finding, failed, ok
from ops.stack import Deployment
from orders.circuit import NAME

TABLE_KEY = "dynamodb:LeadingKeys"


@dataclass(frozen=True, slots=True)
class Need:
    """Actions that the function takes on a resource; `key` is the partition key that a condition is about."""

    purpose: str
    actions: tuple[str, ...]
    resource: str
    key: str = ""


def needs(queue: str, table: str, log_group: str, prefix: str, kms_key: str = "") -> tuple[Need, ...]:
    """Return what the function needs, as the template's role has it; ARNs, and the prefix of the secrets' names."""
    partition, _, region, account = queue.split(":")[1:5]
    secret = f"arn:{partition}:secretsmanager:{region}:{account}:secret:{prefix}/1230000109-AbCdEf"
    take = ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes", "ChangeMessageVisibility")
    rows = (
        Need("take orders from OrderQueue", tuple(f"sqs:{name}" for name in take), queue),
        Need("record orders", ("dynamodb:BatchGetItem", "dynamodb:PartiQLInsert", "dynamodb:PutItem"), table),
        Need("keep the circuit breaker's state", ("dynamodb:GetItem", "dynamodb:UpdateItem"), table, NAME),
        Need("read the merchants' secrets", ("secretsmanager:GetSecretValue",), secret),
        Need("write its log", ("logs:CreateLogStream", "logs:PutLogEvents"), f"{log_group}:log-stream:any"),
    )
    return (*rows, Need("use the KMS key", ("kms:Decrypt",), kms_key)) if kms_key else rows


def check(deployment: Deployment) -> Iterator[Finding]:
    """Simulate each need with the policies of the role of the version that runs."""
    functions, name = deployment.client("lambda"), deployment.outputs["OrdersFunctionName"]
    live = functions.get_function_configuration(FunctionName=name, Qualifier=ALIAS)
    table = deployment.client("dynamodb").describe_table(TableName=deployment.outputs["OrdersTableName"])
    queue, group = deployment.outputs["OrderQueueArn"], live["LoggingConfig"]["LogGroup"]
    partition, _, region, account = queue.split(":")[1:5]
    log_group = f"arn:{partition}:logs:{region}:{account}:log-group:{group}"
    key = deployment.parameters.get("KmsKeyArn", "")
    for need in needs(queue, table["Table"]["TableArn"], log_group, deployment.secret_prefix, key):
        yield judge(need, _simulate(deployment, live["Role"], need))


def _simulate(deployment: Deployment, role: str, need: Need) -> Sequence[Mapping[str, Any]]:
    context = [{"ContextKeyName": TABLE_KEY, "ContextKeyValues": [need.key], "ContextKeyType": "stringList"}]
    arguments: dict[str, Any] = {"ContextEntries": context} if need.key else {}
    answer = deployment.client("iam").simulate_principal_policy(
        PolicySourceArn=role, ActionNames=list(need.actions), ResourceArns=[need.resource], **arguments
    )
    results: Sequence[Mapping[str, Any]] = answer["EvaluationResults"]
    return results


def judge(need: Need, results: Sequence[Mapping[str, Any]]) -> Finding:
    """Judge the simulator's decisions about a need."""
    denied = [
        f"{result['EvalActionName']} ({result['EvalDecision']})"
        for result in results
        if result["EvalDecision"] != "allowed"
    ]
    if denied:
        words = f"the function may not {need.purpose}: {', '.join(denied)} on {need.resource}"
        remedy = "deploy the stack again; explicitDeny comes from a policy outside it, or PermissionsBoundaryArn"
        return failed("permissions", words, remedy)
    return ok("permissions", f"the function may {need.purpose}")

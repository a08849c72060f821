"""The EventBridge rule: enabled, with the pattern of the parameters, OrderQueue as target and a dead-letter queue."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from ops.doctor.resources import queue_arn, resource_id
from ops.findings import Finding, failed, ok
from ops.stack import Deployment

REDEPLOY = "deploy the stack again"


def check(deployment: Deployment) -> Iterator[Finding]:
    """Judge the rule and its targets."""
    bus = deployment.outputs["EventBusName"]
    name = rule_name(resource_id(deployment, "OrderRule"))
    events = deployment.client("events")
    try:
        rule = events.describe_rule(Name=name, EventBusName=bus)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        yield failed("rule", f"{name} does not exist on the bus {bus}: its events go nowhere", REDEPLOY)
        return
    yield judge_rule(rule, bus, deployment.parameters.get("EventSourcePrefix", ""))
    targets = events.list_targets_by_rule(Rule=name, EventBusName=bus)["Targets"]
    yield judge_targets(targets, deployment.outputs["OrderQueueArn"], queue_arn(deployment, "UndeliveredEventsUrl"))


def rule_name(physical_id: str) -> str:
    """Return the name of a rule; CloudFormation's id is `bus|name` for a rule of another bus than the default."""
    return physical_id.rpartition("|")[2].rpartition("/")[2]


def judge_rule(rule: Mapping[str, Any], bus: str, prefix: str) -> Finding:
    """Judge whether the rule is enabled and takes the events of the parameters."""
    name = rule["Name"]
    if rule.get("State") != "ENABLED":
        remedy = (
            f"aws events enable-rule --name {name} --event-bus-name {bus}; the POS must send the events since again"
        )
        return failed("rule", f"{name} is {rule.get('State')}: events are dropped", remedy)
    pattern = json.loads(rule.get("EventPattern") or "{}")
    if prefix and pattern.get("source") != [{"prefix": prefix}]:
        words = f"{name} takes events of {json.dumps(pattern.get('source'))}, not of EventSourcePrefix {prefix}"
        return failed("rule", words, REDEPLOY)
    return ok(
        "rule", f"enabled on the bus {bus}, takes {', '.join(pattern.get('detail-type', []))} of sources {prefix}*"
    )


def judge_targets(targets: Sequence[Mapping[str, Any]], order_queue: str, undelivered: str) -> Finding:
    """Judge where the rule sends events, and what it cannot deliver."""
    target = next((one for one in targets if one.get("Arn") == order_queue), None)
    if target is None:
        return failed("target", "the rule does not send to OrderQueue: events are dropped", REDEPLOY)
    if target.get("DeadLetterConfig", {}).get("Arn") != undelivered:
        return failed(
            "target", "the target has no dead-letter queue: EventBridge drops what it cannot deliver", REDEPLOY
        )
    others = [str(one.get("Arn")) for one in targets if one is not target]
    more = f"; further targets: {', '.join(others)}" if others else ""
    return ok("target", f"OrderQueue; what cannot be delivered goes to UndeliveredEvents{more}")

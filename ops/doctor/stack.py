"""The stack: how its last deployment ended, and its resources."""

from collections.abc import Iterator, Mapping

from ops.doctor.resources import Resource, resources
from ops.findings import Finding, failed, ok, warning
from ops.stack import Deployment, OpsError


def check(deployment: Deployment) -> Iterator[Finding]:
    """Judge the stack's status and that of each resource."""
    if deployment.name is None:
        raise OpsError("no stack is named: give --stack")
    [description] = deployment.client("cloudformation").describe_stacks(StackName=deployment.name)["Stacks"]
    reason = str(description.get("StackStatusReason", ""))
    yield judge_status(deployment.name, str(description["StackStatus"]), reason)
    yield judge_resources(deployment.name, resources(deployment))


def judge_status(name: str, status: str, reason: str = "") -> Finding:
    """Judge a status of CloudFormation."""
    events = f"aws cloudformation describe-stack-events --stack-name {name}"
    words = f"{name} is {status}" + (f": {reason}" if reason else "")
    if status in {"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"}:
        return ok("stack", words)
    if status == "UPDATE_ROLLBACK_COMPLETE":
        return warning("stack", f"{words}: the last deployment failed, what ran before it runs", f"see {events}")
    if status.endswith(("_IN_PROGRESS", "_IN_PROGRESS_CLEANUP")):
        return warning("stack", f"{words}: what follows may change", "run doctor again when the deployment has ended")
    return failed("stack", words, f"see {events}, then deploy again")


def judge_resources(name: str, rows: Mapping[str, Resource]) -> Finding:
    """Judge the statuses of the resources."""
    bad = [f"{logical_id} is {row.status}" for logical_id, row in rows.items() if not row.status.endswith("_COMPLETE")]
    if not rows:
        return failed("resources", "the stack has no resources", "deploy it again")
    if bad:
        remedy = f"see aws cloudformation describe-stack-resources --stack-name {name}"
        return failed("resources", ", ".join(sorted(bad)), remedy)
    return ok("resources", f"{len(rows)} resources, all complete")

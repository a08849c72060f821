"""The event source mapping: what polls OrderQueue, how, and which version it invokes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ops.findings import Finding, failed, ok, warning
from ops.stack import Deployment

ALIAS = "live"  # the template's AutoPublishAlias


def check(deployment: Deployment) -> Iterator[Finding]:
    """Judge the mappings of OrderQueue."""
    pages = deployment.client("lambda").get_paginator("list_event_source_mappings")
    arn = deployment.outputs["OrderQueueArn"]
    mappings = [row for page in pages.paginate(EventSourceArn=arn) for row in page["EventSourceMappings"]]
    yield from judge(mappings, deployment.outputs["OrdersFunctionName"], deployment.parameters)


def judge(mappings: Sequence[Mapping[str, Any]], function: str, parameters: Mapping[str, str]) -> Iterator[Finding]:
    """Judge the mappings of OrderQueue, of which there must be one."""
    ours = [row for row in mappings if f":{function}:" in f"{row['FunctionArn']}:"]
    if not ours:
        yield failed("mapping", "nothing polls OrderQueue: orders wait", "deploy the stack again")
        return
    for other in mappings:
        if other not in ours:
            words = f"{other['FunctionArn']} takes messages of OrderQueue as well: these orders are not synced"
            yield failed("mapping", words, f"aws lambda delete-event-source-mapping --uuid {other['UUID']}")
    yield _judge_one(ours[0], parameters)


def _judge_one(mapping: Mapping[str, Any], parameters: Mapping[str, str]) -> Finding:
    state = mapping.get("State", "")
    update = f"aws lambda update-event-source-mapping --uuid {mapping['UUID']}"
    if state in {"Disabled", "Disabling"}:
        return failed("mapping", f"it is {state}: orders wait in OrderQueue", f"{update} --enabled")
    if "ReportBatchItemFailures" not in mapping.get("FunctionResponseTypes", []):
        words = "ReportBatchItemFailures is absent: one bad message fails its whole batch"
        return failed("mapping", words, f"{update} --function-response-types ReportBatchItemFailures")
    if not mapping["FunctionArn"].endswith(f":{ALIAS}"):
        words = f"it invokes {mapping['FunctionArn'].rpartition(':')[2]}, not the alias {ALIAS}"
        return failed("mapping", words, "deploy the stack again")
    if differences := list(_differences(mapping, parameters)):
        return warning("mapping", ", ".join(differences), "deploy the stack again, or change its parameters")
    concurrency = mapping.get("ScalingConfig", {}).get("MaximumConcurrency", "not limited")
    words = f"batches of {mapping.get('BatchSize')}, concurrency {concurrency}, partial batch responses, alias {ALIAS}"
    if state != "Enabled":
        return warning("mapping", f"it is {state}: {words}", "run doctor again in a minute")
    return ok("mapping", f"enabled: {words}")


def _differences(mapping: Mapping[str, Any], parameters: Mapping[str, str]) -> Iterator[str]:
    """Yield how the mapping differs from the stack's parameters."""
    values = {
        "BatchSize": mapping.get("BatchSize"),
        "MaximumConcurrency": mapping.get("ScalingConfig", {}).get("MaximumConcurrency"),
    }
    for name, value in values.items():
        if name in parameters and str(value) != parameters[name]:
            yield f"{name} is {value}, the parameter is {parameters[name]}"

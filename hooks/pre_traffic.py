"""CodeDeploy's hook before a new version gets traffic: has the version test itself, and reports the result.

The version itself does the work (`orders.self_test`), with its own code, layer, architecture and settings. No call goes
to WeChat Pay.
"""

import json
import os
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError, WaiterError

SELF_TEST = {"self_test": True}


def lambda_handler(event: Mapping[str, str], _: object) -> dict[str, str]:
    """Test the version that `NEW_VERSION` names; return and report `Succeeded` or `Failed` with the problem."""
    problem = find_problem(boto3.client("lambda"), os.environ["NEW_VERSION"])
    status = "Failed" if problem else "Succeeded"
    print(json.dumps({"message": "pre-traffic hook", "status": status, "problem": problem}))  # noqa: T201  the hook's log
    boto3.client("codedeploy").put_lifecycle_event_hook_execution_status(
        deploymentId=event["DeploymentId"],
        lifecycleEventHookExecutionId=event["LifecycleEventHookExecutionId"],
        status=status,
    )
    return {"status": status, "problem": problem}


def find_problem(functions: Any, version: str) -> str:  # noqa: ANN401  boto3 makes its clients at run time
    """Return why the version must not get traffic; empty if its self-test passes."""
    try:
        functions.get_waiter("published_version_active").wait(FunctionName=version)
        answer = functions.invoke(FunctionName=version, Payload=json.dumps(SELF_TEST).encode())
    except (BotoCoreError, ClientError, WaiterError) as error:
        return f"the version cannot be invoked: {error}"
    text = answer["Payload"].read().decode("utf-8", "replace")
    if "FunctionError" in answer:
        return f"the version failed its self-test: {text[:1000]}"
    return "" if _passed(text) else f"the version did not answer that its self-test passed: {text[:1000]}"


def _passed(text: str) -> bool:
    try:
        answer = json.loads(text)
    except ValueError:
        return False
    return isinstance(answer, dict) and answer.get("self_test") == "passed"

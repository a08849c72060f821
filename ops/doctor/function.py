"""The function: which version really runs, and whether it has the configuration of the stack's parameters."""

from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from ops.doctor.mapping import ALIAS
from ops.findings import Finding, failed, ok, warning
from ops.stack import Deployment

VARIABLES: Mapping[str, str] = {
    "MERCHANT_SECRET_PREFIX": "{MerchantSecretPrefix}",
    "WECHATPAY_BASE_URL": "{WeChatPayBaseUrl}",
    "WECHATPAY_BACKUP_URL": "{WeChatPayBackupUrl}",
    "WECHATPAY_TIMEOUT": "{HttpConnectTimeout},{HttpReadTimeout}",
    "BACKOFF_CAP": "{BackoffCap}",
    "MAX_RECEIVE_COUNT": "{MaxReceiveCount}",
    "RETRY_SCALE": "{RetryScale}",
    "POWERTOOLS_LOG_LEVEL": "{LogLevel}",
}
"""The variables that the template makes of parameters; a test compares them with the template."""

_PUBLISHED = ("CodeSha256", "Description", "Environment", "Layers", "MemorySize", "Timeout")
"""What a version has of the function as it was when it was published."""

_REDEPLOY = "deploy the stack again: the version that runs is not the one of these parameters"


def check(deployment: Deployment) -> Iterator[Finding]:
    """Judge the alias, its version, and the concurrency that is left to it."""
    name, functions = deployment.outputs["OrdersFunctionName"], deployment.client("lambda")
    try:
        alias = functions.get_alias(FunctionName=name, Name=ALIAS)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        yield failed("alias", f"{name} has no alias {ALIAS}: the mapping invokes nothing", "deploy the stack again")
        return
    live = functions.get_function_configuration(FunctionName=name, Qualifier=alias["FunctionVersion"])
    latest = functions.get_function_configuration(FunctionName=name)
    yield judge_alias(alias, live, latest)
    yield judge_configuration(live, deployment.parameters, deployment.outputs)
    reserved = functions.get_function_concurrency(FunctionName=name).get("ReservedConcurrentExecutions")
    yield judge_concurrency(name, reserved, deployment.parameters.get("MaximumConcurrency", ""))


def judge_alias(alias: Mapping[str, Any], live: Mapping[str, Any], latest: Mapping[str, Any]) -> Finding:
    """Judge which version runs, and whether what was deployed last is published."""
    version = alias["FunctionVersion"]
    words = f"{ALIAS} → version {version}: {live.get('Description') or 'no description'}"
    if live.get("State", "Active") not in {"Active", "Inactive"}:  # Lambda makes an idle function Inactive
        reason = live.get("StateReason", "no reason")
        return failed("alias", f"version {version} is {live.get('State')}: {reason}", "deploy the stack again")
    if weights := alias.get("RoutingConfig", {}).get("AdditionalVersionWeights"):
        shares = ", ".join(f"version {other} {share:.0%}" for other, share in weights.items())
        return warning("alias", f"{words}; {shares}: a deployment is being shifted", "wait for CodeDeploy to end it")
    if differences := [name for name in _PUBLISHED if live.get(name) != latest.get(name)]:
        problem = f"$LATEST has another {', '.join(differences)}: it was changed and not published"
        return failed(
            "alias", f"{words}; but {problem}", "deploy the stack again: that publishes, or undoes the change"
        )
    return ok("alias", words)


def judge_configuration(live: Mapping[str, Any], parameters: Mapping[str, str], outputs: Mapping[str, str]) -> Finding:
    """Judge whether the version that runs has the parameters' configuration."""
    if not parameters:
        return warning("configuration", "the stack's parameters are not known", "give --stack")
    expected = expected_configuration(parameters, outputs)
    actual = actual_configuration(live)
    differences = [
        f"{name} is {actual.get(name)!r}, the stack says {value!r}"
        for name, value in expected.items()
        if actual.get(name) != value
    ]
    if differences:
        return failed("configuration", "; ".join(differences), _REDEPLOY)
    return ok("configuration", f"{len(expected)} settings of the version that runs are those of the stack")


def expected_configuration(parameters: Mapping[str, str], outputs: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that the template makes of the stack's parameters and resources."""
    settings = {
        name: text.format_map(parameters)
        for name, text in VARIABLES.items()
        if all(parameter in parameters for parameter in _names(text))
    }
    settings |= {"ORDERS_TABLE": outputs["OrdersTableName"], "ORDER_QUEUE_URL": outputs["OrderQueueUrl"]}
    names = ("MemorySize", "Architecture", "SnapStart")
    return settings | {name: parameters[name] for name in names if name in parameters}


def _names(text: str) -> list[str]:
    return [part.partition("}")[0] for part in text.split("{")[1:]]


def actual_configuration(live: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings of a version, by the same names."""
    variables: dict[str, str] = dict(live.get("Environment", {}).get("Variables", {}))
    variables["MemorySize"] = str(live.get("MemorySize", ""))
    variables["Architecture"] = ",".join(live.get("Architectures", []))
    variables["SnapStart"] = str(live.get("SnapStart", {}).get("ApplyOn", "None"))
    return variables


def judge_concurrency(name: str, reserved: int | None, most: str) -> Finding:
    """Judge the function's reserved concurrency, which is None if it has none."""
    if reserved == 0:
        remedy = f"aws lambda delete-function-concurrency --function-name {name}"
        return failed("concurrency", "the reserved concurrency is 0: the function is stopped", remedy)
    if reserved is not None and most and reserved < int(most):
        words = f"the reserved concurrency {reserved} is below MaximumConcurrency {most}: Lambda throttles"
        return warning("concurrency", words, "raise the one or lower the other")
    return ok("concurrency", "not reserved" if reserved is None else f"{reserved} reserved")

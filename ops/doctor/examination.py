"""Run the checks one after the other; a check that cannot run costs its own finding."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

from botocore.exceptions import BotoCoreError, ClientError

from ops.doctor import alarms, clock, function, mapping, merchants, orders, permissions, queues, rule, stack
from ops.findings import Finding, not_checked
from ops.stack import Deployment, OpsError, describe

type Check = Callable[[Deployment], Iterator[Finding]]
"""Examines one part of a deployment."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the deployment: its name in the report, its check, and the permissions that the check needs."""

    subject: str
    check: Check
    permissions: str


PARTS = (
    Part("clock", clock.check, "any call"),
    Part("stack", stack.check, "cloudformation:DescribeStacks, ListStackResources"),
    Part("rule", rule.check, "events:DescribeRule, ListTargetsByRule, cloudformation:ListStackResources"),
    Part("queues", queues.check, "sqs:GetQueueAttributes"),
    Part("mapping", mapping.check, "lambda:ListEventSourceMappings"),
    Part("function", function.check, "lambda:GetAlias, GetFunctionConfiguration, GetFunctionConcurrency"),
    Part(
        "permissions",
        permissions.check,
        "iam:SimulatePrincipalPolicy, lambda:GetFunctionConfiguration, dynamodb:DescribeTable",
    ),
    Part(
        "alarms",
        alarms.check,
        "cloudwatch:DescribeAlarms, lambda:GetFunctionConfiguration, cloudformation:ListStackResources",
    ),
    Part("orders", orders.check, "dynamodb:DescribeTable, GetItem, Query"),
)
"""The parts in the order of the report; the merchants come last, because they take longest."""


def parts(merchant_limit: int) -> tuple[Part, ...]:
    """Return all parts; of the merchants at most so many."""
    check = merchants.limited(merchant_limit)
    return (*PARTS, Part("merchants", check, "secretsmanager:ListSecrets, GetSecretValue"))


def examine(deployment: Deployment, checks: Sequence[Part]) -> Iterator[Finding]:
    """Yield the findings of each part as they arrive."""
    shared = replace(deployment, client=cache(deployment.client))
    for part in checks:
        yield from _findings(part, shared)


def _findings(part: Part, deployment: Deployment) -> Iterator[Finding]:
    try:
        yield from part.check(deployment)
    except ClientError as error:
        yield _refused(part, error)
    except (BotoCoreError, OpsError) as error:
        reason = describe(error) if isinstance(error, BotoCoreError) else str(error)
        yield not_checked(part.subject, reason)
    except Exception as error:  # noqa: BLE001  the edge of one check: a bug or an odd answer must not cost the others
        yield not_checked(part.subject, f"the answer of AWS cannot be read ({type(error).__name__}: {error})")


def _refused(part: Part, error: ClientError) -> Finding:
    code = error.response.get("Error", {}).get("Code", "")
    if "AccessDenied" in code or code in {"UnauthorizedOperation", "AuthorizationError"}:
        words = f"needs {part.permissions}; {error.operation_name} is denied"
        return not_checked(part.subject, words, "choose other credentials with --profile")
    return not_checked(part.subject, describe(error))

"""A deployed stack: its names, as CloudFormation knows them, or as they are given for what a stack has left behind."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from orders.table import OrdersTable
from wechatpay.text import printable


class OpsError(Exception):
    """A command cannot be carried out; the text says why, and what to do."""


def describe(error: ClientError | BotoCoreError) -> str:
    """Return AWS's own words in one clean line: the operation, the error's code and its message."""
    if isinstance(error, ClientError):
        details = error.response.get("Error", {})
        words = f"{error.operation_name}: {details.get('Code', 'no code')}: {details.get('Message', 'no message')}"
    else:
        words = f"{type(error).__name__}: {error}"
    return printable(" ".join(words.split()), 500)


class _Names(dict[str, str]):
    """Names by output; one that is missing is an OpsError that says how to give it."""

    def __missing__(self, output: str) -> str:
        option = OPTIONS.get(output)
        remedy = f"give {option}" if option else "name its stack with --stack"
        raise OpsError(f"this command needs {output} of a stack: {remedy}")


OPTIONS = {
    "OrderQueueUrl": "--queue-url",
    "DeadLettersUrl": "--dead-letters-url",
    "UndeliveredEventsUrl": "--undelivered-url",
    "OrdersTableName": "--table-name",
}
"""Outputs of a stack that may be given by name instead: those of the resources that outlive it."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """The stack's outputs and parameters, and clients to reach them; `client` takes a service's name.

    `kept`: outputs that were given by name, for resources of a stack that is deleted.
    """

    client: Callable[[str], Any]
    outputs: Mapping[str, str]
    parameters: Mapping[str, str]
    kept: frozenset[str] = field(default=frozenset())

    @classmethod
    def find(
        cls,
        name: str | None,
        *,
        region: str | None = None,
        endpoint_url: str | None = None,
        session: boto3.Session | None = None,
        given: Mapping[str, str] | None = None,
    ) -> Self:
        """Look the stack up; OpsError where it is not there or may not be read.

        `session` has credentials and region; by default those of the AWS environment, in `region` where it is given.
        `given`: outputs by name, which stand instead of the stack's own. `name` None: these alone, and no stack.
        """
        session = session or boto3.Session(region_name=region)

        def client(service: str) -> Any:  # noqa: ANN401  boto3 makes its clients at run time
            make: Any = session.client
            return make(service, endpoint_url=endpoint_url)

        outputs, parameters = _look_up(client, name) if name is not None else ({}, {})
        names = _Names(outputs | dict(given or {}))
        return cls(client, names, parameters, frozenset(given or {}))

    @property
    def table(self) -> OrdersTable:
        """The orders table."""
        return OrdersTable(self.client("dynamodb"), self.outputs["OrdersTableName"])

    @property
    def redrive(self) -> Mapping[str, str]:
        """Arguments of StartMessageMoveTask: back to the source; where a queue was given by name, to OrderQueue."""
        if not self.kept & {"DeadLettersUrl", "OrderQueueUrl"}:
            return {"SourceArn": self.outputs["DeadLettersArn"]}
        return {"SourceArn": self._queue_arn("DeadLettersUrl"), "DestinationArn": self._queue_arn("OrderQueueUrl")}

    def _queue_arn(self, output: str) -> str:
        answer = self.client("sqs").get_queue_attributes(QueueUrl=self.outputs[output], AttributeNames=["QueueArn"])
        return str(answer["Attributes"]["QueueArn"])

    @property
    def wechat_pay_url(self) -> str | None:
        """The host that the function calls where it is not WeChat Pay's own, as in the sandbox."""
        return self.parameters.get("WeChatPayBaseUrl") or None

    @property
    def secret_prefix(self) -> str:
        """Where the merchants' secrets are."""
        return self.parameters.get("MerchantSecretPrefix") or "wechatpay"


def _look_up(client: Callable[[str], Any], name: str) -> tuple[dict[str, str], dict[str, str]]:
    try:
        [stack] = client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except (ClientError, BotoCoreError) as error:
        raise OpsError(f"stack {name}: {describe(error)}") from error
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
    parameters = {one["ParameterKey"]: one["ParameterValue"] for one in stack.get("Parameters", [])}
    if "OrdersTableName" not in outputs:
        raise OpsError(f"stack {name} is not this adapter: it has no output OrdersTableName")
    return outputs, parameters

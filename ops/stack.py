"""A deployed stack: its resources' names, from CloudFormation or, for resources of a deleted stack, from options."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from orders.table import OrdersTable
from wechatpay.text import printable


class OpsError(Exception):
    """A command failed; the text says why and what to do."""


class UsageError(OpsError):
    """The arguments of a command do not fit together; nothing was done."""


def describe(error: ClientError | BotoCoreError) -> str:
    """Return an error of AWS in one printable line: the operation, the code and the message."""
    if isinstance(error, ClientError):
        details = error.response.get("Error", {})
        words = f"{error.operation_name}: {details.get('Code', 'no code')}: {details.get('Message', 'no message')}"
    else:
        words = f"{type(error).__name__}: {error}"
    return printable(" ".join(words.split()), 500)


class _Names(dict[str, str]):
    """Names by output; a missing one raises an OpsError that names the option for it."""

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
"""Options that replace outputs of a stack: those of the resources that outlive it."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """The outputs and parameters of a stack; `client` returns the boto3 client of a service by its name.

    `overrides` are the outputs that an option replaced, for resources of a deleted stack.
    """

    client: Callable[[str], Any]
    outputs: Mapping[str, str]
    parameters: Mapping[str, str]
    overrides: frozenset[str] = field(default=frozenset())

    @classmethod
    def find(
        cls,
        name: str | None,
        *,
        region: str | None = None,
        endpoint_url: str | None = None,
        session: boto3.Session | None = None,
        overrides: Mapping[str, str] | None = None,
    ) -> Self:
        """Look up a stack; OpsError if it does not exist or may not be read.

        Args:
            name: The stack's name; None for no stack, with `overrides` alone.
            region: AWS Region; by default that of the AWS environment.
            endpoint_url: AWS endpoint; by default AWS's own.
            session: Credentials and Region, instead of `region`; by default those of the AWS environment.
            overrides: Values by output, which replace the stack's own.
        """
        session = session or boto3.Session(region_name=region)

        def client(service: str) -> Any:  # noqa: ANN401  boto3 creates its clients at run time
            create: Any = session.client
            return create(service, endpoint_url=endpoint_url)

        outputs, parameters = _look_up(client, name) if name is not None else ({}, {})
        names = _Names(outputs | dict(overrides or {}))
        return cls(client, names, parameters, frozenset(overrides or {}))

    @property
    def table(self) -> OrdersTable:
        """The orders table."""
        return OrdersTable(self.client("dynamodb"), self.outputs["OrdersTableName"])

    @property
    def redrive(self) -> Mapping[str, str]:
        """Arguments of StartMessageMoveTask: to the messages' source, or to OrderQueue if an option names a queue."""
        if not self.overrides & {"DeadLettersUrl", "OrderQueueUrl"}:
            return {"SourceArn": self.outputs["DeadLettersArn"]}
        return {"SourceArn": self._queue_arn("DeadLettersUrl"), "DestinationArn": self._queue_arn("OrderQueueUrl")}

    def _queue_arn(self, output: str) -> str:
        answer = self.client("sqs").get_queue_attributes(QueueUrl=self.outputs[output], AttributeNames=["QueueArn"])
        return str(answer["Attributes"]["QueueArn"])

    @property
    def wechat_pay_url(self) -> str | None:
        """The host that the function calls instead of WeChat Pay's own, as in the sandbox."""
        return self.parameters.get("WeChatPayBaseUrl") or None

    @property
    def secret_prefix(self) -> str:
        """The prefix of the names of the merchants' secrets."""
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

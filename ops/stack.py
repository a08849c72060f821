"""A deployed stack: its names, as CloudFormation knows them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Deployment:
    """The stack's outputs and parameters, and clients to reach them; `client` takes a service's name."""

    client: Callable[[str], Any]
    outputs: Mapping[str, str]
    parameters: Mapping[str, str]

    @classmethod
    def find(
        cls,
        name: str,
        *,
        region: str | None = None,
        endpoint_url: str | None = None,
        session: boto3.Session | None = None,
    ) -> Self:
        """Look the stack up; OpsError where it is not there or may not be read.

        `session` has credentials and region; by default those of the AWS environment, in `region` where it is given.
        """
        session = session or boto3.Session(region_name=region)

        def client(service: str) -> Any:  # noqa: ANN401  boto3 makes its clients at run time
            make: Any = session.client
            return make(service, endpoint_url=endpoint_url)

        try:
            [stack] = client("cloudformation").describe_stacks(StackName=name)["Stacks"]
        except (ClientError, BotoCoreError) as error:
            raise OpsError(f"stack {name}: {describe(error)}") from error
        outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
        parameters = {given["ParameterKey"]: given["ParameterValue"] for given in stack.get("Parameters", [])}
        if "OrdersTableName" not in outputs:
            raise OpsError(f"stack {name} is not this adapter: it has no output OrdersTableName")
        return cls(client, outputs, parameters)

    @property
    def table(self) -> OrdersTable:
        """The orders table."""
        return OrdersTable(self.client("dynamodb"), self.outputs["OrdersTableName"])

    @property
    def wechat_pay_url(self) -> str | None:
        """The host that the function calls where it is not WeChat Pay's own, as in the sandbox."""
        return self.parameters.get("WeChatPayBaseUrl") or None

    @property
    def secret_prefix(self) -> str:
        """Where the merchants' secrets are."""
        return self.parameters.get("MerchantSecretPrefix") or "wechatpay"

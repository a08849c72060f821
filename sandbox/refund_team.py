"""The refund team of a deployed stack: the rules of events/outcome-rules.yaml, and what their mail says."""

import json
from dataclasses import dataclass, field
from typing import Any, Self

from sandbox.cloud import Cloud
from sandbox.testbed import EVENTS
from sandbox.waiting import until

RULES = EVENTS / "outcome-rules.yaml"
STACK = "outcome-rules"


@dataclass(frozen=True, slots=True)
class SimulatedRefundTeam:
    """Reads the mails that the rules send: a queue stands for the address. `outputs` are those of the rules' stack."""

    cloud: Cloud
    outputs: dict[str, str]
    inbox: str  # the queue's URL
    mails: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, cloud: Cloud) -> Self:
        """Deploy the rules as they are in the file, and subscribe."""
        outputs = _deploy(cloud)
        sqs = cloud.client("sqs")
        inbox = sqs.create_queue(QueueName=f"{STACK}-mail")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=inbox, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        cloud.client("sns").subscribe(TopicArn=outputs["RefundTopicArn"], Protocol="sqs", Endpoint=arn)
        return cls(cloud, outputs, inbox)

    def mail_about(self, out_order_no: str) -> str | None:
        """Return the mail about an order; None if it has not come yet."""
        messages = self.cloud.client("sqs").receive_message(QueueUrl=self.inbox, MaxNumberOfMessages=10)
        bodies = [json.loads(message["Body"]) for message in messages.get("Messages", [])]
        self.mails.extend(json.loads(body["Message"]) for body in bodies)  # the rule's template is a JSON text
        return next((mail for mail in self.mails if f"order {out_order_no} " in mail), None)


def _deploy(cloud: Cloud) -> dict[str, str]:
    cloudformation = cloud.client("cloudformation")
    cloudformation.create_stack(
        StackName=STACK,
        TemplateBody=RULES.read_text(encoding="utf-8"),
        Parameters=[{"ParameterKey": "RefundMail", "ParameterValue": "refunds@example.com"}],
    )

    def stack() -> dict[str, Any] | None:
        [stack] = cloudformation.describe_stacks(StackName=STACK)["Stacks"]
        return None if stack["StackStatus"].endswith("_IN_PROGRESS") else stack

    deployed = until(stack, state="the rules are deployed")
    assert deployed["StackStatus"] == "CREATE_COMPLETE", deployed  # noqa: S101  the sandbox's own stack
    return {one["OutputKey"]: one["OutputValue"] for one in deployed["Outputs"]}

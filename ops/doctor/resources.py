"""The resources of a stack, by their logical ids."""

from collections.abc import Mapping
from dataclasses import dataclass

from ops.stack import Deployment, OpsError


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource of the stack; `id` is its physical id."""

    kind: str
    id: str
    status: str


def resources(deployment: Deployment) -> Mapping[str, Resource]:
    """Return the resources by logical id; OpsError if no stack is named."""
    if deployment.name is None:
        raise OpsError("this needs the stack's name: give --stack")
    pages = (
        deployment.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=deployment.name)
    )
    return {
        row["LogicalResourceId"]: Resource(
            row["ResourceType"], row.get("PhysicalResourceId", ""), row.get("ResourceStatus", "")
        )
        for page in pages
        for row in page["StackResourceSummaries"]
    }


def resource_id(deployment: Deployment, name: str) -> str:
    """Return the physical id of a resource of the template; OpsError if the stack has none of this name."""
    resource = resources(deployment).get(name)
    if resource is None or not resource.id:
        raise OpsError(f"the stack has no resource {name}: deploy it again")
    return resource.id


def queue_arn(deployment: Deployment, output: str) -> str:
    """Return the ARN of the queue whose URL is this output."""
    attributes = deployment.client("sqs").get_queue_attributes(
        QueueUrl=deployment.outputs[output], AttributeNames=["QueueArn"]
    )
    return str(attributes["Attributes"]["QueueArn"])

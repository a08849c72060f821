"""Find the running sandbox, as `bin/ops` does, and reach everything in it from another process."""

import os
from functools import cached_property

import boto3

from ops import address
from ops.address import Sandbox
from ops.installation import HERE
from ops.stack import Deployment
from sandbox.control_client import ControlClient
from sandbox.errors import SandboxError
from sandbox.journal import Journal


class NotRunningError(SandboxError):
    """No sandbox runs, or none that can be controlled; the text has the remedy."""


class Running:
    """A running sandbox: its stack, which is looked up on first use, the journal of its AWS, and its control port."""

    def __init__(self, place: Sandbox) -> None:
        self._place = place
        self.journal = Journal(place.endpoint_url)
        self.control = ControlClient(place.control_url)

    @cached_property
    def deployment(self) -> Deployment:
        """The stack."""
        place = self._place
        session = boto3.Session(place.access_key_id, place.secret_access_key, region_name=place.region)
        return Deployment.find(place.stack, endpoint_url=place.endpoint_url, session=session)


def find(endpoint_url: str | None = None) -> Running:
    """Return the running sandbox, the one on this endpoint where several run; OpsError if there is none."""
    environment = {"AWS_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"]} if "AWS_ENDPOINT_URL" in os.environ else {}
    sandboxes = address.running()
    place = address.choose(
        None, None, endpoint_url, environment=environment, sandboxes=sandboxes, require_sandbox=True
    ).sandbox
    if place is None or not place.control_url:
        raise NotRunningError(f"the sandbox that runs is of an earlier version: end it, and start `{HERE.start}` again")
    return Running(place)

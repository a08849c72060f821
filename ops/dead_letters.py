"""The dead letters of a small queue at once, for the sandbox and its tests; commands read by `ops/letters`."""

from ops.letters import browse, runs
from ops.letters.reading import Reading
from ops.letters.reasons import Letter
from ops.stack import Deployment, OpsError


def peek(deployment: Deployment) -> list[Letter]:
    """Return all dead letters, oldest first; they stay in the queue. A short poll: the sandbox's SQS misses none."""
    with Reading(browse.source(deployment, wait=0)) as reading:
        steps = browse.letters(reading, deployment.table)
        return sorted((step for step in steps if isinstance(step, Letter)), key=lambda letter: letter.sent_at)


def redrive_one(deployment: Deployment, message_id: str) -> None:
    """Send one message back to OrderQueue with its attributes, then delete it; OpsError if none has this id."""
    queue = browse.source(deployment, wait=0)
    orders = runs.orders(deployment)
    with Reading(queue) as reading:
        for messages in reading.messages():
            for message in messages:
                if message.message_id == message_id:
                    if errors := orders.send([message]).errors:
                        raise OpsError(f"SQS did not take it: {errors[message_id]}")
                    queue.delete([message])
                    reading.release(message_id)
                    return
    raise OpsError(f"no dead letter has the message id {message_id}: see `dead-letters list`")

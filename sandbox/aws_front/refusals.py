"""SQS's own words for what it refuses about message move tasks.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html names the errors;
their texts are those that SQS answers with.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MoveRefusal:
    """A request that SQS refuses: the error's code, its text and the HTTP status."""

    code: str
    message: str
    status: int = 400


class MoveRefusedError(Exception):
    """SQS refuses the request."""

    def __init__(self, refusal: MoveRefusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def missing(parameter: str) -> MoveRefusal:
    """A parameter that the request must have."""
    return MoveRefusal("MissingParameter", f"The request must contain the parameter {parameter}.")


def wrong_arn(parameter: str) -> MoveRefusal:
    """An ARN that is none."""
    form = "arn:<partition>:<service>:<region>:<account-id>:<resource-id>"
    return MoveRefusal("InvalidParameterValue", f"You must use this format to specify the {parameter}: {form}")


def no_queue(parameter: str) -> MoveRefusal:
    """An ARN of a queue that does not exist."""
    text = f"The resource that you specified for the {parameter} parameter doesn't exist."
    return MoveRefusal("ResourceNotFoundException", text, 404)


def out_of_range(parameter: str, value: object, most: int) -> MoveRefusal:
    """A number outside its range, which begins at 1."""
    reason = f"Must be between 1 and {most}, if provided."
    return MoveRefusal("InvalidParameterValue", f"Value {value} for parameter {parameter} is invalid. Reason: {reason}")


def _value(text: str) -> MoveRefusal:
    return MoveRefusal("InvalidParameterValue", text)


NOT_A_DEAD_LETTER_QUEUE = _value("Source queue must be configured as a Dead Letter Queue.")
SAME_QUEUE = _value("Source queue arn and destination queue arn cannot be the same.")
OTHER_TYPE = _value("The source queue and destination queue must be of the same queue type.")
ALREADY_RUNNING = _value(
    "There is already a task running. Only one active task is allowed for a source queue arn at a given time."
)
WRONG_HANDLE = _value("Value for parameter TaskHandle is invalid.")
NO_TASK = MoveRefusal("ResourceNotFoundException", "Task does not exist.", 404)
NOT_RUNNING = _value("Only active tasks can be cancelled.")  # the text is not documented


def not_offered(action: str) -> MoveRefusal:
    """An action that SQS does not have in this region."""
    return MoveRefusal("InvalidAction", f"The action {action} is not valid for this endpoint.")

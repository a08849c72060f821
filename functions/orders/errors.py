"""What can go wrong in this function, named by what the queue should do about it.

OrdersError
├── SettingsError              the environment lacks something: the function cannot start
├── UnsupportedEventError      invoked with something that is neither SQS nor EventBridge
├── MalformedEventError        this message can never be read: dead letter, the others go on
├── UnknownMerchantError       no secret for this mchid: REJECTED
├── MerchantUnavailableError   the secret cannot be had, or is not what it should be: retry, page
├── TableUnavailableError      DynamoDB did not answer: retry, nothing is permanent
├── VersionConflictError       the order was written meanwhile: settle the race
├── UnreadableItemError        this version cannot read the order's item: its own messages wait, the others go on
├── OutOfTimeError             too little time left for another call: back to the queue
└── NotSyncedError             a bare event did not reach a final status: tell the invoker
"""

from collections.abc import Mapping, Sequence


class OrdersError(Exception):
    """Root of every error this function raises on purpose."""


class SettingsError(OrdersError):
    """The environment lacks a variable or holds an unusable one; `name` says which."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"environment variable {name} {problem}")
        self.name = name


class UnsupportedEventError(OrdersError):
    """The function was invoked with neither an SQS batch nor an EventBridge event."""


class MalformedEventError(OrdersError):
    """A message that no retry can make readable: the `field`, what is wrong with it, and the `remedy`.

    The text never repeats the field's value, which may belong to a customer. `event_id`: the event's id, where it could
    be read, cleaned.
    """

    def __init__(self, field: str, problem: str, remedy: str) -> None:
        super().__init__(f"{field}: {problem}; {remedy}")
        self.field = field
        self.problem = problem
        self.remedy = remedy
        self.event_id = ""


class UnknownMerchantError(OrdersError):
    """Secrets Manager holds no secret for this `mchid`."""

    def __init__(self, mchid: str, secret_name: str) -> None:
        super().__init__(f"no secret named {secret_name}: create it with the merchant's keys, then redrive")
        self.mchid = mchid


class MerchantUnavailableError(OrdersError):
    """The merchant's secret cannot be fetched or used now.

    `fields` names the unusable ones; `faults` has a sentence for each fault, by field (`platform_keys[1]`
    for the first of several keys). Neither repeats a value.
    """

    def __init__(
        self, mchid: str, problem: str, fields: Sequence[str] = (), faults: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"merchant {mchid}: {problem}")
        self.mchid = mchid
        self.fields = tuple(fields)
        self.faults: Mapping[str, str] = dict(faults or {})


class TableUnavailableError(OrdersError):
    """DynamoDB refused or did not answer; `code` is its error code, `message` its own words."""

    def __init__(self, operation: str, code: str, message: str = "") -> None:
        super().__init__(f"DynamoDB {operation} failed: {code}" + (f" ({message})" if message else ""))
        self.code = code
        self.message = message


class VersionConflictError(OrdersError):
    """The order's version moved between our read and our write: load it again."""


class UnreadableItemError(OrdersError):
    """The item of this order cannot be read by this version: its own order fails, the others go on."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(f"the item {key} cannot be read: {problem}")
        self.key = key
        self.problem = problem


class OutOfTimeError(OrdersError):
    """The invocation has too little time left for another call to WeChat Pay."""


class NotSyncedError(OrdersError):
    """A bare EventBridge event ended without a final status, so its invoker must retry it."""

"""The order queue: the only module that calls SQS. It sets when a failed message is received again."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import batched
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

ENTRIES_PER_CALL = 10  # ChangeMessageVisibilityBatch's limit


class OrderQueue:
    """The visibility of the messages of an invocation."""

    def __init__(self, client: "Callable[[], SQSClient]", url: str) -> None:
        self._client = client
        self._url = url

    @cached_property
    def _sqs(self) -> "SQSClient":
        """The client, made for the first message that fails: an environment without failures needs none."""
        return self._client()

    def make_visible(self, after: Mapping[str, int]) -> dict[str, str]:
        """Set the visibility timeout of each message (receipt handle → seconds; 0 is at once).

        Returns the error codes of the refused ones, by receipt handle: they are received again when their earlier
        visibility timeout ends.
        """
        refused: dict[str, str] = {}
        for chunk in batched(after.items(), ENTRIES_PER_CALL, strict=False):
            refused |= self._change(chunk)
        return refused

    def _change(self, chunk: Sequence[tuple[str, int]]) -> dict[str, str]:
        entries = [
            {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": seconds}
            for number, (handle, seconds) in enumerate(chunk)
        ]
        handles = [handle for handle, _ in chunk]
        try:
            answer = self._sqs.change_message_visibility_batch(QueueUrl=self._url, Entries=entries)  # type: ignore[arg-type]
        except ClientError as error:
            return dict.fromkeys(handles, str(error.response["Error"]["Code"]))
        except BotoCoreError as error:
            return dict.fromkeys(handles, type(error).__name__)
        return {handles[int(failure["Id"])]: failure["Code"] for failure in answer.get("Failed", [])}

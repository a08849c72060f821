"""The order queue: the only module that speaks SQS. It decides when a failed message is received again."""

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from itertools import batched
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

ENTRIES_PER_CALL = 10  # ChangeMessageVisibilityBatch's limit


class OrderQueue:
    """Visibility of messages that this invocation holds."""

    def __init__(self, client: "Callable[[], SQSClient]", url: str) -> None:
        self._client = client
        self._url = url

    @cached_property
    def _sqs(self) -> "SQSClient":
        """Made for the first message that fails: a healthy environment has none."""
        return self._client()

    def make_visible(self, after: Mapping[str, int]) -> list[str]:
        """Let each message (receipt handle → seconds) be received again then; 0 is at once.

        Returns the error codes of those that kept their old visibility: they come back when that ends, nothing is lost.
        """
        return [
            code for chunk in batched(after.items(), ENTRIES_PER_CALL, strict=False) for code in self._change(chunk)
        ]

    def _change(self, chunk: Iterable[tuple[str, int]]) -> list[str]:
        entries = [
            {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": seconds}
            for number, (handle, seconds) in enumerate(chunk)
        ]
        try:
            answer = self._sqs.change_message_visibility_batch(QueueUrl=self._url, Entries=entries)  # type: ignore[arg-type]
        except ClientError as error:
            return [str(error.response["Error"]["Code"])] * len(entries)
        except BotoCoreError as error:
            return [type(error).__name__] * len(entries)
        return [failure["Code"] for failure in answer.get("Failed", [])]

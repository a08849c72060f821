"""The event bus that outcomes go to: PutEvents, ten entries a call."""

import json
from collections.abc import Sequence
from datetime import datetime
from itertools import batched
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from outcomes.announcement import Announcement

if TYPE_CHECKING:
    from mypy_boto3_events.client import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

SOURCE = "payscore.orders"
ENTRIES = 10  # the most that PutEvents takes in one call


class Bus:
    """Publishes announcements; an entry that EventBridge refuses is reported, not repeated: the stream repeats it."""

    def __init__(self, client: "EventBridgeClient", name: str) -> None:
        self._client = client
        self._name = name

    def publish(self, announcements: Sequence[Announcement]) -> list[str]:
        """Publish in this order; return the problem of each announcement, empty where EventBridge took it.

        After a call without an answer nothing more is sent, so that an order's later event does not overtake.
        """
        problems: list[str] = []
        for chunk in batched(announcements, ENTRIES, strict=False):
            try:
                answer = self._client.put_events(Entries=[self._entry(one) for one in chunk])
            except (BotoCoreError, ClientError) as error:
                return problems + [f"PutEvents: {error}"] * (len(announcements) - len(problems))
            problems += [entry.get("ErrorCode", "") for entry in answer["Entries"]]
        return problems

    def _entry(self, announcement: Announcement) -> "PutEventsRequestEntryTypeDef":
        return {
            "EventBusName": self._name,
            "Source": SOURCE,
            "DetailType": announcement.detail_type.value,
            "Time": datetime.fromisoformat(announcement.at),
            "Detail": json.dumps(announcement.detail, ensure_ascii=False, separators=(",", ":")),
        }

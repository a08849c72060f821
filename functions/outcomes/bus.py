"""The event bus that outcomes go to: PutEvents, ten entries a call at most, each of another order."""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from outcomes.announcement import Announcement

if TYPE_CHECKING:
    from mypy_boto3_events.client import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

SOURCE = "payscore.orders"
ENTRIES = 10  # the most that PutEvents takes in one call
NOT_SENT = "not sent, because an earlier one was not taken"


class Bus:
    """Publishes announcements; an entry that EventBridge refuses is reported, not repeated: the stream repeats it."""

    def __init__(self, client: "EventBridgeClient", name: str) -> None:
        self._client = client
        self._name = name

    def publish(self, announcements: Sequence[Announcement]) -> list[str]:
        """Publish in this order; return the problem of each announcement, empty where EventBridge took it.

        After a call of which anything was not taken nothing more is sent, and two events of an order never share a
        call: so an order's later event does not overtake the earlier one.
        """
        problems: list[str] = []
        for call in _calls(announcements):
            problems += self._put(call)
            if any(problems):
                break
        return problems + [NOT_SENT] * (len(announcements) - len(problems))

    def _put(self, announcements: Sequence[Announcement]) -> list[str]:
        try:
            answer = self._client.put_events(Entries=[self._entry(one) for one in announcements])
        except (BotoCoreError, ClientError) as error:
            return [f"PutEvents: {error}"] * len(announcements)
        return [entry.get("ErrorCode", "") for entry in answer["Entries"]]

    def _entry(self, announcement: Announcement) -> "PutEventsRequestEntryTypeDef":
        return {
            "EventBusName": self._name,
            "Source": SOURCE,
            "DetailType": announcement.detail_type.value,
            "Time": datetime.fromisoformat(announcement.at),
            "Detail": json.dumps(announcement.detail, ensure_ascii=False, separators=(",", ":")),
        }


def _calls(announcements: Iterable[Announcement]) -> Iterator[list[Announcement]]:
    """Yield what each call takes, in this order."""
    call: list[Announcement] = []
    for announcement in announcements:
        if len(call) == ENTRIES or announcement.key in {one.key for one in call}:
            yield call
            call = []
        call.append(announcement)
    if call:
        yield call

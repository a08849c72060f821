"""What a notification of WeChat Pay would say, and to which address: values, for the room that sends it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class NotificationFacts:
    """The contents of one notification, before it is encrypted; without `notify_url` WeChat Pay sends none."""

    event_type: str
    summary: str
    original_type: Literal["payscore", "refund"]
    resource: Mapping[str, Any]
    notify_url: str

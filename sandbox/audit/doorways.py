"""What went through the doorways: the collections that WeChat Pay told, and the outcome events that were published."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Self

from sandbox.audit.till_report import order_key


@dataclass(frozen=True, slots=True)
class OutcomeEvent:
    """An outcome event as a consumer has received it; `key` is that of the order's item."""

    detail_type: str
    key: str
    status: str
    version: int
    at: str
    reason: str = ""
    transaction_id: str = ""

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> Self:
        """Read an event as EventBridge delivers it."""
        detail = event["detail"]
        return cls(
            event["detail-type"],
            order_key(detail["mchid"], detail["out_order_no"], detail.get("sub_mchid", "")),
            detail["status"],
            detail["version"],
            detail["at"],
            detail.get("reason", ""),
            detail.get("transaction_id", ""),
        )


@dataclass(frozen=True, slots=True)
class Doorways:
    """The orders of which WeChat Pay told that it collected, and was answered; and every outcome event, in turn."""

    collections: Set[str]
    events: Sequence[OutcomeEvent]

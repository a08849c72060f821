"""What customers and WeChat Pay do with an order by themselves, and after how many seconds.

WeChat Pay deducts after `complete` and tries again after a failure; the customer may pay in the order page before
(doc 4012587200).
"""

from dataclasses import asdict, dataclass, fields
from typing import Self

from sandbox.wechat_pay.state import Record
from sandbox.wechat_pay.verbs import CommandError


@dataclass(frozen=True, slots=True)
class Automation:
    """What happens to an order by itself, in seconds after the step before by the simulator's clock; None never.

    `confirm_after`: the customer confirms. `pay_after`: the customer pays in the order page. `deduct_after`: WeChat Pay
    deducts, which takes `deducting_for`; the first `failures` deductions end without the money and are tried again
    `retry_after` later.
    """

    confirm_after: float | None = None
    pay_after: float | None = None
    deduct_after: float | None = None
    deducting_for: float = 0.0
    failures: int = 0
    retry_after: float = 1800.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value is not None and value < 0:
                raise CommandError(f"{name} must be 0 or more, not {value}", field=name)

    @classmethod
    def of(cls, record: Record) -> Self:
        """Read an automation from its record; what the record lacks has its default."""
        return cls(**{field.name: record[field.name] for field in fields(cls) if field.name in record})


NOTHING = Automation()
"""Every step is a command."""

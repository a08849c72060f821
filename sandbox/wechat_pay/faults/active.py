"""The faults that are on: for how many calls, of which operation or order."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

from sandbox.wechat_pay.draft import Draft
from sandbox.wechat_pay.faults.registry import FaultKind, Options, When, kind_of


@dataclass(slots=True)
class Fault:
    """An active fault: for the next `times` calls (None: all), of one operation or order where one is named."""

    kind: FaultKind
    times: int | None = None
    operation: str | None = None
    out_order_no: str | None = None
    options: Options = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        name: str,
        options: Options,
        *,
        times: int | None = None,
        operation: str | None = None,
        out_order_no: str | None = None,
    ) -> Self:
        """Make a fault with its defaults filled in; raise ValueError for a name or option that does not exist."""
        kind = kind_of(name)
        complete = kind.complete(options)
        require_times(name, times)
        return cls(kind, kind.times if times is None else times, operation, out_order_no, complete)

    def fits(self, operation: str, out_order_no: str) -> bool:
        """Whether it strikes this call."""
        if self.times is not None and self.times <= 0:
            return False
        right_operation = self.kind.can_strike(operation) and self.operation in {None, operation}
        return right_operation and self.out_order_no in {None, out_order_no}

    def strike(self, draft: Draft) -> Draft:
        """Return the draft as the fault leaves it."""
        return self.kind.change(draft, **self.options)


def require_times(name: str, times: object) -> None:
    """Raise ValueError unless a fault can strike so many calls: None for all, otherwise 0 or more."""
    if times is not None and (isinstance(times, bool) or not isinstance(times, int) or times < 0):
        raise ValueError(f"{name}: times must be a whole number of calls, not {times!r:.80}")


@dataclass(slots=True)
class ActiveFaults:
    """The active faults; where several strike a call at one place, the one that was switched on first does."""

    faults: list[Fault] = field(default_factory=list)

    def add(self, fault: Fault) -> None:
        """Switch a fault on."""
        self.faults.append(fault)

    def clear(self) -> None:
        """Switch all faults off."""
        self.faults.clear()

    def take(self, when: When, operation: str, out_order_no: str) -> Fault | None:
        """Return the fault that strikes this call there, and count it as used once."""
        for fault in self.faults:
            if fault.kind.when is when and fault.fits(operation, out_order_no):
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None

    @contextmanager
    def during_call(self, fault: Fault | None) -> Iterator[None]:
        """Switch a fault on for the length of the block."""
        if fault is not None:
            self.faults.append(fault)
        try:
            yield
        finally:
            if fault is not None:
                self.faults.remove(fault)

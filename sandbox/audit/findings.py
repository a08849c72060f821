"""What an audit has found: lists that must be empty, and counts of what is explained."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Findings:
    """The result of an audit; every list must be empty, and what is open or dead must have its reason."""

    orders: int = 0
    lost_orders: list[str] = field(default_factory=list)
    wrong_statuses: list[str] = field(default_factory=list)
    changed_statuses: list[str] = field(default_factory=list)
    false_times: list[str] = field(default_factory=list)
    late_calls: list[str] = field(default_factory=list)
    unexplained_letters: list[str] = field(default_factory=list)
    retrying_letters: list[str] = field(default_factory=list)
    overwritten_items: list[str] = field(default_factory=list)
    unsafe_texts: list[str] = field(default_factory=list)
    hidden_reports: list[str] = field(default_factory=list)
    false_collections: list[str] = field(default_factory=list)
    untold_collections: list[str] = field(default_factory=list)
    missing_events: list[str] = field(default_factory=list)
    false_events: list[str] = field(default_factory=list)
    ledger: Counter[tuple[str, str]] = field(default_factory=Counter)
    open: Counter[str] = field(default_factory=Counter)
    dead: Counter[str] = field(default_factory=Counter)

    @property
    def counts(self) -> dict[str, int]:
        """How many of each kind that must not be."""
        return {kind: len(keys) for kind, keys in self._kinds}

    @property
    def faults(self) -> list[str]:
        """Everything that must not be."""
        return [f"{kind}: {key}" for kind, keys in self._kinds for key in keys]

    @property
    def examples(self) -> list[str]:
        """Up to five of each kind that must not be."""
        return [f"{kind}: {key}" for kind, keys in self._kinds for key in keys[:5]]

    @property
    def _kinds(self) -> tuple[tuple[str, list[str]], ...]:
        return (
            ("lost", self.lost_orders),
            ("wrongly final", self.wrong_statuses),
            ("final status changed", self.changed_statuses),
            ("false time of payment", self.false_times),
            ("called after the verdict", self.late_calls),
            ("dead letter without a reason", self.unexplained_letters),
            ("dead letter, but the item says RETRYING", self.retrying_letters),
            ("unreadable item overwritten", self.overwritten_items),
            ("unsafe text", self.unsafe_texts),
            ("report hidden behind COLLECTED", self.hidden_reports),
            ("false collection", self.false_collections),
            ("told, but not in the table", self.untold_collections),
            ("outcome without its event", self.missing_events),
            ("event that the table does not bear out", self.false_events),
        )

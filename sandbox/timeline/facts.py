"""What is known about everything in a sandbox, before it is put into the order of one story."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ops.items import Item
from ops.letters.reasons import Letter
from ops.log_lines import LogLine
from sandbox.journal import JournalEntry
from sandbox.timeline.exchange import Exchange
from sandbox.timeline.rules import Rule


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that was read at `now` (Unix seconds).

    `queues` names the queues by their role: `orders`, `dead letters`, `undelivered`. `visibility_timeout` is that of
    the order queue in seconds. `ledger` holds WeChat Pay's orders. `unread` says what could not be read, and why.
    """

    now: float
    entries: Sequence[JournalEntry] = ()
    lines: Sequence[LogLine] = ()
    exchanges: Sequence[Exchange] = ()
    items: Sequence[Item] = ()
    letters: Sequence[Letter] = ()
    ledger: Sequence[Mapping[str, object]] = ()
    rules: Sequence[Rule] = ()
    queues: Mapping[str, str] = field(default_factory=dict)
    visibility_timeout: float = 360.0
    unread: Sequence[str] = ()

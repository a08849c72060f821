"""The auditor: looks at the table while messages run, and compares afterwards.

It shares nothing with the function: it reads raw items and raw messages, and decides itself what a status means.
"""

from collections.abc import Callable, Iterable, Sequence

from sandbox.audit.checks import check
from sandbox.audit.doorways import Doorways
from sandbox.audit.evidence import FINAL, AuditEvidence, LedgerEntry, RawItem, Untouched, by_key, reported_times
from sandbox.audit.findings import Findings
from sandbox.audit.till_report import TillReport


class Auditor:
    """Remembers the final statuses and the items that must stay; `read_items` returns the table's items by key."""

    def __init__(self, read_items: Callable[[], dict[str, RawItem]]) -> None:
        """Begin before the first message."""
        self._read_items = read_items
        self._final: dict[str, str] = {}  # order → the final status that it had first
        self._changed: set[str] = set()
        self._untouched: dict[str, Untouched] = {}

    def expect_untouched(self, item: RawItem, since: float) -> None:
        """Expect that an unreadable item, in the table since this Unix time, stays as it is.

        `since` 0 stands for before the first message: then its reports must be among the dead letters, or wait.
        """
        self._untouched[item["pk"]] = Untouched(item, since)
        self._final.pop(item["pk"], None)

    def look(self) -> dict[str, RawItem]:
        """Look at the table once more: a final status must still be what it was."""
        items = self._read_items()
        for key, status in list(self._final.items()):  # disturbances take keys away meanwhile
            if key not in self._untouched and items.get(key, {}).get("status") != status:
                self._changed.add(key)
        readable = {key: item for key, item in items.items() if key not in self._untouched}
        self._final |= {key: item["status"] for key, item in readable.items() if item.get("status") in FINAL}
        return items

    def compare(
        self,
        reports: Sequence[TillReport],
        orders: Iterable[LedgerEntry],
        calls: Iterable[tuple[str, float]],
        letters: Iterable[str],
        waiting: int,
        doorways: Doorways | None = None,
    ) -> Findings:
        """Compare everything.

        `orders`: WeChat Pay's ledger; `calls`: order and Unix time of each call; `letters`: bodies of the dead letters;
        `waiting`: messages in the queue; `doorways`: what was told and announced, None where they are shut.
        """
        items, times = self.look(), reported_times(reports)
        evidence = AuditEvidence(
            items=items,
            times=times,
            poison={report.body for report in reports if not report.readable},
            ledger=dict(by_key(orders, times.keys() | items.keys())),
            calls=list(calls),
            letters=list(letters),
            waiting=waiting,
            untouched=self._untouched,
            doorways=doorways,
        )
        return check(evidence, self._changed)

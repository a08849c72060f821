"""Which of two hosts a call asks first (doc 4012075113): the main one, or its backup while the main one is out.

Pure: the clock is an argument. There is no lock, so that a process may fork at any moment.
"""

from dataclasses import dataclass, field

RECOVERY = 60.0
"""Seconds for which a main host that failed is not asked first; then one call tries it again."""


@dataclass(frozen=True, slots=True)
class _Outage:
    """The main host does not answer until Unix time `until`; the call that takes the element of `probe` tries it."""

    until: float
    probe: list[None] = field(default_factory=lambda: [None])

    def is_over(self, now: float) -> bool:
        """Return whether it is time to try again; a clock that was set back does not prolong the outage."""
        return not 0 < self.until - now <= RECOVERY


class Hosts:
    """A main host, its backup, and whether the main one is out; safe to use from many threads.

    One failure of the main host sends the calls that follow to the backup. After `RECOVERY` seconds exactly one call
    asks the main host again, while the others stay with the backup; its success ends the outage.
    """

    def __init__(self, main: str, backup: str) -> None:
        self.main = main
        self.backup = backup
        self._outage: _Outage | None = None

    @property
    def is_out(self) -> bool:
        """Whether the main host did not answer; the next `order` may then be the one that tries it."""
        return self._outage is not None

    def order(self, now: float) -> tuple[str, str]:
        """Return both hosts, the one to ask first at Unix time `now` before the other."""
        outage = self._outage
        if outage is None:
            return self.main, self.backup
        if not outage.is_over(now):
            return self.backup, self.main
        try:
            outage.probe.pop()  # one thread gets it: `list.pop` is atomic
        except IndexError:
            return self.backup, self.main
        self._outage = _Outage(now + RECOVERY)
        return self.main, self.backup

    def failed(self, host: str, now: float) -> None:
        """Record that a host could not be connected to, or sent no whole answer in time."""
        if self.main == self.backup:
            return
        if host == self.main:
            self._outage = _Outage(now + RECOVERY)
        elif self._outage is not None:
            self._outage = _Outage(now)  # both are out: the next call tries the main host

    def answered(self, host: str) -> None:
        """Record that a host has answered, with whatever status."""
        if host == self.main:
            self._outage = None


class Failover:
    """The hosts of everything that one session calls: all its clients share the outages that one of them has met."""

    def __init__(self) -> None:
        self._hosts: dict[tuple[str, str], Hosts] = {}

    def hosts(self, main: str, backup: str) -> Hosts:
        """Return the one `Hosts` of this pair."""
        return self._hosts.setdefault((main, backup), Hosts(main, backup))

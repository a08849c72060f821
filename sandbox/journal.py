"""Read the journal of the embedded AWS: what happened to events, messages, functions and items, in order."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import requests

from sandbox.errors import SandboxError

PATH = "/__sandbox__/journal"
OUTCOMES = "payscore.orders"  # the source of the adapter's own events, about outcomes
SPARE = 60.0  # seconds beyond the wait, on a machine that is busy
_FIELDS_OF_ALL = ("n", "at", "kind")


class JournalError(SandboxError):
    """The journal cannot be read; the text says why."""


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One thing that happened: its number, the time in Unix seconds, its kind, and the fields of that kind."""

    n: int
    at: float
    kind: str
    fields: Mapping[str, object] = field(default_factory=dict)


class Journal:
    """The journal of a running embedded AWS."""

    def __init__(self, endpoint_url: str) -> None:
        self._url = endpoint_url.rstrip("/") + PATH
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy stands before loopback

    def entries(self, after: int = 0, wait: float = 0) -> list[JournalEntry]:
        """Return the entries with a greater number, oldest first; where there is none, after `wait` seconds at most.

        Raise JournalError where the embedded AWS does not answer.
        """
        try:
            answer = self._session.get(self._url, params={"after": after, "wait": wait}, timeout=wait + SPARE)
            answer.raise_for_status()
            return [_entry(one) for one in answer.json()["entries"]]
        except (requests.RequestException, ValueError, LookupError) as error:
            raise JournalError(f"{self._url} was not read: {error}; is the sandbox running?") from error


def _entry(one: Mapping[str, object]) -> JournalEntry:
    fields = {name: value for name, value in one.items() if name not in _FIELDS_OF_ALL}
    return JournalEntry(int(str(one["n"])), float(str(one["at"])), str(one["kind"]), fields)

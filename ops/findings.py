"""What a check has observed: ok, a warning, a failure, or the reason why it was not checked; each with its remedy."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from ops.installation import HERE


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a report: what was checked, how it ended, what was observed, and the remedy, if one is needed."""

    subject: str
    state: State
    words: str
    remedy: str = ""

    def document(self) -> dict[str, str]:
        """Return the finding for `--json`."""
        remedy = HERE.words(self.remedy)
        return {"subject": self.subject, "state": self.state.value, "words": self.words, "remedy": remedy}


def ok(subject: str, words: str) -> Finding:
    """Return the finding of a check that passed."""
    return Finding(subject, State.OK, words)


def warning(subject: str, words: str, remedy: str = "") -> Finding:
    """Return a finding that needs no action at this moment."""
    return Finding(subject, State.WARNING, words, remedy)


def failed(subject: str, words: str, remedy: str) -> Finding:
    """Return the finding of a check that failed; there is always a remedy."""
    return Finding(subject, State.FAILED, words, remedy)


def not_checked(subject: str, reason: str, remedy: str = "") -> Finding:
    """Return the finding of a check that could not run, and why."""
    return Finding(subject, State.NOT_CHECKED, reason, remedy)


def any_failed(findings: Iterable[Finding]) -> bool:
    """Return whether a check failed; the exit status of a command depends on it."""
    return any(finding.state is State.FAILED for finding in findings)

"""When a call that brought no whole answer may be sent again, or to the other host: a pure rule over frozen values.

WeChat Pay may have executed any call whose request left this machine. A second try is safe in two cases only
(docs 4012075113, 4012081717):

- `Backup`: nothing left this machine, and the other host has not been tried.
- `Resend`: a kept connection turned out to be closed, and the call may be executed twice. Once per call.

Never after a time-out, never after a byte of an answer. `wechatpay.failures` reads the evidence from exceptions,
proxies and TLS included; `wechatpay.transport` asks this rule and does the I/O.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias


class FailedTry(NamedTuple):
    """A try that brought no whole answer, and the evidence about it.

    `sent`: the request may have left this machine. `reused`: over a connection that had served before. `answered`: at
    least one byte of an answer arrived, an interim answer included. `timed_out`: a limit of time ended the try.
    """

    host: str
    sent: bool
    reused: bool = False
    answered: bool = False
    timed_out: bool = False

    @property
    def closed_while_idle(self) -> bool:
        """Return whether this is what a kept connection does that the other side closed while it was idle."""
        return self.sent and self.reused and not self.answered and not self.timed_out


@dataclass(frozen=True, slots=True)
class Backup:
    """Send the call to `host`, the one that has not been tried."""

    host: str


@dataclass(frozen=True, slots=True)
class Resend:
    """Send the call to `host` again, on a connection that has not served before."""

    host: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Send nothing more; `sent`: the request of any try may have arrived."""

    sent: bool


NextTry: TypeAlias = Backup | Resend | GiveUp


def next_try(tries: Sequence[FailedTry], *, other: str, repeatable: bool) -> NextTry:
    """Decide what follows the failed tries of one call, oldest first.

    `other` is the host that the first try did not ask (the same host where there is no backup). `repeatable`: the call
    may be executed twice.
    """
    *earlier, last = tries
    if not last.sent:
        if all(failed.host != other for failed in tries):
            return Backup(other)
    elif last.closed_while_idle and repeatable and not any(failed.sent for failed in earlier):
        return Resend(last.host)
    return GiveUp(sent=any(failed.sent for failed in tries))

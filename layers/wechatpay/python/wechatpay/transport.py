"""When a call may be sent again, or elsewhere: the rule as a function over values, and the loop that follows it.

A call is repeated by itself only where that is harmless, newly signed each time: on the other host once, when
connecting failed; on a fresh connection once, when a *reused* one died before any byte of an answer and the call may be
executed twice. Never after a time-out or a byte of an answer (docs 4012075113, 4012081717).
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import requests
from urllib3.exceptions import HTTPError

from wechatpay import failures
from wechatpay.errors import UnansweredError
from wechatpay.hosts import Hosts
from wechatpay.limits import ANSWER_LIMIT, OverdueError, TooLongError, Try, trying

_REDIRECTS = frozenset({301, 302, 303, 307, 308})


# ---- the rule ----


@dataclass(frozen=True, slots=True)
class FailedTry:
    """What is known of a try that brought no whole answer."""

    host: str
    sent: bool
    reused: bool = False
    answered: bool = False
    timed_out: bool = False


@dataclass(frozen=True, slots=True)
class Backup:
    """Send the call to the other host: nothing has arrived at this one."""


@dataclass(frozen=True, slots=True)
class Resend:
    """Send the call again on a fresh connection: the old one had died."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Send nothing more; `sent`: whether any try may have arrived."""

    sent: bool


def next_try(tries: Sequence[FailedTry], *, other: str, repeatable: bool) -> Backup | Resend | GiveUp:
    """Decide what follows failed tries: `other` is the host that the first did not ask.

    `repeatable`: the call may be executed twice.
    """
    last, earlier = tries[-1], tries[:-1]
    if not last.sent and other not in {each.host for each in tries}:
        return Backup()
    died = last.sent and last.reused and not last.answered and not last.timed_out
    if died and repeatable and not any(each.sent for each in earlier):
        return Resend()
    return GiveUp(any(each.sent for each in tries))


# ---- the loop ----


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer as it came, not verified yet."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Route:
    """What a call goes over: connections, its two hosts in the order to ask them, and its limits.

    `timeout` is seconds to connect and seconds for the answer, of each try; all of them end at `end`
    (`time.monotonic`). `clock` gives Unix seconds.
    """

    session: requests.Session
    hosts: Hosts
    order: tuple[str, str]
    timeout: tuple[float, float]
    end: float
    clock: Callable[[], float]


def exchange(route: Route, prepare: Callable[[str], requests.PreparedRequest], *, repeatable: bool) -> Reply:
    """Send a call and read its whole answer.

    `prepare` makes the newly signed request for a host. Raises UnansweredError. With a session that is not
    `wechatpay.Session` the limits hold for each single operation only, as requests has them.
    """
    host, fresh = route.order[0], False
    tries: list[FailedTry] = []
    while True:
        request = prepare(host)
        attempt = Try(route.clock, *route.timeout, route.end, fresh)
        with trying(attempt):
            try:
                reply = _once(route.session, request, attempt)
            except (
                requests.RequestException,
                HTTPError,
                OSError,
                ValueError,
            ) as error:  # ValueError: of a bad Location
                tries.append(_failed(error, host, attempt, route.session, request))
                words = failures.words(error)
            else:
                route.hosts.answered(host)
                return reply
        if not tries[-1].sent or tries[-1].timed_out:
            route.hosts.failed(host, route.clock())
        match next_try(tries, other=route.order[1], repeatable=repeatable):
            case Backup():
                host = route.order[1]
            case Resend():
                fresh = True
            case GiveUp(sent):
                break
    # Outside of the handler: the exceptions of requests and urllib3 repeat URLs, and hold requests with their bodies.
    story = "the request may have arrived" if sent else "nothing was sent"
    path = request.path_url.partition("?")[0]
    raise UnansweredError(f"no whole answer ({words}), {story}", sent=sent, method=str(request.method), path=path)


def _failed(
    error: Exception, host: str, attempt: Try, session: requests.Session, request: requests.PreparedRequest
) -> FailedTry:
    timed_out = failures.timed_out(error)
    if attempt.observed:
        return FailedTry(host, attempt.sent, attempt.reused, attempt.sent and attempt.received > 0, timed_out)
    sent = attempt.sent or not failures.never_sent(error, session, str(request.url))
    return FailedTry(host, sent, timed_out=timed_out)


def _once(session: requests.Session, request: requests.PreparedRequest, attempt: Try) -> Reply:
    left = max(attempt.until - time.monotonic(), 0.001)
    settings = session.merge_environment_settings(request.url, {}, True, None, None)
    timeout = min(attempt.connect, left), min(attempt.read, left)
    response = session.send(request, timeout=timeout, allow_redirects=False, **settings)
    attempt.sent = True
    try:
        if response.status_code in _REDIRECTS:  # a body that no caller reads
            response.close()
            return Reply(response.status_code, response.headers, b"")
        content = _content(response, attempt)
    except BaseException:
        response.close()
        raise
    return Reply(response.status_code, response.headers, content)


def _content(response: requests.Response, attempt: Try) -> bytes:
    """Read the body; raises TooLongError, or OverdueError where the connection does not keep the limit itself."""
    chunks, size = [], 0
    while chunk := response.raw.read1(65_536, decode_content=True):
        chunks.append(chunk)
        size += len(chunk)
        if size > ANSWER_LIMIT:
            raise TooLongError(f"the answer is longer than {ANSWER_LIMIT} bytes")
        if not attempt.observed and time.monotonic() > attempt.until and not response.raw.closed:
            raise OverdueError(f"no whole answer within {attempt.read:.3g} s")
    return b"".join(chunks)

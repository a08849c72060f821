"""Sending a call and reading its whole answer; `wechatpay.retries` decides about what may be sent again."""

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException, HTTPResponse
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import requests
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import HTTPError

from wechatpay import connections, failures
from wechatpay.connections import Session
from wechatpay.errors import UnansweredError
from wechatpay.hosts import Hosts
from wechatpay.limits import ANSWER_LIMIT, OverdueError, TooLongError, Try, trying
from wechatpay.retries import Backup, FailedTry, GiveUp, Resend, next_try

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PIECE = 65_536  # bytes of a body that are read at a time
# ValueError: of a bad Location
_FAILURES = requests.RequestException, HTTPError, HTTPException, OSError, ValueError


class Reply(NamedTuple):
    """An HTTP answer as it came, not verified yet."""

    status: int
    headers: CaseInsensitiveDict[str]
    content: bytes

    def __repr__(self) -> str:
        return f"Reply(status={self.status})"


class Route(NamedTuple):
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


@dataclass(slots=True, eq=False)
class Started:
    """A call whose first try has been sent, or has failed while it was; `exchange` ends it.

    `socket` is where the answer comes; None where the try has failed. `reply` reads it, within the try.
    """

    route: Route
    request: requests.PreparedRequest
    attempt: Try
    reply: Callable[[], Reply]
    socket: socket.socket | None

    def receive(self) -> bool:
        """Read the answer, once; return whether it came whole. Otherwise `exchange` repeats the call or gives it up."""
        with trying(self.attempt):
            try:
                reply = self.reply()
            except _FAILURES as error:
                self.reply = partial(_fail, error)
                return False
        self.reply = lambda: reply
        return True


def start(route: Route, prepare: Callable[[str], requests.PreparedRequest]) -> Started | None:
    """Send the first try of a call over a connection that stands; None, and nothing sent or signed, where none does."""
    session = route.session
    if not isinstance(session, Session):
        return None
    attempt = Try(route.clock, *route.timeout, route.end)
    request = prepare(route.order[0])
    with trying(attempt):
        try:
            way = connections.begin(session, request, attempt)
        except _FAILURES as error:
            return Started(route, request, attempt, partial(_fail, error), None)
    if way is None:
        return None
    return Started(route, request, attempt, lambda: _read_begun(way, attempt), way.socket)


def _fail(error: Exception) -> NoReturn:
    raise error


def exchange(
    route: Route,
    prepare: Callable[[str], requests.PreparedRequest],
    *,
    repeatable: bool,
    started: Started | None = None,
) -> Reply:
    """Send a call and read its whole answer; repeat it where `wechatpay.retries` allows that.

    `prepare` makes the newly signed request for a host. `repeatable`: the call may be executed twice. `started` is the
    first try over this route. Raise UnansweredError. With a session that is not `wechatpay.Session` the limits hold for
    each single operation only, as requests has them.
    """
    host, other = route.order
    fresh = False
    tries: list[FailedTry] = []
    while True:
        if started is None:
            request = prepare(host)
            attempt = Try(route.clock, *route.timeout, route.end, fresh)
            read: Callable[[], Reply] = partial(_send, route.session, request, attempt)
        else:
            request, attempt, read, started = started.request, started.attempt, started.reply, None
        with trying(attempt):
            try:
                reply = read()
            except _FAILURES as error:
                failed = _evidence(error, host, attempt, route.session, request)
                cause = failures.words(error)
            else:
                route.hosts.answered(host)
                return reply
        if not failed.sent or failed.timed_out:
            route.hosts.failed(host, route.clock())
        tries.append(failed)
        match next_try(tries, other=other, repeatable=repeatable):
            case Backup(host):
                pass
            case Resend(host):
                fresh = True
            case GiveUp(sent):
                break
    # Not raised in the handler: the exceptions of requests and urllib3 repeat URLs, and hold requests with bodies.
    consequence = "the request may have arrived" if sent else "nothing was sent"
    path = request.path_url.partition("?")[0]
    raise UnansweredError(f"no whole answer ({cause}), {consequence}", sent=sent, method=str(request.method), path=path)


def _evidence(
    error: Exception, host: str, attempt: Try, session: requests.Session, request: requests.PreparedRequest
) -> FailedTry:
    """Return what a try proves: what its connection recorded, or what the error says where that is not ours."""
    timed_out = failures.timed_out(error)
    if attempt.observed:
        return FailedTry(host, attempt.sent, attempt.reused, attempt.sent and attempt.received > 0, timed_out)
    sent = attempt.sent or not failures.never_sent(error, session, str(request.url))
    return FailedTry(host, sent, timed_out=timed_out)


def _send(session: requests.Session, request: requests.PreparedRequest, attempt: Try) -> Reply:
    """Send a request once and read its answer, within the limits of `attempt`."""
    seconds = max(attempt.until - time.monotonic(), 0.001)
    settings = session.merge_environment_settings(request.url, {}, True, None, None)
    timeout = min(attempt.connect, seconds), min(attempt.read, seconds)
    return _read(session.send(request, timeout=timeout, allow_redirects=False, **settings), attempt)


def _read(response: requests.Response, attempt: Try) -> Reply:
    """Read an answer to its end, but for the body of a redirect, which no caller reads."""
    return Reply(response.status_code, response.headers, _whole(response, response.status_code, response.raw, attempt))


def _read_begun(request: connections.Begun, attempt: Try) -> Reply:
    """Read the answer to a request that was sent; requests' response around it would have no reader."""
    answer = request.answer()
    return Reply(answer.status, connections.headers_of(answer), _whole(answer, answer.status, answer, attempt))


def _whole(response: "requests.Response | BaseHTTPResponse", status: int, raw: Any, attempt: Try) -> bytes:  # noqa: ANN401  requests has no type for it
    """Read the body; close a response that is not read to its end: its connection is of no use any more."""
    attempt.sent = True
    try:
        if status in _REDIRECTS:
            response.close()
            return b""
        return _content(raw, attempt)
    except BaseException:
        response.close()
        raise


def _content(raw: Any, attempt: Try) -> bytes:  # noqa: ANN401  requests has no type for it
    """Read the body; raise TooLongError, or OverdueError where the connection does not keep the limit itself."""
    if isinstance(raw, HTTPResponse):  # it keeps the limit of time itself
        _require_short(raw.length or 0)
        return raw.read()
    pieces, size = [], 0
    while piece := raw.read1(_PIECE, decode_content=True):
        pieces.append(piece)
        size += len(piece)
        _require_short(size)
        if not attempt.observed and time.monotonic() > attempt.until and not raw.closed:
            raise OverdueError(f"no whole answer within {attempt.read:.3g} s")
    return b"".join(pieces)


def _require_short(size: int) -> None:
    if size > ANSWER_LIMIT:
        raise TooLongError(f"the answer is longer than {ANSWER_LIMIT} bytes")

"""From a call to an unverified reply: write the request, sign its exact bytes, exchange it over one of two hosts."""

import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import requests
from requests.structures import CaseInsensitiveDict
from requests.utils import check_header_validity

from wechatpay import message
from wechatpay.authorization import Authorization
from wechatpay.base_urls import BACKUP, MAIN, OVERSEA
from wechatpay.chain import Call, Timeout
from wechatpay.connections import FinalRequest, Session, keep_in_one_process
from wechatpay.hosts import Failover, Hosts
from wechatpay.paths import expand
from wechatpay.transport import Reply, Route, Started, exchange, start
from wechatpay.version import __version__

_USER_AGENT = f"wechatpay-python/{__version__} Python/{platform.python_version()} requests/{requests.__version__}"
_FIXED = {
    name.lower(): (name, value)
    for name, value in (("Accept", "application/json"), ("Accept-Encoding", "identity"), ("User-Agent", _USER_AGENT))
}


class UnsignedRequest(NamedTuple):
    """A call as the bytes that will be signed and sent; `target` is the path with its query."""

    method: str
    target: str
    body: bytes
    headers: Sequence[tuple[str, str]]
    timeout: tuple[float, float]
    repeatable: bool

    @property
    def path(self) -> str:
        """The target without its query, which may hold what no log should."""
        return self.target.partition("?")[0]

    def __repr__(self) -> str:
        return f"UnsignedRequest(method={self.method!r}, timeout={self.timeout!r}, repeatable={self.repeatable!r})"

    def deadline(self) -> float:
        """Return when the call ends if it begins now (`time.monotonic`)."""
        return deadline(self.timeout)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Sender:
    """Writes, signs and sends the calls of one merchant over one session; safe to use from many threads.

    `timeout` is seconds to connect and seconds for the whole answer, `clock` returns Unix seconds. `public_key_id`:
    the WeChat Pay public key that answers are to be signed with. `backup_first`: ask the backup host first.
    """

    authorization: Authorization
    session: requests.Session
    hosts: Hosts
    timeout: tuple[float, float]
    clock: Callable[[], float]
    public_key_id: str | None = None
    backup_first: bool = False

    @property
    def order(self) -> tuple[str, str]:
        """Both hosts, the one to ask first before the other."""
        if self.backup_first:
            return self.hosts.backup, self.hosts.main
        return self.hosts.order(self.clock())

    @property
    def first_host(self) -> str:
        """The host that is asked first while both answer."""
        return self.hosts.backup if self.backup_first else self.hosts.main

    @property
    def backup(self) -> "Sender":
        """The same sender with the other host first."""
        return replace(self, backup_first=not self.backup_first)

    @property
    def oversea(self) -> "Sender":
        """The same sender at Hong Kong's host; the sender itself where its hosts are not WeChat Pay's own."""
        if (self.hosts.main, self.hosts.backup) != (MAIN, BACKUP):
            return self
        return replace(self, hosts=Hosts(OVERSEA, OVERSEA))

    def write(self, call: Call) -> UnsignedRequest:
        """Return the call as bytes; raise TypeError or ValueError for what cannot be sent."""
        body = b"" if call.json is None else message.json_bytes(call.json)
        query = message.query_string(call.params) if call.params else ""
        target = expand(call.template, call.values) + (f"?{query}" if query else "")
        timeout = self.timeout if call.timeout is None else timeout_pair(call.timeout)
        repeatable = call.repeatable or call.method == "GET"
        return UnsignedRequest(call.method, target, body, self._headers(call, body), timeout, repeatable)

    def _headers(self, call: Call, body: bytes) -> list[tuple[str, str]]:
        """Return the headers but for `Authorization`, each name once, whatever its case."""
        headers = {name.lower(): (name, _header_text(value)) for name, value in self.session.headers.items()} | _FIXED
        if body:
            headers["content-type"] = ("Content-Type", "application/json")
        if body or call.method != "GET":
            headers["content-length"] = ("Content-Length", str(len(body)))
        if self.public_key_id:  # decides which key signs while both kinds are valid (doc 4012154180)
            headers["wechatpay-serial"] = ("Wechatpay-Serial", self.public_key_id)
        for name, value in (call.headers or {}).items():
            check_header_validity((name, value))
            headers[name.lower()] = (name, value)
        return list(headers.values())

    def sign(self, request: UnsignedRequest) -> requests.PreparedRequest:
        """Return the request with an `Authorization` of this moment and a nonce of its own."""
        signed = FinalRequest()  # filled in, not prepared: these bytes are final
        signed.method, signed.url, signed.target = request.method, self.hosts.main + request.target, request.target
        signed.headers, signed.body = CaseInsensitiveDict(request.headers), request.body or None
        return self.authorization(signed)

    def start(self, request: UnsignedRequest, signed: requests.PreparedRequest) -> Started | None:
        """Send the signed form of a request over a connection that stands; None, and nothing sent, where none does.

        None during an outage of the main host as well: the call that is to try it must be one that connects.
        """
        if self.hosts.is_out:
            return None
        return start(self._route(request, request.deadline()), lambda host: _at(host, signed, request))

    def exchange(
        self,
        request: UnsignedRequest,
        deadline: float,
        signed: requests.PreparedRequest | None = None,
        started: Started | None = None,
    ) -> Reply:
        """Send the request and return the reply; `signed` is its signed form, `started` its first try, if it has one.

        Each further try is newly signed. Raises UnansweredError.
        """
        unsent = [] if signed is None else [signed]

        def prepare(host: str) -> requests.PreparedRequest:
            return _at(host, unsent.pop() if unsent else self.sign(request), request)

        route = self._route(request, deadline) if started is None else started.route
        return exchange(route, prepare, repeatable=request.repeatable, started=started)

    def _route(self, request: UnsignedRequest, end: float) -> Route:
        return Route(self.session, self.hosts, self.order, request.timeout, end, self.clock)


def _at(host: str, signed: requests.PreparedRequest, request: UnsignedRequest) -> requests.PreparedRequest:
    """Address a signed request to a host: the signature covers the path and the query alone."""
    signed.url = host + request.target
    return signed


def session_hosts(session: requests.Session, main: str, backup: str) -> Hosts:
    """Return the two hosts, with what is known of them shared by all clients of the session where it is ours."""
    if isinstance(session, Session):
        return session.failover.hosts(main, backup)
    keep_in_one_process(session)
    return Failover().hosts(main, backup)


def timeout_pair(timeout: Timeout) -> tuple[float, float]:
    """Return the seconds to connect and the seconds for the answer; raise ValueError unless both are above zero."""
    connect, read = timeout if isinstance(timeout, tuple | list) else (timeout, timeout)
    if not (connect > 0 and read > 0):
        raise ValueError("timeout must be seconds above zero, (connect, read): without one a call may hang for ever")
    return float(connect), float(read)


def deadline(timeout: tuple[float, float]) -> float:
    """Return when a call that begins now ends (`time.monotonic`): after connecting to both hosts and one answer."""
    connect, read = timeout
    return time.monotonic() + 2 * connect + read


def _header_text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")

"""Send notifications as WeChat Pay does: POST, five seconds, no redirect followed, several at a time (doc 4012587960).

HTTP is for loopback alone; WeChat Pay itself requires HTTPS. Whether a notification leaves this machine is a switch.
"""

import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from urllib.parse import SplitResult, urlsplit

from sandbox.wechat_pay.forgeries import SignedNotification
from sandbox.wechat_pay.notifications import LIMIT, Attempt, Notification
from sandbox.wechat_pay.notifier import Notifier

THREADS = 8
IN_HAND = THREADS * 4  # notifications that the threads have or will have next; all of them are read at each look
ACCEPTED = (200, 204)

type Post = Callable[[str, SignedNotification], int]  # returns the status; raises OSError or HTTPException


def objection(notify_url: str, *, beyond_loopback: bool) -> str:
    """Return why nothing is sent to this address; empty where something is."""
    try:
        url = urlsplit(notify_url)
        host, _ = url.hostname or "", url.port
    except ValueError:
        return f"{notify_url!r:.80} is no address"
    if url.scheme not in {"http", "https"} or not host:
        return f"{notify_url!r:.80} is no address of http or https"
    if url.query or url.fragment:
        return "a notify_url has no query string (doc 4012587953)"
    if is_loopback(host):
        return ""
    if url.scheme == "http":
        return f"{host} is not this machine, and http is for loopback alone: use https, or 127.0.0.1"
    return "" if beyond_loopback else f"{host} is not this machine: set the switch notify_beyond_loopback to send there"


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its name or address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def post(notify_url: str, signed: SignedNotification) -> int:
    """POST a notification and return the status of the answer; raise OSError or HTTPException without one."""
    url = urlsplit(notify_url)
    connection = _connection(url)
    cut = threading.Timer(LIMIT, _cut, (connection,))  # the limit is for the whole answer, not for each byte
    cut.daemon = True
    cut.start()
    try:
        headers = {"Content-Type": "application/json", "User-Agent": "Mozilla/4.0", **signed.headers}
        connection.request("POST", url.path or "/", signed.body, headers)
        return connection.getresponse().status
    finally:
        cut.cancel()
        connection.close()


def _connection(url: SplitResult) -> http.client.HTTPConnection:
    host = url.hostname or ""
    if url.scheme == "http":
        return http.client.HTTPConnection(host, url.port, timeout=LIMIT)
    context = ssl._create_unverified_context() if is_loopback(host) else ssl.create_default_context()  # noqa: S323  a test's own certificate
    return http.client.HTTPSConnection(host, url.port, timeout=LIMIT, context=context)


def _cut(connection: http.client.HTTPConnection) -> None:
    with suppress(OSError):
        if connection.sock:
            connection.sock.shutdown(socket.SHUT_RDWR)  # which ends a read that another thread waits in


class Courier:
    """Sends what is due; a notification is never in flight twice."""

    def __init__(self, notifier: Notifier, *, clock: Callable[[], float], send: Post = post) -> None:
        self._notifier = notifier
        self._clock = clock
        self._send = send
        self._in_flight: set[str] = set()
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None

    @property
    def is_busy(self) -> bool:
        """Whether something is in flight."""
        with self._lock:
            return bool(self._in_flight)

    def deliver_due(self) -> int:
        """Send what is due, one after the other, and return how many were sent: for a clock that is driven."""
        due = self._take()
        for notification in due:
            self._deliver(notification)
        return len(due)

    def dispatch_due(self) -> None:
        """Send what is due from threads of the courier's own, and return at once."""
        for notification in self._take():
            self._pool = self._pool or ThreadPoolExecutor(THREADS, "courier")
            self._pool.submit(self._deliver, notification)

    def close(self) -> None:
        """Send nothing more; what is in flight is sent again after the next start."""
        if self._pool:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _take(self) -> list[Notification]:
        with self._lock:
            due = self._notifier.outbox.due(self._clock(), IN_HAND)  # those in flight are still due, and the earliest
            due = [one for one in due if one.id not in self._in_flight]
            self._in_flight |= {one.id for one in due}
        return due

    def _deliver(self, notification: Notification) -> None:
        try:
            self._attempt(notification)
        finally:
            with self._lock:
                self._in_flight.discard(notification.id)
        self._notifier.wake()

    def _attempt(self, notification: Notification) -> None:
        beyond = self._notifier.switches.notify_beyond_loopback
        if reason := objection(notification.notify_url, beyond_loopback=beyond):
            self._notifier.record_unsent(notification, reason)
            return
        signed, status, problem = self._notifier.signed(notification), 0, ""
        try:
            status = self._send(notification.notify_url, signed)
            problem = "" if status in ACCEPTED else f"answered {status}: only 200 and 204 accept"
        except (OSError, http.client.HTTPException) as error:
            problem = f"no answer within {LIMIT:.0f} s ({type(error).__name__}: {error})"[:200]
        serial = signed.headers["Wechatpay-Serial"]
        self._notifier.record_attempt(notification, Attempt(self._clock(), status, problem, serial))

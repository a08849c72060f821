"""From a host's name to a connected socket, within a limit of time that covers the name and every address."""

import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeAlias

from wechatpay import forks

LOOKUPS = 16
"""Name resolutions that run at a time; `getaddrinfo` has no time-out, so that one may be stuck for a minute."""

SHARED = 5.0
"""Seconds for which calls join a resolution; one that takes longer is stuck, and the next call starts another."""

SocketAddress: TypeAlias = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
"""Where to connect: of IPv4, of IPv6, or what `getaddrinfo` returns where Python was built without IPv6."""

Address: TypeAlias = tuple[socket.AddressFamily, socket.SocketKind, int, str, SocketAddress]
Question: TypeAlias = tuple[str, int, socket.AddressFamily, socket.SocketKind]
"""The arguments of `socket.getaddrinfo`."""

Remaining: TypeAlias = Callable[[], float | None]
"""Returns the seconds that remain, None without a limit; raises TimeoutError where none do."""


class _Resolver:
    """Resolves names on threads of its own, which a caller can stop waiting for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[Question, tuple[float, Future[Sequence[Address]]]] = {}
        self._threads = 0

    def resolve(self, question: Question, remaining: Remaining) -> Sequence[Address]:
        """Return the addresses; raise socket.gaierror, or TimeoutError when no time remains."""
        return self._lookup(question).result(remaining())

    def _lookup(self, question: Question) -> "Future[Sequence[Address]]":
        now = time.monotonic()
        with self._lock:
            start, future = self._running.get(question, (0.0, None))
            if future is not None and now - start < SHARED:
                return future
            if self._threads >= LOOKUPS:
                raise OSError(f"{LOOKUPS} name resolutions hang")
            self._threads += 1
            future = Future()
            self._running[question] = now, future
        threading.Thread(target=self._run, args=(question, future), name="wechatpay-resolver", daemon=True).start()
        return future

    def _run(self, question: Question, future: "Future[Sequence[Address]]") -> None:
        try:
            future.set_result(socket.getaddrinfo(*question))
        except BaseException as error:  # noqa: BLE001  it is raised where the result is waited for
            future.set_exception(error)
        finally:
            with self._lock:
                self._threads -= 1
                if self._running.get(question, (0.0, None))[1] is future:
                    del self._running[question]


_resolver = _Resolver()


def connect(
    host: str,
    port: int,
    remaining: Remaining,
    *,
    family: socket.AddressFamily = socket.AF_UNSPEC,
    source_address: tuple[str, int] | None = None,
    options: Sequence[tuple[int, int, int | bytes]] = (),
) -> socket.socket:
    """Return a socket connected to the first address of the host that accepts.

    Each address may take an equal share of what remains, so that a dead one leaves time for the others. Raise OSError:
    socket.gaierror for the name, TimeoutError when no time remains, otherwise the error of the last address.
    """
    addresses = _resolver.resolve((host, port, family, socket.SOCK_STREAM), remaining)
    failure = OSError("the name has no address")
    for position, (family_of_address, kind, protocol, _, address) in enumerate(addresses):
        seconds = remaining()
        share = None if seconds is None else seconds / (len(addresses) - position)
        try:
            connection = socket.socket(family_of_address, kind, protocol)
            return _connect(connection, address, share, source_address, options)
        except OSError as error:
            failure = error
    raise failure


def _connect(
    connection: socket.socket,
    address: SocketAddress,
    timeout: float | None,
    source_address: tuple[str, int] | None,
    options: Sequence[tuple[int, int, int | bytes]],
) -> socket.socket:
    try:
        for option in options:
            connection.setsockopt(*option)
        connection.settimeout(timeout)
        if source_address:
            connection.bind(source_address)
        connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection


def _forget_lookups() -> None:
    """Forget the parent's resolutions: their threads do not exist in the child."""
    global _resolver  # noqa: PLW0603  there is one per process
    _resolver = _Resolver()


forks.in_child(_forget_lookups)

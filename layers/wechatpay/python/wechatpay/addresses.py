"""From a host's name to a connected socket, within a limit of time that covers the name and every address."""

import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

LOOKUPS = 16
"""Name resolutions that run at a time; `getaddrinfo` has no time-out, so that one may be stuck for a minute."""

SHARED = 5.0
"""Seconds for which calls join a resolution; one that takes longer is stuck, and the next call starts another."""

type Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]
type Patience = Callable[[], float | None]
"""Returns the seconds that are left, None without a limit; raises TimeoutError where none are."""


class _Resolver:
    """Resolves names on threads of its own, which a caller can stop waiting for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[tuple[Any, ...], tuple[float, Future[Sequence[Address]]]] = {}
        self._threads = 0

    def resolve(self, question: tuple[Any, ...], patience: Patience) -> Sequence[Address]:
        """Return the addresses; raises socket.gaierror, or TimeoutError when the patience is over."""
        return self._lookup(question).result(patience())

    def _lookup(self, question: tuple[Any, ...]) -> "Future[Sequence[Address]]":
        now = time.monotonic()
        with self._lock:
            begun, future = self._running.get(question, (0.0, None))
            if future is not None and now - begun < SHARED:
                return future
            if self._threads >= LOOKUPS:
                raise OSError(f"{LOOKUPS} name resolutions hang")
            self._threads += 1
            future = Future()
            self._running[question] = now, future
        threading.Thread(target=self._run, args=(question, future), name="wechatpay-resolver", daemon=True).start()
        return future

    def _run(self, question: tuple[Any, ...], future: "Future[Sequence[Address]]") -> None:
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
    patience: Patience,
    *,
    family: socket.AddressFamily = socket.AF_UNSPEC,
    source_address: tuple[str, int] | None = None,
    options: Sequence[tuple[int, int, int | bytes]] = (),
) -> socket.socket:
    """Return a socket connected to the first address of the host that accepts.

    Each address may take an equal share of what is left, so that a dead one leaves time for the others. Raises OSError:
    socket.gaierror for the name, TimeoutError when the patience is over, otherwise the last address' own.
    """
    addresses = _resolver.resolve((host, port, family, socket.SOCK_STREAM), patience)
    failure = OSError("the name has no address")
    for position, (kin, kind, protocol, _, address) in enumerate(addresses):
        left = patience()
        share = None if left is None else left / (len(addresses) - position)
        try:
            return _connected(socket.socket(kin, kind, protocol), address, share, source_address, options)
        except OSError as error:
            failure = error
    raise failure


def _connected(
    connection: socket.socket,
    address: Any,  # noqa: ANN401  its form depends on the family
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


def _after_fork() -> None:
    """Forget the parent's resolutions: their threads do not exist in the child."""
    global _resolver  # noqa: PLW0603  there is one per process
    _resolver = _Resolver()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_after_fork)

"""Pools of kept connections: urllib3's, with connections of `wechatpay.http1` and a queue without locks.

Read from urllib3 2.8.0; `tests/wechatpay/test_overrides.py` fails where the installed source differs.
"""

from collections import deque
from contextlib import suppress
from queue import Empty, LifoQueue
from typing import TYPE_CHECKING, Any, NamedTuple

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection

from wechatpay.http1 import Connection, TLSConnection
from wechatpay.limits import current_or_unlimited

if TYPE_CHECKING:
    from requests import PreparedRequest
    from urllib3.response import HTTPResponse as Response


class IdleConnections(LifoQueue[Any]):  # Any: as urllib3 declares its queue
    """Idle connections, the last one used first.

    Without the locks of `LifoQueue`, so that a process may fork at any moment: `deque` is atomic. Without a warning
    when it is full, and without the None with which urllib3 fills a pool.
    """

    def __init__(self, maxsize: int = 0) -> None:  # not `LifoQueue.__init__`, which makes locks
        """Hold at most `maxsize`. urllib3 2.8.0, connectionpool.py, HTTPConnectionPool._new_pool_queue."""
        self.maxsize = maxsize
        self._connections: deque[HTTPConnection] = deque()

    def put(self, connection: HTTPConnection | None, block: bool = True, timeout: float | None = None) -> None:
        """Keep a connection, or close it where there is no room.

        urllib3 2.8.0, connectionpool.py, HTTPConnectionPool._put_conn, and __init__ with None.
        """
        if connection is None:
            return
        if len(self._connections) < self.maxsize:
            self._connections.append(connection)
        else:
            connection.close()

    def get(self, block: bool = True, timeout: float | None = None) -> HTTPConnection:
        """Take a connection; raise queue.Empty where there is none.

        urllib3 2.8.0, connectionpool.py, HTTPConnectionPool._get_conn, and _close_pool_connections.
        """
        try:
            return self._connections.pop()
        except IndexError:
            raise Empty from None


class _Kept(HTTPConnectionPool):
    """A pool whose kept connections are used without the rest of urllib3: no redirect, no repetition, no new URL."""

    def take(self) -> Connection | None:
        """Take a connection that has served and still can; None where there is none, or a fresh one is wanted."""
        if self.pool is None or current_or_unlimited().fresh:
            return None
        while True:
            try:
                connection: Connection = self.pool.get()
            except Empty:
                return None
            if connection.is_connected:
                return connection
            connection.close()

    def begin(self, connection: Connection, request: "PreparedRequest") -> "Pending":
        """Send a request over a kept connection.

        A connection that broke meanwhile may have brought an answer all the same.
        """
        self.num_requests += 1
        try:
            with suppress(BrokenPipeError, ConnectionResetError):
                if isinstance(request.body, bytes | None):
                    connection.write(str(request.method), request.path_url, request.headers, request.body)
                else:
                    connection.request(str(request.method), request.path_url, request.body, request.headers)
        except BaseException:
            connection.close()
            raise
        return Pending(self, connection)


class Pending(NamedTuple):
    """A request that was sent over a kept connection, and whose answer is to be read."""

    pool: _Kept
    connection: Connection

    def answer(self) -> "Response":
        """Return the answer with its head read."""
        try:
            response = self.connection.getresponse()
        except BaseException:
            self.connection.close()
            raise
        response._pool, response._connection = self.pool, self.connection
        return response


class Pool(_Kept):
    """Connections to one host."""

    ConnectionCls = Connection
    """urllib3 2.8.0, connectionpool.py, HTTPConnectionPool._new_conn."""
    QueueCls = IdleConnections
    """urllib3 2.8.0, connectionpool.py, HTTPConnectionPool._new_pool_queue."""


class TLSPool(_Kept, HTTPSConnectionPool):
    """Connections to one host over TLS."""

    ConnectionCls = TLSConnection
    """urllib3 2.8.0, connectionpool.py, HTTPSConnectionPool._new_conn."""
    QueueCls = IdleConnections
    """urllib3 2.8.0, connectionpool.py, HTTPConnectionPool._new_pool_queue."""


def use_pools(manager: PoolManager) -> None:
    """Let a manager make these pools. urllib3 2.8.0, poolmanager.py, PoolManager._new_pool."""
    manager.pool_classes_by_scheme = {"http": Pool, "https": TLSPool}

"""The threads on which asynchronous calls run, so that the event loop never waits for WeChat Pay."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class ThreadPool:
    """Threads of one client, started by its first asynchronous calls; a forked process starts threads of its own.

    `size` is the number of calls that run at the same time; further calls wait for a thread.
    """

    __slots__ = ("_executors", "_size")

    def __init__(self, size: int) -> None:
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ValueError("async_threads must be a whole number above zero")
        self._size = size
        self._executors: dict[int, ThreadPoolExecutor] = {}

    async def run(self, function: Callable[..., T], *arguments: object) -> T:
        """Run the function on a thread. Cancelling ends the waiting only: the function runs to its end."""
        import asyncio  # noqa: PLC0415  10 ms that a synchronous caller never needs

        return await asyncio.get_running_loop().run_in_executor(self._executor(), function, *arguments)

    def _executor(self) -> ThreadPoolExecutor:
        process = os.getpid()
        if process not in self._executors:  # a parent's threads do not exist in its child
            executor = ThreadPoolExecutor(self._size, thread_name_prefix="wechatpay")  # starts no thread yet
            self._executors.setdefault(process, executor)
        return self._executors[process]

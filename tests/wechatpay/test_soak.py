"""Fifty threads over one client leave no connection, no thread and no memory behind.

A short form runs with every `make test`; `make soak` makes ten thousand calls.
"""

import gc
import multiprocessing
import os
import threading
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

import wechatpay
from sandbox.waiting import PATIENCE
from sandbox.wechat_pay import Simulator

CALLS = int(os.environ.get("SOAK_CALLS", "400"))
THREADS = 50
MCHID = "1230000109"


def _simulate(keys: Path, line: Connection) -> None:
    """Run a simulated WeChat Pay in a process of its own, so that its memory is not counted as the library's."""
    with Simulator(keys=keys) as simulator:
        simulator.ready_to_sync(MCHID, "A1")
        line.send({**simulator.merchant(MCHID).secret(), "base_url": simulator.base_url})
        line.recv()


@pytest.fixture
def arguments(key_ring: Path) -> Iterator[dict[str, Any]]:
    """The arguments of a client of that simulated WeChat Pay."""
    process = multiprocessing.get_context("spawn")
    ours, theirs = process.Pipe()
    wechat_pay = process.Process(target=_simulate, args=(key_ring, theirs), daemon=True)
    wechat_pay.start()
    yield ours.recv()
    ours.send("end")
    wechat_pay.join(PATIENCE)


def _sockets() -> int:
    links = (entry.readlink() for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink())
    return sum(str(link).startswith("socket:") for link in links)


def _run(client: wechatpay.Client, calls: int) -> Counter[int]:
    query = {"service_id": "500001", "appid": "wxd678efh567hg6787", "out_order_no": "A1"}
    with ThreadPoolExecutor(THREADS) as threads:
        answers = threads.map(lambda _: client.v3.payscore.serviceorder.get(params=query).status, range(calls))
        return Counter(answers)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts sockets in /proc, which Linux alone has")
def test_nothing_is_left_behind(arguments: dict[str, Any]) -> None:
    """After the first calls there is at most one socket per thread, no further thread, and memory does not grow."""
    gc.collect()  # what earlier tests have left goes now, not between two counts
    sockets = _sockets()
    with wechatpay.Session() as session:
        client = wechatpay.Client(**arguments, session=session, timeout=PATIENCE)
        assert _run(client, 3 * THREADS) == {200: 3 * THREADS}
        assert 0 < _sockets() - sockets <= THREADS
        threads = threading.active_count()
        gc.collect()
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        assert _run(client, CALLS) == {200: CALLS}
        gc.collect()
        growth = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        assert _sockets() - sockets <= THREADS
        assert threading.active_count() <= threads  # one of an earlier test may have ended
    assert growth < 300_000, f"{growth} bytes more after {CALLS} calls"
    assert _sockets() <= sockets
    print(f"{CALLS} calls from {THREADS} threads: {growth} bytes more, no socket and no thread left")

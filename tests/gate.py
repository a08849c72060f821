"""Answers that are held back until a test lets them go: what used to be told by how long things take."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sandbox.waiting import PATIENCE
from sandbox.wechat_pay import Simulator
from sandbox.wechat_pay.draft import Response
from sandbox.wechat_pay.message import Request


@contextmanager
def held(wechat_pay: Simulator, *, holds: Callable[[Request], bool] = lambda _: True) -> Iterator[threading.Event]:
    """Hold back the answers that `holds` chooses until the event is set, or the block ends.

    Their calls have arrived by then: they are executed, and stand in `wechat_pay.calls`.
    """
    let_go = threading.Event()
    hosts = list(wechat_pay._hosts.values())
    honest = [host.application for host in hosts]

    def answer(request: Request, name: str) -> Response:
        response = wechat_pay.answer(request, name)
        if holds(request) and not let_go.wait(PATIENCE):
            raise TimeoutError("the test has not let the answer go")
        return response

    for host in hosts:
        host.application = answer
    try:
        yield let_go
    finally:
        let_go.set()
        for host, application in zip(hosts, honest, strict=True):
            host.application = application

"""Hold back the simulator's answers until the test releases them, so that no test depends on timing."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sandbox.waiting import PATIENCE
from sandbox.wechat_pay import Simulator
from sandbox.wechat_pay.draft import Response
from sandbox.wechat_pay.message import Request


@contextmanager
def hold_answers(
    wechat_pay: Simulator, *, holds: Callable[[Request], bool] = lambda _: True
) -> Iterator[threading.Event]:
    """Hold back the answers that `holds` selects until the yielded event is set or the block ends.

    The simulator executes their calls at once, and has them in `wechat_pay.calls`.
    """
    release = threading.Event()
    hosts = list(wechat_pay._hosts.values())
    applications = [host.application for host in hosts]

    def answer(request: Request, name: str) -> Response:
        response = wechat_pay.answer(request, name)
        if holds(request) and not release.wait(PATIENCE):
            raise TimeoutError("the test has not released the answer")
        return response

    for host in hosts:
        host.application = answer
    try:
        yield release
    finally:
        release.set()
        for host, application in zip(hosts, applications, strict=True):
            host.application = application

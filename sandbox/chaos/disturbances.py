"""What happens while messages run: workers are killed, hosts are down, keys rotate, clocks jump, items are edited.

Disturbances come by the number of calls made, so that a slow machine has as hard a time as a fast one.
"""

import os
import random
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field

from sandbox.audit import Auditor
from sandbox.chaos.collections import Collections
from sandbox.chaos.items import make_unreadable
from sandbox.chaos.workload import Workload
from sandbox.notifications_front import SimulatedFront
from sandbox.testbed import MERCHANT, Testbed

CALLS_BETWEEN_KILLS = 300
CALLS_BETWEEN_CHANGES = 150  # between an outage, a new key and a wrong clock
CALLS_BETWEEN_DEDUCTIONS = 20
CALLS_BETWEEN_RESENDINGS = 200
RESENT_AT_ONCE = 5
EDITED_AT_ONCE = 2  # items that become unreadable with each outage


@dataclass(slots=True)
class Disturbances:
    """Threads that disturb a run until `stop`; `killed` counts the workers."""

    testbed: Testbed
    workload: Workload
    auditor: Auditor
    collections: Collections
    front: SimulatedFront
    seed: int
    killed: int = 0
    _over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Begin in the background."""
        runs = (self._kill_workers, self._change, self._deduct, self._resend)
        self._threads = [threading.Thread(target=run, daemon=True) for run in runs]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End, and wait for what is under way."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _kill_workers(self) -> None:
        dice = random.Random(self.seed)  # noqa: S311  not for secrets
        while self._wait_for_calls(CALLS_BETWEEN_KILLS):
            if workers := self.testbed.cloud.workers:
                with suppress(ProcessLookupError):
                    os.kill(dice.choice(workers), signal.SIGKILL)
                    self.killed += 1

    def _change(self) -> None:
        """Again and again: an operator's edits, outages, a new key, a clock that jumps."""
        wechat_pay = self.testbed.wechat_pay
        readable = list(self.workload.kinds["unreadable later"])
        while self._wait_for_calls(CALLS_BETWEEN_CHANGES):
            for sale in readable[:EDITED_AT_ONCE]:
                self.auditor.expect_untouched(make_unreadable(self.testbed, sale), since=time.time())
            del readable[:EDITED_AT_ONCE]
            wechat_pay.misbehave("connection_refused")
            self._over.wait(2.0)  # the length of an outage
            wechat_pay.behave()
            self.front.stop()
            self._over.wait(2.0)  # the length of an outage
            self.front.restart()
            if not self._wait_for_calls(CALLS_BETWEEN_CHANGES):
                break
            wechat_pay.merchant(MERCHANT).rotate_key()  # refused from now on until the secret follows
            self._over.wait(1.0)  # the time until the new key is stored
            self.testbed.put_secret(MERCHANT)
            if not self._wait_for_calls(CALLS_BETWEEN_CHANGES):
                break
            wechat_pay.misbehave("stale_timestamp", seconds=-400)
            self._over.wait(1.0)  # the length of a wrong clock
            wechat_pay.behave()

    def _deduct(self) -> None:
        """Spread WeChat Pay's own deductions over the run."""
        at_once = max(
            1, round(self.collections.number_left * CALLS_BETWEEN_DEDUCTIONS / (2 * len(self.workload.reports)))
        )
        while self._wait_for_calls(CALLS_BETWEEN_DEDUCTIONS):
            self.collections.plan(at_once)

    def _resend(self) -> None:
        """Let WeChat Pay repeat notifications that were answered."""
        while self._wait_for_calls(CALLS_BETWEEN_RESENDINGS):
            self.collections.resend(RESENT_AT_ONCE)

    def _wait_for_calls(self, calls: int) -> bool:
        """Wait until so many further calls were made, whatever the machine's pace; False once the run is over."""
        target = self.testbed.wechat_pay.call_log.total + calls
        while self.testbed.wechat_pay.call_log.total < target:
            if self._over.wait(0.2):  # calls are polled
                return False
        return True

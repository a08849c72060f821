"""The WeChat Pay of the sandbox on the network: two hosts and a control port around the service."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from sandbox.wechat_pay import control
from sandbox.wechat_pay.clockwork import Clockwork
from sandbox.wechat_pay.courier import Courier
from sandbox.wechat_pay.draft import Response
from sandbox.wechat_pay.host import Host
from sandbox.wechat_pay.message import Request
from sandbox.wechat_pay.service import SimulatedService
from sandbox.wechat_pay.switches import DEFAULTS, Switches


class Simulator(SimulatedService):
    """A WeChat Pay in this process, on `address` (loopback by default); use it in a `with` block."""

    def __init__(  # noqa: PLR0913  where it listens, and those of the service
        self,
        *,
        clock: Callable[[], float] = time.time,
        port: int = 0,
        backup_port: int = 0,
        control_port: int = 0,
        address: str = "127.0.0.1",
        keys: Path | None = None,
        state: Path | None = None,
        notify_url: str | None = None,
        switches: Switches = DEFAULTS,
        ladder_scale: float = 1.0,
    ) -> None:
        """Prepare it; port 0 takes a free one. The other arguments are those of the service."""
        super().__init__(
            clock=clock, keys=keys, state=state, notify_url=notify_url, switches=switches, ladder_scale=ladder_scale
        )
        self._outlives_its_block = state is None
        self._courier = Courier(self, clock=clock)
        self._clockwork: Clockwork | None = None
        ports = {"main": port, "backup": backup_port}
        self._hosts = {name: Host(name, self.answer, number, address) for name, number in ports.items()}
        self._control = Host(
            "control", lambda request, _: Response(control.answer(self, request)), control_port, address
        )

    def __enter__(self) -> Self:
        self._clockwork = Clockwork(self, self._courier, self._clock)
        self.wake = self._clockwork.wake
        if self.next_due is not None:
            self.wake()
        for host in self._hosts.values():
            host.open()
        if self._control.port:
            self._control.open()
        return self

    def __exit__(self, *_: object) -> None:
        for host in (*self._hosts.values(), self._control):
            host.close()
        if self._clockwork:
            self._clockwork.end()
        self._courier.close()
        if not self._outlives_its_block:
            self.close()

    @property
    def base_url(self) -> str:
        """The main host."""
        return self._hosts["main"].url

    @property
    def backup_url(self) -> str:
        """The backup host; the same orders."""
        return self._hosts["backup"].url

    @property
    def control_url(self) -> str:
        """Where the verbs of `control` are answered, also while the hosts refuse connections.

        Unless the port was set, it opens on first use: most simulators are controlled from Python.
        """
        self._control.open()
        return self._control.url

    def answer(self, request: Request, host: str = "main") -> Response:
        """Answer one request as a host does, the verbs of `control` included."""
        if request.target.startswith(control.PREFIX):
            return Response(control.answer(self, request))
        return super().answer(request, host)

    def refuse(self, hosts: frozenset[str]) -> None:
        """Refuse connections at these hosts as well: close them."""
        super().refuse(hosts)
        for host in hosts:
            self._hosts[host].close()

    def behave(self) -> None:
        """End all misbehaviour, and listen again."""
        super().behave()
        for host in self._hosts.values():
            host.open()

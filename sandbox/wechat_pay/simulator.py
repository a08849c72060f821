"""The WeChat Pay of the sandbox on the network: three hosts, a control port and a proxy around the service."""

from functools import cached_property
from pathlib import Path
from typing import Self, Unpack

from sandbox.wechat_pay import control, credentials
from sandbox.wechat_pay.clockwork import Clockwork
from sandbox.wechat_pay.courier import Courier
from sandbox.wechat_pay.draft import Response
from sandbox.wechat_pay.host import Host
from sandbox.wechat_pay.keys import Mode
from sandbox.wechat_pay.message import Request
from sandbox.wechat_pay.notifier import NotifierOptions
from sandbox.wechat_pay.proxy import Proxy
from sandbox.wechat_pay.proxy_authority import ProxyAuthority
from sandbox.wechat_pay.service import SimulatedService


class Simulator(SimulatedService):
    """A WeChat Pay in this process, on `address` (loopback by default); use it in a `with` block."""

    def __init__(
        self,
        *,
        port: int = 0,
        backup_port: int = 0,
        control_port: int = 0,
        proxy_port: int = 0,
        address: str = "127.0.0.1",
        authority: Path | None = None,
        **options: Unpack[NotifierOptions],
    ) -> None:
        """Prepare it; port 0 takes a free one. The other arguments are those of the service.

        `authority` is the folder where the certificate authority of the proxy outlives the process.
        """
        super().__init__(**options)
        self._outlives_its_block = options.get("state") is None
        self._courier = Courier(self, clock=self._clock)
        self._clockwork: Clockwork | None = None
        ports = {"main": port, "backup": backup_port, "overseas": 0}
        self._hosts = {name: Host(name, self.answer, number, address) for name, number in ports.items()}
        self._control = Host(
            "control", lambda request, _: Response(control.answer(self, request)), control_port, address
        )
        self._proxy_place = (proxy_port, address)
        self._authority_folder = authority

    def __enter__(self) -> Self:
        self._clockwork = Clockwork(self, self._courier, self._clock)
        self.wake = self._clockwork.wake
        if self.next_due is not None:
            self.wake()
        for host in self._hosts.values():
            host.open()
        if self._control.port:
            self._control.open()
        if self._proxy_place[0]:
            self._proxy.open()
        return self

    def __exit__(self, *_: object) -> None:
        for host in (*self._hosts.values(), self._control):
            host.close()
        if "_proxy" in self.__dict__:
            self._proxy.close()
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
    def overseas_url(self) -> str:
        """The overseas host (doc 4014096438); the same orders."""
        return self._hosts["overseas"].url

    @property
    def proxy_url(self) -> str:
        """The proxy for clients with fixed hosts: what HTTPS_PROXY has to be. It opens as the control port does."""
        self._proxy.open()
        return self._proxy.url

    @cached_property
    def authority(self) -> ProxyAuthority:
        """The certificate authority of the proxy, which such a client has to trust."""
        return ProxyAuthority.of(self._authority_folder)

    @cached_property
    def _proxy(self) -> Proxy:
        return Proxy(self._hosts, self.authority, *self._proxy_place)

    def credentials(self, mchid: str, mode: Mode | None = None) -> credentials.Files:
        """Return the merchant's credentials as files by name, with the authority of the proxy."""
        return {**super().credentials(mchid, mode), **credentials.authority_files(self.authority.certificate)}

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

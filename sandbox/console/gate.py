"""Which requests the console takes: only those of its own pages, and of a person who types its address.

The other servers of the sandbox refuse browsers altogether (`sandbox.browser_guard`); this one is for a browser, so it
tells apart where a request comes from (Fetch Metadata, W3C; the header Origin, Fetch standard).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

NAMES = ("127.0.0.1", "localhost", "[::1]")
SAFE_METHODS = frozenset({"GET", "HEAD"})
OWN_SITES = frozenset({"none", "same-origin"})  # typed or opened by a person, or sent by a page of the console

SECURITY_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with no-referrer, a form would send `Origin: null`
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every answer: nothing from elsewhere is loaded, nothing inline runs, no page frames the console."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What the console accepts on its port."""

    port: int

    def objection(self, method: str, headers: Headers) -> str | None:
        """Return why a request is refused, with the remedy; None where it is accepted."""
        hosts = [host.lower() for host in headers.getlist("host")]
        if len(hosts) != 1 or hosts[0] not in self._hosts():
            return f"the console answers as {NAMES[0]}:{self.port} only: open http://{NAMES[0]}:{self.port}/"
        site = headers.get("sec-fetch-site", "none")
        if site not in OWN_SITES:
            return f"a page of another site has sent this request: type http://{hosts[0]}/ into the address bar"
        if method not in SAFE_METHODS and headers.getlist("origin") != [f"http://{hosts[0]}"]:
            return f"only pages of the console may change something: open http://{hosts[0]}/ and use its buttons"
        return None

    def _hosts(self) -> set[str]:
        """Return the names with the port; a name that is re-bound to loopback is none of them."""
        return {f"{name}:{self.port}" for name in NAMES}


class Gated:
    """An ASGI application behind the gate; every answer has the security headers."""

    def __init__(self, application: ASGIApp, gate: Gate) -> None:
        self._application = application
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse with 403."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers[name] = value
            await send(message)

        if objection := self._gate.objection(scope["method"], Headers(scope=scope)):
            refusal = PlainTextResponse(f"{objection}\n", 403, {"Connection": "close"})
            await refusal(scope, receive, send_with_headers)
            return
        await self._application(scope, receive, send_with_headers)

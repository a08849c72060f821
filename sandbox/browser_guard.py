"""Refuse what a web page could make a browser send: every server of the sandbox checks each request first.

The sandbox takes any credentials and runs code, so a page that the developer visits must not reach it: not by a
request across origins (Fetch standard, "HTTP extensions"), nor by a host name that is re-bound to loopback. Programs
send none of these headers: SDKs, the AWS CLI, curl.
"""

from collections.abc import Iterable
from dataclasses import dataclass

NAMES = ("127.0.0.1", "localhost", "[::1]", "host.docker.internal")  # the last is a container's name for this machine

# Only browsers send these, and a page can neither forge nor suppress all of them.
BROWSER_HEADERS = ("origin", "referer")
BROWSER_PREFIXES = ("sec-fetch-", "access-control-request-")


@dataclass(frozen=True, slots=True)
class Guard:
    """What one server accepts: requests to `address` or a name of loopback, on the server's own port."""

    address: str
    port: int

    def objection(self, headers: Iterable[tuple[str, str]]) -> str | None:
        """Return why a request with these headers is refused; None where it is accepted."""
        lowered = [(name.lower(), value.strip()) for name, value in headers]
        hosts = [value.lower() for name, value in lowered if name == "host"]
        if len(hosts) != 1 or hosts[0] not in self._hosts():
            return f"the sandbox answers as {self.address}:{self.port} only, not as {', '.join(hosts) or 'nothing'}"
        for name, _ in lowered:
            if name in BROWSER_HEADERS or name.startswith(BROWSER_PREFIXES):
                return f"the sandbox takes no requests of web pages, and this one has the header {name}: use curl"
        return None

    def _hosts(self) -> set[str]:
        """Return the names with the port, or bare, as simple clients send them; a re-bound name is neither."""
        names = {*NAMES, self.address}
        return names | {f"{name}:{self.port}" for name in names}


def is_json(content_type: str) -> bool:
    """Return whether a body is declared as JSON, which no page can send to another origin without a preflight."""
    return content_type.partition(";")[0].strip().lower() == "application/json"

"""Which addresses of this machine the sandbox may listen on: loopback, and bridges that only containers are on."""

import fcntl
import socket
import struct
from collections.abc import Callable
from ipaddress import IPv4Address, ip_address
from pathlib import Path

from sandbox.errors import PlaceError

INTERFACES = Path("/sys/class/net")


def admissible(address: str, interfaces: Path = INTERFACES, address_of: Callable[[str], str] | None = None) -> str:
    """Return the address as the sandbox binds it: loopback, or a container bridge's of this machine.

    Raise PlaceError for every other address, because the sandbox takes any credentials and runs code.
    """
    remedy = "use 127.0.0.1, or the address of a container bridge of this machine, such as Docker's 172.17.0.1"
    try:
        parsed = ip_address("127.0.0.1" if address == "localhost" else address)
    except ValueError:
        raise PlaceError(f"{address!r} is no address: {remedy}") from None
    if not isinstance(parsed, IPv4Address):
        raise PlaceError(f"{address} is not IPv4: {remedy}")
    if parsed.is_loopback:
        return str(parsed)
    bridges = container_bridges(interfaces)
    if str(parsed) not in map(address_of or _address_of, bridges):
        raise PlaceError(f"{address} may be reached by others, and the sandbox takes any credentials: {remedy}")
    return str(parsed)


def container_bridges(interfaces: Path = INTERFACES) -> list[str]:
    """Return the bridges (Linux) that no network card is part of: only containers of this machine are on them."""
    return [bridge.parent.name for bridge in sorted(interfaces.glob("*/bridge")) if _is_inner(bridge.parent)]


def _is_inner(bridge: Path) -> bool:
    """A network card has a `device`, a VLAN or bond on one has a `lower_…`, a container's interface has neither."""
    members = [bridge.parent / member.name for member in bridge.glob("brif/*")]
    return not any((member / "device").exists() or list(member.glob("lower_*")) for member in members)


def _address_of(interface: str) -> str:
    """Return the IPv4 address of an interface (netdevice(7), SIOCGIFADDR); empty where it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as query:
        try:
            answer = fcntl.ioctl(query.fileno(), 0x8915, struct.pack("256s", interface.encode()[:15]))
        except OSError:
            return ""
    return socket.inet_ntoa(answer[20:24])

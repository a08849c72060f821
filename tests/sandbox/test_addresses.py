"""The sandbox listens on loopback and on container bridges of this machine alone."""

import sys
from pathlib import Path

import pytest

from sandbox import addresses
from sandbox.errors import PlaceError

OTHERS = (
    *("0.0.0.0", "255.255.255.255", "224.0.0.1", "8.8.8.8", "100.64.0.1", "169.254.1.1"),  # noqa: S104  it is refused
    *("192.168.1.7", "10.0.0.7", "10.1.2.3", "172.17.0.2"),
    *("::", "::1", "::ffff:127.0.0.1", "fe80::1%eth0"),
    *("0", "127.1", "2130706433", "0177.0.0.1", "example.com", "127.0.0.1; true", "127.0.0.1\n", ""),
)


@pytest.fixture
def interfaces(tmp_path: Path) -> Path:
    """As /sys/class/net shows them: bridges of Docker, of a network card and of a VLAN, and the cards."""
    for name in (
        "eth0/device",
        "eth0.7/lower_eth0",
        "veth1",
        "docker0/bridge",
        "docker0/brif/veth1",
        "docker0/lower_veth1",
        "br-2f/bridge",
    ):
        (tmp_path / name).mkdir(parents=True)
    for name in ("lan0/bridge", "lan0/brif/eth0", "vlan0/bridge", "vlan0/brif/eth0.7", "wlan0/device"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


def address_of(interface: str) -> str:
    """What these interfaces are called in the network."""
    return {
        "docker0": "172.17.0.1",
        "br-2f": "172.18.0.1",
        "lan0": "192.168.1.7",
        "vlan0": "10.0.0.7",
        "eth0": "10.1.2.3",
    }.get(interface, "")


@pytest.mark.parametrize(
    ("address", "bound"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("localhost", "127.0.0.1"),
        ("127.0.0.2", "127.0.0.2"),
        ("172.17.0.1", "172.17.0.1"),
        ("172.18.0.1", "172.18.0.1"),
    ],
)
def test_loopback_and_container_bridges_are_admitted(interfaces: Path, address: str, bound: str) -> None:
    """Loopback and the address of a container bridge, a user-defined one included, are admitted."""
    assert addresses.admissible(address, interfaces, address_of) == bound


@pytest.mark.parametrize("address", OTHERS)
def test_every_other_address_is_refused_with_the_remedy(interfaces: Path, address: str) -> None:
    """Every other address is refused with the remedy: all interfaces, private networks, other spellings, names."""
    with pytest.raises(PlaceError, match=r"use 127\.0\.0\.1, or the address of a container bridge"):
        addresses.admissible(address, interfaces, address_of)


def test_a_machine_without_such_interfaces_has_loopback_alone(tmp_path: Path) -> None:
    """Without such interfaces, as on macOS, loopback alone is admitted."""
    assert addresses.container_bridges(tmp_path / "none") == []
    assert addresses.admissible("127.0.0.1", tmp_path / "none") == "127.0.0.1"


def test_an_interface_is_asked_for_its_address() -> None:
    """An interface's address is read by the kernel's own call on Linux; an unknown interface has none."""
    assert addresses._address_of("lo") == ("127.0.0.1" if sys.platform == "linux" else "")
    assert addresses._address_of("no-such-interface") == ""

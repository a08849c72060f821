"""Bind ports, and refuse those that another program has. Imports nothing that is slow."""

import socket
from contextlib import ExitStack, suppress

from ops.installation import HERE
from sandbox.errors import PlaceError
from sandbox.listeners import describe_listener
from sandbox.place import LAST_PORT, Place


def listen(address: str, port: int) -> socket.socket:
    """Bind and listen; 0 takes a free port. Raise PlaceError where that cannot be done."""
    try:
        return socket.create_server((address, port), backlog=128)
    except OSError as error:
        raise PlaceError(f"{address}:{port} cannot be listened on: {error.strerror}") from None


def refuse_taken(place: Place) -> None:
    """Raise PlaceError, naming the program that has the port, unless every port of the place is free."""
    for purpose, port in place.ports.items():
        try:
            listen(place.address, port).close()
        except PlaceError as error:
            program = describe_listener(place.address, port)
            why = f"{place.address}:{port} is taken by {program}" if program else str(error)
            raise PlaceError(
                f"{why}; {purpose} needs this port. Stop that program, or choose others: "
                f"{HERE.start_on(spare(place.address))}"
            ) from None


def spare(address: str) -> int:
    """Return the first of as many ports in a row as a sandbox has, which are free now."""
    count = len(Place().ports)
    for first in range(4600, LAST_PORT - count, 10):
        with suppress(PlaceError), ExitStack() as bound:
            for port in range(first, first + count):
                bound.enter_context(listen(address, port))
            return first
    raise PlaceError(f"no {count} ports in a row are free on {address}")

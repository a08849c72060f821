"""What happens in a forked process: it leaves the parent's connections to the parent.

A child that used or closed them would take the parent's answers, or end the parent's TLS connections.
"""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol
from weakref import WeakSet

if TYPE_CHECKING:

    class Detachable(Protocol):
        """A socket whose descriptor can be taken away from it."""

        def detach(self) -> int:
            """Return the descriptor, -1 where there is none any more, and forget it."""


_sockets: "WeakSet[Detachable]" = WeakSet()


def in_child(action: Callable[[], object]) -> None:
    """Run `action` at the start of every process that is forked from this one, in the order of these calls."""
    if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
        os.register_at_fork(after_in_child=action)


def leave_to_parent(connection: "Detachable") -> None:
    """Let forked processes close their copy of this socket's descriptor."""
    _sockets.add(connection)


def _close_descriptors() -> None:
    """Close the child's copies without a word of TLS: a close_notify would end the parent's connection."""
    for connection in list(_sockets):
        descriptor = connection.detach()
        if descriptor >= 0:
            os.close(descriptor)
    _sockets.clear()


in_child(_close_descriptors)

"""Every section of the page, in its order."""

from typing import Any

from tests.sandbox.conformance import (
    direct_complete,
    direct_create,
    direct_end,
    families,
    money,
    payafter,
    permissions,
    protocol,
)
from tests.sandbox.conformance.row import Section

SECTIONS: tuple[Section[Any], ...] = (  # each with callers of its own kind
    protocol.SECTION,
    direct_create.SECTION,
    direct_complete.COMPLETE,
    direct_complete.MODIFY,
    direct_end.CANCEL,
    direct_end.QUERY,
    direct_end.SYNC,
    *families.SECTIONS,
    *payafter.SECTIONS,
    *money.SECTIONS,
    *permissions.SECTIONS,
)

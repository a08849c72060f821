"""The pages of the console. `PAGES` is the navigation, in its sequence, and every route there is."""

from sandbox.console.page import Page
from sandbox.console.pages import (
    control,
    frame,
    letters,
    merchants,
    order,
    orders,
    outcomes,
    overview,
    signature,
    switches,
    till,
)
from sandbox.console.visit import Visit

PAGES: tuple[Page[Visit], ...] = (
    overview.PAGE,
    till.PAGE,
    orders.PAGE,
    merchants.PAGE,
    switches.PAGE,
    letters.PAGE,
    outcomes.PAGE,
    signature.PAGE,
    order.PAGE,
    order.EVENT_PAGE,
    control.PAGE,
    frame.PAGE,
)

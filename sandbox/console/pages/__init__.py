"""The pages of the console. `PAGES` is the navigation, in its sequence, and every route there is."""

from sandbox.console.page import Page
from sandbox.console.pages import frame, letters, order, orders, outcomes, overview, signature, switches, till

PAGES: tuple[Page, ...] = (
    overview.PAGE,
    till.PAGE,
    orders.PAGE,
    switches.PAGE,
    letters.PAGE,
    outcomes.PAGE,
    signature.PAGE,
    order.PAGE,
    order.EVENT_PAGE,
    frame.PAGE,
)

"""The pages of the console. `PAGES` is the navigation, in its sequence, and every route there is."""

from sandbox.console.page import Page
from sandbox.console.pages import frame, overview

PAGES: tuple[Page, ...] = (
    overview.PAGE,
    frame.PAGE,
)

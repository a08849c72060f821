"""Debian's Chromium, driven by Playwright, and what a page must never do: console errors, requests that fail."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Response, sync_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
MISSING = "the browser tests need Chromium: sudo apt-get install chromium" if not CHROMIUM else ""
LIMIT = 120_000  # milliseconds that an expectation waits: a machine may be slow


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run a headless Chromium for the length of the block."""
    options = ["--disable-gpu"] + (["--no-sandbox"] if os.geteuid() == 0 else [])  # as root it has no sandbox
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        try:
            yield browser
        finally:
            browser.close()


@dataclass  # without slots: Playwright sets an attribute on the object of a method
class Misbehaviour:
    """What went wrong in a browser, one line each; `foreign` has the requests to any other origin."""

    origin: str
    lines: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        """Collect errors of a page, and answers that are refusals."""
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.lines.append(f"uncaught: {error}"))
        page.on("requestfailed", self._failed)
        page.on("response", self._refused)
        page.on("request", self._foreign)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.lines.append(f"console: {message.text}")

    def _failed(self, request: Request) -> None:
        if "ERR_ABORTED" not in (request.failure or ""):  # left by a navigation, as every stream is
            self.lines.append(f"failed: {request.method} {request.url}: {request.failure}")

    def _refused(self, response: Response) -> None:
        if response.status >= 400:
            self.lines.append(f"{response.status}: {response.request.method} {response.url}")

    def _foreign(self, request: Request) -> None:
        if not request.url.startswith(self.origin):
            self.foreign.append(request.url)


def context_of(
    browser: Browser, url: str, *, language: str = "en-GB", scheme: str = "light", **options: Any
) -> BrowserContext:
    """Return a fresh profile, as a person's with this language and colour scheme."""
    context = browser.new_context(
        base_url=url,
        locale=language,
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": 1280, "height": 800},
        reduced_motion="reduce",
        **options,
    )
    context.set_default_timeout(LIMIT)
    return context

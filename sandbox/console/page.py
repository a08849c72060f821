"""What a page of the console is: views that show, actions that change, and its place in the navigation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.responses import Response

if TYPE_CHECKING:
    from sandbox.console.visit import Visit

type View = Callable[["Visit"], Response]
"""Answers a GET; it changes nothing. It may block: it runs in a thread of its own."""

type Action = Callable[["Visit"], Response]
"""Answers a POST whose token is right; what it raises is shown as one line."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page at `path`; its texts are `{name}.…`, with `{name}.title` for navigation and heading.

    `views` and `actions` are by the rest of their path below the page's, "" for the page itself; a part may be a
    parameter, as Starlette's routes have it. A page with a parameter in its path is not in the navigation.
    """

    name: str
    path: str
    views: Mapping[str, View]
    actions: Mapping[str, Action] = field(default_factory=dict)
    in_navigation: bool = True

    def path_of(self, rest: str) -> str:
        """Return the path of a view or an action."""
        return f"{self.path.rstrip('/')}/{rest}" if rest else self.path

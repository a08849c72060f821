"""What a page of the console is: views that show, actions that change, and its place in the navigation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from starlette.responses import Response


@dataclass(frozen=True, slots=True)
class Page[V]:
    """A page at `path`, whose functions take a visit; its texts are `{name}.…`, `{name}.title` names it.

    `views` answer a GET, and change nothing; they may block, each runs in a thread of its own. `actions` answer a POST
    whose token is right; what they raise is shown as one line. Both are by the rest of their path below the page's, ""
    for the page itself; a part may be a parameter, as Starlette's routes have it. A page with a parameter in its path
    is not in the navigation.
    """

    name: str
    path: str
    views: Mapping[str, Callable[[V], Response]]
    actions: Mapping[str, Callable[[V], Response]] = field(default_factory=dict)
    in_navigation: bool = True

    def path_of(self, rest: str) -> str:
        """Return the path of a view or an action."""
        return f"{self.path.rstrip('/')}/{rest}" if rest else self.path

"""One request to a page: what it asks, in which language, and the ways to answer it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from sandbox.console import errors, texts
from sandbox.console.desk import Desk
from sandbox.console.errors import ConsoleError
from sandbox.console.fields import argument_field
from sandbox.console.page import Page
from sandbox.console.sessions import Notice
from sandbox.console.templates import ENVIRONMENT
from sandbox.console.texts import Catalogue

THEMES = ("light", "dark")  # a browser's own preference without a choice
YEAR = 31_536_000  # seconds that a choice is remembered


@dataclass(frozen=True, slots=True)
class Visit:
    """A request; `form` is empty for a view. `pages` is the navigation.

    `position` is the bulletin's from before anything was read: a page learns of every change since.
    """

    desk: Desk
    request: Request
    page: "Page[Visit]"
    pages: "Sequence[Page[Visit]]"
    session: str
    form: FormData
    position: str

    @property
    def catalogue(self) -> Catalogue:
        """The texts in the language that this browser has chosen, or prefers."""
        choice = self.request.cookies.get("language", "")
        accept = self.request.headers.get("accept-language", "")
        return texts.catalogue(choice if choice in texts.LANGUAGES else texts.preferred(accept))

    @property
    def theme(self) -> str:
        """The theme that this browser has chosen; empty where it has not."""
        theme = self.request.cookies.get("theme", "")
        return theme if theme in THEMES else ""

    @property
    def is_partial(self) -> bool:
        """Whether htmx has sent it, which takes a part of a page."""
        return "hx-request" in self.request.headers

    def field(self, name: str, default: str = "") -> str:
        """Return a field of the form, without blanks around it."""
        value = self.form.get(name, default)
        return value.strip() if isinstance(value, str) else default

    def fields(self, name: str) -> list[str]:
        """Return all values of a field of the form."""
        return [value for value in self.form.getlist(name) if isinstance(value, str)]

    def text(self, key: str, **values: object) -> str:
        """Return a text in the visitor's language."""
        return self.catalogue.text(key, **values)

    def show(self, template: str, **values: object) -> Response:
        """Answer with a whole page, or with a part of one; a whole page has the notices that wait."""
        return HTMLResponse(self.render(template, **values))

    def render(self, template: str, **values: object) -> str:
        """Return a template with what every template may use: `t`, `path`, `token`, `language` and the desk's jobs."""
        context: Mapping[str, object] = {
            "t": self.text,
            "word": self.catalogue.optional,
            "language": self.catalogue.language,
            "languages": texts.LANGUAGES,
            "theme": self.theme,
            "themes": THEMES,
            "page": self.page,
            "navigation": [page for page in self.pages if page.in_navigation],
            "path": self.request.url.path,
            "token": self.desk.sessions.token(self.session),
            "jobs": self.desk.jobs.newest_first,
            "position": self.position,
            "argument_field": argument_field,
            "collect_notices": lambda: self.desk.sessions.collect(self.session),
        }
        return ENVIRONMENT.get_template(template).render({**context, **values})

    def done(
        self, key: str, *, topics: Sequence[str] = (), path: str = "", path_text: str = "", **values: object
    ) -> Response:
        """Answer an action that was done with one line; `topics` have changed. `path` is where to look next."""
        self.desk.board.publish(topics)
        return self._notify(Notice(self.text(key, **values), path=path, path_text=path_text))

    def refuse(self, error: Exception) -> Response:
        """Answer an action that failed with one line."""
        text = self.text(error.key, **error.values) if isinstance(error, ConsoleError) else errors.line(error)
        return self._notify(Notice(text, is_error=True))

    def _notify(self, notice: Notice) -> Response:
        """Return the notice alone to htmx, otherwise the page that the form was on, which shows it."""
        if self.is_partial:
            return HTMLResponse(self.render("notices.html", notices=[notice]))
        self.desk.sessions.leave(self.session, notice)
        return RedirectResponse(self.back(), 303)

    def back(self) -> str:
        """Return the path of the page that the request came from; its own page's where that one cannot be read."""
        target = urlsplit(self.request.headers.get("referer", ""))
        is_own = target.netloc == self.request.headers.get("host") and target.path.startswith("/")
        is_page = target.path not in {page.path_of(rest) for page in self.pages for rest in page.actions}
        if not (is_own and is_page) or target.path.startswith("//"):
            return self.page.path
        return quote(target.path, safe="/%:@") + (f"?{target.query}" if target.query else "")

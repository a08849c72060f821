"""The console as an ASGI application: its routes from the list of pages, its files, its stream, behind the gate."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from sandbox.console import errors, pages
from sandbox.console.desk import Desk
from sandbox.console.errors import ConsoleError
from sandbox.console.gate import Gate, Gated
from sandbox.console.page import Page
from sandbox.console.stream import stream
from sandbox.console.visit import Visit

STATIC = Path(__file__).with_name("static")
LONGEST_FORM = 1_000_000  # bytes: the largest event of SQS is 1 MiB, a till's is some hundred bytes

type Endpoint = Callable[[Request], Awaitable[Response]]
type View = Callable[[Visit], Response]


def build(desk: Desk, port: int, entries: Sequence[Page[Visit]] = pages.PAGES) -> ASGIApp:
    """Return the console of a desk, as it answers on this port of loopback."""
    routes: list[BaseRoute] = [
        Mount("/static", StaticFiles(directory=STATIC)),
        Route("/stream", _streaming(desk)),
    ]
    for page in entries:
        routes += [
            Route(page.path_of(rest), _endpoint(desk, page, entries, view, port), methods=["GET"])
            for rest, view in page.views.items()
        ]
        routes += [
            Route(page.path_of(rest), _endpoint(desk, page, entries, action, port), methods=["POST"])
            for rest, action in page.actions.items()
        ]
    handlers = {HTTPException: _refused}
    return Gated(Starlette(routes=routes, exception_handlers=handlers, max_body_size=LONGEST_FORM), Gate(port))


def _streaming(desk: Desk) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        return stream(desk.board, request)

    return endpoint


def _endpoint(desk: Desk, page: Page[Visit], entries: Sequence[Page[Visit]], view: View, port: int) -> Endpoint:
    """Return a route's function: make the visit, require the token of a form, and answer in a thread."""
    cookie = f"console-{port}"  # a browser sends cookies to every port of a host

    async def endpoint(request: Request) -> Response:
        session = desk.sessions.identify(request.cookies.get(cookie))
        form = await request.form() if request.method == "POST" else FormData()
        visit = Visit(desk, request, page, entries, session, form, desk.board.position)
        try:
            response = await run_in_threadpool(_answer, visit, view)
        finally:
            await form.close()  # the files that were uploaded
        response.set_cookie(cookie, session, httponly=True, samesite="strict")
        return response

    return endpoint


def _answer(visit: Visit, view: View) -> Response:
    try:
        _require_token(visit)
        return view(visit)
    except Exception as error:  # noqa: BLE001  the edge of one request: the page shows the error in one line
        if visit.request.method == "POST":
            return visit.refuse(error)
        text = visit.text(error.key, **error.values) if isinstance(error, ConsoleError) else errors.line(error)
        response = visit.show("failure.html", problem=text)
        response.status_code = 500
        return response


def _require_token(visit: Visit) -> None:
    if visit.request.method == "POST" and not visit.desk.sessions.is_token(visit.session, visit.field("token")):
        raise ConsoleError("frame.stale_form")


async def _refused(request: Request, error: Exception) -> Response:
    """Answer a path or a method that the console does not have."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    host = request.headers.get("host", "")
    return PlainTextResponse(f"the console has no {request.method} {request.url.path}: open http://{host}/\n", status)

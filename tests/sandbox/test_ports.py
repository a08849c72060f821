"""A port that another program has is refused with that program's name."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from sandbox import ports
from sandbox.errors import PlaceError
from sandbox.place import Place, read_place


@contextmanager
def another_program(body: bytes, server: str) -> Iterator[tuple[int, list[str]]]:
    """Run another program at a port; yield the port and the requests that it receives."""
    requests: list[str] = []

    class OtherProgram(BaseHTTPRequestHandler):
        server_version, sys_version = server, ""

        def _answer(self) -> None:
            requests.append(f"{self.command} {self.path}")
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815  as http.server has it

        def log_message(self, format: str, *args: object) -> None:
            """Print nothing."""

    listening = HTTPServer(("127.0.0.1", 0), OtherProgram)
    thread = threading.Thread(target=listening.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield listening.server_address[1], requests
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()


HEALTH = b'{"services": {"sqs": "available"}, "edition": "community", "version": "4.1.0"}'


@pytest.mark.parametrize(
    ("body", "server", "name"),
    [(HEALTH, "Python", "a LocalStack 4.1.0"), (b"hello", "nginx", "an HTTP server (nginx )")],
)
def test_a_port_of_another_program_is_refused_by_name(body: bytes, server: str, name: str) -> None:
    """The refusal names the program, whichever port of the sandbox it has; it receives one request and nothing else."""
    with another_program(body, server) as (port, requests):
        for place in (Place(aws=port), Place(wechat_pay=port), Place(backup=port), Place(control=port)):
            with pytest.raises(PlaceError) as refused:
                ports.refuse_taken(place)
            assert f"127.0.0.1:{port} is taken by {name}, process " in str(refused.value)
            assert "Stop that program, or choose others: make sandbox PORT=" in str(refused.value)
            assert "\n" not in str(refused.value)
        assert set(requests) == {"GET /_localstack/health"}


def test_a_silent_program_is_named_by_its_process() -> None:
    """A program that answers nothing over HTTP is named by its process, after a third of a second."""
    with ports.listen("127.0.0.1", 0) as listener, pytest.raises(PlaceError, match=r"is taken by process \d+ \("):
        ports.refuse_taken(Place(aws=listener.getsockname()[1]))


def test_the_ports_that_are_offered_are_free_for_the_whole_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the last port of a row is taken the row is passed over: a sandbox on the offered port finds all free."""
    taken_port = 4600 + len(Place().ports) - 1

    def listen(_: str, port: int) -> AbstractContextManager[None]:
        if port == taken_port:
            raise PlaceError(f"{port} is taken")
        return nullcontext()

    monkeypatch.setattr(ports, "listen", listen)
    offered = ports.spare("127.0.0.1")
    assert offered > taken_port
    assert set(read_place([f"--port={offered}"]).ports.values()) == set(range(offered, offered + len(Place().ports)))


def test_free_ports_are_not_refused() -> None:
    """Free ports are not refused, and stay free."""
    ports.refuse_taken(Place())

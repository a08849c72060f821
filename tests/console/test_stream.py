"""The live stream: what has changed, from where a browser left off, bounded, with a heartbeat and an end."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import pytest
import requests

from sandbox.console import stream
from sandbox.console.bulletin import TOPICS, Bulletin
from sandbox.console.desk import Desk
from sandbox.testbed import until


def run[T](coroutine: Coroutine[object, object, T]) -> T:
    """Run it in a thread of its own: in this one Playwright's loop may be running."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


async def take(messages: AsyncIterator[str], count: int) -> list[str]:
    """Return the next messages."""
    return [await anext(messages) for _ in range(count)]


def test_a_bulletin_tells_what_has_changed_since_a_position() -> None:
    """Topics are told once for each position, whatever number of changes there were."""
    board = Bulletin()
    start = board.position
    assert board.since(start) == (start, [])
    for _ in range(1000):
        board.publish(["orders", "calls"])
    now, topics = board.since(start)
    assert topics == ["calls", "orders"]
    board.publish(["jobs"])
    assert board.since(now)[1] == ["jobs"]


@pytest.mark.parametrize("position", ["", "x", "0-0", "another-7", "\ud800", "-1"])
def test_a_position_of_another_run_means_that_everything_has_changed(position: str) -> None:
    """Without a position, or with one of an earlier run, every topic has changed."""
    assert Bulletin().since(position)[1] == sorted(TOPICS)


def test_a_stream_continues_where_the_browser_left_off() -> None:
    """A stream begins with what has changed since the position, and each message has the next one as its id."""
    board = Bulletin()
    position = board.position
    board.publish(["orders"])

    async def listen() -> list[str]:
        messages = stream.changes(board, position)
        first = await take(messages, 2)
        board.publish(["faults", "letters"])
        return first + await take(messages, 1)

    hello, first, second = run(listen())
    assert hello.startswith("retry: ")
    assert "event: changed\ndata: orders\n\n" in first
    assert second == f"id: {board.position}\nevent: changed\ndata: faults letters\n\n"


def test_a_silent_stream_has_a_heartbeat_and_ends_with_the_sandbox() -> None:
    """Without a change a comment shows that the stream lives; when the bulletin closes, the stream ends."""
    board = Bulletin()

    async def listen() -> list[str]:
        messages = stream.changes(board, board.position, heartbeat=0.01)  # a short one: it only has to come
        beats = await take(messages, 3)
        board.close()
        return beats + [message async for message in messages if "heartbeat" not in message]

    assert run(listen())[1:] == [": heartbeat\n\n"] * 2
    assert board.readers == 0


def lines_of(answer: requests.Response) -> "closing[Generator[bytes]]":
    """The lines of a stream; at the end of the block its connection is closed."""

    def lines() -> Generator[bytes]:
        yield from answer.iter_lines()

    return closing(lines())


def test_streams_are_bounded(console: str, desk: Desk) -> None:
    """Beyond the limit a stream is refused with one line and a time to wait; one that ends makes room."""
    with ExitStack() as streams:
        while desk.board.readers < stream.MOST:
            answer = streams.enter_context(requests.get(console + "stream", stream=True, timeout=60))
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert next(streams.enter_context(lines_of(answer)))
        refusal = requests.get(console + "stream", timeout=60)
        assert (refusal.status_code, refusal.headers["Retry-After"]) == (503, "5")
        assert "close some tabs" in refusal.text
    until(lambda: desk.board.readers < stream.MOST)


def test_a_browsers_last_event_id_is_taken(console: str, desk: Desk) -> None:
    """The header Last-Event-ID, which a browser sends when it connects again, comes before the page's position."""
    position = desk.board.position
    desk.board.publish(["jobs"])
    headers = {"Last-Event-ID": position}
    with (
        requests.get(f"{console}stream?since=old", headers=headers, stream=True, timeout=60) as answer,
        lines_of(answer) as lines,
    ):
        assert b"jobs" in next(line for line in lines if line.startswith(b"data:"))

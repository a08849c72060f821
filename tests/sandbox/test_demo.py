"""`make demo` on screens of several sizes: no line wraps, and no earlier drawing remains."""

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from rich.live import Live

from ops import dead_letters
from sandbox import demo
from sandbox.stage import BrokenPromiseError, Stage
from sandbox.stories import STORIES, Story
from sandbox.testbed import Testbed
from tests.sandbox.terminal import Terminal

ROOT = Path(__file__).parents[2]
CALLS = ["sync 404 ORDER_NOT_EXIST", "sync 404 ORDER_NOT_EXIST", "sync 400 INVALID_REQUEST", "sync 200", "query 200"]
STEPS = ["REJECTED ORDER_NOT_EXIST", "dead letter", "redriven", "RETRYING UNREACHABLE", "WeChat Pay is back", "SYNCED"]


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, Terminal, str]]:
    """The demo with simulated stories on a screen of this size: exit code, terminal, what was written."""

    @contextmanager
    def open_world(directory: Path, **_: Any) -> Iterator[SimpleNamespace]:
        cloud = SimpleNamespace(endpoint_url="http://127.0.0.1:45555", logs=lambda _: [])
        yield SimpleNamespace(
            cloud=cloud,
            functions={"orders": "f"},
            deployment=None,
            wechat_pay=SimpleNamespace(base_url="http://127.0.0.1:45556", calls=[]),
        )

    def play(tmp_path: Path, columns: int, rows: int, broken: str = "") -> tuple[int, Terminal, str]:
        live: list[Any] = []

        def pretend(story: Story) -> Callable[[Stage], None]:
            def run(stage: Stage) -> None:
                for step in STEPS:
                    stage.show(step)
                    live[-1].refresh()  # as its thread does eight times a second
                if story.name == broken:
                    raise BrokenPromiseError("promised otherwise")

            run.__name__ = story.run.__name__
            return run

        class WatchedLive(Live):
            def __init__(self, *arguments: Any, **options: Any) -> None:
                super().__init__(*arguments, **options)
                live.append(self)

        monkeypatch.setattr(demo, "Live", WatchedLive)
        monkeypatch.setattr(Testbed, "open", open_world)
        monkeypatch.setattr(demo, "STORIES", tuple(Story(story.title, pretend(story)) for story in STORIES))
        monkeypatch.setattr(dead_letters, "peek", lambda _: [])
        monkeypatch.setattr(Stage, "calls", lambda _, __=None: CALLS)
        written = io.StringIO()
        console = Console(file=written, force_terminal=True, width=columns, height=rows, highlight=False)
        code = demo.run(tmp_path, console)
        terminal = Terminal(columns, rows)
        terminal.feed(written.getvalue())
        return code, terminal, written.getvalue()

    return play


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (100, 24), (120, 40), (60, 10), (99, 24), (115, 24)])
def test_the_screen_holds_each_story_once(played: Any, tmp_path: Path, columns: int, rows: int) -> None:
    """Each story is on the screen once, no line wraps, and the count of stories is printed."""
    code, terminal, _ = played(tmp_path, columns, rows)
    lines = [line.rstrip() for line in terminal.lines]
    assert code == 0
    assert terminal.wrapped == 0
    assert max(map(len, lines)) <= columns
    assert not any("…" in line for line in lines)
    assert sum("✓" in line for line in lines) == len(STORIES)
    for story in STORIES:
        assert sum(story.title in line for line in lines) == 1
    assert len(lines) < 12 + 6 * len(STORIES)
    words = re.sub(r"\s+", " ", " ".join(lines))
    assert "12 of 12 stories ended as promised" in words


def test_a_broken_promise_is_shown(played: Any, tmp_path: Path) -> None:
    """A story that ends otherwise is marked, listed again at the end, and makes the exit code 1."""
    code, terminal, _ = played(tmp_path, 80, 24, broken="deducting")
    assert code == 1
    assert sum("✗" in line for line in terminal.lines) == 2
    assert any("✗ deducting: promised otherwise" in line for line in terminal.lines)


@pytest.mark.parametrize(("columns", "width"), [(80, 80), (100, 100), (120, 115), (300, 115)])
def test_the_console_is_as_wide_as_the_screen(monkeypatch: pytest.MonkeyPatch, columns: int, width: int) -> None:
    """The console is as wide as the screen, up to the width of the README's picture, which a pipe gets as well."""
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.delenv("TTY_COMPATIBLE", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes it for a terminal
    assert demo._console().width == width
    monkeypatch.delenv("FORCE_COLOR")
    monkeypatch.setenv("TTY_COMPATIBLE", "0")
    assert demo._console().width == demo.WIDEST


def test_the_columns_are_those_of_the_readme() -> None:
    """Every line that the screen draws for a story is in the README."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    console = Console(file=io.StringIO(), width=demo.WIDEST, record=True)
    screen = demo.Screen(demo.WIDEST)
    console.print(screen.head())
    stage: Any = SimpleNamespace(calls=lambda: ["sync 400 INVALID_REQUEST", "sync 200"])
    stage.steps = ["RETRYING DEDUCTING", "wait 2 s", "SYNCED"]
    console.print(screen.story(STORIES[5], "kept", stage, 2.3))
    for line in console.export_text().splitlines():
        assert line.rstrip() in readme

"""`make demo`: run the stories and show each on a line; it fails unless every one ends as promised."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ops import dead_letters
from sandbox.stage import BrokenPromiseError, Stage
from sandbox.stories import STORIES, Story
from sandbox.testbed import Testbed

MARKS = {"running": "…", "kept": "✓", "broken": "✗"}
STYLES = {"running": "bold", "kept": "", "broken": "red"}
WIDEST = 115  # columns; as the README shows it
COLUMNS_FROM = 100  # columns; on a narrower screen each story takes lines of its own
TITLE = max(len(story.title) for story in STORIES)


class Screen:
    """Lays out stories for a width: one row of columns, or two lines; never wider, so that a terminal wraps nothing."""

    def __init__(self, width: int) -> None:
        """Lay out for so many columns."""
        self.width = width

    def head(self) -> RenderableType:
        """Return the titles above the first story."""
        if self.width < COLUMNS_FROM:
            return Text("story, what was asked of WeChat Pay, what the table says\n" + "─" * self.width, no_wrap=True)
        row = self._row("", "story", "asked of WeChat Pay", "in the table", "s", "bold")
        return Group(row, Text(" " + "─" * (self.width - 1), no_wrap=True))

    def story(self, story: Story, mark: str, stage: Stage, seconds: float) -> RenderableType:
        """Return how far a story is."""
        calls, steps = ", ".join(_count_repeated(stage.calls())), " → ".join(stage.steps)
        if self.width < COLUMNS_FROM:
            return self._lines(story, mark, [text for text in (calls, steps) if text], f"{seconds:.1f}")
        return self._row(MARKS[mark], story.title, calls, steps, f"{seconds:.1f}", STYLES[mark])

    def _row(self, mark: str, title: str, calls: str, steps: str, seconds: str, style: str) -> RenderableType:
        rest = self.width - 1 - 1 - TITLE - 4 - 4 * 3
        table = Table.grid(padding=(0, 3, 0, 0), pad_edge=False)
        for width in (1, TITLE, rest // 2, rest - rest // 2):
            table.add_column(width=width, overflow="fold")
        table.add_column(width=4, justify="right")
        table.add_row(*(Text(text) for text in (mark, title, calls, steps, seconds)), style=style)
        return Padding(table, (0, 0, 0, 1))

    def _lines(self, story: Story, mark: str, texts: list[str], seconds: str) -> RenderableType:
        first = Table.grid(padding=(0, 1, 0, 0), expand=True, pad_edge=False)
        first.add_column(width=1)
        first.add_column(ratio=1, overflow="fold")
        first.add_column(width=7, justify="right")
        first.add_row(MARKS[mark], story.title, f"{seconds} s", style=STYLES[mark])
        return Group(first, *(Padding(Text(text, overflow="fold"), (0, 0, 0, 4)) for text in texts))


class RunningStory:
    """The story that is running, drawn again at each refresh."""

    def __init__(self, screen: Screen, story: Story, stage: Stage) -> None:
        self._screen, self._story, self._stage = screen, story, stage
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return time.monotonic() - self._began

    def __rich__(self) -> RenderableType:
        return self._screen.story(self._story, "running", self._stage, self.seconds)


def run(directory: Path, console: Console | None = None) -> int:
    """Open the testbed, run every story, list the dead letters; 0 if all ended as promised. Files go to `directory`."""
    console = console or _console()
    started = time.monotonic()
    with Testbed.open(directory, doorways=True, say=lambda step: console.print(f"{step} …", style="dim")) as testbed:
        aws, wechat_pay = testbed.cloud.endpoint_url, testbed.wechat_pay.base_url
        console.print(f"The template is deployed: AWS on {aws}, WeChat Pay on {wechat_pay}.\n")
        broken = _run_all(testbed, console)
        _list_letters(testbed, console)
        for does, function in testbed.functions.items():
            (directory / f"{does}.log").write_text("\n".join(testbed.cloud.logs(function)), encoding="utf-8")
    successes = len(STORIES) - len(broken)
    console.print(f"{successes} of {len(STORIES)} stories ended as promised, in {time.monotonic() - started:.0f} s.")
    for story, error in broken:
        console.print(Text(f"✗ {story.name}: {error}", style="red"))
    return 1 if broken else 0


def _console() -> Console:
    """Return a console as wide as the screen, up to the width of the README; a file or a pipe gets that."""
    console = Console(highlight=False)
    console.width = min(console.width, WIDEST) if console.is_terminal else WIDEST
    return console


def _run_all(testbed: Testbed, console: Console) -> list[tuple[Story, BrokenPromiseError]]:
    """Draw only the running story again; earlier ones are printed above it, so that no screen is too low."""
    broken = []
    screen = Screen(console.width)
    console.print(screen.head())
    for story in STORIES:
        stage, mark = Stage(testbed), "kept"
        running = RunningStory(screen, story, stage)
        with Live(running, console=console, refresh_per_second=8, transient=True):
            try:
                story.run(stage)
            except BrokenPromiseError as error:
                broken.append((story, error))
                mark = "broken"
        console.print(screen.story(story, mark, stage, running.seconds))
    return broken


def _list_letters(testbed: Testbed, console: Console) -> None:
    console.print("\nDead-letter messages, each with its reason:")
    for letter in dead_letters.peek(testbed.deployment):
        whose = letter.order.payment.out_order_no if letter.order else letter.message_id
        console.print(Text(f"  {whose}  {letter.reason}  {letter.explanation}"))


def _count_repeated(calls: list[str]) -> list[str]:
    """Return repeated calls once, with their number."""
    return [call + (f" ×{number}" if (number := calls.count(call)) > 1 else "") for call in dict.fromkeys(calls)]


def main() -> int:
    """Run in a folder that is removed afterwards."""
    with TemporaryDirectory(prefix="sandbox-") as directory:
        return run(Path(directory))

"""`make demo`: the stories, told on a screen, one line each; it fails unless every one ends as promised."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory

from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ops import dead_letters
from sandbox.stories import STORIES, BrokenPromiseError, Stage, Story
from sandbox.world import World

MARKS = {"waiting": " ", "running": "…", "kept": "✓", "broken": "✗"}


class Screen:
    """A table that grows while the stories are told."""

    def __init__(self) -> None:
        self._lines: dict[str, tuple[str, Stage | None, float]] = {
            story.name: ("waiting", None, 0) for story in STORIES
        }

    def show(self, story: Story, mark: str, stage: Stage, seconds: float) -> None:
        """Show how far a story is."""
        self._lines[story.name] = (mark, stage, seconds)

    def __rich__(self) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=False)
        table.add_column("")
        table.add_column("story", no_wrap=True)
        for title in ("asked of WeChat Pay", "in the table"):
            table.add_column(title, overflow="fold")
        table.add_column("s", justify="right")
        for story in STORIES:
            mark, stage, seconds = self._lines[story.name]
            style = {"broken": "red", "kept": "", "running": "bold", "waiting": "dim"}[mark]
            asked = ", ".join(_counted(stage.calls())) if stage else ""
            told = " → ".join(stage.told) if stage else ""
            table.add_row(MARKS[mark], story.title, asked, told, f"{seconds:.1f}" if stage else "", style=style)
        return table


def run(directory: Path, console: Console | None = None) -> int:
    """Open the world, tell every story, list the dead letters; 0 if all ended as promised. Files go to `directory`."""
    console = console or Console(width=116, highlight=False)
    started = time.monotonic()
    with World.open(directory) as world:
        console.print(
            f"The template is deployed: AWS on {world.cloud.endpoint_url}, WeChat Pay on {world.wechat_pay.base_url}."
        )
        broken = _tell_all(world, console)
        _list_letters(world, console)
        (directory / "function.log").write_text("\n".join(world.cloud.logs(world.function)), encoding="utf-8")
    kept = len(STORIES) - len(broken)
    console.print(f"{kept} of {len(STORIES)} stories ended as promised, in {time.monotonic() - started:.0f} s.")
    for story, error in broken:
        console.print(Text(f"✗ {story.name}: {error}", style="red"))
    return 1 if broken else 0


def _tell_all(world: World, console: Console) -> list[tuple[Story, BrokenPromiseError]]:
    broken = []
    screen = Screen()
    with Live(screen, console=console, refresh_per_second=8):
        for story in STORIES:
            stage, started, mark = Stage(world), time.monotonic(), "kept"
            screen.show(story, "running", stage, 0)
            try:
                story.tell(stage)
            except BrokenPromiseError as error:
                broken.append((story, error))
                mark = "broken"
            screen.show(story, mark, stage, time.monotonic() - started)
    return broken


def _list_letters(world: World, console: Console) -> None:
    console.print("\nDead letters that wait for somebody:")
    for letter in dead_letters.peek(world.deployment):
        whose = letter.order.out_order_no if letter.order else letter.message_id
        console.print(Text(f"  {whose}  {letter.reason}  {letter.said}"))


def _counted(calls: list[str]) -> list[str]:
    """Repeated calls once, with their number."""
    return [call + (f" ×{number}" if (number := calls.count(call)) > 1 else "") for call in dict.fromkeys(calls)]


def main() -> int:
    """Run in a folder that is removed afterwards."""
    with TemporaryDirectory(prefix="sandbox-") as directory:
        return run(Path(directory))

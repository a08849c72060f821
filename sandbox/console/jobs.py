"""Operations that take long: they run in the background, and the pages show how far each is."""

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from sandbox.console import bulletin, errors
from sandbox.console.bulletin import Bulletin

REMEMBERED = 5  # jobs that a page shows


@dataclass(frozen=True, slots=True)
class Step:
    """How far a job is: `count` of `total`, and the line that it reports, if any."""

    count: int = 0
    total: int = 0
    line: str = ""


@dataclass(slots=True)
class Job:
    """One operation; `title` is a key of the texts. `error` is why it ended early."""

    number: int
    title: str
    count: int = 0
    total: int = 0
    lines: list[str] = field(default_factory=list)
    error: str = ""
    is_running: bool = True


class Jobs:
    """The operations of this run; each is a thread that ends with the process."""

    def __init__(self, board: Bulletin) -> None:
        self._board = board
        self._numbers = itertools.count(1)
        self._jobs: deque[Job] = deque(maxlen=REMEMBERED)
        self._lock = threading.Lock()

    @property
    def newest_first(self) -> Sequence[Job]:
        """The jobs that are remembered."""
        with self._lock:
            return tuple(reversed(self._jobs))

    def start(self, title: str, work: Callable[[], Iterator[Step]], topics: Sequence[str] = ()) -> Job:
        """Run the work in the background; `topics` have changed when it ends."""
        job = Job(next(self._numbers), title)
        with self._lock:
            self._jobs.append(job)
        threading.Thread(target=self._run, args=(job, work, topics), daemon=True, name=f"job {job.number}").start()
        return job

    def dismiss(self) -> None:
        """Forget the jobs that have ended."""
        with self._lock:
            self._jobs = deque((job for job in self._jobs if job.is_running), maxlen=REMEMBERED)
        self._board.publish([bulletin.JOBS])

    def _run(self, job: Job, work: Callable[[], Iterator[Step]], topics: Sequence[str]) -> None:
        try:
            for step in work():
                job.count, job.total = step.count or job.count, step.total or job.total
                job.lines += [step.line] if step.line else []
                self._board.publish([bulletin.JOBS])
        except Exception as error:  # noqa: BLE001  the edge of one job: its page shows the error
            job.error = errors.line(error)
        job.is_running = False
        self._board.publish([bulletin.JOBS, *topics])

"""What the pages act on: the testbed, the operations in the background, the bulletin of changes, the sessions."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from sandbox.console.bulletin import Bulletin
from sandbox.console.jobs import Jobs
from sandbox.console.sessions import Sessions
from sandbox.testbed import Testbed
from sandbox.wechat_pay import Simulator


@dataclass(frozen=True, slots=True)
class Desk:
    """One console's; `directory` is where plans and deleted dead letters are kept."""

    testbed: Testbed
    directory: Path
    board: Bulletin
    jobs: Jobs
    sessions: Sessions = field(default_factory=Sessions)

    @classmethod
    def of(cls, testbed: Testbed, directory: Path) -> Self:
        """Make the desk of a testbed."""
        board = Bulletin()
        return cls(testbed, directory, board, Jobs(board))

    @property
    def wechat_pay(self) -> Simulator:
        """The simulated WeChat Pay."""
        return self.testbed.wechat_pay

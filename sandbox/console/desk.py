"""What the pages act on: the testbed, its feed, operations in the background, the bulletin of changes, sessions."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ops.stack import Deployment
from sandbox.console.bulletin import Bulletin
from sandbox.console.feed import Feed
from sandbox.console.jobs import Jobs
from sandbox.console.letters import DeadLetters
from sandbox.console.sessions import Sessions
from sandbox.console.till import ConsoleTill
from sandbox.journal import Journal
from sandbox.testbed import Testbed
from sandbox.timeline.reader import NearWeChatPay, Reader
from sandbox.timeline.rules import Rule
from sandbox.wechat_pay import Simulator


@dataclass(frozen=True, slots=True)
class Desk:
    """One console's; `directory` is where plans and deleted dead letters are kept.

    `deployment` is the stack as `python -m ops` finds it, with the simulator's address.
    """

    testbed: Testbed
    directory: Path
    deployment: Deployment
    board: Bulletin
    feed: Feed
    jobs: Jobs
    sessions: Sessions
    till: ConsoleTill
    letters: DeadLetters

    @classmethod
    @contextmanager
    def of(cls, testbed: Testbed, directory: Path) -> Iterator[Self]:
        """Make the desk of a testbed, which follows it for the length of the block."""
        board = Bulletin()
        cloud = testbed.cloud
        deployment = Deployment.find(testbed.stack.name, endpoint_url=cloud.endpoint_url, session=cloud.session)
        feed = Feed(testbed, board)
        till, letters = ConsoleTill(deployment, testbed.wechat_pay), DeadLetters(deployment, directory)
        feed.open()
        try:
            yield cls(testbed, directory, deployment, board, feed, Jobs(board), Sessions(), till, letters)
        finally:
            feed.close()

    def rules(self) -> Sequence[Rule]:
        """Return the rules of every bus."""
        return self.reader.rules()

    @property
    def reader(self) -> Reader:
        """What reads the facts about an order."""
        return Reader(self.deployment, Journal(self.testbed.cloud.endpoint_url), NearWeChatPay(self.wechat_pay))

    @property
    def wechat_pay(self) -> Simulator:
        """The simulated WeChat Pay."""
        return self.testbed.wechat_pay

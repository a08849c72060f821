"""Fixtures of all tests: a simulated WeChat Pay that signs, and the deployed template with it."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import pytest
from rich.console import Console

from sandbox import demo
from sandbox.testbed import Testbed
from sandbox.wechat_pay import SimulatedMerchant, Simulator
from tests.simulator import key_ring, wechat_pay

__all__ = ["key_ring", "wechat_pay"]  # fixtures of every test


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--shuffle SEED`: run modules, and the tests in each, in an order that depends on the seed."""
    parser.addoption("--shuffle", metavar="SEED", help="run modules, and the tests in each, in random order")


@pytest.hookimpl(tryfirst=True)  # before pytest groups tests by the parameter of a fixture
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Shuffle if the option is given; a module stays together, because its fixtures take seconds.

    With pytest-xdist (`make test`) modules are divided among processes, those that share the session's sandbox in two
    groups, first: they take the longest.
    """
    modules = [list(tests) for _, tests in groupby(items, key=lambda item: item.path)]
    if (seed := config.getoption("--shuffle")) is not None:
        chance = random.Random(seed)  # noqa: S311  not for secrets
        chance.shuffle(modules)
        for tests in modules:
            chance.shuffle(tests)
    if config.getoption("loadgroup", default=False):
        modules.sort(key=lambda tests: not _shares_the_sandbox(tests))
        for tests in modules:
            for test in tests:
                _put_into(_group_of(tests), test)
    items[:] = [test for tests in modules for test in tests]


def _group_of(tests: Sequence[pytest.Item]) -> str:
    """Return the group of a module; the console's tests take as long as all others that share a sandbox."""
    path = tests[0].path
    if not _shares_the_sandbox(tests):
        return path.stem
    return "console" if "console" in path.parts else "sandbox"


def _put_into(group: str, test: pytest.Item) -> None:
    """Name the group in the test's id, which pytest-xdist divides by.

    Its own mark does nothing here: xdist 3.8.0 writes to `_nodeid`, which pytest reads no longer (9.2.0).
    """
    test._id = type(test.id).parse(f"{test.nodeid}@{group}")


def _shares_the_sandbox(tests: Sequence[pytest.Item]) -> bool:
    return any({"world", "evidence"} & set(getattr(test, "fixturenames", ())) for test in tests)


def pytest_report_header(config: pytest.Config) -> str | None:
    """Print the seed, which repeats the order."""
    seed = config.getoption("--shuffle")
    return None if seed is None else f"shuffled: --shuffle {seed}"


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    """The deployed template with a simulated WeChat Pay, shared by all tests; each test uses its own orders."""
    with Testbed.open(tmp_path_factory.mktemp("world")) as world:
        yield world


@dataclass(frozen=True)
class DemoRun:
    """One run of the demo: its exit status, its output, and its log files, including those of the function."""

    code: int
    output: str
    files: dict[str, str]

    @property
    def all(self) -> str:
        """The output and all log files."""
        return "\n".join([self.output, *self.files.values()])


@pytest.fixture(scope="session")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> tuple[DemoRun, list[SimulatedMerchant]]:
    """One run of the demo for all tests, with the merchants whose keys it used."""
    directory = tmp_path_factory.mktemp("demo")
    merchants: list[SimulatedMerchant] = []
    original = Simulator.merchant

    def record_merchant(self: Simulator, mchid: str = "1230000109") -> SimulatedMerchant:
        merchant = original(self, mchid)
        merchants.append(merchant)
        return merchant

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Simulator, "merchant", record_merchant)
        console = Console(record=True, width=120)
        code = demo.run(directory, console)
    logs = {path.name: path.read_text(errors="replace") for path in directory.glob("*.log")}
    return DemoRun(code, console.export_text(), logs), merchants

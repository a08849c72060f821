"""Words of the trade, for every test: a WeChat Pay that signs, and a whole world around it."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import pytest
from rich.console import Console

from sandbox import demo
from sandbox.wechat_pay import SimulatedMerchant, Simulator
from sandbox.world import World
from tests.simulator import key_ring, wechat_pay

__all__ = ["key_ring", "wechat_pay"]  # fixtures of every test


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--shuffle SEED`: modules, and the tests in each, in an order that the seed decides."""
    parser.addoption("--shuffle", metavar="SEED", help="run modules, and the tests in each, in random order")


@pytest.hookimpl(tryfirst=True)  # before pytest brings together what shares the parameter of a fixture
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Shuffle where that was asked for; a module stays together, because its fixtures cost seconds."""
    if (seed := config.getoption("--shuffle")) is not None:
        chance = random.Random(seed)  # noqa: S311  not for secrets
        modules = [list(tests) for _, tests in groupby(items, key=lambda item: item.path)]
        chance.shuffle(modules)
        for tests in modules:
            chance.shuffle(tests)
        items[:] = [test for tests in modules for test in tests]


def pytest_report_header(config: pytest.Config) -> str | None:
    """With the seed, which makes the same order again."""
    seed = config.getoption("--shuffle")
    return None if seed is None else f"shuffled: --shuffle {seed}"


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The template, deployed, beside a WeChat Pay; shared by all tests that bring their own orders."""
    with World.open(tmp_path_factory.mktemp("world")) as world:
        yield world


@dataclass(frozen=True)
class Evidence:
    """One run of the demo: its exit code, what it showed, and every file it left, logs of the function included."""

    code: int
    shown: str
    files: dict[str, str]

    @property
    def all(self) -> str:
        """Everything there is to search."""
        return "\n".join([self.shown, *self.files.values()])


@pytest.fixture(scope="session")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> tuple[Evidence, list[SimulatedMerchant]]:
    """The demo, run once for all who look at it, with the merchants whose keys it used."""
    directory = tmp_path_factory.mktemp("demo")
    merchants: list[SimulatedMerchant] = []
    original = Simulator.merchant

    def remembered(self: Simulator, mchid: str = "1230000109") -> SimulatedMerchant:
        merchant = original(self, mchid)
        merchants.append(merchant)
        return merchant

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Simulator, "merchant", remembered)
        console = Console(record=True, width=120)
        code = demo.run(directory, console)
    logs = {path.name: path.read_text(errors="replace") for path in directory.glob("*.log")}
    return Evidence(code, console.export_text(), logs), merchants

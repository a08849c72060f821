"""Words of the trade, for every test: a WeChat Pay that signs, and a whole world around it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from sandbox.wechat_pay import Simulator
from sandbox.world import World

settings.register_profile(
    "quick", max_examples=20, deadline=None
)  # for `make mutation`, which runs them a thousand times


@pytest.fixture(scope="session")
def key_ring(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the simulators of one run keep their keys: making an RSA key takes a tenth of a second."""
    return tmp_path_factory.mktemp("keys")


@pytest.fixture
def wechat_pay(key_ring: Path) -> Iterator[Simulator]:
    """A WeChat Pay of this test's own."""
    with Simulator(keys=key_ring) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The template, deployed, beside a WeChat Pay; shared by the tests of a module."""
    with World.open(tmp_path_factory.mktemp("world")) as world:
        yield world

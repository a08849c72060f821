"""Fixtures of a test that needs the WeChat Pay simulator alone; `tools/python_versions.py` takes no others along."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from sandbox.wechat_pay import Simulator

# For `make mutation`, which runs the property tests a thousand times.
settings.register_profile("quick", max_examples=20, deadline=None)


@pytest.fixture(scope="session")
def key_ring(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the simulators' keys, one for a run: creating an RSA key takes 0.1 s."""
    return tmp_path_factory.mktemp("keys")


@pytest.fixture
def wechat_pay(key_ring: Path) -> Iterator[Simulator]:
    """A simulated WeChat Pay for one test."""
    with Simulator(keys=key_ring) as simulator:
        yield simulator

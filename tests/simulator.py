"""Fixtures of a test that needs the WeChat Pay simulator alone; `tools/python_versions.py` takes no others along."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from sandbox.wechat_pay import Simulator

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

"""Which stack a command line means: the running sandbox's or one on AWS."""

import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ops import address
from ops.address import Address, Sandbox
from ops.stack import OpsError

SANDBOX = Sandbox("sandbox", "us-east-1", "http://127.0.0.1:4566", "x", "x", 1)
OTHER = replace(SANDBOX, endpoint_url="http://127.0.0.1:4600")
MEANT = Address("sandbox", "us-east-1", SANDBOX.endpoint_url, SANDBOX)


@pytest.mark.parametrize(
    ("stack", "region", "endpoint_url", "environment", "expected"),
    [
        (None, None, None, {}, MEANT),
        ("sandbox", None, None, {}, MEANT),
        (None, None, "http://127.0.0.1:4566", {}, MEANT),
        (None, None, "http://localhost:4566/", {}, MEANT),
        (None, None, None, {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}, MEANT),
        ("mine", None, "http://127.0.0.1:4566", {}, replace(MEANT, stack="mine")),
        (None, "eu-west-1", "http://127.0.0.1:4566", {}, replace(MEANT, region="eu-west-1")),
        ("shop", None, None, {}, Address("shop")),
        (None, None, None, {"STACK": "shop"}, Address("shop")),
        ("sandbox", None, None, {"STACK": "shop"}, MEANT),
        (None, "cn-north-1", None, {}, Address(address.STACK, "cn-north-1")),
        ("sandbox", "cn-north-1", None, {}, Address("sandbox", "cn-north-1")),
        (None, None, "https://example.com", {}, Address(address.STACK, None, "https://example.com")),
        (None, None, None, {"AWS_ENDPOINT_URL": "https://example.com"}, Address(address.STACK)),
    ],
)
def test_the_sandbox_is_meant_where_nothing_else_is_named(
    stack: str | None, region: str | None, endpoint_url: str | None, environment: dict[str, str], expected: Address
) -> None:
    """Whatever names a stack on AWS keeps a command away from the sandbox, and the other way round."""
    chosen = address.choose(stack, region, endpoint_url, environment=environment, sandboxes=[SANDBOX])
    assert chosen == expected


def test_without_a_sandbox_the_aws_environment_is_meant() -> None:
    """Under the name that samconfig.toml gives."""
    assert address.choose(None, None, None, environment={}, sandboxes=[]) == Address(address.STACK)


def test_one_of_several_sandboxes_is_named_by_its_endpoint() -> None:
    """None is guessed."""
    both = [SANDBOX, OTHER]
    with pytest.raises(OpsError, match=r"several sandboxes run.*4566, http://127\.0\.0\.1:4600"):
        address.choose(None, None, None, environment={}, sandboxes=both)
    chosen = address.choose(None, None, OTHER.endpoint_url, environment={}, sandboxes=both)
    assert chosen.sandbox is OTHER


@pytest.fixture
def endpoint_url() -> Iterator[str]:
    """Where something listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_running_sandbox_is_found(endpoint_url: str, tmp_path: Path) -> None:
    """On the usual ports or on others, which have a folder of their own."""
    sandbox = replace(SANDBOX, endpoint_url=endpoint_url, pid=os.getpid())
    assert address.running(tmp_path) == []
    (tmp_path / "4600").mkdir()
    sandbox.write(tmp_path / "4600")
    assert address.running(tmp_path) == [sandbox]
    sandbox.write(tmp_path)
    assert address.running(tmp_path) == [sandbox, sandbox]


def test_what_a_sandbox_left_behind_is_not_followed(endpoint_url: str, tmp_path: Path) -> None:
    """Its process is gone, or nothing listens, or the file is no whole one."""
    living = replace(SANDBOX, endpoint_url=endpoint_url, pid=os.getpid())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        silent = replace(living, endpoint_url=f"http://127.0.0.1:{listener.getsockname()[1]}")
    gone = os.posix_spawn("/bin/sh", ["sh", "-c", ""], {})
    os.waitpid(gone, 0)
    for stale in (silent, replace(living, pid=gone)):
        stale.write(tmp_path)
        assert address.running(tmp_path) == []
    for text in ("", "{", "[]", "{}", '{"stack": "sandbox"}'):
        (tmp_path / address.FILE).write_text(text)
        assert address.running(tmp_path) == []

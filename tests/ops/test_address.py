"""Which stack a command line selects: the running sandbox's or one on AWS."""

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
IN_SANDBOX = Address("sandbox", "us-east-1", SANDBOX.endpoint_url, SANDBOX)


@pytest.mark.parametrize(
    ("stack", "region", "endpoint_url", "environment", "expected"),
    [
        (None, None, None, {}, IN_SANDBOX),
        ("sandbox", None, None, {}, IN_SANDBOX),
        (None, None, "http://127.0.0.1:4566", {}, IN_SANDBOX),
        (None, None, "http://localhost:4566/", {}, IN_SANDBOX),
        (None, None, None, {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}, IN_SANDBOX),
        ("mine", None, "http://127.0.0.1:4566", {}, replace(IN_SANDBOX, stack="mine")),
        (None, "eu-west-1", "http://127.0.0.1:4566", {}, replace(IN_SANDBOX, region="eu-west-1")),
        ("shop", None, None, {}, Address("shop")),
        (None, None, None, {"STACK": "shop"}, Address("shop")),
        ("sandbox", None, None, {"STACK": "shop"}, IN_SANDBOX),
        (None, "cn-north-1", None, {}, Address(address.STACK, "cn-north-1")),
        ("sandbox", "cn-north-1", None, {}, Address("sandbox", "cn-north-1")),
        (None, None, "https://example.com", {}, Address(address.STACK, None, "https://example.com")),
        (None, None, None, {"AWS_ENDPOINT_URL": "https://example.com"}, Address(address.STACK)),
    ],
)
def test_the_sandbox_is_chosen_unless_an_option_names_another_stack(
    stack: str | None, region: str | None, endpoint_url: str | None, environment: dict[str, str], expected: Address
) -> None:
    """An option or variable that names a stack on AWS keeps a command away from the sandbox, and the reverse."""
    choice = address.choose(stack, region, endpoint_url, environment=environment, sandboxes=[SANDBOX])
    assert choice == expected


def test_without_a_sandbox_the_aws_environment_is_used() -> None:
    """Without a running sandbox, a command uses the AWS environment and the stack name of samconfig.toml."""
    assert address.choose(None, None, None, environment={}, sandboxes=[]) == Address(address.STACK)


def test_several_sandboxes_need_an_endpoint() -> None:
    """If several sandboxes run, a command fails until --endpoint-url chooses one."""
    both = [SANDBOX, OTHER]
    with pytest.raises(OpsError, match=r"several sandboxes run.*4566, http://127\.0\.0\.1:4600"):
        address.choose(None, None, None, environment={}, sandboxes=both)
    choice = address.choose(None, None, OTHER.endpoint_url, environment={}, sandboxes=both)
    assert choice.sandbox is OTHER


@pytest.fixture
def endpoint_url() -> Iterator[str]:
    """The URL of a port that listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_running_sandbox_is_found(endpoint_url: str, tmp_path: Path) -> None:
    """A running sandbox is found by its record, on the default ports or on others, which have a subfolder."""
    sandbox = replace(SANDBOX, endpoint_url=endpoint_url, pid=os.getpid())
    assert address.running(tmp_path) == []
    (tmp_path / "4600").mkdir()
    sandbox.write(tmp_path / "4600")
    assert address.running(tmp_path) == [sandbox]
    sandbox.write(tmp_path)
    assert address.running(tmp_path) == [sandbox, sandbox]


def test_a_stale_record_of_a_sandbox_is_ignored(endpoint_url: str, tmp_path: Path) -> None:
    """A record is ignored if its process has ended, if nothing listens on its port, or if the file is truncated."""
    living = replace(SANDBOX, endpoint_url=endpoint_url, pid=os.getpid())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        silent = replace(living, endpoint_url=f"http://127.0.0.1:{listener.getsockname()[1]}")
    ended_pid = os.posix_spawn("/bin/sh", ["sh", "-c", ""], {})
    os.waitpid(ended_pid, 0)
    for stale in (silent, replace(living, pid=ended_pid)):
        stale.write(tmp_path)
        assert address.running(tmp_path) == []
    for text in ("", "{", "[]", "{}", '{"stack": "sandbox"}'):
        (tmp_path / address.FILE).write_text(text)
        assert address.running(tmp_path) == []

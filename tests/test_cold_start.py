"""What a cold start may do: the modules that it imports, the bytecode that it finds, the clients that it makes."""

import json
import os
import subprocess
import sys
from functools import cache
from importlib.util import MAGIC_NUMBER
from pathlib import Path

import pytest

from sandbox.testbed import BUILD
from tools import package

from .lambda_runtime import ENVIRONMENT

FOLDERS = [BUILD / "OrdersFunction", BUILD / "WeChatPayLayer/python"]

# Whose modules the handler may import at its start. A new name here costs every cold start.
PACKAGES = {
    "orders": 39,
    "notifications": 0,
    "outcomes": 0,
    "wechatpay": 46,
    "aws_lambda_powertools": 51,
    "boto3": 29,
    "botocore": 74,
    "dateutil": 11,
    "jmespath": 8,
    "six": 2,
    "typing_extensions": 1,
    "requests": 68,  # most of them other names for urllib3's
    "urllib3": 28,
    "certifi": 2,
    "idna": 5,
    "cryptography": 34,
}
# The second function shares most of it, and has neither the circuit breaker of Powertools nor a queue.
SECOND = PACKAGES | {"notifications": 11, "orders": 22, "aws_lambda_powertools": 40}
# The third one makes no call to WeChat Pay. It reads items, whose text the library cleans, and has its TLS context: so
# the whole library is imported, requests and cryptography with it. That delays an event, and keeps no one waiting.
THIRD = PACKAGES | {"outcomes": 6, "orders": 10, "aws_lambda_powertools": 40}
HANDLERS = {"orders.handler": PACKAGES, "notifications.handler": SECOND, "outcomes.handler": THIRD}
INSIDE = {"_cffi_backend", "_openssl", "_cython_3_3_1", "cython_runtime", "__mp_main__"}  # what compiled modules bring
# What is imported when it is needed, or never: name → its cost.
LATER = {
    "charset_normalizer": "no text here is of an unknown encoding: 13 ms",
    "importlib.metadata": "no version is asked for: 10 ms",
    "asyncio": "only an awaited call needs it: 10 ms",
    "cryptography.x509": "only platform certificates need it: 36 ms",
    "pydantic": "six fields are read without it: 200 ms",
    "aws_xray_sdk": "decision 5: 500 ms",
    "email.mime": "no mail is written",
}


@cache
def _started(handler: str) -> dict[str, list[str]]:
    """Return the modules that a handler imports on top of AWS's runtime client, and its queue's attributes."""
    queue = "sorted(vars(orders.handler.relay.queue))" if handler == "orders.handler" else "[]"
    program = (
        f"import json, sys, awslambdaric.bootstrap; before = set(sys.modules); import {handler}; "
        f"modules = sorted(set(sys.modules) - before); queue = {queue}; "
        "print(json.dumps({'modules': modules, 'queue': queue}))"
    )
    path = os.pathsep.join(map(str, FOLDERS))
    environment = {"PATH": os.environ["PATH"], **ENVIRONMENT, "PYTHONPATH": path}
    run = subprocess.run([sys.executable, "-B", "-c", program], env=environment, stdout=subprocess.PIPE, check=True)
    started: dict[str, list[str]] = json.loads(run.stdout)
    return started


@pytest.mark.parametrize("handler", HANDLERS)
def test_only_these_packages_are_imported(handler: str) -> None:
    """A cold start imports these packages only, and no more modules of each than listed."""
    packages = HANDLERS[handler]
    outside = [name for name in _started(handler)["modules"] if name.partition(".")[0] not in sys.stdlib_module_names]
    counted = {name: sum(1 for each in outside if each.partition(".")[0] == name) for name in packages}
    unknown = {name.partition(".")[0] for name in outside} - packages.keys() - INSIDE
    assert unknown == set()
    assert {name: number for name, number in counted.items() if number > packages[name]} == {}


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("name", LATER)
def test_what_can_wait_waits(name: str, handler: str) -> None:
    """What only some invocations need is not imported at a cold start."""
    assert [each for each in _started(handler)["modules"] if each == name or each.startswith(f"{name}.")] == []


def test_a_healthy_batch_makes_no_client_of_sqs() -> None:
    """The SQS client is made by the first message that fails."""
    assert "_client" in _started("orders.handler")["queue"]
    assert "_sqs" not in _started("orders.handler")["queue"]


@pytest.mark.parametrize(
    "folder", FOLDERS, ids=lambda folder: folder.parent.name if folder.name == "python" else folder.name
)
def test_every_module_ships_with_bytecode_that_is_believed(folder: Path) -> None:
    """Bytecode is valid by hash and unchecked: an upload changes times, and Lambda's disk is read-only."""
    sources = list(folder.rglob("*.py"))
    assert len(sources) > 100
    for source in sources:
        compiled = source.parent / "__pycache__" / f"{source.stem}.{sys.implementation.cache_tag}.pyc"
        header = compiled.read_bytes()[:8]
        assert header == MAGIC_NUMBER + (0b01).to_bytes(4, "little"), source


def test_the_models_are_those_of_the_pinned_boto3() -> None:
    """The models are equal to what `make models` writes from the pinned boto3."""
    models = package.models()
    shipped = {
        str(path.relative_to(package.MODELS)): json.loads(path.read_text(encoding="utf-8"))
        for path in package.MODELS.rglob("*.json")
    }
    assert shipped == models, "boto3 has changed: make models"


def test_the_package_has_no_other_models() -> None:
    """The package has no data of boto3 that is never read."""
    for folder in FOLDERS:
        assert [path for pattern in package.NEVER_READ for path in folder.glob(pattern)] == []

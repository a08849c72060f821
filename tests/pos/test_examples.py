"""The examples of docs/integrating-a-pos.md send an event as they are printed, and the order is SYNCED."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from orders.order import Status
from sandbox.testbed import MERCHANT, TOPIC, Testbed, until
from tests import page_programs
from tools.pos_examples import GO, NODE_MODULES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/integrating-a-pos.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
SHELL, CURL = [text for language, text in BLOCKS if language == "bash"]
EXAMPLES = {language: text for language, text in BLOCKS if language != "bash"} | {"shell": SHELL, "curl": CURL}
PAID_TIME = "2026-01-01T12:00:00+08:00"

type Till = Callable[[list[str], str], None]


@pytest.fixture
def till(world: Testbed, tmp_path: Path) -> Till:
    """Run a program in a folder of its own, with the sandbox's addresses; then its order must be SYNCED."""
    programs = tmp_path / "bin"
    programs.mkdir()
    aws = programs / "aws"
    aws.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{page_programs.__file__}" aws "$@"\n')
    aws.chmod(0o755)
    addresses = {
        "AWS_ENDPOINT_URL": world.cloud.endpoint_url,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "ORDER_QUEUE_URL": world.stack.outputs["OrderQueueUrl"],
        "ORDER_TOPIC_ARN": world.cloud.client("sns").create_topic(Name=TOPIC)["TopicArn"],
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
    }

    def run(command: list[str], out_order_no: str, **more: str) -> None:
        world.ready(out_order_no)
        process = subprocess.run(
            [*command, MERCHANT, out_order_no, PAID_TIME],
            cwd=tmp_path,
            env=os.environ | addresses | more,
            capture_output=True,
            text=True,
            check=False,
        )
        assert process.returncode == 0, process.stderr
        order = until(lambda: world.order(out_order_no), state=f"{out_order_no} is in the table")
        assert order.status is Status.SYNCED

    return run


def _write(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return name


def test_the_page_has_an_example_in_each_language() -> None:
    """The page has one example in each language, and the shell's has three doorways."""
    assert sorted(EXAMPLES) == ["curl", "go", "java", "js", "json", "python", "shell"]
    assert set(re.findall(r"^  (\w+)\) aws ", SHELL, re.MULTILINE)) == {"events", "sqs", "sns"}
    assert set(json.loads(EXAMPLES["json"])) == {"mchid", "out_order_no", "detail"}


def test_python(till: Till, tmp_path: Path) -> None:
    """The example in Python sends an event that is synced."""
    till([sys.executable, _write(tmp_path, "order_paid.py", EXAMPLES["python"])], "POS-PYTHON")


@pytest.mark.parametrize("doorway", ["events", "sqs", "sns"])
def test_the_aws_cli(till: Till, tmp_path: Path, doorway: str) -> None:
    """The examples of the AWS CLI send an event through each doorway that is synced."""
    till(["sh", _write(tmp_path, "order-paid.sh", SHELL)], f"POS-{doorway}", DOORWAY=doorway)  # type: ignore[call-arg]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl(till: Till, tmp_path: Path) -> None:
    """The example of curl sends an event that is synced."""
    till(["sh", _write(tmp_path, "order-paid-curl.sh", CURL)], "POS-CURL")


@pytest.mark.skipif(shutil.which("javac") is None, reason="no JDK is installed: openjdk-17-jdk-headless")
def test_java(till: Till, tmp_path: Path) -> None:
    """The example in Java sends an event that is synced."""
    till(["java", _write(tmp_path, "OrderPaid.java", EXAMPLES["java"])], "POS-JAVA")


@pytest.mark.skipif(not NODE_MODULES.is_dir(), reason="Node.js's SDK is not here: `make pos-examples` fetches it")
def test_node(till: Till, tmp_path: Path) -> None:
    """The example in Node.js sends an event that is synced."""
    (tmp_path / "node_modules").symlink_to(NODE_MODULES)
    till(["node", _write(tmp_path, "order-paid.mjs", EXAMPLES["js"])], "POS-NODE")


@pytest.mark.skipif(not (GO / "go.sum").exists(), reason="Go's SDK is not here: `make pos-examples` fetches it")
def test_go(till: Till, tmp_path: Path) -> None:
    """The example in Go sends an event that is synced."""
    for name in ("go.mod", "go.sum"):
        shutil.copy(GO / name, tmp_path)
    till(["go", "run", _write(tmp_path, "order_paid.go", EXAMPLES["go"])], "POS-GO")

"""The built function in Amazon's Lambda Runtime Interface Emulator: it starts, answers, times out and crashes."""

import json
import os
import platform
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox.cloud import free_port
from sandbox.testbed import BUILD
from sandbox.waiting import PATIENCE, until

from .lambda_runtime import ENVIRONMENT

ROOT = Path(__file__).parents[1]
MACHINE = {"x86_64": "x86_64", "aarch64": "arm64"}.get(platform.machine(), "none")
BINARIES = sorted(ROOT.glob(f".venv-sam/lib/*/site-packages/samcli/local/rapid/aws-lambda-rie-{MACHINE}"))
pytestmark = pytest.mark.skipif(
    not BINARIES, reason=f"aws-lambda-rie-{MACHINE} is not in .venv-sam: `make venv-sam` installs it with the SAM CLI"
)


class Emulator:
    """A running emulator, which has one execution environment."""

    def __init__(self, url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.url, self.process, self.log = url, process, log

    def invoke(self, event: Any) -> Any:
        """Invoke the function, as an event source mapping does."""
        answer = requests.post(f"{self.url}/2015-03-31/functions/function/invocations", json=event, timeout=PATIENCE)
        try:
            return answer.json()
        except ValueError:
            return answer.text

    def functions(self) -> list[int]:
        """Return the process ids of the function; none while it is not running."""
        processes = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, check=False
        )
        return [int(pid) for pid in processes.stdout.split()]


@contextmanager
def emulator(log: Path, **changes: str) -> Iterator[Emulator]:
    """Start an emulator with the build on the path, as in /var/task and /opt/python, without the repository."""
    here, runtime_api = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    path = os.pathsep.join([str(BUILD / "OrdersFunction"), str(BUILD / "WeChatPayLayer/python")])
    command = [str(BINARIES[0]), "--runtime-interface-emulator-address", here, "--runtime-api-address", runtime_api]
    command += [sys.executable, "-B", "-m", "awslambdaric", "orders.handler.lambda_handler"]
    environment = {**ENVIRONMENT, "PATH": os.environ["PATH"], "PYTHONPATH": path, **changes}
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output, start_new_session=True)
        try:
            _wait_until_up(f"http://{here}")
            yield Emulator(f"http://{here}", process, log)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_until_up(url: str) -> None:
    def answers() -> bool:
        with suppress(requests.ConnectionError):
            return requests.get(url, timeout=PATIENCE).status_code > 0
        return False

    until(answers, state="the emulator listens")


def a_batch(*bodies: str) -> dict[str, Any]:
    """Return records as SQS delivers them."""
    attributes = {"ApproximateReceiveCount": "1"}
    return {
        "Records": [{"messageId": f"m{n}", "body": body, "attributes": attributes} for n, body in enumerate(bodies)]
    }


GOOD = json.dumps({"mchid": "1230000109", "out_order_no": "A1", "detail": {"paid_time": "20260101120000"}})


def test_the_build_is_complete(tmp_path: Path) -> None:
    """The built function and layer start, read and answer without the repository; AWS is down, so messages wait."""
    with emulator(tmp_path / "log") as slot:
        answer = slot.invoke(a_batch("nonsense", GOOD))
        assert answer == {"batchItemFailures": [{"itemIdentifier": "m0"}, {"itemIdentifier": "m1"}]}
        assert slot.invoke(a_batch()) == {"batchItemFailures": []}


def test_a_time_out_ends_the_invocation_and_not_the_function(tmp_path: Path) -> None:
    """After a timeout the next invocation starts a new process and is answered."""
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts connections and never answers
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        for seconds in (3, 10, 30, 100):  # until a start fits into the timeout on this machine
            with emulator(tmp_path / "log", AWS_ENDPOINT_URL=url, AWS_LAMBDA_FUNCTION_TIMEOUT=str(seconds)) as slot:
                assert f"timed out after {seconds}" in str(slot.invoke(a_batch(GOOD)))
                answer = slot.invoke(a_batch("nonsense"))
            if "timed out" not in str(answer):
                break
        assert answer == {"batchItemFailures": [{"itemIdentifier": "m0"}]}


def test_a_crash_ends_the_invocation_and_not_the_function(tmp_path: Path) -> None:
    """After a SIGKILL between two invocations, the second invocation at the latest is answered by a new process."""
    with emulator(tmp_path / "log") as slot:
        slot.invoke(a_batch())
        [function] = slot.functions()
        os.kill(function, signal.SIGKILL)
        until(lambda: function not in slot.functions(), state="the process has ended", instead=slot.functions)
        slot.invoke(a_batch())
        assert slot.invoke(a_batch("nonsense")) == {"batchItemFailures": [{"itemIdentifier": "m0"}]}


@pytest.mark.parametrize("name", ["ORDERS_TABLE", "ORDER_QUEUE_URL", "MERCHANT_SECRET_PREFIX"])
def test_a_missing_variable_is_named_at_the_start(tmp_path: Path, name: str) -> None:
    """A missing environment variable ends the first invocation with an error that names it."""
    with emulator(tmp_path / "log", **{name: ""}) as slot:
        assert f"environment variable {name} is missing" in str(slot.invoke(a_batch(GOOD)))


def test_the_template_sets_every_variable(tmp_path: Path) -> None:
    """The template sets all variables that this suite sets, except those that Lambda sets itself."""
    template = (ROOT / "template.yaml").read_text(encoding="utf-8")
    variables = template[template.index("        Variables:") :].split("      Events:")[0]
    declared = {line.split(":")[0].strip() for line in variables.splitlines()[1:] if line.startswith("          ")}
    lambdas_own = {name for name in ENVIRONMENT if name.startswith("AWS_") and name != "AWS_ENDPOINT_URL"}
    assert set(ENVIRONMENT) - lambdas_own - {"EVENT_BUS_NAME"} <= declared  # the bus is the outcomes function's

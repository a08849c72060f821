"""The built function under Amazon's Lambda Runtime Interface Emulator: it starts, answers, times out and crashes."""

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
FOUND = sorted(ROOT.glob(f".venv-sam/lib/*/site-packages/samcli/local/rapid/aws-lambda-rie-{MACHINE}"))
pytestmark = pytest.mark.skipif(
    not FOUND, reason=f"aws-lambda-rie-{MACHINE} is not in .venv-sam: `make venv-sam` brings it with the SAM CLI"
)


class Emulator:
    """One execution environment slot."""

    def __init__(self, url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.url, self.process, self.log = url, process, log

    def invoke(self, event: Any) -> Any:
        """Invoke, as the event source mapping would."""
        answer = requests.post(f"{self.url}/2015-03-31/functions/function/invocations", json=event, timeout=PATIENCE)
        try:
            return answer.json()
        except ValueError:
            return answer.text

    def functions(self) -> list[int]:
        """The process ids of the function itself; none while it is not running."""
        listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, check=False)
        return [int(pid) for pid in listed.stdout.split()]


@contextmanager
def emulator(log: Path, **changes: str) -> Iterator[Emulator]:
    """Start it with the built artefacts on the path, the layer as in /opt/python, and nothing of the repository's."""
    here, runtime_api = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    path = os.pathsep.join([str(BUILD / "OrdersFunction"), str(BUILD / "WeChatPayLayer/python")])
    command = [str(FOUND[0]), "--runtime-interface-emulator-address", here, "--runtime-api-address", runtime_api]
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
    """Records as SQS hands them over."""
    attributes = {"ApproximateReceiveCount": "1"}
    return {
        "Records": [{"messageId": f"m{n}", "body": body, "attributes": attributes} for n, body in enumerate(bodies)]
    }


GOOD = json.dumps({"mchid": "1230000109", "out_order_no": "A1", "detail": {"paid_time": "20260101120000"}})


def test_the_artefacts_are_all_it_needs(tmp_path: Path) -> None:
    """Function and layer as built: it starts, reads, answers; AWS is down, so the good message waits."""
    with emulator(tmp_path / "log") as slot:
        answer = slot.invoke(a_batch("nonsense", GOOD))
        assert answer == {"batchItemFailures": [{"itemIdentifier": "m0"}, {"itemIdentifier": "m1"}]}
        assert slot.invoke(a_batch()) == {"batchItemFailures": []}


def test_a_time_out_ends_the_invocation_and_not_the_function(tmp_path: Path) -> None:
    """The next one starts again and is answered, where a start fits into the time, which grows until it does."""
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and never answers: a network that hangs
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        for seconds in (3, 10, 30, 100):
            with emulator(tmp_path / "log", AWS_ENDPOINT_URL=url, AWS_LAMBDA_FUNCTION_TIMEOUT=str(seconds)) as slot:
                assert f"timed out after {seconds}" in str(slot.invoke(a_batch(GOOD)))
                answer = slot.invoke(a_batch("nonsense"))
            if "timed out" not in str(answer):
                break
        assert answer == {"batchItemFailures": [{"itemIdentifier": "m0"}]}


def test_a_crash_ends_the_invocation_and_not_the_function(tmp_path: Path) -> None:
    """`kill -9` between two invocations: whatever the next one meets, the one after it meets a new process."""
    with emulator(tmp_path / "log") as slot:
        slot.invoke(a_batch())
        [function] = slot.functions()
        os.kill(function, signal.SIGKILL)
        until(lambda: function not in slot.functions(), state="the process has ended", instead=slot.functions)
        slot.invoke(a_batch())
        assert slot.invoke(a_batch("nonsense")) == {"batchItemFailures": [{"itemIdentifier": "m0"}]}


@pytest.mark.parametrize("name", ["ORDERS_TABLE", "ORDER_QUEUE_URL", "MERCHANT_SECRET_PREFIX"])
def test_a_missing_variable_is_named_at_the_start(tmp_path: Path, name: str) -> None:
    """Before any event is taken."""
    with emulator(tmp_path / "log", **{name: ""}) as slot:
        assert f"environment variable {name} is missing" in str(slot.invoke(a_batch(GOOD)))


def test_the_template_sets_every_variable(tmp_path: Path) -> None:
    """What this suite sets by hand, beyond what Lambda itself sets."""
    template = (ROOT / "template.yaml").read_text(encoding="utf-8")
    variables = template[template.index("        Variables:") :].split("      Events:")[0]
    declared = {line.split(":")[0].strip() for line in variables.splitlines()[1:] if line.startswith("          ")}
    lambdas_own = {name for name in ENVIRONMENT if name.startswith("AWS_") and name != "AWS_ENDPOINT_URL"}
    assert set(ENVIRONMENT) - lambdas_own <= declared

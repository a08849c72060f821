"""The embedded AWS: MiniStack as a child process on loopback, which deploys `template.yaml`.

The only module that names it. `sandbox/README.md` lists what behaves differently from AWS.
"""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import requests
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ops.installation import HERE
from sandbox import instance, ports
from sandbox.errors import SandboxError
from sandbox.template import prepare
from sandbox.waiting import PATIENCE

REGION = "us-east-1"
STACK = "sandbox"
SERVICES = "sqs,sns,events,dynamodb,dynamodbstreams,secretsmanager,lambda,cloudformation,s3,iam,sts,logs,cloudwatch"
BUCKET = "sandbox-code"
TEMPLATE = "template.json"  # its key in the bucket
ROOT = Path(__file__).parents[1]
MOVE_TASKS = "/__sandbox__/move_tasks"  # the switch, see sandbox/aws_front/control.py
START = 120  # seconds that the embedded AWS may take to answer, on a machine that is busy
MINISTACK_PYTHON = Path(sys.executable) if HERE.is_package else ROOT / ".venv-ministack/bin/python"
"""An environment of its own: the botocore that MiniStack pins must not hold back the one that ships. The package holds
the function as it ships, so that there is one environment."""


class CloudError(SandboxError):
    """The embedded AWS did not start or did not accept the template; its log says why."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A deployed stack; `outputs` by name, as in the template."""

    name: str
    outputs: Mapping[str, str]


class Cloud:
    """A running AWS; everything in it is lost when it stops."""

    def __init__(self, process: "subprocess.Popen[bytes]", endpoint_url: str, log: Path) -> None:
        self._process = process
        self._log = log
        self.endpoint_url = endpoint_url
        self.session = boto3.Session("sandbox", "sandbox", region_name=REGION)  # any credentials will do
        self._clients: dict[str, Any] = {}
        self._clients_lock = threading.Lock()  # boto3 makes its clients one at a time

    @classmethod
    @contextmanager
    def start(cls, directory: Path, port: int = 0, address: str = "127.0.0.1") -> Iterator["Cloud"]:
        """Run it for the length of the block; its log and its files go to `directory`.

        The port is bound here and handed down, so that what answers on it is this child and nothing else. The child
        ends with this process, however that ends. Raise CloudError, and PlaceError where another program has the port.
        """
        if not MINISTACK_PYTHON.exists():
            raise CloudError(f"the embedded AWS is not installed: run `{HERE.install}`")
        files = directory / "aws"
        shutil.rmtree(files, ignore_errors=True)  # a run that was killed has left it
        files.mkdir(parents=True)
        log, run = directory / "aws.log", secrets.token_hex(16)
        with ports.listen(address, port) as listener, log.open("wb") as output:
            port = listener.getsockname()[1]
            process = subprocess.Popen(
                command(listener.fileno(), address, port, run),
                env=_environment(files, address, port),
                cwd=ROOT,  # where `-m` finds the program; it moves to TMPDIR
                pass_fds=[listener.fileno()],
                stdin=subprocess.PIPE,  # at whose end it ends
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a group of its own: its workers end with it
            )
        cloud = cls(process, f"http://{address}:{port}", log)
        try:
            instance.remember_child(directory, process.pid, run)
            cloud._wait_until_up()
            yield cloud
        except BotoCoreError as error:
            if not cloud._has_ended():
                raise
            raise CloudError(f"the embedded AWS has ended meanwhile; the end of {log} may say why") from error
        finally:
            cloud.stop()
            instance.forget_child(directory)
            shutil.rmtree(files, ignore_errors=True)

    def _wait_until_up(self) -> None:
        end = time.monotonic() + START  # the limit of a start, generous
        while self._process.poll() is None and time.monotonic() < end:  # until it answers
            try:
                self.client("sqs").list_queues()
            except (BotoCoreError, ClientError):
                time.sleep(0.1)  # a process is polled
            else:
                return
        raise CloudError(f"the embedded AWS did not start: {self._log.read_text(errors='replace')[-2000:]}")

    def _has_ended(self) -> bool:
        """Return whether the process has ended or is ending: its sockets close a little earlier."""
        try:
            self._process.wait(3)  # a process that is still there then counts as running
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self) -> None:
        """End the process and its workers at once: nothing in it has to be saved."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        assert self._process.stdin is not None  # noqa: S101  it was started with a pipe
        self._process.stdin.close()

    @property
    def pid(self) -> int:
        """The process of the embedded AWS itself."""
        return self._process.pid

    @property
    def workers(self) -> list[int]:
        """Process ids of the execution environments that are alive."""
        members = subprocess.run(["ps", "-o", "pid=", "-g", str(self._process.pid)], capture_output=True, check=False)
        return [pid for pid in map(int, members.stdout.split()) if pid != self._process.pid]

    def client(self, service: str) -> Any:  # noqa: ANN401  boto3 makes its clients at run time
        """A boto3 client of this AWS, one per service."""
        with self._clients_lock:
            if service not in self._clients:
                config = Config(
                    retries={"total_max_attempts": 2}, connect_timeout=60, read_timeout=300, max_pool_connections=30
                )
                make: Any = self.session.client  # whose overloads want literals
                self._clients[service] = make(service, endpoint_url=self.endpoint_url, config=config)
            return self._clients[service]

    def deploy(self, parameters: Mapping[str, str], build: Path, name: str = STACK) -> Stack:
        """Deploy what `sam build` left in `build`, onto the stack of that name where there is one already.

        Raise CloudError with the events of a stack that failed.
        """
        values = {"AwsEndpointUrl": self.endpoint_url, **parameters}
        template = prepare(build, values, BUCKET)
        self.client("s3").create_bucket(Bucket=BUCKET)
        for key, code in template.archives.items():
            self.client("s3").put_object(Bucket=BUCKET, Key=key, Body=code)
        self.client("s3").put_object(Bucket=BUCKET, Key=TEMPLATE, Body=template.body.encode())
        cloudformation = self.client("cloudformation")
        exists = any(stack["StackName"] == name for stack in cloudformation.describe_stacks()["Stacks"])
        try:
            (cloudformation.update_stack if exists else cloudformation.create_stack)(
                StackName=name,
                TemplateURL=f"{self.endpoint_url}/{BUCKET}/{TEMPLATE}",  # in a request, 51,200 bytes at most
                Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()],
                Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            )
        except ClientError as error:
            if "No updates are to be performed" not in str(error):
                raise CloudError(f"the template was not accepted: {error}") from error
        for _ in range(int(PATIENCE / 0.05)):
            [stack] = cloudformation.describe_stacks(StackName=name)["Stacks"]
            if stack["StackStatus"] in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
                return Stack(name, {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]})
            if not stack["StackStatus"].endswith("_IN_PROGRESS"):
                break
            time.sleep(0.05)  # a deployment is polled
        raise CloudError(f"the template was not deployed: {self._failures(name)}")

    def _failures(self, name: str) -> str:
        events = self.client("cloudformation").describe_stack_events(StackName=name)["StackEvents"]
        failed = [event for event in events if "FAILED" in event["ResourceStatus"]]
        return "; ".join(f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}" for event in failed)

    def put_secret(self, name: str, value: Mapping[str, object]) -> None:
        """Create a secret, or replace its value."""
        secrets = self.client("secretsmanager")
        text = json.dumps(value)
        try:
            secrets.create_secret(Name=name, SecretString=text)
        except secrets.exceptions.ResourceExistsException:
            secrets.put_secret_value(SecretId=name, SecretString=text)

    def offer_move_tasks(self, available: bool) -> None:
        """Have SQS's message move tasks from now on, or not, as in China's regions."""
        answer = requests.post(f"{self.endpoint_url}{MOVE_TASKS}", json={"available": available}, timeout=60)
        answer.raise_for_status()

    def logs(self, function_name: str) -> list[str]:
        """Return everything that the function has logged so far, line by line, oldest first."""
        configuration = self.client("lambda").get_function_configuration(FunctionName=function_name)
        group = configuration.get("LoggingConfig", {}).get("LogGroup") or f"/aws/lambda/{function_name}"
        pages = self.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
        return [line for page in pages for event in page["events"] for line in event["message"].splitlines()]


def _environment(files: Path, address: str, port: int) -> dict[str, str]:
    foreign = ("AWS_", "POWERTOOLS_", "PYTHONSAFEPATH")  # the last would keep `-m` from finding the program in ROOT
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return inherited | {
        "MINISTACK_HOST": address,
        "GATEWAY_PORT": str(port),
        "LAMBDA_EXECUTOR": "local",  # as a process, no Docker
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "SERVICES": SERVICES,
        "PATH": f"{MINISTACK_PYTHON.parent}{os.pathsep}{os.environ.get('PATH', '')}",  # its workers run `python3`
        "TMPDIR": str(files),
    }


def command(listener: int, address: str, port: int, run: str) -> list[str]:
    """Return the command that starts the embedded AWS: its socket's descriptor, and a word that identifies the run."""
    return [str(MINISTACK_PYTHON), "-m", "sandbox.embedded_aws", str(listener), address, str(port), run]


def free_port() -> int:
    """Return a port of loopback that no program uses."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port

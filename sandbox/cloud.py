"""The embedded AWS: MiniStack as a child process on loopback, deploying `template.yaml` itself. Nobody else names it.

Nothing is stripped from the template; what behaves differently from AWS stands in `sandbox/README.md`.
"""

import io
import json
import os
import signal
import socket
import subprocess
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from samtranslator.yaml_helper import yaml_parse

REGION = "us-east-1"
STACK = "sandbox"
SERVICES = "sqs,events,dynamodb,secretsmanager,lambda,cloudformation,s3,iam,sts,logs,cloudwatch"
BUCKET = "sandbox-code"
MINISTACK_PYTHON = Path(__file__).parents[1] / ".venv-ministack/bin/python"
"""An environment of its own: the botocore that MiniStack pins must not hold back the one that ships."""


class CloudError(Exception):
    """The embedded AWS did not start, or did not take the template; its log says why."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A deployed stack; `outputs` by name, as in the template."""

    name: str
    outputs: Mapping[str, str]


class Cloud:
    """A running AWS; everything in it is gone when it stops."""

    def __init__(self, process: "subprocess.Popen[bytes]", endpoint_url: str, log: Path) -> None:
        self._process = process
        self._log = log
        self.endpoint_url = endpoint_url
        self.session = boto3.Session("sandbox", "sandbox", region_name=REGION)  # any credentials will do
        self._clients: dict[str, Any] = {}

    @classmethod
    @contextmanager
    def start(cls, directory: Path, port: int = 0, address: str = "127.0.0.1") -> Iterator["Cloud"]:
        """Run it for the length of the block; logs and files go to `directory`. Raises CloudError."""
        if not MINISTACK_PYTHON.exists():
            raise CloudError("the embedded AWS is not installed: run `make venv`, which makes .venv-ministack")
        directory.mkdir(parents=True, exist_ok=True)
        port = port or free_port()
        log = directory / "aws.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [MINISTACK_PYTHON, "-m", "ministack"],
                env=_environment(directory, address, port),
                cwd=directory,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a group of its own: its workers end with it
            )
        cloud = cls(process, f"http://{address}:{port}", log)
        try:
            cloud._wait_until_up()
            yield cloud
        finally:
            cloud.stop()

    def _wait_until_up(self) -> None:
        for _ in range(200):
            if self._process.poll() is not None:
                break
            try:
                self.client("sqs").list_queues()
            except (BotoCoreError, ClientError):
                time.sleep(0.1)
            else:
                return
        raise CloudError(f"the embedded AWS did not start: {self._log.read_text(errors='replace')[-2000:]}")

    def stop(self) -> None:
        """End the process and its workers."""
        for sign, seconds in ((signal.SIGTERM, 3), (signal.SIGKILL, 3)):
            try:
                os.killpg(self._process.pid, sign)
            except ProcessLookupError:
                break
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                continue
        self._process.wait()

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
        if service not in self._clients:
            config = Config(
                retries={"total_max_attempts": 2}, connect_timeout=2, read_timeout=60, max_pool_connections=30
            )
            make: Any = self.session.client  # whose overloads want literals
            self._clients[service] = make(service, endpoint_url=self.endpoint_url, config=config)
        return self._clients[service]

    def deploy(self, parameters: Mapping[str, str], build: Path) -> Stack:
        """Deploy what `sam build` left in `build`; raises CloudError with the events of a stack that failed."""
        template = yaml_parse((build / "template.yaml").read_text(encoding="utf-8"))
        self._upload(template, build)
        given = {"AwsEndpointUrl": self.endpoint_url, **parameters}
        template["Resources"] = _with_numbers(template["Resources"], _numbers(template["Parameters"], given))
        cloudformation = self.client("cloudformation")
        try:
            cloudformation.create_stack(
                StackName=STACK,
                TemplateBody=json.dumps(template),
                Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()],
                Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            )
        except ClientError as error:
            raise CloudError(f"the template was not taken: {error}") from error
        for _ in range(600):
            [stack] = cloudformation.describe_stacks(StackName=STACK)["Stacks"]
            if stack["StackStatus"] == "CREATE_COMPLETE":
                return Stack(STACK, {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]})
            if "PROGRESS" not in stack["StackStatus"]:
                break
            time.sleep(0.05)
        raise CloudError(f"the template was not deployed: {self._failures()}")

    def _failures(self) -> str:
        events = self.client("cloudformation").describe_stack_events(StackName=STACK)["StackEvents"]
        failed = [event for event in events if "FAILED" in event["ResourceStatus"]]
        return "; ".join(f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}" for event in failed)

    def _upload(self, template: dict[str, Any], build: Path) -> None:
        """Put the folders of code on S3, as `sam package` does."""
        self.client("s3").create_bucket(Bucket=BUCKET)
        for name, resource in template["Resources"].items():
            for uri in ("CodeUri", "ContentUri"):
                folder = resource.get("Properties", {}).get(uri)
                if isinstance(folder, str):
                    self.client("s3").put_object(Bucket=BUCKET, Key=f"{name}.zip", Body=_zipped(build / folder))
                    resource["Properties"][uri] = f"s3://{BUCKET}/{name}.zip"

    def put_secret(self, name: str, value: Mapping[str, Any]) -> None:
        """Create a secret, or give it another value."""
        secrets = self.client("secretsmanager")
        text = json.dumps(value)
        try:
            secrets.create_secret(Name=name, SecretString=text)
        except secrets.exceptions.ResourceExistsException:
            secrets.put_secret_value(SecretId=name, SecretString=text)

    def logs(self, function_name: str) -> list[str]:
        """Everything that the function has written so far, line by line, oldest first."""
        configuration = self.client("lambda").get_function_configuration(FunctionName=function_name)
        group = configuration.get("LoggingConfig", {}).get("LogGroup") or f"/aws/lambda/{function_name}"
        pages = self.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
        return [line for page in pages for event in page["events"] for line in event["message"].splitlines()]


def _numbers(declared: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, int | float]:
    """The values of the parameters of type Number."""
    texts = {n: str(given.get(n, p.get("Default"))) for n, p in declared.items() if p["Type"] == "Number"}
    return {name: float(text) if "." in text else int(text) for name, text in texts.items()}


def _with_numbers(value: Any, numbers: Mapping[str, int | float]) -> Any:  # noqa: ANN401  a template
    """Write numeric parameters where they are referred to: MiniStack passes them on as text, and compares them so."""
    match value:
        case {"Ref": name} if name in numbers:
            return numbers[name]
        case dict():
            kept = {"Environment"}  # whose variables are text
            return {n: member if n in kept else _with_numbers(member, numbers) for n, member in value.items()}
        case list():
            return [_with_numbers(member, numbers) for member in value]
        case _:
            return value


def _environment(directory: Path, address: str, port: int) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "POWERTOOLS_"))}
    return kept | {
        "BIND_HOST": address,  # its default is every interface
        "MINISTACK_HOST": address,
        "GATEWAY_PORT": str(port),
        "LAMBDA_EXECUTOR": "local",  # as a process, no Docker
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "SERVICES": SERVICES,
        "PATH": f"{MINISTACK_PYTHON.parent}{os.pathsep}{os.environ.get('PATH', '')}",  # its workers run `python3`
        "TMPDIR": str(directory),
    }


def free_port() -> int:
    """A port of loopback that nobody uses."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _zipped(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:  # nobody carries it far
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder))
    return buffer.getvalue()

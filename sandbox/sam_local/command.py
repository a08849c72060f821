"""Invoke the function with each event file in a container, and compare what became of the orders with the table."""

import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sandbox import up
from sandbox.sam_local.engine import Engine, NoEngineError
from sandbox.sam_local.event_table import WECHAT_PAY_DOWN, EventFile, event_files, outcomes
from sandbox.testbed import ANYWHERE, BUILD, EVENTS, ROOT, Testbed

SAM = ROOT / ".venv-sam/bin/sam"
NO_ENGINE = 69  # the exit status without a container engine (sysexits.h: EX_UNAVAILABLE)
DIFFERENT = 1

type Invoke = Callable[[str], Mapping[str, Any]]
"""Invokes the function with an event file of this name, and returns its answer."""


class InvocationError(Exception):
    """`sam local invoke` did not return an answer of the function; the text is the end of what it said."""


@dataclass(frozen=True, slots=True)
class SamLocal:
    """`sam local invoke` against a running sandbox; `options` are added to its command line."""

    testbed: Testbed
    variables: Path
    options: Sequence[str] = ()

    def invoke(self, name: str) -> Mapping[str, Any]:
        """Invoke the function in a container with an event file; raise InvocationError where it gives no answer."""
        run = subprocess.run(self._command(name), capture_output=True, text=True, check=False, env=_environment())
        lines = run.stdout.strip().splitlines()
        try:
            answer = json.loads(lines[-1]) if lines else None
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or "errorType" in answer:
            raise InvocationError((run.stdout + run.stderr).strip()[-1500:])
        return answer

    def _command(self, name: str) -> list[str]:
        declared = f"AwsEndpointUrl={self.testbed.cloud.endpoint_url}"
        template, event = str(BUILD / "template.yaml"), str(EVENTS / name)
        variables = ["--env-vars", str(self.variables), "--parameter-overrides", declared]
        return [str(SAM), "local", "invoke", "OrdersFunction", "-t", template, "-e", event, *variables, *self.options]


def _environment() -> dict[str, str]:
    """Return the variables of this process with credentials that the sandbox takes, and no file of credentials."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
    return {**own, **keys, "SAM_CLI_TELEMETRY": "0"}


def check(testbed: Testbed, file: EventFile, invoke: Invoke) -> str:
    """Invoke with one file; return what differs from its row of the table, "" where nothing does."""
    if file.before == WECHAT_PAY_DOWN:
        testbed.wechat_pay.misbehave("connection_refused")
    try:
        answer = invoke(file.name)
    except InvocationError as error:
        return f"no answer: {error}"
    finally:
        testbed.wechat_pay.behave()
    end = replace(file, outcomes=outcomes(testbed, file.event), stays=len(answer.get("batchItemFailures", [])))
    return "" if end == file else f"promised {_words(file)}, seen {_words(end)}"


def _words(file: EventFile) -> str:
    return f"{', '.join(file.outcomes)} and {file.stays} that stay"


def compare(testbed: Testbed, files: Sequence[EventFile], invoke: Invoke, say: Callable[[str], object]) -> int:
    """Check every file, say how each ends, and return how many differ."""
    different = 0
    for file in files:
        difference = check(testbed, file, invoke)
        different += bool(difference)
        say(f"✗ {file.name}: {difference}" if difference else f"✓ {file.name}: {_words(file)}")
    return different


def _say(line: str) -> None:
    print(line, flush=True)


def main(options: Sequence[str]) -> int:
    """Run every file in a container next to a sandbox of its own; return the exit status."""
    try:
        engine = Engine.find()
    except NoEngineError as error:
        print(f"{error} (exit status {NO_ENGINE})", file=sys.stderr)
        return NO_ENGINE
    os.environ["DOCKER_HOST"] = engine.host
    place = replace(ANYWHERE, address=engine.address())
    _say(f"the engine at {engine.host} runs the function; the sandbox listens for it on {place.address}")
    with tempfile.TemporaryDirectory() as folder, Testbed.open(Path(folder), place=place, say=_say) as testbed:
        up.seed(testbed)
        variables = Path(folder) / "env.json"
        variables.write_text(json.dumps({"OrdersFunction": up.environment(testbed)}), encoding="utf-8")
        files = event_files()
        different = compare(testbed, files, SamLocal(testbed, variables, options).invoke, _say)
    print(f"{len(files) - different} of {len(files)} event files end in a container as events/README.md says")
    return DIFFERENT if different else 0


if __name__ == "__main__":
    sys.exit(main(shlex.split(os.environ.get("SAM_LOCAL_OPTIONS", ""))))

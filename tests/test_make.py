"""What `make` prints if a fresh clone cannot start: one line with the cause and the remedy."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from sandbox import ports
from sandbox.errors import PlaceError
from sandbox.place import directory_of, read_place
from sandbox.testbed import until

ROOT = Path(__file__).parents[1]
LIMIT = 240.0  # seconds; a machine may be slow

# A Python whose pip fails with the text of PIP_SAYS, or hangs.
PYTHON = """#!/bin/bash
case "$1 $2" in
    "-c "*) exit 0 ;;
    "-m venv") mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
    "-m pip") printf '%s\\n' "$PIP_SAYS" >&2; [ "$PIP_SAYS" != hang ] || sleep 600; exit 1 ;;
esac
"""
UNREACHABLE = (
    "WARNING: Retrying after connection broken by 'NewConnectionError(...): Failed to establish a new connection'",
    "ERROR: HTTPSConnectionPool(host='index.example', port=443): Max retries exceeded with url: /simple/uv/",
    "Error: PythonPipBuilder:ResolveDependencies - Could not satisfy the requirement: certifi==2026.10.18",
    "error: Failed to fetch: `https://index.example/simple/boto3/`\n  Caused by: error sending request for url",
)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The files that the first steps in a fresh clone need, and a Python whose pip fails."""
    for name in ("tools", "requirements", "functions", "layers", "hooks"):
        (tmp_path / name).mkdir()
    for path in (ROOT / "Makefile", ROOT / "tools/step", *ROOT.glob("requirements/*.lock")):
        shutil.copy(path, tmp_path / path.relative_to(ROOT))
    (tmp_path / "python").write_text(PYTHON)
    (tmp_path / "python").chmod(0o755)
    return tmp_path


def lines(clone: Path, *arguments: str, pip_says: str = "") -> list[str]:
    """Run `make`, which must fail; return its output without make's own lines."""
    run = subprocess.run(
        ["make", *arguments],
        cwd=clone,
        env={"PATH": os.environ["PATH"], "PIP_SAYS": pip_says},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert run.returncode == 2
    return [line for line in run.stdout.splitlines() if not line.startswith("make")]


@pytest.mark.parametrize("python", ["no-such-python", "false"])
def test_a_missing_python_is_named_with_the_remedy(clone: Path, python: str) -> None:
    """If Python is missing or has another version, `make` prints its name and the option to set."""
    [line] = lines(clone, "demo", f"PYTHON={python}")
    assert line.startswith(f"Python 3.13 is missing: {python} does not run it. Install it, or name yours: make PYTHON=")


@pytest.mark.parametrize("error", UNREACHABLE)
def test_a_first_run_without_network_says_so(clone: Path, error: str) -> None:
    """A first run without network reports that no package index can be reached, for errors of pip, uv and SAM."""
    *steps, last = lines(clone, "demo", f"PYTHON={clone / 'python'}", pip_says=error)
    assert steps == ["making a virtual environment …", "fetching uv …"]
    assert last.startswith("No package index can be reached while fetching uv: the first run needs the network")


def test_another_failure_shows_its_output(clone: Path) -> None:
    """A failure for another reason shows the end of its output and the name of the log."""
    output = lines(clone, "demo", f"PYTHON={clone / 'python'}", pip_says="ERROR: the disk is full")
    assert output[-2:] == ["This failed: fetching uv. The end of build/step.log:", "ERROR: the disk is full"]


def test_ctrl_c_in_the_first_seconds_is_one_line(clone: Path) -> None:
    """Ctrl-C while the environment is made, sent to the process group as a terminal does, prints one line."""
    with subprocess.Popen(
        ["make", "demo", f"PYTHON={clone / 'python'}"],
        cwd=clone,
        env={"PATH": os.environ["PATH"], "PIP_SAYS": "hang"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as make:
        log = clone / "build/step.log"
        assert until(lambda: (log.exists() and "hang" in log.read_text()) or None, LIMIT)
        os.killpg(make.pid, signal.SIGINT)
        output, _ = make.communicate(timeout=LIMIT)
    assert output.count("Stopped while fetching uv. Run the same command to continue.") == 1
    assert "Traceback" not in output


def test_the_sandbox_ends_with_the_make_that_started_it(tmp_path: Path) -> None:
    """The sandbox ends when the `make` that started it is gone, even after SIGKILL."""
    place = read_place([f"--port={ports.spare('127.0.0.1')}"])
    options = [option for name in ("venv", "venv-sam", ".venv/.ready", ".venv-sam/.ready") for option in ("-o", name)]
    command = ["make", *options, "-o", ".aws-sam/sandbox/template.yaml", "sandbox", f"PORT={place.aws}"]
    log = tmp_path / "log"
    with log.open("w") as output, subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output) as make:
        until(lambda: "deploying template.yaml" in log.read_text() or make.poll() is not None or None, LIMIT)
        assert make.poll() is None, log.read_text()
        with pytest.raises(PlaceError):
            ports.refuse_taken(place)
        make.kill()

    def is_free() -> bool | None:
        try:
            ports.refuse_taken(place)
        except PlaceError:
            time.sleep(0.1)  # each check calls the programs that listen
            return None
        return True

    assert until(is_free, LIMIT), log.read_text()
    shutil.rmtree(directory_of(place), ignore_errors=True)


def test_a_module_stays_in_one_process(request: pytest.FixtureRequest) -> None:
    """Where `make test` divides the suite, a test's id names its module's group: pytest-xdist divides by that alone."""
    is_divided = bool(request.config.getoption("loadgroup", default=False))
    assert request.node.nodeid.endswith("@test_make") is is_divided

"""What `make` says where a fresh clone cannot begin: one clear line each, and what to do."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from sandbox import ports
from sandbox.world import until

ROOT = Path(__file__).parents[1]
LIMIT = 240.0  # seconds; a machine may be slow

# A Python whose pip meets what stands in PIP_SAYS.
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
    """As much of a fresh clone as its first steps need, and a Python that does not do its work."""
    for name in ("tools", "requirements", "functions", "layers"):
        (tmp_path / name).mkdir()
    for path in (ROOT / "Makefile", ROOT / "tools/step", *ROOT.glob("requirements/*.lock")):
        shutil.copy(path, tmp_path / path.relative_to(ROOT))
    (tmp_path / "python").write_text(PYTHON)
    (tmp_path / "python").chmod(0o755)
    return tmp_path


def lines(clone: Path, *arguments: str, pip_says: str = "") -> list[str]:
    """What `make` writes, but its own last line."""
    done = subprocess.run(
        ["make", *arguments],
        cwd=clone,
        env={"PATH": os.environ["PATH"], "PIP_SAYS": pip_says},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode == 2
    return [line for line in done.stdout.splitlines() if not line.startswith("make")]


@pytest.mark.parametrize("python", ["no-such-python", "false"])
def test_a_missing_python_is_named_with_the_remedy(clone: Path, python: str) -> None:
    """Not there, or another version."""
    [line] = lines(clone, "demo", f"PYTHON={python}")
    assert line.startswith(f"Python 3.13 is missing: {python} does not run it. Install it, or name yours: make PYTHON=")


@pytest.mark.parametrize("said", UNREACHABLE)
def test_a_first_run_without_network_says_so(clone: Path, said: str) -> None:
    """Whether pip meets it or uv."""
    *steps, last = lines(clone, "demo", f"PYTHON={clone / 'python'}", pip_says=said)
    assert steps == ["making a virtual environment …", "fetching uv …"]
    assert last.startswith("No package index can be reached while fetching uv: the first run needs the network")


def test_another_failure_shows_its_own_words(clone: Path) -> None:
    """And where the rest of them is."""
    said = lines(clone, "demo", f"PYTHON={clone / 'python'}", pip_says="ERROR: the disk is full")
    assert said[-2:] == ["This failed: fetching uv. The end of build/step.log:", "ERROR: the disk is full"]


def test_ctrl_c_in_the_first_seconds_is_one_line(clone: Path) -> None:
    """As a terminal does it, to the whole group."""
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
        said, _ = make.communicate(timeout=LIMIT)
    assert said.count("Stopped while fetching uv. Run the same command to continue.") == 1
    assert "Traceback" not in said


def test_the_sandbox_ends_with_the_make_that_started_it(tmp_path: Path) -> None:
    """Even by kill -9, which no process can catch."""
    place = ports.place([f"--port={ports.spare('127.0.0.1')}"])
    kept = [option for name in ("venv", "venv-sam", ".venv/.ready", ".venv-sam/.ready") for option in ("-o", name)]
    command = ["make", *kept, "-o", ".aws-sam/sandbox/template.yaml", "sandbox", f"PORT={place.aws}"]
    said = tmp_path / "said"
    with said.open("w") as output, subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output) as make:
        assert until(lambda: "deploying template.yaml" in said.read_text() or None, LIMIT), said.read_text()
        with pytest.raises(ports.PlaceError):
            ports.refuse_taken(place)
        make.kill()

    def is_free() -> bool | None:
        try:
            ports.refuse_taken(place)
        except ports.PlaceError:
            time.sleep(0.1)  # each look asks the listeners what they are
            return None
        return True

    assert until(is_free, LIMIT), said.read_text()
    shutil.rmtree(ports.directory_of(place), ignore_errors=True)

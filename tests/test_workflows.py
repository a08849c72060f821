"""The GitHub Actions workflows: pinned actions, least permissions, and commands that exist. Only GitHub runs them."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / ".github/workflows").glob("*.yml"))
WORKFLOWS: dict[str, dict[Any, Any]] = {path.name: yaml.safe_load(path.read_text(encoding="utf-8")) for path in FILES}
ON = True  # the key `on`, as YAML 1.1 reads it
JOBS = [(name, job) for name, workflow in WORKFLOWS.items() for job in workflow["jobs"]]

PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
MORE_THAN_READING = {
    ("release.yml", "attest"): {"id-token": "write", "attestations": "write"},
    ("release.yml", "publish"): {"id-token": "write"},
    ("release.yml", "sandbox-attest"): {"id-token": "write", "attestations": "write"},
    ("release.yml", "sandbox-publish"): {"id-token": "write"},
    ("deploy.yml", "deploy"): {"contents": "read", "id-token": "write"},
}
"""The permissions of each job that does not only read the repository's contents."""


def _uses() -> Iterator[str]:
    """Yield each action that a workflow uses, with the comment behind it."""
    for path in FILES:
        yield from re.findall(r"\buses: (.+)", path.read_text(encoding="utf-8"))


def _steps() -> Iterator[dict[str, Any]]:
    for name, job in JOBS:
        yield from WORKFLOWS[name]["jobs"][job].get("steps", ())


def test_there_are_three_workflows() -> None:
    """One for every change, one for a release of the library, one for a deployment."""
    assert sorted(WORKFLOWS) == ["ci.yml", "deploy.yml", "release.yml"]


def test_every_action_is_pinned_by_its_commit() -> None:
    """A tag can be moved to other code, a hash cannot; the comment names the version. Our own workflow has no hash."""
    uses = [line for line in _uses() if not line.startswith("./.github/workflows/")]
    assert len(uses) >= 10
    assert [line for line in uses if not PINNED.fullmatch(line)] == []


def test_an_action_has_one_version() -> None:
    """The workflows do not disagree about the version of an action."""
    pins = {line for line in _uses() if "@" in line}
    assert len(pins) == len({line.partition("@")[0] for line in pins})


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_has_no_permission_by_itself(name: str) -> None:
    """Each job asks for what it needs."""
    assert WORKFLOWS[name]["permissions"] == {}


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_a_job_has_the_least_permissions(name: str, job: str) -> None:
    """A job reads the contents; attesting, publishing and deploying have an identity, and the first two run no code."""
    steps = WORKFLOWS[name]["jobs"][job].get("steps", [])
    permissions = MORE_THAN_READING.get((name, job), {"contents": "read"})
    assert WORKFLOWS[name]["jobs"][job]["permissions"] == permissions
    assert "contents" in permissions or not any("run" in step or "checkout" in step["uses"] for step in steps)


def test_a_checkout_leaves_no_token_behind() -> None:
    """The commands of a job cannot use the job's token."""
    checkouts = [step for step in _steps() if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert [step for step in checkouts if step["with"]["persist-credentials"] is not False] == []


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_a_job_ends(name: str, job: str) -> None:
    """Each job that runs steps has a limit far below GitHub's six hours."""
    content = WORKFLOWS[name]["jobs"][job]
    assert "uses" in content or content["timeout-minutes"] <= 60


def test_every_command_is_a_make_target() -> None:
    """What a workflow runs can be run on a developer's machine, and no expression is put into a shell's text."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):.*## ", makefile, re.MULTILINE))
    commands = [step["run"] for step in _steps() if "run" in step]
    assert {"make test", "make audit", "make audit-dependencies", "make sbom", "make lint-workflows"} <= set(commands)
    for command in commands:
        program, target, *variables = command.split()
        assert (program, target in targets) == ("make", True), command
        assert all(re.fullmatch(r'([A-Z]+)="\$\1"', variable) for variable in variables), command


def test_the_build_is_made_for_both_architectures() -> None:
    """Both that the template's parameter allows."""
    template = (ROOT / "template.yaml").read_text(encoding="utf-8")
    matrix = WORKFLOWS["ci.yml"]["jobs"]["build"]["strategy"]["matrix"]["architecture"]
    assert matrix == ["arm64", "x86_64"]
    assert all(architecture in template for architecture in matrix)


def test_a_release_is_published_only_by_a_tag_after_every_check() -> None:
    """Checks, then the files, then their attestation, then the index; nothing but a tag of one of the two starts it."""
    release = WORKFLOWS["release.yml"]
    assert release[ON] == {"push": {"tags": ["library-v*", "sandbox-v*"]}}
    needs = {name: job.get("needs") for name, job in release["jobs"].items()}
    chain = {"distribution": "ci", "attest": "distribution", "publish": "attest"}
    sandbox = {f"sandbox-{name}": need if need == "ci" else f"sandbox-{need}" for name, need in chain.items()}
    assert needs == {"ci": None} | chain | sandbox
    for job, tag in {"distribution": "library-v", "sandbox-distribution": "sandbox-v"}.items():
        assert release["jobs"][job]["if"] == f"startsWith(github.ref_name, '{tag}')"
    assert {release["jobs"][job]["environment"] for job in ("publish", "sandbox-publish")} == {"package-index"}
    assert "secrets." not in (ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_says_that_it_is_untried(name: str) -> None:
    """What has not been seen to work is said in the file's first lines."""
    head = (ROOT / ".github/workflows" / name).read_text(encoding="utf-8").partition("name:")[0]
    assert "Untried: " in head


def test_a_deployment_runs_what_was_built_without_an_identity() -> None:
    """Checks and build come first, without an identity; the job that has one installs before it gets credentials."""
    deploy = WORKFLOWS["deploy.yml"]
    assert set(deploy[ON]) == {"workflow_dispatch"}
    assert deploy["jobs"]["deploy"]["needs"] == ["ci", "build"]
    assert deploy["jobs"]["deploy"]["environment"] == "${{ inputs.environment }}"
    steps = [step.get("run") or step["uses"].partition("@")[0] for step in deploy["jobs"]["deploy"]["steps"]]
    assert steps[-4:] == [
        "actions/download-artifact",
        "make venv-sam",
        "aws-actions/configure-aws-credentials",
        'make deploy-built ENVIRONMENT="$ENVIRONMENT"',
    ]
    assert "secrets." not in (ROOT / ".github/workflows/deploy.yml").read_text(encoding="utf-8")


def test_the_environments_are_those_of_samconfig() -> None:
    """GitHub's choices, the Makefile's and the sections of samconfig.toml are the same three."""
    names = WORKFLOWS["deploy.yml"][ON]["workflow_dispatch"]["inputs"]["environment"]["options"]
    sections = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))
    assert names == ["dev", "staging", "prod"] == [name for name in sections if name not in {"version", "default"}]
    assert "|".join(names) in (ROOT / "Makefile").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("environment", "ci", "command"),
    [
        ("prod", "", "sam deploy --config-env prod"),
        ("dev", "true", "sam deploy --config-env dev --no-confirm-changeset --no-progressbar"),
        ("", "", "sam deploy --guided"),
    ],
)
def test_make_deploys_to_an_environment(tmp_path: Path, environment: str, ci: str, command: str) -> None:
    """`make deploy-built` passes the environment to SAM; without one SAM asks; in CI no question is asked."""
    run = _deploy(tmp_path, environment, ci)
    assert (run.returncode, run.stdout.strip().splitlines()[-1].strip()) == (0, command)


@pytest.mark.parametrize("environment", ["production", "$(shell id)", "prod; id"])
def test_an_unknown_environment_is_refused(tmp_path: Path, environment: str) -> None:
    """Any other name is refused in one line, and never run."""
    run = _deploy(tmp_path, environment, "")
    assert run.returncode != 0
    assert "ENVIRONMENT must be dev, staging or prod, a section of samconfig.toml" in run.stderr
    assert "uid=" not in run.stdout + run.stderr


def test_nothing_is_deployed_that_was_not_built(tmp_path: Path) -> None:
    """Without a build, `make deploy-built` says so in one line."""
    run = _deploy(tmp_path, "prod", "", built=False)
    assert run.returncode != 0
    assert "Nothing is built: run make build" in run.stderr


def _deploy(folder: Path, environment: str, ci: str, *, built: bool = True) -> "subprocess.CompletedProcess[str]":
    """Run `make deploy-built` with a program in place of SAM that prints its command line."""
    shutil.copy(ROOT / "Makefile", folder)
    sam = folder / ".venv-sam/bin/sam"
    sam.parent.mkdir(parents=True)
    sam.write_text('#!/bin/bash\necho sam "$@"\n')
    sam.chmod(0o755)
    (folder / ".aws-sam/build").mkdir(parents=True)
    if built:
        (folder / ".aws-sam/build/template.yaml").touch()
    command = ["make", "--silent", "-o", ".venv-sam/.ready", "deploy-built"]
    environment_variables = {"PATH": os.environ["PATH"], "ENVIRONMENT": environment, "CI": ci}
    return subprocess.run(command, cwd=folder, env=environment_variables, capture_output=True, text=True, check=False)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """As much of the repository as `make library` reads, with a dated entry in the library's changelog."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "layers/wechatpay", tmp_path / "layers/wechatpay", ignore=ignored)
    changelog = tmp_path / "layers/wechatpay/CHANGELOG.md"
    changelog.write_text(changelog.read_text(encoding="utf-8") + "\n## [0.1.0] - 2026-01-01\n", encoding="utf-8")
    return tmp_path


def make_library(clone: Path, tag: str) -> subprocess.CompletedProcess[str]:
    """Run `make library` with this Python's packages in place of a virtual environment."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = ["make", "-o", ".venv/.ready", "-o", ".venv-ministack/.ready", "library"]
    return subprocess.run(
        command, cwd=clone, env={"PATH": path, "TAG": tag}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("tag", ["", "library-v0.1.0"])
def test_the_distribution_is_built(clone: Path, tag: str) -> None:
    """A wheel and a source distribution; the same sources in both, with changelog and licence in the latter."""
    process = make_library(clone, tag)
    assert process.returncode == 0, process
    assert sorted(path.name for path in (clone / "build/library").iterdir()) == [
        "wechatpay_client-0.1.0-py3-none-any.whl",
        "wechatpay_client-0.1.0.tar.gz",
    ]
    with zipfile.ZipFile(clone / "build/library/wechatpay_client-0.1.0-py3-none-any.whl") as wheel:
        sources = {name for name in wheel.namelist() if name.startswith("wechatpay/")}
    with tarfile.open(clone / "build/library/wechatpay_client-0.1.0.tar.gz") as sdist:
        names = {name.partition("/")[2].removeprefix("python/") for name in sdist.getnames()}
    assert names >= sources | {"CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml"}


@pytest.mark.parametrize("tag", ["library-v9.9.9", "v0.1.0", "library-v0.1.0$(shell echo)"])
def test_a_tag_of_another_version_is_refused(clone: Path, tag: str) -> None:
    """The text of a tag is compared, never expanded."""
    process = make_library(clone, tag)
    assert process.returncode != 0
    assert f"The tag {tag} does not name the library's version: expected library-v0.1.0" in process.stderr


def test_a_release_needs_its_entry_in_the_changelog(clone: Path) -> None:
    """A version without a dated entry is not released."""
    shutil.copy(ROOT / "layers/wechatpay/CHANGELOG.md", clone / "layers/wechatpay")
    process = make_library(clone, "library-v0.1.0")
    assert process.returncode != 0
    assert "CHANGELOG.md has no dated entry for 0.1.0" in process.stderr

"""Supply chain: one source of each version, a hash for each package, a licence for each part that ships."""

import importlib.util
import json
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
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from sandbox import cloud
from sandbox.cloud import Cloud, CloudError
from sandbox.testbed import BUILD
from tools import package, vulnerabilities
from tools.interop.__main__ import CLIENTS
from tools.vulnerabilities import Audited, AuditError, Run, Unreachable

ROOT = Path(__file__).parents[1]
LAYER = ROOT / "layers/wechatpay"
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
GROUPS: dict[str, list[Any]] = PROJECT["dependency-groups"]
LOCKS = {
    "function": "functions/requirements.txt",
    "layer": "layers/wechatpay/python/requirements.txt",
    **{
        name: f"requirements/{name}.lock"
        for name in (
            "dev",
            "ministack",
            "sandbox",
            "sam",
            "audit",
            "installer",
            "bench",
            "interop",
            "mutation",
            "release",
        )
    },
}
"""For each group of pyproject.toml, the file that `make lock` writes."""

SHIPPED = {
    "function": (BUILD / "OrdersFunction", "with the function"),
    "layer": (BUILD / "WeChatPayLayer/python", "with the layer"),
}
"""For each group that ships, its folder in the build and its heading in NOTICE."""

LICENCES = {"Apache-2.0", "BSD-3-Clause", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0"}
"""Licences that need no review in most companies; another one is a decision."""


def _requirements(group: str) -> Iterator[Requirement]:
    """Yield the requirements of a group, including those of the groups that it includes."""
    for each in GROUPS[group]:
        if isinstance(each, dict):
            yield from _requirements(each["include-group"])
        else:
            yield Requirement(each)


def _locked(path: str) -> dict[str, tuple[str, frozenset[str]]]:
    """Return version and hashes of each package of a lock file; fail for a line of another form."""
    text = (ROOT / path).read_text(encoding="utf-8").replace("\\\n", " ")
    packages = {}
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            pin = re.fullmatch(
                r"([a-z0-9-]+)==([^\s;]+)(?: ; [^#]*?)?((?:\s+--hash=sha256:[0-9a-f]{64})+)", line.rstrip()
            )
            assert pin, f"{path}: {line[:80]}"
            packages[pin[1]] = (pin[2], frozenset(pin[3].split()))
    return packages


# ---- one source of each version --------------------------------------------------------------------------------------


def test_a_version_is_pinned_once() -> None:
    """Each version is pinned in one group of pyproject.toml; other groups include it or have no version."""
    pinned = [Requirement(each) for group in GROUPS.values() for each in group if isinstance(each, str)]
    names = [each.name for each in pinned if each.specifier]
    assert sorted(names) == sorted(set(names))
    assert [str(each) for each in pinned if each.specifier and not str(each.specifier).startswith("==")] == []
    unpinned = {each.name for each in pinned if not each.specifier}
    assert unpinned <= {Requirement(each).name for each in GROUPS["bench"] if isinstance(each, str)}
    assert PROJECT["project"].get("dependencies", []) == []
    assert list(ROOT.glob("requirements/*.in")) == []
    assert re.findall(r"\w==\d.*", MAKEFILE) == []


@pytest.mark.parametrize("group", LOCKS)
def test_a_lock_has_the_versions_of_its_group(group: str) -> None:
    """Each lock has the versions that pyproject.toml pins, so `make lock` ran after the last change."""
    locked = _locked(LOCKS[group])
    for each in _requirements(group):
        version, _ = locked[canonicalize_name(each.name)]
        assert each.specifier.contains(version, prereleases=True), f"{LOCKS[group]}: {each}: make lock"


def test_every_lock_has_a_group() -> None:
    """Each lock belongs to a group; there is no other file of pins."""
    files = {str(path.relative_to(ROOT)) for path in ROOT.glob("requirements/*")}
    assert files == {path for path in LOCKS.values() if path.startswith("requirements/")}
    assert list(ROOT.glob("requirements*.txt")) + list(ROOT.glob("*.lock")) == []
    assert GROUPS.keys() - LOCKS.keys() == {"translator", "console", "powertools", "screen"}  # parts of others


@pytest.mark.parametrize("group", ["function", "layer"])
@pytest.mark.parametrize("tested", ["dev", "bench"])
def test_what_ships_is_what_is_tested_and_measured(group: str, tested: str) -> None:
    """All dependencies that ship are tested and measured with the same versions and hashes."""
    shipped, installed = _locked(LOCKS[group]), _locked(LOCKS[tested])
    assert shipped.items() <= installed.items()


def test_the_pins_are_within_the_librarys_own_ranges() -> None:
    """The layer ships the dependencies that the library's metadata declares, with versions within its ranges."""
    declared = tomllib.loads((LAYER / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    needs = {each.name: each.specifier for each in map(Requirement, declared)}
    pins = {each.name: str(each.specifier).removeprefix("==") for each in _requirements("layer")}
    assert needs.keys() == pins.keys()
    assert {name: pin for name, pin in pins.items() if not needs[name].contains(pin)} == {}


def test_the_embedded_aws_does_not_hold_back_what_ships() -> None:
    """MiniStack and the botocore that it pins are in an environment of their own, so the tests cannot import them."""
    assert "ministack" not in _locked(LOCKS["dev"])
    assert importlib.util.find_spec("ministack") is None
    shipped, embedded = (Version(_locked(LOCKS[group])["botocore"][0]) for group in ("function", "ministack"))
    assert shipped >= embedded
    code = "import importlib.metadata as m; print(m.version('ministack'), m.version('botocore'))"
    run = subprocess.run([cloud.MINISTACK_PYTHON, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == [_locked(LOCKS["ministack"])["ministack"][0], str(embedded)]


def test_a_missing_environment_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the environment of MiniStack is missing, the error names `make venv`, and no process is started."""
    monkeypatch.setattr(cloud, "MINISTACK_PYTHON", tmp_path / "bin/python")
    with pytest.raises(CloudError, match="make venv"), Cloud.start(tmp_path):
        pass


def test_versions_in_texts_are_the_pinned_ones() -> None:
    """A page, a program or a configuration that names a version names the pinned one."""
    pins = {each.name: str(each.specifier).removeprefix("==") for group in LOCKS for each in _requirements(group)}
    assert f"MiniStack {_locked(LOCKS['ministack'])['ministack'][0]}" in (ROOT / "sandbox/README.md").read_text()
    assert CLIENTS["wechatpayv3"] == _locked(LOCKS["bench"])["wechatpayv3"][0]
    assert pins["boto3-stubs"].split(".")[0] == pins["boto3"].split(".")[0]
    python = (ROOT / ".python-version").read_text().strip()
    assert f"PYTHON ?= python{python}" in MAKEFILE
    assert f"--python-version {python} " in MAKEFILE
    assert set(re.findall(r"python3\.\d+", (ROOT / "template.yaml").read_text())) == {f"python{python}"}
    assert PROJECT["project"]["requires-python"].startswith(f">={python},")
    assert PROJECT["tool"]["mypy"]["python_version"] == python
    assert PROJECT["tool"]["ruff"]["target-version"] == f"py{python.replace('.', '')}"


# ---- a hash for each package -----------------------------------------------------------------------------------------


def test_everything_that_is_installed_is_checked_by_hash() -> None:
    """All installations require hashes, including that of uv, and no lock names a host."""
    installing = re.findall(r"^\t.*pip (?:install|sync) .*$", MAKEFILE, re.MULTILINE)
    assert len(installing) >= 3
    assert [line for line in installing if "--require-hashes" not in line] == []
    programs = [ROOT / "tools" / name for name in ("mutation/__main__.py", "interop/installation.py")]
    installing = [line for path in programs for line in path.read_text().splitlines() if re.search(r"uv, |pip, ", line)]
    assert len(installing) == len(programs)
    assert [line for line in installing if "--require-hashes" not in line] == []
    assert "pip" not in (ROOT / ".ci/run").read_text().replace("pip-audit", "").split()
    for path in LOCKS.values():
        assert _locked(path)
        assert "://" not in (ROOT / path).read_text()


# ---- a licence for each part -----------------------------------------------------------------------------------------


def _notice() -> dict[str, dict[str, str]]:
    """Return the licence of each distribution in NOTICE, by heading."""
    licences: dict[str, dict[str, str]] = {}
    for line in (ROOT / "NOTICE").read_text(encoding="utf-8").splitlines():
        if re.fullmatch("  with the \\w+", line):
            licences[line.strip()] = {}
        elif licences and (entry := re.fullmatch(r"    ([a-z0-9-]+) +([^,]+)(?:, .*)?", line)):
            licences[list(licences)[-1]][entry[1]] = entry[2]
    return licences


def _metadata(folder: Path) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    for line in (folder / "METADATA").read_text(encoding="utf-8").partition("\n\n")[0].splitlines():
        name, colon, value = line.partition(": ")
        if colon:
            fields.setdefault(name, []).append(value)
    return fields


@pytest.mark.parametrize("group", SHIPPED)
def test_the_notice_lists_what_ships(group: str) -> None:
    """NOTICE lists every distribution that ships, with a licence that is known to be acceptable."""
    _, heading = SHIPPED[group]
    licences = _notice()[heading]
    assert licences.keys() == _locked(LOCKS[group]).keys()
    assert {part for licence in licences.values() for part in licence.split(" OR ")} <= LICENCES


@pytest.mark.parametrize("group", SHIPPED)
def test_the_built_package_has_a_licence_for_each_distribution(group: str) -> None:
    """The build has our LICENSE and NOTICE, and all licence texts that the dependencies' metadata names."""
    code, heading = SHIPPED[group]
    for name in package.LICENCES:
        assert (code / name).read_bytes() == (ROOT / name).read_bytes()
    assert package.without_licence(code) == []
    folders = {canonicalize_name(_metadata(path)["Name"][0]): path for path in code.glob("*.dist-info")}
    in_the_layer = _notice()[SHIPPED["layer"][1]].keys() if group == "function" else set()
    assert folders.keys() == _notice()[heading].keys() - in_the_layer
    for name, folder in folders.items():
        metadata = _metadata(folder)
        texts = {path.name for path in folder.rglob("*") if path.is_file() and path.stat().st_size}
        assert {Path(text).name for text in metadata["License-File"]} <= texts, name
        if expression := metadata.get("License-Expression"):
            assert _notice()[heading][name] == expression[0]


def test_the_notice_names_what_wheels_contain() -> None:
    """NOTICE names libraries that are compiled into wheels: OpenSSL in cryptography, libffi in cffi."""
    code, _ = SHIPPED["layer"]
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    [sboms] = code.glob("cryptography-*.dist-info/sboms")
    text = " ".join(path.read_text(encoding="utf-8").lower() for path in sboms.iterdir())
    assert '"openssl"' in text
    assert "OpenSSL (Apache-2.0)" in notice
    [binary] = code.glob("_cffi_backend*.so")
    assert b"ffi_call" in binary.read_bytes()
    assert "libffi - Copyright (c)" in notice


def test_the_models_state_their_origin_and_change() -> None:
    """The models have the notice of section 4 of the Apache License: release, copyright, licence and changes."""
    text = package.models_notice()
    assert (package.MODELS / "NOTICE").read_text(encoding="utf-8") == text, "make models"
    assert (BUILD / "OrdersFunction/orders/models/NOTICE").read_text(encoding="utf-8") == text
    assert f"botocore {_locked(LOCKS['function'])['botocore'][0]} " in text
    [original] = BUILD.glob("OrdersFunction/botocore-*.dist-info/**/NOTICE*")
    copyright_line = next(line for line in original.read_text().splitlines() if line.startswith("Copyright"))
    assert copyright_line in text
    for service, operations in package.OPERATIONS.items():
        assert f"{service}/" in text
        for operation in operations:
            assert operation in text
    assert "functions/orders/models is derived from botocore" in (ROOT / "NOTICE").read_text(encoding="utf-8")


def test_what_the_layer_has_is_left_to_it(tmp_path: Path) -> None:
    """A distribution that function and layer need is in the layer alone; two versions of it are not built."""
    function, layer = tmp_path / "function", tmp_path / "layer"
    for place in (function, layer):
        (place / "shared_library").mkdir(parents=True)
        (place / "shared_library-1.0.dist-info").mkdir()
        (place / "shared_library/__init__.py").touch()
        (place / "shared.py").touch()
    record = "shared_library/__init__.py,,\nshared.py,,\nshared_library-1.0.dist-info/RECORD,,\n"
    (function / "shared_library-1.0.dist-info/RECORD").write_text(record)
    (function / "own.py").touch()
    package.leave_to_layer(function, layer)
    package.leave_to_layer(function, layer)
    assert [path.name for path in function.iterdir()] == ["own.py"]
    assert len(list(layer.iterdir())) == 3
    (function / "shared_library-2.0.dist-info").mkdir()
    with pytest.raises(SystemExit, match=r"shared_library 2\.0, and 1\.0 in its layer"):
        package.leave_to_layer(function, layer)


@pytest.mark.parametrize("content", ["nothing", "an empty file", "its authors", "a folder"])
def test_a_distribution_without_its_licence_is_not_built(tmp_path: Path, content: str) -> None:
    """`make build` fails with the name of a distribution that comes without the text of its licence."""
    code = tmp_path / "OrdersFunction"
    (tmp_path / "WeChatPayLayer/python").mkdir(parents=True)
    licensed, bare = code / "licensed-1.0.dist-info/licenses", code / "bare-2.0.dist-info"
    licensed.mkdir(parents=True)
    bare.mkdir()
    (licensed / "COPYING.txt").write_text("text")
    (code / "binary.so").write_bytes(b"\x7fELF" + bytes(14) + (62).to_bytes(2, "little"))  # for x86-64
    (tmp_path / "template.yaml").write_text("Parameters:\n  Architecture:\n    Type: String\n")
    if content == "an empty file":
        (bare / "LICENSE").touch()
    elif content == "its authors":
        (bare / "AUTHORS").write_text("authors")
    elif content == "a folder":
        (bare / "licenses").mkdir()
    with pytest.raises(SystemExit, match=r"licence came with bare-2\.0"):
        package.slim(tmp_path)
    (bare / "LICENCE.md").write_text("text")
    package.slim(tmp_path)


def test_the_library_brings_its_licence(tmp_path: Path) -> None:
    """The library has the licence in its folder, in its wheel and in its source distribution."""
    assert (LAYER / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    source = shutil.copytree(LAYER, tmp_path / "library")
    for target in ("wheel", "sdist"):
        command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(tmp_path / "dist")]
        subprocess.run(command, cwd=source, check=True, capture_output=True)
    [wheel] = (tmp_path / "dist").glob("*.whl")
    [sdist] = (tmp_path / "dist").glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/licenses/LICENSE")]
        assert archive.read(name) == (ROOT / "LICENSE").read_bytes()
    with tarfile.open(sdist) as source_archive:
        [name] = [name for name in source_archive.getnames() if name.endswith("/LICENSE")]
        member = source_archive.extractfile(name)
        assert member
        assert member.read() == (ROOT / "LICENSE").read_bytes()


# ---- known vulnerabilities -------------------------------------------------------------------------------------------


def _skipped(name: str) -> dict[str, str]:
    return {"name": name, "skip_reason": f"Dependency not found on PyPI and could not be audited: {name} (1.0)"}


CLEAN = {"name": "requests", "version": "2.34.2", "vulns": []}
VULNERABLE = {
    "name": "urllib3",
    "version": "1.0",
    "vulns": [
        {"id": "PYSEC-1", "fix_versions": ["1.1", "2.0"], "aliases": ["CVE-1"], "description": ""},
        {"id": "PYSEC-2", "fix_versions": []},
    ],
}
FINDINGS = ("urllib3 1.0: PYSEC-1, fixed in 1.1, 2.0", "urllib3 1.0: PYSEC-2, fixed in no release yet")


def _report(*dependencies: dict[str, Any]) -> Run:
    return Run({"dependencies": list(dependencies), "fixes": []}, "")


@pytest.mark.parametrize(
    ("run", "outcome"),
    [
        (_report(CLEAN), Audited(1, ())),
        (_report(CLEAN, VULNERABLE), Audited(2, FINDINGS)),
        (_report(_skipped("boto3"), _skipped("six")), Unreachable(_skipped("boto3")["skip_reason"])),
        (_report(CLEAN, _skipped("six")), Audited(1, (f"six: {_skipped('six')['skip_reason']}",))),
        (_report(), Unreachable("the report is empty")),
        (
            Run(None, "Traceback\n  raise ConnectionError\nrequests.exceptions.ConnectionError: Failed to resolve\n"),
            Unreachable("requests.exceptions.ConnectionError: Failed to resolve"),
        ),
        (
            Run(
                None, "ERROR:pip_audit._cli:Could not connect to PyPI's vulnerability feed\nERROR:pip_audit._cli:Tip: …"
            ),
            Unreachable("ERROR:pip_audit._cli:Could not connect to PyPI's vulnerability feed"),
        ),
    ],
)
def test_an_audit_counts_only_if_a_database_answered(run: Run, outcome: Audited | Unreachable) -> None:
    """A run in which no database answered is Unreachable, although pip-audit itself then reports no vulnerability."""
    assert vulnerabilities.judge(run) == outcome


@pytest.mark.parametrize("stderr", ["", "ERROR:pip_audit._cli:boto3 does not contain any hashes", "Killed"])
def test_another_failure_of_pip_audit_is_an_error(stderr: str) -> None:
    """A failure of pip-audit for another reason than the network raises AuditError with its last line."""
    with pytest.raises(AuditError, match=stderr or "no output"):
        vulnerabilities.judge(Run(None, stderr))


DOWN = Run(None, "requests.exceptions.ConnectionError: down")


def _audit(answers: dict[tuple[str, str], Run]) -> tuple[Audited | Unreachable, list[str]]:
    """Audit the files `a` and `b` with answers by file and service; other pairs are unreachable."""
    requests: list[str] = []

    def run(path: Path, service: str) -> Run:
        requests.append(f"{path.name} {service}")
        return answers.get((path.name, service), DOWN)

    return vulnerabilities.audit([Path("a"), Path("b")], run), requests


def test_the_first_database_that_answers_is_used() -> None:
    """A database that did not answer is not used for the next file; findings name the file."""
    both = {("a", "osv"): _report(CLEAN), ("b", "osv"): _report(VULNERABLE)}
    assert _audit(both) == (Audited(2, tuple(f"b: {line}" for line in FINDINGS)), ["a pypi", "a osv", "b osv"])
    first = {("a", "pypi"): _report(CLEAN), ("b", "pypi"): _report(CLEAN), ("b", "osv"): _report(VULNERABLE)}
    assert _audit(first) == (Audited(2, ()), ["a pypi", "b pypi"])


def test_no_reachable_database_is_reported() -> None:
    """If no database answers, the outcome has both reasons, after one try of each database."""
    reason = "requests.exceptions.ConnectionError: down"
    assert _audit({}) == (Unreachable(f"pypi: {reason}; osv: {reason}"), ["a pypi", "a osv"])


def test_a_database_that_stops_answering_hides_no_finding() -> None:
    """If a database stops answering, earlier findings are reported, and the files that were not audited."""
    outcome, _ = _audit({("a", "pypi"): _report(VULNERABLE)})
    assert isinstance(outcome, Audited)
    assert outcome.findings[:2] == tuple(f"a: {line}" for line in FINDINGS)
    assert "b: not audited" in outcome.findings[2]


@pytest.mark.parametrize("report", [None, {"dependencies": [CLEAN]}])
def test_the_report_is_read_from_pip_audits_own_file(tmp_path: Path, report: dict[str, Any] | None) -> None:
    """pip-audit gets --require-hashes and the service; its report file and its standard error are returned."""
    program = tmp_path / "pip_audit.py"
    program.write_text(
        "import sys\nassert '--require-hashes' in sys.argv and sys.argv[sys.argv.index('-s') + 1] == 'osv'\n"
        f"text = {json.dumps(report) if report else ''!r}\n"
        "text and open(sys.argv[sys.argv.index('-o') + 1], 'w').write(text)\nsys.exit('last words')\n"
    )
    run = vulnerabilities.pip_audit(tmp_path / "pins.lock", "osv", [sys.executable, program])
    assert run == Run(report, "last words\n")


@pytest.mark.parametrize(
    ("outcome", "status", "words"),
    [
        (Unreachable("pypi: down"), 0, "NOT AUDITED: no vulnerability database can be reached from here (pypi: down)"),
        (Audited(99, ()), 0, "no known vulnerability in 99 pinned packages"),
        (Audited(99, FINDINGS), 1, "\n".join(FINDINGS)),
    ],
)
def test_the_exit_status_follows_the_packages(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    outcome: Audited | Unreachable,
    status: int,
    words: str,
) -> None:
    """The status is 1 for findings only; if no database is reachable, it is 0 and the output says so."""
    monkeypatch.setattr(vulnerabilities, "audit", lambda *_: outcome)
    assert vulnerabilities.main() == status
    assert capsys.readouterr().out == words + "\n"


def test_everything_pinned_is_audited() -> None:
    """All files of pins are audited, those of what ships first."""
    assert [str(path.relative_to(ROOT)) for path in vulnerabilities.pins()][:2] == [LOCKS["function"], LOCKS["layer"]]
    assert {str(path.relative_to(ROOT)) for path in vulnerabilities.pins()} == set(LOCKS.values())

"""The sandbox as its users install it: one name, everything inside, and texts that name the installed program."""

import ast
import email
import io
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ops.installation import PACKAGE, PROGRAM, STATE, Installation, installation_at
from sandbox import instance
from sandbox.errors import PlaceError
from sandbox.package import wheel as package
from sandbox.template import prepare
from sandbox.testbed import BUILD, ROOT
from tests.imports import imports
from tools import sandbox_package_contents
from tools.sandbox_package_trial import fresh_environment

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "sandbox/package/pyproject.toml").read_text(encoding="utf-8"))
VENDORED = {"sandbox", "ops", "orders", "notifications", "outcomes", "wechatpay"}
NAMES = {"samtranslator": "aws-sam-translator", "multipart": "python-multipart"}  # import name → distribution
BY_MINISTACK = {"boto3", "botocore", "hypercorn"}  # of the versions that it requires
FOR_TYPES = {"_typeshed", *(f"mypy_boto3_{name}" for name in ("dynamodb", "events", "secretsmanager", "sqs"))}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as `make sandbox-package` builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT / "sandbox/package", check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like site-packages, with the wheel's files."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def program(site: Path) -> Path:
    """The program in the installed package."""
    return site / PACKAGE / "program"


@pytest.fixture(scope="module")
def metadata(site: Path) -> Message:
    """The wheel's metadata."""
    return email.message_from_bytes(next(site.glob("*.dist-info/METADATA")).read_bytes())


def _files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def _tracked(*folders: str) -> set[str]:
    """Return the files that the repository holds in these folders, also those that are not committed yet."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("git or the repository's .git is missing: nothing says which files are the repository's")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *folders]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    return {name for name in names if (ROOT / name).is_file()}


# ---- what the wheel holds --------------------------------------------------------------------------------------------


def test_an_installation_shows_one_name(site: Path) -> None:
    """One package is visible next to the metadata: `sandbox`, `ops`, `orders` and `wechatpay` may be others' names."""
    names = {path.name for path in site.iterdir() if not path.name.endswith(".dist-info")}
    assert names == {PACKAGE}
    assert {path.name for path in (site / PACKAGE).iterdir()} == {"__init__.py", "__main__.py", "program"}


def test_the_program_is_that_of_the_repository(program: Path) -> None:
    """The files are those of the repository's folders, without what the package does not need, and the function."""
    expected = {name for name in _tracked(*package.FOLDERS) if not name.startswith(tuple(package.LEFT_OUT))}
    assert {name for name in _files(program) if not name.startswith(package.BUILD)} == expected
    assert expected > {"sandbox/up.py", "ops/__main__.py", "functions/orders/order.py", "events/README.md"}


def test_what_is_left_out_exists() -> None:
    """Each name that is left out stands for a file or a folder of the repository."""
    assert [name for name in package.LEFT_OUT if not (ROOT / name).exists()] == []


def test_the_function_is_the_one_that_ships(program: Path) -> None:
    """The archives hold what `sam build` and `tools.package` made, file by file."""
    built = program / package.BUILD
    folders = {path.name for path in BUILD.iterdir() if path.is_dir()}
    assert {path.name for path in built.iterdir()} == {"template.yaml", *(f"{name}.zip" for name in folders)}
    for name in folders:
        with zipfile.ZipFile(built / f"{name}.zip") as archive:
            assert {entry: archive.read(entry) for entry in archive.namelist()} == {
                entry: (BUILD / name / entry).read_bytes() for entry in _files(BUILD / name)
            }


def test_the_archives_are_deployed_as_they_are(program: Path) -> None:
    """The sandbox deploys the package's archives as it deploys the folders of a build."""
    archives = prepare(program / package.BUILD, {}, "bucket").archives
    assert len(archives) == len(prepare(BUILD, {}, "bucket").archives)
    stored = {path.read_bytes() for path in (program / package.BUILD).glob("*.zip")}
    assert set(archives.values()) == stored


def test_the_same_files_make_the_same_archive(tmp_path: Path) -> None:
    """An archive holds no time and no order of a disk."""
    for name in ("b.py", "a.py"):
        (tmp_path / "code" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "code" / name).write_text(name)
    package.write_archive(tmp_path / "code", tmp_path / "first.zip")
    os.utime(tmp_path / "code/a.py", (1_700_000_000, 1_700_000_000))
    package.write_archive(tmp_path / "code", tmp_path / "second.zip")
    assert (tmp_path / "first.zip").read_bytes() == (tmp_path / "second.zip").read_bytes()


def test_nothing_private_is_inside(wheel: Path) -> None:
    """No file names a folder of the machine that built it, and there is no test, no key and no cache."""
    private = {str(ROOT).encode(), str(Path.home()).encode() + b"/", b"BEGIN RSA PRIVATE KEY-----\nMII"}
    for name, content in _contents(wheel.read_bytes()):
        ours = name.partition(":")[0]  # a dependency of the function may ship its own tests
        assert not re.search(r"(^|/)(tests?/|test_|conftest|__pycache__|\.git|\.sandbox|\.env)", ours), name
        assert [text for text in private if text in content] == [], name


def _contents(archive: bytes, inside: str = "") -> list[tuple[str, bytes]]:
    """Return the names and contents of an archive, and of the archives in it."""
    contents = []
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        for name in file.namelist():
            content = file.read(name)
            contents.append((f"{inside}{name}", content))
            if name.endswith(".zip"):
                contents += _contents(content, f"{inside}{name}:")
    return contents


def test_each_part_brings_its_licence(wheel: Path, metadata: Message) -> None:
    """The wheel has our licence and NOTICE; its expression names the licence of every part that NOTICE lists."""
    names = [name for name, _ in _contents(wheel.read_bytes())]
    assert [name.rpartition("/")[2] for name in names if ".dist-info/licenses/" in name and ":" not in name] == [
        "LICENSE",
        "NOTICE",
    ]
    distributions = {name.rpartition("/")[0] for name in names if ":" in name and name.endswith(".dist-info/METADATA")}
    licensed = {name for name in names if re.search(r"/(licenses/)?(LICEN[CS]E|COPYING)", name)}
    assert len(distributions) > 10
    assert [one for one in distributions if not any(name.startswith(f"{one}/") for name in licensed)] == []
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    rows = re.findall(r"^    [a-z0-9-]+ +([\w.-]+)(?: OR [\w.-]+)?(?:, .*)?$", notice, re.MULTILINE)
    assert set(metadata["License-Expression"].split(" AND ")) == {"Apache-2.0", "0BSD", "BSD-3-Clause", *rows}


def test_make_says_what_is_in_it(wheel: Path) -> None:
    """`make sandbox-package` prints the size, the number of files, and where most of it is."""
    head, columns, largest, *_ = sandbox_package_contents.report(wheel).splitlines()
    assert re.fullmatch(rf"{re.escape(wheel.name)}: \d+\.\d MB, \d{{3,}} files", head)
    assert columns.split() == ["files", "unpacked"]
    assert largest.endswith(f"{PACKAGE}/program/.aws-sam")


# ---- its metadata ----------------------------------------------------------------------------------------------------


def test_the_version_is_the_repositorys(metadata: Message) -> None:
    """The version says which function is inside."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (metadata["Name"], metadata["Version"]) == (PROGRAM, project["version"])
    assert "version" not in PROJECT["project"]


def test_the_metadata_says_what_it_is(metadata: Message) -> None:
    """It says unofficial, which system it needs, and has the README as its page."""
    assert str(metadata["Summary"]).startswith("Unofficial WeChat PayScore sandbox")
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert "unofficial" in str(metadata.get_payload())
    assert "Operating System :: POSIX :: Linux" in metadata.get_all("Classifier", [])
    assert set(metadata["Requires-Python"].split(",")) == {">=3.13", "<3.14"}


def test_the_wheel_is_for_the_system_of_its_binaries(wheel: Path) -> None:
    """The tag names CPython 3.13, this machine's architecture and the newest glibc that a binary needs."""
    needed = [
        max(re.findall(r"manylinux_2_(\d+)_", text), key=int, default="0")
        for text in (path.read_text() for path in BUILD.rglob("cryptography-*.dist-info/WHEEL"))
    ]
    machine = next(path.name for path in BUILD.rglob("_cffi_backend*.so")).split("-")[2]
    assert wheel.name.endswith(f"-cp313-none-manylinux_2_{needed[0]}_{machine}.whl")


@pytest.mark.parametrize(
    ("tags", "platform"),
    [
        ({"a": ("2_17", "2_5"), "b": ("2_34",)}, "manylinux_2_34_x86_64"),
        ({"a": ("2_28", "2_17")}, "manylinux_2_17_x86_64"),
        ({"a": ("2_9",), "b": ("2_17",)}, "manylinux_2_17_x86_64"),
    ],
)
def test_the_platform_is_the_oldest_on_which_every_binary_runs(
    tmp_path: Path, tags: dict[str, tuple[str, ...]], platform: str
) -> None:
    """Of each distribution the oldest system that it names counts, of these the newest."""
    for name, versions in tags.items():
        folder = tmp_path / f"{name}-1.dist-info"
        folder.mkdir()
        folder.joinpath("WHEEL").write_text(
            "".join(f"Tag: cp313-cp313-manylinux_{one}_x86_64\n" for one in versions), encoding="utf-8"
        )
    assert package.platform_of(tmp_path) == platform


def test_a_build_for_another_system_is_refused(tmp_path: Path) -> None:
    """A build without binaries for Linux makes no wheel."""
    with pytest.raises(SystemExit, match="build the package on Linux"):
        package.platform_of(tmp_path)


def test_a_missing_build_is_named(tmp_path: Path) -> None:
    """Without the built function, the build of the wheel says which target makes it."""
    shutil.copytree(ROOT / "sandbox/package", tmp_path / "sandbox/package", symlinks=False)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    run = subprocess.run(command, cwd=tmp_path / "sandbox/package", check=False, capture_output=True, text=True)
    assert run.returncode != 0
    assert "run `make sandbox-package`" in run.stderr


def test_the_dependencies_are_the_pinned_ones(metadata: Message) -> None:
    """Every dependency has the version that the repository pins, and all together can be installed."""
    required = {Requirement(one).name: str(Requirement(one).specifier) for one in metadata.get_all("Requires-Dist", [])}
    lock = (ROOT / "requirements/sandbox.lock").read_text(encoding="utf-8")
    locked = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", lock, re.MULTILINE))
    assert required == {name: f"=={locked[canonicalize_name(name)]}" for name in required}
    assert required.keys() >= {"ministack", "starlette", "cryptography", "rich"}


def test_what_is_imported_is_required(program: Path, metadata: Message) -> None:
    """A module imports the standard library, the program, what the package requires, or what MiniStack does."""
    required = {Requirement(one).name for one in metadata.get_all("Requires-Dist", [])}
    names = {name.partition(".")[0] for path in program.rglob("*.py") for name in imports(path, {})}
    foreign = names - set(sys.stdlib_module_names) - VENDORED - FOR_TYPES - BY_MINISTACK
    assert {NAMES.get(name, name).replace("_", "-") for name in foreign} <= required
    assert "samtranslator" in foreign


# ---- the installed program -------------------------------------------------------------------------------------------


def _call(site: Path, *arguments: str, home: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """Run the installed program in an environment that has nothing but it."""
    environment = {"PYTHONPATH": str(site), "PATH": os.environ["PATH"], "COLUMNS": "120", "HOME": str(home or site)}
    command = [sys.executable, "-m", PACKAGE, *arguments]
    return subprocess.run(command, env=environment, cwd=site, capture_output=True, text=True, check=False, timeout=120)


def test_the_program_says_its_version(site: Path, metadata: Message) -> None:
    """`--version` prints the name and the version."""
    assert _call(site, "--version").stdout == f"{PROGRAM} {metadata['Version']}\n"


def test_the_help_names_every_command(site: Path) -> None:
    """`--help` names each command of the sandbox, and `ops`."""
    from sandbox import commands

    words = _call(site, "--help").stdout
    assert all(
        name in words for name in (*commands.NAMES, "up", "demo", "credentials", "faults", "day", "chaos", "ops")
    )


@pytest.mark.parametrize("option", ["--state", "--state=", "--state --port"])
def test_a_state_without_a_folder_is_refused(site: Path, option: str) -> None:
    """`--state` needs a folder; the error is one line, the exit status 2."""
    run = _call(site, *option.split())
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == f"sandbox: --state needs a folder; see `{PROGRAM} --help`\n"


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("trigger", "--help"), 0, f"usage: {PROGRAM} trigger"),
        (("--port", "x"), 2, f"usage: {PROGRAM} up"),
        (("timelin",), 1, "do you mean timeline?"),
        (("timelin",), 1, f"usage: {PROGRAM} demo"),
        (("ops", "order", "list", "--sandbox"), 1, f"no sandbox runs: start it with `{PROGRAM}`"),
        (("ops", "dead-letters", "plan", "--help"), 0, f"{PROGRAM} ops dead-letters plan --reason NO_AUTH"),
        (("credentials", "--port", "4"), 1, f"start it with `{PROGRAM}`"),
    ],
)
def test_a_text_names_the_installed_program(site: Path, arguments: tuple[str, ...], status: int, words: str) -> None:
    """Help and errors name the commands that work where the program is installed, and none of a clone."""
    run = _call(site, *arguments)
    text = run.stdout + run.stderr
    assert (run.returncode, words in text) == (status, True), text
    assert not re.search(r"bin/ops|python -m|make (sandbox|venv)", text)


def test_a_folder_that_cannot_be_written_is_named(site: Path, tmp_path: Path) -> None:
    """If the folder of the state cannot be written, the error names it and the option, and nothing starts."""
    (tmp_path / "file").write_text("not a folder")
    run = _call(site, "--state", str(tmp_path / "file/inside"), "--port", "4960")
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith(f"{tmp_path / 'file/inside/4960'} cannot be written (")
    assert run.stderr.endswith(": name another one with --state\n")


def test_a_clones_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """In a clone the remedy is another, because there is no option."""
    (tmp_path / "file").write_text("not a folder")
    with (
        pytest.raises(PlaceError, match=r"cannot be written .*: change its owner"),
        instance.alone(tmp_path / "file/a"),
    ):
        pass


# ---- one place decides ----------------------------------------------------------------------------------------------


def _installed(environment: dict[str, str] | None = None) -> Installation:
    return installation_at(Path("/site") / PACKAGE / "program", environment or {}, Path("/home/one"))


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({}, f"/home/one/.local/state/{PROGRAM}"),
        ({"XDG_STATE_HOME": "/state"}, f"/state/{PROGRAM}"),
        ({"XDG_STATE_HOME": "relative"}, f"/home/one/.local/state/{PROGRAM}"),
        ({"XDG_STATE_HOME": "/state", STATE: "/mine"}, "/mine"),
        ({STATE: ""}, f"/home/one/.local/state/{PROGRAM}"),
    ],
)
def test_the_state_is_outside_the_package(environment: dict[str, str], folder: str) -> None:
    """Files are where XDG has a user's state, unless a variable names another folder."""
    assert _installed(environment).state == Path(folder)


def test_a_clone_is_as_it_was() -> None:
    """In a clone texts stay as they are written, and the files are in `.sandbox`."""
    clone = installation_at(Path("/clone"), {STATE: "/mine", "XDG_STATE_HOME": "/state"}, Path("/home/one"))
    text = "bin/ops order list; docs/operate/outage.md"
    assert (clone.words(text), clone.page("sandbox/README.md")) == (text, "sandbox/README.md")
    assert (clone.state, clone.start_on(4600)) == (Path("/clone/.sandbox"), "make sandbox PORT=4600")


def test_a_package_has_words_of_its_own() -> None:
    """Commands and pages of a clone are replaced once, and nothing that only looks like them."""
    words = _installed().words("bin/ops order list, or docs/operate/outage.md")
    page = f"/site/{PACKAGE}/program/docs/operate/outage.md"
    assert words == f"{PROGRAM} ops order list, or {page}"
    assert _installed().words(words) == words
    assert _installed().words("/usr/bin/ops x, sbin/opsx") == "/usr/bin/ops x, sbin/opsx"
    assert _installed().start_on(4600) == f"{PROGRAM} --port 4600"


WRITTEN_AS_IN_A_CLONE = {
    "ops/installation.py": "decides",
    "ops/doctor/merchants.py": "`arguments.complete` and `Finding.document` print it",
    "ops/doctor/queues.py": "`arguments.complete` and `Finding.document` print it",
    "ops/doctor/orders.py": "`arguments.complete` and `Finding.document` print it",
    "ops/letters/verdicts.py": "`arguments.complete` and `_group_row` print it",
    "ops/commands/dead_letters.py": "a description, which `Parser.format_help` prints",
    "sandbox/triggers.py": "a hint, which `commands.trigger` prints",
}
"""Modules with texts that name a clone's commands, each with what replaces them when they are printed."""


def test_no_other_module_names_a_clones_commands(program: Path) -> None:
    """A text that is printed takes the command from `ops.installation`; docstrings are for readers of the source."""
    clone = re.compile(r"\bbin/ops\b|python -m (sandbox|ops)\b|make (sandbox|venv)\b")
    modules = {
        path.relative_to(program).as_posix()
        for folder in ("sandbox", "ops")
        for path in (program / folder).rglob("*.py")
        if any(clone.search(text) for text in _texts(path))
    }
    assert modules == WRITTEN_AS_IN_A_CLONE.keys()


def _texts(path: Path) -> list[str]:
    """Return the texts of a module that are not docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in docstrings)
    return [node.value for node in constants if isinstance(node.value, str)]


def test_the_programs_names_are_those_of_the_package() -> None:
    """The entry point, the folder and the variable have the names that `ops.installation` knows."""
    entry = (ROOT / "sandbox/package" / PACKAGE / "__main__.py").read_text(encoding="utf-8")
    assert PROJECT["project"]["scripts"] == {PROGRAM: f"{PACKAGE}.__main__:main"}
    assert (PROJECT["project"]["name"], f"{PACKAGE}/program") == (PROGRAM, package.PROGRAM)
    assert f'STATE = "{STATE}"' in entry


def test_a_trial_begins_with_nothing() -> None:
    """The trial's environment has an empty HOME, no state, no AWS and no virtual environment of the one who tries."""
    before = {"PATH": "/clone/.venv/bin:/usr/bin", "HOME": "/root", "XDG_STATE_HOME": "/s", "AWS_PROFILE": "p"}
    after = fresh_environment(before | {"PYTHONPATH": "/clone", "PIP_INDEX_URL": "index", STATE: "/s"}, Path("/new"))
    assert after == {"PATH": "/usr/bin", "HOME": "/new", "PIP_INDEX_URL": "index"}

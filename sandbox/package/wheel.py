"""What the wheel holds: hooks of hatchling that collect it from the repository, as a clone has it.

The function is the one that `sam build` and `tools.package` have made in `.aws-sam/sandbox`: the files that ship, for
this machine. Its folders of code become archives: an installation neither unpacks nor compiles a thousand files.
"""

import re
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

ROOT = Path(__file__).parents[2]
BUILD = ".aws-sam/sandbox"
PROGRAM = "wechat_payscore_sandbox/program"
GROUP = "sandbox"  # of the repository's pyproject.toml

FOLDERS = ("sandbox", "ops", "functions", "layers/wechatpay/python/wechatpay", "events", "docs/operate")
"""What of the repository the program needs; `docs/operate` are the pages that its advice names."""

LEFT_OUT: Mapping[str, str] = {
    "sandbox/package": "makes the package",
    "sandbox/sam_local": "needs SAM and the repository's build",
    "sandbox/dynamodb_local.py": "for the repository's tests",
    "sandbox/npm_package.py": "for the repository's tests",
    "sandbox/Loopback.java": "for the repository's tests",
    "functions/orders/models": "read by the function alone, which has them",
    "functions/requirements.txt": "installed by `sam build`",
    "layers/wechatpay/python/requirements.txt": "installed by `sam build`",
}
"""What is left out of these folders, each with its reason."""

FIRST_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that an archive can have: the same files make the same archive


class Package(BuildHookInterface):  # type: ignore[type-arg]  # hatchling's own parameter is its configuration
    """Adds the program to the wheel, and tags the wheel with the system that the function's binaries need."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Collect the files; called by hatchling before it writes the wheel."""
        build = ROOT / BUILD
        if not (build / "template.yaml").is_file():
            raise SystemExit(f"{BUILD} is missing: run `make sandbox-package`, which builds the function first")
        build_data["pure_python"] = False
        build_data["tag"] = f"cp313-none-{platform_of(build)}"
        files = {**sources(ROOT), **function_files(build, Path(self.directory) / "function")}
        build_data["force_include"] |= {str(path): f"{PROGRAM}/{name}" for name, path in files.items()}


class Dependencies(MetadataHookInterface):
    """Takes the dependencies from the repository's one list of versions."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add them to the metadata; called by hatchling."""
        groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
        metadata["dependencies"] = sorted(pins(groups, GROUP))


def pins(groups: Mapping[str, Any], group: str) -> Iterator[str]:
    """Yield the pins of a group, with those of the groups that it includes."""
    for entry in groups[group]:
        if isinstance(entry, str):
            yield entry
        else:
            yield from pins(groups, entry["include-group"])


def sources(root: Path) -> dict[str, Path]:
    """Return the files of the program but for the function, by their names in the program."""
    paths = (path for folder in FOLDERS for path in sorted((root / folder).rglob("*")) if path.is_file())
    by_name = {path.relative_to(root).as_posix(): path for path in paths}
    return {name: path for name, path in by_name.items() if "__pycache__" not in path.parts and not _is_left_out(name)}


def _is_left_out(name: str) -> bool:
    return any(name == left_out or name.startswith(f"{left_out}/") for left_out in LEFT_OUT)


def function_files(build: Path, folder: Path) -> dict[str, Path]:
    """Write the built template and an archive of each folder of code to `folder`; return them by their names."""
    folder.mkdir(parents=True, exist_ok=True)
    text = (build / "template.yaml").read_text(encoding="utf-8")
    codes = re.findall(r"^ +(?:CodeUri|ContentUri): (\w+)$", text, re.MULTILINE)
    template = re.sub(r"^( +(?:CodeUri|ContentUri): \w+)$", r"\1.zip", text, flags=re.MULTILINE)
    (folder / "template.yaml").write_text(template, encoding="utf-8")
    for code in codes:
        write_archive(build / code, folder / f"{code}.zip")
    return {f"{BUILD}/{name}": folder / name for name in ("template.yaml", *(f"{code}.zip" for code in codes))}


def write_archive(code: Path, archive: Path) -> None:
    """Write the files of a folder to an archive, without their times."""
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(path for path in code.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(code).as_posix(), FIRST_DATE)
            entry.external_attr = 0o644 << 16
            file.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)


def platform_of(build: Path) -> str:
    """Return the oldest system that the binaries of a build run on, such as `manylinux_2_34_x86_64`."""
    texts = (path.read_text(encoding="utf-8") for path in build.rglob("*.dist-info/WHEEL"))
    needs = [re.findall(r"^Tag: .*-manylinux_(\d+)_(\d+)_(\w+)$", text, re.MULTILINE) for text in texts]
    oldest = [min((int(major), int(minor), machine) for major, minor, machine in need) for need in needs if need]
    if not oldest:
        raise SystemExit(f"{BUILD} has no binaries for Linux: build the package on Linux")
    return "manylinux_{}_{}_{}".format(*max(oldest))

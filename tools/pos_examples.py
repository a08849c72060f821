"""`make pos-examples`: fetch the SDKs that the examples of docs/integrating-a-pos.md use, for their tests.

Python's is here already, Java's example needs none. What cannot be fetched is skipped, with the reason.
"""

import shutil
import sys
from pathlib import Path

from tools.interop.installation import InstallationError, UnavailableError, install

FOLDER = Path(__file__).parents[1] / ".pos-examples"
NODE_MODULES = FOLDER / "node/node_modules"
GO = FOLDER / "go"
NODE_SDK = "@aws-sdk/client-eventbridge@3.1169.0"
GO_MODULES = ("github.com/aws/aws-sdk-go-v2/config@v1.29.13", "github.com/aws/aws-sdk-go-v2/service/sqs@v1.38.4")


def main() -> int:
    """Fetch both; print one line for each."""
    for name, fetch in {"Node.js": _node, "Go": _go}.items():
        print(f"{name}: {fetch()}", flush=True)
    return 0


def _node() -> str:
    if NODE_MODULES.is_dir():
        return "the SDK is here"
    if missing := [name for name in ("node", "npm") if shutil.which(name) is None]:
        return f"skipped: {' and '.join(missing)} not on PATH"
    directory = NODE_MODULES.parent
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "package.json").write_text('{"private": true}')  # without it npm uses a project in a parent folder
    npm = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1", NODE_SDK]
    return _fetch("npm's registry", npm, directory)


def _go() -> str:
    if (GO / "go.sum").exists():
        return "the SDK is here"
    if shutil.which("go") is None:
        return "skipped: go is not on PATH"
    shutil.rmtree(GO, ignore_errors=True)
    GO.mkdir(parents=True)
    module = _fetch("go", ["go", "mod", "init", "example"], GO)
    return _fetch("Go's module proxy", ["go", "get", *GO_MODULES], GO) if module == "fetched" else module


def _fetch(source: str, command: list[str], directory: Path) -> str:
    try:
        install(source, command, directory)
    except (UnavailableError, InstallationError) as error:
        return f"skipped: {error}"
    return "fetched"


if __name__ == "__main__":
    sys.exit(main())

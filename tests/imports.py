"""The imports of modules, read from their source: what the tests of the architecture rest on."""

import ast
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path


def modules(package: Path, base: Path) -> dict[str, Path]:
    """Return the files of a package by the names of their modules, which begin below `base`."""
    return {
        ".".join(path.relative_to(base).with_suffix("").parts).removesuffix(".__init__"): path
        for path in sorted(package.rglob("*.py"))
    }


def imports(path: Path, names: Collection[str]) -> Iterator[str]:
    """Yield all modules that a file imports, anywhere in it, type-checking blocks included.

    `from package import name` is the module `package.name` if that is one of `names`, otherwise `package`.
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports with the name of their package"
            module = node.module or ""
            members = {f"{module}.{alias.name}" for alias in node.names}
            yield from (member if member in names else module for member in members)


def graph(files: Mapping[str, Path]) -> dict[str, set[str]]:
    """Return which of these modules each of them imports; a package's own names are not its imports."""
    return {name: {one for one in imports(path, files) if one in files and one != name} for name, path in files.items()}

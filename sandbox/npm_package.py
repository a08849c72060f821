"""Fetch one package from npm's registry, unless it is not the one that is pinned; nothing of it is run."""

import base64
import hashlib
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def unpacked(package: str, integrity: str) -> Iterator[Path]:
    """Yield the folder of a package, `name@version`, for the length of the block.

    Raise RuntimeError unless its SHA-512 is `integrity`, in base64 as npm's lock files have it.
    """
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run(["npm", "pack", "--silent", package], cwd=directory, check=True, stdout=subprocess.DEVNULL)
        [archive] = Path(directory).glob("*.tgz")
        digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        if digest != integrity:
            raise RuntimeError(f"{package} is not what was pinned: its SHA-512 is {digest}")
        with tarfile.open(archive) as files:
            files.extractall(directory, filter="data")
        yield Path(directory) / "package"

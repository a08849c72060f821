"""axe-core, the checker of accessibility that the tests of the sandbox's console run: `python -m tools.axe` fetches it.

Its licence is MPL-2.0. It lies in an ignored folder and is no part of the repository.
"""

import shutil
import sys
from pathlib import Path

from sandbox.npm_package import unpacked

PACKAGE = "axe-core@4.14.1"
INTEGRITY = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="  # SHA-512
SCRIPT = Path(__file__).parents[1] / ".axe/axe.min.js"


def missing() -> str:
    """Return what is missing to run it, and the remedy; empty where nothing is."""
    return "" if SCRIPT.is_file() else "axe-core is not here: `make axe` fetches it (npm)"


def fetch() -> None:
    """Fetch it, unless it is here; raise RuntimeError unless it is the one that is pinned."""
    if missing():
        with unpacked(PACKAGE, INTEGRITY) as package:
            SCRIPT.parent.mkdir(exist_ok=True)
            shutil.move(package / SCRIPT.name, SCRIPT)


if __name__ == "__main__":
    if shutil.which("npm") is None:
        print("skipped: axe-core needs npm (npm)")
        sys.exit(0)
    fetch()
    print(missing() or f"axe-core is in {SCRIPT.parent.name}/")

"""Print what the sandbox's wheel holds: `python -m tools.sandbox_package_contents WHEEL`."""

import sys
import zipfile
from collections import Counter
from pathlib import Path

DEPTH = 3  # folders of a name that tell one part of the program from another


def report(wheel: Path) -> str:
    """Return the wheel's name and size, and of each part the number of files and their size, the largest first."""
    sizes, counts = Counter[str](), Counter[str]()
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            part = "/".join(entry.filename.split("/")[:-1][:DEPTH])
            sizes[part] += entry.file_size
            counts[part] += 1
    lines = [f"{counts[part]:6}  {_megabytes(size)}  {part}" for part, size in sizes.most_common()]
    head = f"{wheel.name}: {_megabytes(wheel.stat().st_size).strip()}, {counts.total()} files"
    return "\n".join([head, " files  unpacked", *lines])


def _megabytes(size: int) -> str:
    return f"{size / 1e6:5.1f} MB"


if __name__ == "__main__":
    print(report(Path(sys.argv[1])))

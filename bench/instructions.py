"""How much code an order touches: bytecode instructions of CPython, by package, in warm batches.

`python -m bench.instructions` counts them with `sys.monitoring` (PEP 669). Unlike a time, the number is the same on
every machine that runs this version of Python, so a test can hold it. C code is not in it, such as a signature.
"""

import sys
from collections import Counter
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import CodeType
from typing import Any

from bench import in_the_build

SHOWN = 15  # packages; the others are one line


def measure(batches: Sequence[Sequence[object]], warm: int) -> dict[str, float]:
    """Return the instructions of an order by package, the most first, and of the whole."""
    handler: Any = import_module("orders.handler")
    recorder: Any = import_module("orders.recorder")
    recorder.GATHERING = 60.0  # each batch has one write, however slow the counting makes it
    counts: Counter[CodeType] = Counter()
    for number, records in enumerate(batches, warm - len(batches)):
        if number == 0:
            _count(counts)
        handler.lambda_handler({"Records": records}, in_the_build.Context())
    sys.monitoring.set_events(sys.monitoring.PROFILER_ID, 0)
    packages: Counter[str] = Counter()
    for code, number in counts.items():
        packages[_package(code)] += number
    orders = warm * len(batches[0])
    first = dict(packages.most_common(SHOWN))
    rest = packages.total() - sum(first.values())
    return {name: n / orders for name, n in {**first, "others": rest, "the whole": packages.total()}.items()}


def _count(counts: Counter[CodeType]) -> None:
    """Count from now on, in every thread."""

    def count(code: CodeType, _offset: int) -> None:
        counts[code] += 1

    monitoring = sys.monitoring
    monitoring.use_tool_id(monitoring.PROFILER_ID, "bench.instructions")
    monitoring.register_callback(monitoring.PROFILER_ID, monitoring.events.INSTRUCTION, count)
    monitoring.set_events(monitoring.PROFILER_ID, monitoring.events.INSTRUCTION)


def _package(code: CodeType) -> str:
    """Return the package or the module at the top that code belongs to."""
    file = Path(code.co_filename)
    roots = [Path(entry) for entry in sys.path if entry and file.is_relative_to(entry)]
    if not roots:
        return "code made at run time"
    return file.relative_to(max(roots, key=lambda root: len(root.parts))).parts[0].removesuffix(".py")


if __name__ == "__main__":
    sys.exit(in_the_build.main("bench.instructions", measure, ["package", "instructions"], warm=5))

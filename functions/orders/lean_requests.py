"""requests, imported without what this function never uses of it: 4 % of a cold start.

requests 2.34.2 takes charset_normalizer to guess the encoding of texts, which no call here asks for, and warns where
there is none; urllib3 2.8.0, http2/__init__.py, takes importlib.metadata for the version of h2, which is asked for once
HTTP/2 is switched on. `tests/orders/test_lean_requests.py` fails where they import more than that.
"""

import importlib
import sys
import warnings
from types import ModuleType
from typing import Any


def _version(name: str) -> str:
    return str(importlib.import_module("importlib.metadata").version(name))


def import_requests() -> None:
    """Import requests, unless a program has it already; what is left out can be imported afterwards."""
    if "requests" in sys.modules:
        return
    metadata = ModuleType("importlib.metadata")
    metadata.__dict__["version"] = _version
    stubs: dict[str, Any] = {"chardet": None, "charset_normalizer": None, "importlib.metadata": metadata}
    stubs = {name: stub for name, stub in stubs.items() if name not in sys.modules}
    sys.modules.update(stubs)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Unable to find acceptable character detection dependency")
            importlib.import_module("requests")
    finally:
        for name in stubs:
            del sys.modules[name]

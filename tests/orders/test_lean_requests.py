"""requests, imported without what it only looks at: it works as ever, and what was left out can be had afterwards."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import requests
import urllib3

PROGRAM = """
import sys
from orders.lean_requests import import_requests
import_requests()
left_out = {"charset_normalizer", "importlib.metadata"} & sys.modules.keys()
assert not left_out, left_out
import requests
answer = requests.Response()
answer._content = "充电宝".encode()
assert (answer.apparent_encoding, answer.text) == ("utf-8", "充电宝")
"""
AFTERWARDS = {
    "charset_normalizer": "import charset_normalizer; assert charset_normalizer.detect(b'abc')['encoding']",
    "importlib.metadata": "import importlib.metadata; assert importlib.metadata.version('requests')",
    "the version of h2": "import urllib3.http2; assert urllib3.http2.version('requests')",
}


@pytest.mark.parametrize("afterwards", AFTERWARDS.values(), ids=AFTERWARDS)
def test_requests_is_imported_without_what_it_only_looks_at(afterwards: str) -> None:
    """Nothing is log, an answer is read without a guess, and what was left out can be imported afterwards."""
    run = subprocess.run([sys.executable, "-c", PROGRAM + afterwards], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")


def test_a_program_that_has_requests_keeps_it() -> None:
    """Where requests is imported already, nothing happens."""
    program = "import requests; from orders.lean_requests import import_requests; import_requests(); requests.compat"
    subprocess.run([sys.executable, "-c", f"{program}.chardet.detect(b'')"], check=True)


def test_requests_and_urllib3_look_at_nothing_else() -> None:
    """The pinned requests asks for its detector in two files, and urllib3 asks importlib.metadata for one function."""
    folders = [Path(str(module.__file__)).parent for module in (requests, urllib3)]
    sources = {path: path.read_text(encoding="utf-8") for folder in folders for path in folder.rglob("*.py")}
    detectors = {
        path.name for path, text in sources.items() if re.search(r"import.*(chardet|charset_normalizer)", text)
    }
    assert detectors == {"__init__.py", "help.py", "packages.py"} | {"models.py"} & detectors
    lines = [line for text in sources.values() for line in text.splitlines() if "importlib.metadata" in line]
    assert lines == ["from importlib.metadata import version"]

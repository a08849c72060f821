"""Plain technical English, and names that say what a thing is. The lists are the rule; docs/glossary.md has the terms.

Text is what a person reads: comments, docstrings, messages, documents. Names are variables, arguments and functions.
"""

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

WORDS = {
    r"he|him|his|himself|she|her|hers|herself": "it or they: a merchant, a customer, an operator has no gender",
    r"nobody|somebody|anybody|everybody|whoever|whomever": "name who: the operator, a caller, another environment",
    r"lest|anew|whence|thence|thereof|hitherto|heretofore": "plain words: so that not, again, from where",
    r"besides?": "next to, in the background, in addition",
    r"reckon(?:s|ed|ing|ings)?": "estimate, compute, count",
    r"deeds?|fates?": "name the event: a call, a write, an outcome",
    r"(?<!Little's )law": "the rules (orders/rules.py), property tests",
    r"witness(?:es)?": "interop: another client",
    r"corridor": "end to end",
    r"strangers?|stranger's": "an unknown caller, untrusted text, a new user",
    r"(?<!batch )processors?": "CPU, or architecture",
    r"\d+ signs": "characters",
}
NAMES = re.compile(
    r"_*(?:answered|asked|awaited|begun|chosen|deed|drawn|ended|found|given|gone|heard|held|kept|known|left|listed"
    r"|logged|lost|made|meant|met|named|noted|prepared|reckoned|said|seen|settled|shown|spoken|struck|taken|told"
    r"|wanted)_*"
)
PUBLIC = frozenset({"answered"})
"""Names that a contract has."""

UNREAD = ("LICENSE", "NOTICE", "vectors/", ".lock", "requirements.txt", ".json", ".svg", "test_words.py", "zh-CN")
_FORBIDDEN = re.compile("|".join(rf"\b(?:{words})\b" for words in WORDS), re.IGNORECASE)


def _tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True)
    files = [name for name in listed.stdout.decode().split("\n") if name and (ROOT / name).is_file()]
    return [name for name in files if not any(part in name for part in UNREAD)]


FILES = _tracked()
_TEXTS = {tokenize.COMMENT, tokenize.STRING, tokenize.FSTRING_MIDDLE}


def _prose(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines that a person reads, with their numbers: of Python, comments and strings."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield from enumerate(text.splitlines(), start=1)
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in _TEXTS:
            for offset, line in enumerate(token.string.splitlines()):
                yield token.start[0] + offset, line


def _names(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the variables, arguments and functions that a file names."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                yield node.lineno, name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield node.lineno, name
            case _:
                pass


@pytest.mark.parametrize("name", FILES)
def test_text_is_plain_technical_english(name: str) -> None:
    """A reader finds the word that they search for; the list says what to write in place of each word."""
    try:
        lines = list(_prose(ROOT / name))
    except UnicodeDecodeError:
        pytest.skip("not text")
    assert [f"{number}: {word}" for number, line in lines for word in _FORBIDDEN.findall(line)] == []


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".py")])
def test_names_are_nouns_and_verbs(name: str) -> None:
    """A bare participle does not say what was found, given or told."""
    bare = [(line, word) for line, word in _names(ROOT / name) if NAMES.fullmatch(word) and word not in PUBLIC]
    assert bare == []


def test_a_forbidden_word_is_found_where_it_stands() -> None:
    """The guard itself: a word in a sentence counts, a part of another word does not."""
    assert _FORBIDDEN.findall("Nobody reckons with the others") == ["Nobody", "reckons"]

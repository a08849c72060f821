"""Plain technical English, and names that say what a thing is: the tables of docs/glossary.md are the rule.

Text is what a person reads: comments, docstrings, messages, documents. Names are variables, arguments and functions.
"""

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GLOSSARY = "docs/glossary.md"
SECTIONS = dict(
    re.findall(r"^## (.+)\n((?:(?!^## ).*\n)*)", (ROOT / GLOSSARY).read_text(encoding="utf-8"), re.MULTILINE)
)
TERMS, NOT_WORDS, NOT_NAMES = (
    ("WeChat Pay", "AWS", "This system"),
    "Words that we do not use",
    "Names that say nothing",
)

STANDARD = frozenset({"background", "CPU", "idempotent", "exponential backoff", "jitter", "characters", "cold start"})
"""Terms that a reader searches for; none of them may drop out of the glossary again."""

PUBLIC = frozenset({"answered", "held"})
"""Names that a contract has."""

FORMER = dict.fromkeys(("Makefile", "CHANGELOG.md"), frozenset({"law", "witnesses", "reckonings"}))
"""Former names of targets, which stay as aliases until the next release."""

PROPER = re.compile(r"Little's law|batch processor", re.IGNORECASE)
"""Proper names of others' things, in which a word of the list may stand."""

UNREAD = (
    "LICENSE",
    "NOTICE",
    "vectors/",
    ".lock",
    "requirements.txt",
    ".json",
    ".svg",
    ".png",
    ".min.js",
    "test_words.py",
    "zh-CN",
)


def _rows(section: str) -> list[list[str]]:
    """Return the cells of a section's table, without its head."""
    rows = re.findall(r"^\| (.*) \|$", SECTIONS[section], re.MULTILINE)
    return [row.split(" | ") for row in rows[1:]]


def _refused(section: str) -> list[str]:
    """Return the words in the first column of a table of words that are not used."""
    return [word for first, _ in _rows(section) for word in re.findall(r"`([^`]+)`", first)]


def _pattern(words: list[str]) -> str:
    return "|".join(re.escape(word).replace(r"N\ ", r"\d+\ ") for word in words)


_FORBIDDEN = re.compile(rf"(?<! -)\b(?:{_pattern(_refused(NOT_WORDS))})\b", re.IGNORECASE)  # not `grep -hE`
_BARE = re.compile(rf"_*(?:{_pattern(_refused(NOT_NAMES))})_*")


def _tracked() -> list[str]:
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    files = [name for name in output.split("\n") if name and (ROOT / name).is_file()]
    return [name for name in files if not any(part in name for part in UNREAD)]


FILES = _tracked()
_TEXTS = {tokenize.COMMENT, tokenize.STRING, tokenize.FSTRING_MIDDLE}


def _text(name: str) -> str:
    """Return a file's text; of the glossary the part before the words that it refuses."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return text.partition(f"## {NOT_WORDS}")[0] if name == GLOSSARY else text


def _prose(name: str) -> Iterator[tuple[int, str]]:
    """Yield the lines that a person reads, with their numbers: of Python, comments and strings."""
    text = _text(name)
    if not name.endswith(".py"):
        yield from enumerate(text.splitlines(), start=1)
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in _TEXTS:
            for offset, line in enumerate(token.string.splitlines()):
                yield token.start[0] + offset, line


def _names(name: str) -> Iterator[tuple[int, str]]:
    """Yield the variables, arguments and functions that a file names."""
    for node in ast.walk(ast.parse(_text(name))):
        match node:
            case ast.Name(id=word, ctx=ast.Store()) | ast.arg(arg=word):
                yield node.lineno, word
            case ast.FunctionDef(name=word) | ast.AsyncFunctionDef(name=word):
                yield node.lineno, word
            case _:
                pass


def _refused_in(line: str) -> list[str]:
    words: list[str] = _FORBIDDEN.findall(PROPER.sub("", line))
    return words


@pytest.mark.parametrize("name", FILES)
def test_text_is_plain_technical_english(name: str) -> None:
    """No comment, docstring, message or document has a word that the glossary refuses."""
    try:
        lines = list(_prose(name))
    except UnicodeDecodeError:
        pytest.skip("not text")
    words = [(number, word) for number, line in lines for word in _refused_in(line)]
    assert [f"{number}: {word}" for number, word in words if word not in FORMER.get(name, ())] == []


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".py")])
def test_names_are_nouns_and_verbs(name: str) -> None:
    """No variable, argument or function is named by a bare participle that the glossary refuses."""
    assert [(line, word) for line, word in _names(name) if _BARE.fullmatch(word) and word not in PUBLIC] == []


@cache
def _corpus() -> str:
    """Return the text of what ships and of the pages, the glossary excepted."""
    shipped = ("functions/", "layers/", "docs/", "events/", "template.yaml", "README.md")
    names = [name for name in FILES if name.startswith(shipped) and name != GLOSSARY]
    return " ".join(" ".join(_text(name).split()) for name in names if name.endswith((".py", ".md", ".yaml"))).lower()


@pytest.mark.parametrize("section", TERMS)
def test_every_term_of_the_glossary_is_in_use(section: str) -> None:
    """A term that stands in the glossary occurs in shipped source, the template or a page."""
    terms = [term for first, _, _ in _rows(section) for term in first.split(", ")]
    assert [term for term in terms if not re.search(rf"\b{re.escape(term.lower())}", _corpus())] == []


def test_the_glossary_has_the_terms_that_a_reader_searches_for() -> None:
    """Standard terms of the trade have a row each, with a Chinese term and a meaning."""
    rows = [row for section in TERMS for row in _rows(section)]
    assert all(len(row) == 3 and all(row) for row in rows)
    assert {term for first, _, _ in rows for term in first.split(", ")} >= STANDARD


def test_the_glossary_refuses_words_and_names() -> None:
    """A word in a sentence counts, a part of another word and a proper name do not; each has a replacement."""
    assert _refused_in("Nobody reckons with the others, by Little's law") == ["Nobody", "reckons"]
    assert _refused_in("20 signs, as a lawful neighbour said with grep -hE") == ["20 signs"]
    assert [bool(_BARE.fullmatch(name)) for name in ("told", "_found", "told_once")] == [True, True, False]
    assert all(replacement for section in (NOT_WORDS, NOT_NAMES) for _, replacement in _rows(section))

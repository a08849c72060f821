"""Every text of the console stands in the catalogues, in each language."""

import re
from pathlib import Path
from string import Formatter

import pytest

from sandbox.console import pages, texts
from sandbox.console.templates import ENVIRONMENT
from sandbox.console.templates import FOLDER as TEMPLATES
from sandbox.triggers import TRIGGERS
from sandbox.wechat_pay.faults import KINDS
from sandbox.wechat_pay.faults.registry import When
from sandbox.wechat_pay.switches import QUESTIONS
from sandbox.wechat_pay.verbs import VERBS

ENGLISH, CHINESE = (texts.catalogue(language).texts for language in texts.LANGUAGES)
DECLARATIONS = {"faults": KINDS, "triggers": TRIGGERS, "questions": QUESTIONS, "verbs": VERBS}
DECLARED = {f"{file}.{name}" for file, names in DECLARATIONS.items() for name in names}  # in English where declared
SOURCES = [*sorted(Path(texts.__file__).parent.rglob("*.py")), *sorted(TEMPLATES.glob("*.html"))]
TEMPLATE_FILES = sorted(TEMPLATES.glob("*.html"))


def test_the_languages_have_the_same_keys() -> None:
    """English and Chinese have the same texts; of what is declared elsewhere the English is there."""
    assert set(ENGLISH) == set(CHINESE) - DECLARED


def test_everything_that_is_declared_is_explained_in_chinese() -> None:
    """Each fault, trigger, switch and verb has its Chinese line, and no line is of one that is gone."""
    assert {key for key in CHINESE if key.partition(".")[0] in DECLARATIONS} == DECLARED


@pytest.mark.parametrize("key", sorted(ENGLISH))
def test_a_text_has_the_same_values_in_each_language(key: str) -> None:
    """A text names the same values in each language, is one line, and has no blanks around it."""
    values = [{name for _, name, _, _ in Formatter().parse(text[key]) if name} for text in (ENGLISH, CHINESE)]
    assert values[0] == values[1]
    for text in (ENGLISH[key], CHINESE[key]):
        assert text == " ".join(text.split()) != ""


def test_chinese_is_chinese() -> None:
    """A Chinese text has a Chinese character, unless it consists of names alone."""
    names = {key for key, text in CHINESE.items() if not re.search(r"[\u4e00-\u9fff]", text)}
    assert {CHINESE[key] for key in names} <= {
        "OrderQueue", "500 SYSTEM_ERROR", "{count} / {total}", *(ENGLISH.get(key, "") for key in names)
    }  # fmt: skip
    assert len(names) < 10


@pytest.mark.parametrize("path", TEMPLATE_FILES, ids=lambda path: path.name)
def test_no_template_has_words(path: Path) -> None:
    """What stands between the tags of a template, and in the attributes that are read out, comes from the catalogue."""
    text = re.sub(
        r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}|<!doctype html>", "", path.read_text(encoding="utf-8"), flags=re.DOTALL
    )
    between = re.sub(r"<[^>]*>|[\w-]+=\"[^\"]*\"", " ", text)  # a macro may consist of attributes
    attributes = re.findall(r'\s(?:aria-label|title|placeholder|alt)="([^"]*)"', text)
    assert re.findall(r"[^\W\d_]{2,}", between.replace("connection_refused", "") + " ".join(attributes)) == []


def _used() -> set[str]:
    """Return the keys that sources name, those that are put together by a prefix included."""
    source = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES)
    files = "|".join(sorted({key.partition(".")[0] for key in ENGLISH}))
    whole = set(re.findall(rf'"((?:{files})\.(?!html")\w+)"', source))
    prefixes = set(re.findall(rf'f?"((?:{files})\.\w*)(?:" ~|\{{)', source))
    titles = {f"{page.name}.title" for page in pages.PAGES}
    names = {f"switches.when_{when.name}" for when in When}
    return whole | titles | names | {key for key in ENGLISH for prefix in prefixes if key.startswith(prefix)}


def test_every_text_that_is_used_exists_and_every_text_is_used() -> None:
    """Pages and templates name texts that exist."""
    whole = {key for key in _used() if key not in DECLARED}
    assert {key for key in whole if not key.endswith(("_", "."))} - set(ENGLISH) == set()
    assert set(ENGLISH) - whole == set()


@pytest.mark.parametrize(
    ("accept", "language"),
    [
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-CN"),
        ("zh-TW", "zh-CN"),
        ("en-GB,en;q=0.9,zh;q=0.8", "en"),
        ("fr,zh;q=0.3,en;q=0.2", "zh-CN"),
        ("fr", "en"),
        ("en;q=0.1, zh;q=nonsense", "en"),
        ("*", "en"),
        (",;q=1,", "en"),
    ],
)
def test_a_browsers_language_is_taken(accept: str, language: str) -> None:
    """The language is the one of ours that the browser weighs highest; without one it is English."""
    assert texts.preferred(accept) == language


def test_templates_escape_and_refuse_what_is_not_defined() -> None:
    """Every value is escaped, and an undefined name is an error."""
    assert ENVIRONMENT.autoescape is True
    rendering = ENVIRONMENT.from_string("{{ text }}").render(text="<script>")
    assert rendering == "&lt;script&gt;"
    with pytest.raises(Exception, match="undefined"):
        ENVIRONMENT.from_string("{{ nothing }}").render()

"""A Chinese page says what its English page says: the same parts, commands, tables, names and links."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CHINESE = ROOT / "docs/zh-CN"
DEVELOPERS = ("integrating-a-pos.md",)  # a page of docs itself, not of docs/operate


def _english(page: Path) -> str:
    name = str(page.relative_to(CHINESE))
    return f"docs/{name}" if name in DEVELOPERS else f"docs/operate/{name}"


PAIRS = {"README.md": "README.zh-CN.md"} | {
    _english(page): str(page.relative_to(ROOT)) for page in sorted(CHINESE.rglob("*.md"))
}


def _pages(english: str) -> tuple[str, str]:
    return tuple((ROOT / name).read_text(encoding="utf-8") for name in (english, PAIRS[english]))  # type: ignore[return-value]  # a pair


def _headings(text: str) -> list[str]:
    """Return the level of each heading, and the alarm or the reasons that it names."""
    names = re.findall(r"^(#+) (\w+Alarm\b|[A-Z_]{4,}(?:, [A-Z_]+)*$)?", _FENCED.sub("", text), re.MULTILINE)
    return [f"{level} {name}" for level, name in names]


_FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_INDENTED = re.compile(r"^ {4,}\S.*$(?:\n {4,}\S.*$)*", re.MULTILINE)


def _blocks(text: str) -> list[str]:
    """Return the blocks of code, without their comments; of JSON its keys: placeholders are translated."""
    fenced, indented = _FENCED.findall(text), _INDENTED.findall(_FENCED.sub("", text))
    return [_bare(block) for block in fenced + indented]


def _prose(text: str) -> str:
    """Return the text outside blocks, as one line."""
    return re.sub(r"\s+", " ", _INDENTED.sub("", _FENCED.sub("", text)))


def _bare(block: str) -> str:
    if block.startswith("```json"):
        return " ".join(re.findall(r'"(\w+)":', block))
    return re.sub(r" {2,}# .*", "", block)


def _tables(text: str) -> list[list[tuple[str, ...]]]:
    """Return the tables: of each row the words in backticks, in their order, and the number of cells."""
    tables = re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    return [[(str(len(re.findall(r"(?<!\\)\|", row))), *_words(row)) for row in table.splitlines()] for table in tables]


def _words(text: str) -> list[str]:
    """Return the names in backticks, sorted: another language has another order."""
    return sorted(re.findall(r"`([^`]+)`", text))


def _links(text: str, page: str) -> list[Path]:
    """Return the files that a page links to, apart from its own translation; a translation links to translations."""
    names = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)  # headings are translated, so their names are not compared
    targets = [((ROOT / page).parent / name).resolve() for name in names]
    english = {(ROOT / chinese).resolve(): (ROOT / name).resolve() for name, chinese in PAIRS.items()}
    return [english.get(target, target) for target in targets]


@pytest.mark.parametrize("page", PAIRS)
def test_a_translation_has_the_same_parts(page: str) -> None:
    """Each heading has its counterpart, in the same order."""
    english, chinese = _pages(page)
    assert _headings(chinese) == _headings(english)


@pytest.mark.parametrize("page", PAIRS)
def test_a_translation_has_the_same_commands_and_outputs(page: str) -> None:
    """Blocks of code are the same but for comments and placeholders."""
    english, chinese = _pages(page)
    assert _blocks(english)
    assert _blocks(chinese) == _blocks(english)


@pytest.mark.parametrize("page", PAIRS)
def test_a_translation_has_the_same_tables(page: str) -> None:
    """Tables have the same rows, with the same fields, words and commands in each."""
    english, chinese = _pages(page)
    assert _tables(chinese) == _tables(english)


@pytest.mark.parametrize("page", PAIRS)
def test_a_translation_names_the_same_things(page: str) -> None:
    """Every name in backticks stands in both languages, as often."""
    english, chinese = _pages(page)
    assert _words(_prose(chinese)) == _words(_prose(english))


@pytest.mark.parametrize("page", PAIRS)
def test_a_translation_leads_to_the_same_pages(page: str) -> None:
    """The links are the same; the first leads to the page in the other language."""
    (english, chinese), other = _pages(page), PAIRS[page]
    english_links, chinese_links = _links(english, page), _links(chinese, other)
    assert english_links[0] == chinese_links[0] == (ROOT / page).resolve()
    assert sorted(chinese_links) == sorted(english_links)


@pytest.mark.parametrize("page", PAIRS)
def test_a_translation_has_the_same_figures(page: str) -> None:
    """Every amount, percentage and time in digits outside the blocks stands in both languages."""
    english, chinese = (
        set(re.findall(r"\$\d+(?:\.\d+)?|\d[\d,.]* (?:MB|ms|s|B)\b|\d[\d,.]* ×", text)) for text in _pages(page)
    )
    assert chinese == english

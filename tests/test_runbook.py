"""An operator finds a page for what an alarm or an order says: each alarm and reason has one, in both languages."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from notifications.endings import Reason, Trouble
from orders.dialogue import Action
from orders.order import Status
from orders.wechat.refusals import _CODES
from orders.wechat.verdicts import VERDICTS
from wechatpay.endpoints import ENDPOINTS

ROOT = Path(__file__).parents[1]
FUNCTION = ROOT / "functions/orders"
LANGUAGES = ("docs/operate", "docs/zh-CN")
ALARMS = re.findall(r"^  (\w+Alarm):$", (ROOT / "template.yaml").read_text(encoding="utf-8"), re.MULTILINE)
PARTS = {
    "docs/operate": ("**What is seen.**", "**Over when**", "**Escalate**"),
    "docs/zh-CN": ("**现象。**", "**结束标志：**", "**升级：**"),
}
"""What each page says, in this sequence, after what the word means and around causes and remedies."""


# ---- the words that the code can write -------------------------------------------------------------------------------

_WORD = re.compile(r"[A-Z][A-Z_]{2,}[A-Z]")
_WRITERS = {"reject": 0, "retry": 0, "Verdict": 1, "Judgement": 1, "_note": 0, "Letter": 2}
"""Functions and classes that take a reason, with its place among their arguments."""


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _literals(node: ast.AST) -> Iterator[str]:
    """Yield the words in an expression, those of both branches of a condition."""
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str) and _WORD.fullmatch(part.value):
            yield part.value


def _written(path: Path) -> Iterator[str]:
    """Yield the reasons that a module writes: constants of their own name, and arguments that are a reason."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=value)) if name == value:
                yield name
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            place = _WRITERS.get(_called(node))
            if place is not None and place < len(node.args):
                yield from _literals(node.args[place])
            for keyword in node.keywords:
                if keyword.arg == "reason":
                    yield from _literals(keyword.value)


def _reasons() -> set[str]:
    """Return every word that an item, a log line or a listed dead letter can have as its reason."""
    listings = [path for name in ("dead_letters.py", "reasons.py") for path in (ROOT / "ops").rglob(name)]
    modules = [*FUNCTION.rglob("*.py"), *listings]
    words = {word for path in modules for word in _written(path)}
    words |= {verdict.reason for verdict in VERDICTS.values() if verdict.reason}
    words |= {code for code, action in _CODES.items() if action is not Action.QUERY}
    words |= {*Reason.__members__, *Trouble.__members__}  # of the second function's log lines
    words |= {"INVALID_REQUEST"}  # a code with two meanings: about the HTTP request, or about the order's state
    words |= {f"MISSING_{name.upper()}" for endpoint in ENDPOINTS.values() for name in endpoint.required}
    return words - set(Status.__members__) - NO_REASONS


NO_REASONS = {"UNKNOWN"}
"""Words of the same form that are no reason: the outcome of an attempt in `history`."""

REASONS = sorted(_reasons())


def test_the_words_are_found_where_they_are_written() -> None:
    """Words of each kind are among those that were collected: of rules, tables, conditions, endpoints and listings."""
    kinds = {
        "RETRIES_EXHAUSTED",
        "REVOKED",
        "SIGN_ERROR",
        "CLOCK",
        "MISSING_SUB_MCHID",
        "UNREADABLE",
        "OTHER_PAID_TIME",
    }
    assert set(REASONS) >= kinds | {"CIRCUIT_OPEN", "PAID_TIME_AHEAD", "SECOND_REPORT", "NEVER_SETTLED", "NO_AUTH"}
    assert "ORDER_DONE" not in REASONS  # the order decides, not this code


# ---- their pages -----------------------------------------------------------------------------------------------------


def _page_of(language: str, word: str) -> Path | None:
    """Return the page with this reason in its title."""
    for page in (ROOT / language / "reasons").glob("*.md"):
        title = page.read_text(encoding="utf-8").partition("\n")[0]
        if word in title.removeprefix("# ").split(", "):
            return page
    return None


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("alarm", ALARMS)
def test_every_alarm_has_its_page(alarm: str, language: str) -> None:
    """An alarm of the template has a page of its name, and the runbook links to it."""
    page = ROOT / language / f"alarms/{alarm}.md"
    assert page.read_text(encoding="utf-8").startswith(f"# {alarm}")
    assert f"[{alarm}](alarms/{alarm}.md)" in (ROOT / language / "runbook.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("word", REASONS)
def test_every_reason_has_its_page(word: str, language: str) -> None:
    """A word that the code can write is in the title of a page, and the runbook links to it by this word."""
    page = _page_of(language, word)
    assert page is not None
    runbook = (ROOT / language / "runbook.md").read_text(encoding="utf-8")
    assert re.search(rf"\[(\w+, )*{word}(, \w+)*\]\(reasons/{page.name}\)", runbook)


PAGES = [
    str(page.relative_to(ROOT))
    for language in LANGUAGES
    for kind in ("alarms", "reasons")
    for page in sorted((ROOT / language / kind).glob("*.md"))
]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_its_parts(page: str) -> None:
    """A page has what is seen, a first command, causes with remedies, its end, and when to escalate; it is short."""
    text = (ROOT / page).read_text(encoding="utf-8")
    language = next(language for language in LANGUAGES if page.startswith(language))
    places = [text.index(part) for part in PARTS[language]]
    assert places == sorted(places)
    assert places[0] < text.index("\n    ") < places[1]
    assert re.search(r"^\|---\|", text, re.MULTILINE)
    assert len(text.splitlines()) <= 45


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_runbook_lists_every_page(language: str) -> None:
    """The index links to each page of an alarm and of a reason, once."""
    runbook = (ROOT / language / "runbook.md").read_text(encoding="utf-8")
    index = runbook.partition("\n## ")[2].partition("## Redrive\n")[0].partition("## 重新驱动\n")[0]
    links = re.findall(r"^\| \[[^]]+\]\(((?:alarms|reasons)/\w+\.md)\) \|", index, re.MULTILINE)
    pages = [page.removeprefix(f"{language}/") for page in PAGES if page.startswith(language)]
    assert sorted(links) == sorted(pages)


# ---- anchors and evidence --------------------------------------------------------------------------------------------


def _anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_heading_leads_to_it(page: Path) -> None:
    """A link with an anchor names a heading of the page that it leads to."""
    for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text(encoding="utf-8")):
        other = (page.parent / target).resolve() if target else page
        assert anchor in _anchors(other), f"{target}#{anchor}"


@pytest.mark.parametrize("name", ["production-readiness", "go-live"])
def test_every_row_of_a_checklist_has_its_proof(name: str) -> None:
    """Each row is held by a test or a file that exists, or says why it is not ours or not done."""
    rows = re.findall(
        r"^\| [^|]+ \| ([^|]+) \| (.+) \|$", (ROOT / f"docs/evidence/{name}.md").read_text("utf-8"), re.MULTILINE
    )
    rows = [(state, proof) for state, proof in rows if state != "state"]
    assert len(rows) >= 25
    for state, proof in rows:
        assert state in {"passes", "not ours", "not done", "refused"}, (state, proof)
        tests = re.findall(r"`([\w/]+\.py)::(\w+)`", proof)
        files: list[str] = re.findall(r"`([\w./-]+\.(?:py|md|yaml|yml|toml|json))`", proof)
        assert tests or files or state != "passes", proof
        for file, test in tests:
            assert f"def {test}(" in (ROOT / "tests" / file).read_text(encoding="utf-8"), f"{file}::{test}"
        for file in files:
            assert (ROOT / file).is_file(), file

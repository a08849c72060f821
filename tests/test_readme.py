"""The README and the other pages say what is true now."""

import ast
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from orders.event import FUTURE_LIMIT
from orders.order import Status
from sandbox.stories import STORIES
from sandbox.up import PLACE
from sandbox.wechat_pay import FAULTS
from sandbox.wechat_pay.control import VERBS

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not any(part.startswith(".") or part == "build" for part in path.relative_to(ROOT).parts)  # programs write these
)
HOMES = ("home", "root", "Users", "work")
REGISTRY = "index"
THIS_MACHINE = re.compile(rf"/(?:{'|'.join(HOMES)})/|--{REGISTRY}-url|files\.python(?:hosted)")
README = (ROOT / "README.md").read_text(encoding="utf-8")
DECISIONS = {int(page.name.partition("-")[0]): page for page in sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))}
SANDBOX = (ROOT / "sandbox/README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    """A link of a page leads to a file of this repository."""
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_make_exists(page: Path) -> None:
    """A `make` command on a page is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^    |`)make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE)) <= targets


def test_the_readme_opens_with_a_sentence_a_picture_a_command_and_its_output() -> None:
    """The README opens with a sentence, a picture, one command and its output, in this order."""
    sentence, picture = README.index("An AWS Lambda adapter for WeChat PayScore"), README.index("OrderQueue │ ───▶")
    command, output = README.index("    make demo"), README.index("ended as promised")
    assert sentence < picture < command < output < README.index("\n## ")


def test_the_output_in_the_readme_is_the_demos() -> None:
    """The output in the README has every story of the demo and the right count."""
    for story in STORIES:
        assert f"✓   {story.title}" in README
    assert f"{len(STORIES)} of {len(STORIES)} stories ended as promised" in README


def test_the_documents_in_the_readme_are_valid() -> None:
    """The payload in the README, and then the outcome, are valid under their own schemas."""
    blocks = re.findall(r"```json\n(.*?)```", README, re.DOTALL)
    payload, outcome = [json.loads(block) for block in blocks if "paid_time" in block]
    order_paid, outcome_event = (
        json.loads((ROOT / f"events/{name}.schema.json").read_text(encoding="utf-8"))
        for name in ("order_paid", "outcome")
    )
    Draft202012Validator(order_paid).validate(payload)
    Draft202012Validator(outcome_event["properties"]["detail"]).validate(outcome)


def test_the_readme_says_when_a_payment_may_have_been() -> None:
    """The README has both ends of `paid_time`'s window: WeChat Pay's, and the function's limit (doc 4012587962)."""
    [row] = re.findall(r"^\| `detail\.paid_time` \|.*$", README, re.MULTILINE)
    assert "After the shop's complete call" in row
    assert f"now + {FUTURE_LIMIT:.0f} s" in row


def test_the_readme_lists_every_status() -> None:
    """The README lists every status, with its meaning."""
    assert re.findall(r"^\| `([A-Z_]+)` \|", README, re.MULTILINE) == [status.value for status in Status]


def test_the_readme_lists_every_field_of_the_payload() -> None:
    """The README names every field that the schema has."""
    schema = json.loads((ROOT / "events/order_paid.schema.json").read_text(encoding="utf-8"))
    fields = [name for name in schema["properties"] if name != "detail"]
    fields += [f"detail.{name}" for name in schema["properties"]["detail"]["properties"]]
    assert [name for name in fields if f"`{name}`" not in README] == []


def test_the_sandboxs_page_lists_what_it_can_do() -> None:
    """The sandbox's page lists every fault, every verb and every port."""
    assert [name for name in sorted(FAULTS | VERBS) if f"`{name}`" not in SANDBOX] == []
    assert [port for port in (PLACE.aws, PLACE.wechat_pay, PLACE.backup) if str(port) not in SANDBOX] == []


def test_every_decision_is_half_a_page_with_what_was_refused() -> None:
    """A decision has forty lines at most, and names the options that were refused."""
    assert len(DECISIONS) >= 20
    for page in DECISIONS.values():
        text = page.read_text(encoding="utf-8")
        assert "**Refused**" in text, page.name
        assert len(text.splitlines()) <= 40, page.name


def _status(page: Path) -> list[str]:
    """Return the date, the status and the relations of a decision: its third line."""
    return page.read_text(encoding="utf-8").splitlines()[2].split(" · ")


def _related(page: Path, relation: str) -> set[int]:
    """Return the numbers of the decisions that a page links to by this relation."""
    parts = [part for part in _status(page)[1:] if part.startswith(f"{relation} ")]
    return {int(number) for part in parts for number in re.findall(r"\[(\d+)\]\(0?\1-", part)}


def test_the_index_lists_every_decision_with_its_date_and_status() -> None:
    """Number, title, date and status in the index are those of the page."""
    rows = []
    for number, page in DECISIONS.items():
        title = page.read_text(encoding="utf-8").splitlines()[0].removeprefix(f"# {number}. ")
        date, *parts = _status(page)
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", date), page.name
        own = [
            re.sub(r"\[(\d+)\]\([^)]*\)", r"\1", part)
            for part in parts
            if not part.startswith(("amends ", "supersedes "))
        ]
        assert re.match(r"accepted|superseded by", own[0]), page.name
        rows.append(f"| {number} | [{title}]({page.name}) | {date} | {'; '.join(own)} |")
    index = (ROOT / "docs/decisions/README.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| \d.*$", index, re.MULTILINE) == rows


@pytest.mark.parametrize(("relation", "inverse"), [("amends", "amended by"), ("supersedes", "superseded by")])
def test_a_decision_and_what_it_changes_link_to_each_other(relation: str, inverse: str) -> None:
    """Each of two related decisions names the other, and one that is amended says how."""
    pairs = {(number, other) for number, page in DECISIONS.items() for other in _related(page, relation)}
    assert pairs == {(other, number) for number, page in DECISIONS.items() for other in _related(page, inverse)}
    assert pairs
    for number, page in DECISIONS.items():
        if relation == "amends" and _related(page, inverse):
            assert "\nAmended: " in page.read_text(encoding="utf-8"), number


def test_the_index_of_the_pages_lists_every_page() -> None:
    """docs/README.md links to every page under docs, with a sentence; some folders have an index of their own.

    Decisions have one (above), alarms and reasons the runbook (tests/test_runbook.py).
    """
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    pages = {
        str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md") if "zh-CN" not in page.parts
    }
    links = set(re.findall(r"^- \[[^]]+\]\(([^)]+)\): \w.*\.$", index, re.MULTILINE))
    elsewhere = {page for page in pages if re.match(r"decisions/\d|operate/(alarms|reasons)/", page)}
    assert pages - elsewhere - {"README.md"} == {link for link in links if not link.startswith("../")}


def test_every_page_that_a_file_names_exists() -> None:
    """A comment, a description or a page that says `docs/….md` names a page of this repository."""
    output = subprocess.run(
        ["git", "grep", "-noE", r"docs/[a-z0-9/_-]+\.md"], cwd=ROOT, capture_output=True, check=True
    )
    places = output.stdout.decode().splitlines()
    assert [place for place in places if not (ROOT / place.rpartition(":")[2]).is_file()] == []


# ---- docs/architecture.md --------------------------------------------------------------------------------------------

ARCHITECTURE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
ANSWERS = re.findall(r"^\| ([^|]+\?) \| `([\w/.]+)`(.*) \|$", ARCHITECTURE, re.MULTILINE)


def _defined(tree: ast.Module | ast.ClassDef, prefix: str = "") -> Iterator[str]:
    """Yield the functions, classes and constants of a module, methods as `Class.method`."""
    for node in tree.body:
        match node:
            case ast.FunctionDef(name=name):
                yield prefix + name
            case ast.ClassDef(name=name):
                yield prefix + name
                yield from _defined(node, f"{prefix}{name}.")
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                yield prefix + name
            case _:
                pass


def test_twenty_questions_are_answered() -> None:
    """The page answers at least twenty questions of a new reader, each once."""
    questions = [question for question, _, _ in ANSWERS]
    assert len(questions) == len(set(questions)) >= 20


@pytest.mark.parametrize(("file", "names"), [answer[1:] for answer in ANSWERS], ids=[answer[0] for answer in ANSWERS])
def test_each_answer_names_what_exists(file: str, names: str) -> None:
    """The file of an answer exists, and defines the functions and constants that the answer names."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert set(re.findall(r"`([\w.]+)`", names)) <= set(_defined(tree))


@pytest.mark.parametrize("folder", ["functions/orders", "functions/notifications", "layers/wechatpay/python/wechatpay"])
def test_every_module_has_its_room_on_the_page(folder: str) -> None:
    """The tables of rooms list each module of the function and of the library, and no other."""
    [table] = re.findall(rf"^\| [^|]*`{folder}/` \| \|\n((?:\|.*\n)*)", ARCHITECTURE, re.MULTILINE)
    rooms = re.findall(r"`(\w+\.py)`", table)
    assert sorted(rooms) == sorted(path.name for path in (ROOT / folder).rglob("*.py") if path.name != "__init__.py")


def test_nothing_names_this_machine() -> None:
    """No path of a developer's machine and no registry's host in a page, a lock or a configuration."""
    files = [*PAGES, *ROOT.glob("requirements/*.lock"), *ROOT.glob("*.toml"), ROOT / "Makefile", ROOT / "template.yaml"]
    files += [*ROOT.glob("*/requirements.txt"), *ROOT.glob("layers/*/*/requirements.txt")]
    for path in files:
        assert not THIS_MACHINE.search(path.read_text(encoding="utf-8"))


def test_every_pain_of_the_users_is_held_by_a_test() -> None:
    """Rows 1 to 24 of docs/evidence/pains.md, each with the names of tests that exist."""
    rows = re.findall(
        r"^\| (\d+) \|.*\| (.*) \|$", (ROOT / "docs/evidence/pains.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert [int(number) for number, _ in rows] == list(range(1, 25))
    for number, cell in rows:
        tests = re.findall(r"`([\w/]+\.py)::(\w+)`", cell)
        assert tests, f"row {number} names no test"
        for file, test in tests:
            assert f"def {test}(" in (ROOT / "tests" / file).read_text(encoding="utf-8"), f"{file}::{test}"

"""The README and the other pages say what is true now."""

import json
import re
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
    path for path in ROOT.rglob("*.md") if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
)
README = (ROOT / "README.md").read_text(encoding="utf-8")
SANDBOX = (ROOT / "sandbox/README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    """To a file of this repository."""
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_make_exists(page: Path) -> None:
    """What a page tells to run is a target."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^    |`)make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE)) <= targets


def test_the_readme_opens_with_a_sentence_a_picture_a_command_and_its_output() -> None:
    """In this order, before anything else."""
    sentence, picture = README.index("Tells WeChat PayScore"), README.index("OrderQueue │ ───▶")
    command, output = README.index("    make demo"), README.index("ended as promised")
    assert sentence < picture < command < output < README.index("\n## ")


def test_the_output_in_the_readme_is_the_demos() -> None:
    """Every story is in it, and the count is right."""
    for story in STORIES:
        assert f"✓   {story.title}" in README
    assert f"{len(STORIES)} of {len(STORIES)} stories ended as promised" in README


def test_the_payload_in_the_readme_is_valid() -> None:
    """As its own schema has it."""
    schema = json.loads((ROOT / "events/order_paid.schema.json").read_text(encoding="utf-8"))
    [payload] = [
        json.loads(block) for block in re.findall(r"```json\n(.*?)```", README, re.DOTALL) if "paid_time" in block
    ]
    Draft202012Validator(schema).validate(payload)


def test_the_readme_says_when_a_payment_may_have_been() -> None:
    """Both ends of `paid_time`'s window: WeChat Pay's, and the function's own limit (doc 4012587962)."""
    [row] = re.findall(r"^\| `detail\.paid_time` \|.*$", README, re.MULTILINE)
    assert "After the shop's complete call" in row
    assert f"now + {FUTURE_LIMIT:.0f} s" in row


def test_the_readme_lists_every_status() -> None:
    """With its meaning."""
    assert re.findall(r"^\| `([A-Z_]+)` \|", README, re.MULTILINE) == [status.value for status in Status]


def test_the_readme_lists_every_field_of_the_payload() -> None:
    """That the schema has."""
    schema = json.loads((ROOT / "events/order_paid.schema.json").read_text(encoding="utf-8"))
    fields = [name for name in schema["properties"] if name != "detail"]
    fields += [f"detail.{name}" for name in schema["properties"]["detail"]["properties"]]
    assert [name for name in fields if f"`{name}`" not in README] == []


def test_the_sandboxs_page_lists_what_it_can_do() -> None:
    """Every fault, every verb, every port."""
    assert [name for name in sorted(FAULTS | VERBS) if f"`{name}`" not in SANDBOX] == []
    assert [port for port in (PLACE.aws, PLACE.wechat_pay, PLACE.backup) if str(port) not in SANDBOX] == []


def test_every_decision_is_half_a_page_with_what_was_refused() -> None:
    """Forty lines at most."""
    pages = sorted((ROOT / "docs/decisions").glob("*.md"))
    assert len(pages) >= 10
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert "**Refused**" in text, page.name
        assert len(text.splitlines()) <= 40, page.name


def test_nothing_names_this_machine() -> None:
    """No path of a developer's machine and no registry's host in a page, a lock or a configuration."""
    files = [*PAGES, *ROOT.glob("requirements/*.lock"), *ROOT.glob("*.toml"), ROOT / "Makefile", ROOT / "template.yaml"]
    files += [*ROOT.glob("*/requirements.txt"), *ROOT.glob("layers/*/*/requirements.txt")]
    for path in files:
        assert not re.search(
            r"/home/|/root/|/Users/|/work/|--index-url|files\.pythonhosted", path.read_text(encoding="utf-8")
        )


def test_every_pain_of_the_users_is_held_by_a_test() -> None:
    """Rows 1 to 24 of docs/pains.md, each with the names of tests that exist."""
    rows = re.findall(r"^\| (\d+) \|.*\| (.*) \|$", (ROOT / "docs/pains.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 25))
    for number, cell in rows:
        named = re.findall(r"`([\w/]+\.py)::(\w+)`", cell)
        assert named, f"row {number} names no test"
        for file, test in named:
            assert f"def {test}(" in (ROOT / "tests" / file).read_text(encoding="utf-8"), f"{file}::{test}"

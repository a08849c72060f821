"""The hooks of the embedded AWS's front: each is around the function that it names, or the start fails."""

import subprocess

import pytest

from sandbox.aws_front.journal import Journal
from sandbox.cloud import MINISTACK_PYTHON
from sandbox.testbed import ROOT

CODE = """
from sandbox.aws_front.hooks import HookError, around
try:
    around({home!r}, {name!r}, {parameters!r}, lambda original, *rest: original(*rest))
except HookError as error:
    print(error)
else:
    print("installed")
"""


@pytest.mark.parametrize(
    ("name", "parameters", "answer"),
    [
        ("_act_send_message", "data qurl", "installed"),
        ("_act_send_message", "data url", "has no function _act_send_message(data, url)"),
        ("_act_send", "data qurl", "adapt sandbox/aws_front to this version, or pin the former one"),
    ],
)
def test_a_function_that_has_moved_is_named(name: str, parameters: str, answer: str) -> None:
    """A hook around a function that MiniStack does not have, or has with other parameters, fails with its name."""
    code = CODE.format(home="sqs", name=name, parameters=parameters)
    run = subprocess.run([MINISTACK_PYTHON, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer in run.stdout


def test_the_journal_forgets_the_oldest() -> None:
    """The journal holds so many entries, says which is the first, and returns those after a number."""
    journal = Journal(capacity=3)
    for number in range(5):
        journal.write("kind", value=number)
    answer = journal.after(0)
    assert (answer["first"], answer["last"]) == (3, 5)
    assert [entry["n"] for entry in answer["entries"]] == [3, 4, 5]  # type: ignore[attr-defined]
    assert [entry["value"] for entry in journal.after(4)["entries"]] == [4]  # type: ignore[attr-defined]
    assert journal.after(9)["entries"] == []

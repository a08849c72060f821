"""The rule of repetition as a decision table over all its inputs, and as properties of every story that it allows."""

from collections.abc import Iterator
from itertools import product

import pytest

from wechatpay.retries import Backup, FailedTry, GiveUp, NextTry, Resend, next_try

MAIN, BACKUP = "main", "backup"
ANY = None

# The last try: sent, reused, answered, timed out. The call: a host is untried, an earlier try was sent, it may be
# executed twice. Then what follows. `ANY` stands for True and False.
type Row = tuple[tuple[bool | None, ...], NextTry]
TABLE: dict[str, Row] = {
    "nothing was sent, a host is left": ((False, ANY, ANY, ANY, True, ANY, ANY), Backup(BACKUP)),
    "nothing was ever sent, no host is left": ((False, ANY, ANY, ANY, False, False, ANY), GiveUp(sent=False)),
    "nothing was sent now but earlier, no host is left": ((False, ANY, ANY, ANY, False, True, ANY), GiveUp(sent=True)),
    "a kept connection was closed": ((True, True, False, False, ANY, False, True), Resend(MAIN)),
    "it was closed a second time": ((True, True, False, False, ANY, True, True), GiveUp(sent=True)),
    "it was closed, the call must not be executed twice": (
        (True, True, False, False, ANY, ANY, False),
        GiveUp(sent=True),
    ),
    "a fresh connection broke": ((True, False, ANY, ANY, ANY, ANY, ANY), GiveUp(sent=True)),
    "a kept connection began to answer": ((True, True, True, ANY, ANY, ANY, ANY), GiveUp(sent=True)),
    "a kept connection was silent until the time-out": ((True, True, False, True, ANY, ANY, ANY), GiveUp(sent=True)),
}
INPUTS = list(product([False, True], repeat=7))


def _matches(pattern: tuple[bool | None, ...], values: tuple[bool, ...]) -> bool:
    return all(expected is ANY or expected is value for expected, value in zip(pattern, values, strict=True))


@pytest.mark.parametrize("values", INPUTS, ids=lambda values: "".join("01"[value] for value in values))
def test_the_decision_table_covers_every_input_once(values: tuple[bool, ...]) -> None:
    """Each of the 128 combinations of evidence is decided by exactly one row of the table, and the rule agrees."""
    sent, reused, answered, timed_out, untried_host, sent_before, repeatable = values
    last = FailedTry(MAIN, sent, reused=reused, answered=answered, timed_out=timed_out)
    tries = [FailedTry(MAIN, sent=sent_before), last] if sent_before else [last]
    other = BACKUP if untried_host else MAIN
    (expected,) = [step for pattern, step in TABLE.values() if _matches(pattern, values)]
    assert next_try(tries, other=other, repeatable=repeatable) == expected


def _failures(host: str) -> Iterator[FailedTry]:
    """Yield every way in which a try can fail."""
    for sent, reused, answered, timed_out in product([False, True], repeat=4):
        yield FailedTry(host, sent, reused=reused, answered=answered, timed_out=timed_out)


type Story = tuple[list[FailedTry], list[NextTry]]


def _stories(
    tries: list[FailedTry], steps: list[NextTry], host: str, *, other: str, repeatable: bool
) -> Iterator[Story]:
    """Yield every sequence of failed tries that the rule allows, with its decisions."""
    for failed in _failures(host):
        step = next_try([*tries, failed], other=other, repeatable=repeatable)
        story = [*tries, failed], [*steps, step]
        if isinstance(step, GiveUp):
            yield story
        else:
            yield from _stories(*story, step.host, other=other, repeatable=repeatable)


STORIES = {
    (first, other, repeatable): list(_stories([], [], first, other=other, repeatable=repeatable))
    for first, other in [(MAIN, BACKUP), (BACKUP, MAIN), (MAIN, MAIN)]
    for repeatable in (False, True)
}


@pytest.mark.parametrize(("first", "other", "repeatable"), STORIES)
def test_every_story_keeps_the_promises_of_repetition(first: str, other: str, repeatable: bool) -> None:
    """These promises hold for every sequence of failed tries, whichever host is asked first.

    - At most one step to the other host, only where nothing left this machine, and never without a backup.
    - At most one repetition of a request that may have arrived, only of what may be executed twice.
    - Nothing follows a time-out or a byte of an answer of a request that was sent.
    - `sent` is True exactly if any try was sent.
    """
    for tries, steps in STORIES[first, other, repeatable]:
        assert [type(step) for step in steps].count(Backup) <= (first != other)
        assert [type(step) for step in steps].count(Resend) <= repeatable
        assert sum(failed.sent for failed in tries) <= 1 + repeatable
        assert steps[-1] == GiveUp(sent=any(failed.sent for failed in tries))
        for failed, step in zip(tries, steps, strict=True):
            match step:
                case Backup(host):
                    assert (host, failed.host, failed.sent) == (other, first, False)
                case Resend(host):
                    assert host == failed.host
                    assert (failed.sent, failed.reused, failed.answered, failed.timed_out) == (True, True, False, False)
                case GiveUp():
                    pass


def test_a_call_ends_after_three_tries_at_most() -> None:
    """A kept connection closes, the main host refuses, the backup fails: nothing follows."""
    lengths = {key: max(len(tries) for tries, _ in stories) for key, stories in STORIES.items()}
    assert lengths == {
        (MAIN, BACKUP, True): 3,
        (MAIN, BACKUP, False): 2,
        (BACKUP, MAIN, True): 3,
        (BACKUP, MAIN, False): 2,
        (MAIN, MAIN, True): 2,
        (MAIN, MAIN, False): 1,
    }


NOT_SENT = FailedTry(MAIN, sent=False)
CLOSED = FailedTry(MAIN, sent=True, reused=True)
# Sequences that are easy to get wrong, of a call that may be executed twice.
EXAMPLES: dict[str, tuple[list[FailedTry], NextTry]] = {
    "closed twice": ([CLOSED, CLOSED], GiveUp(sent=True)),
    "closed, then not connected": ([CLOSED, NOT_SENT], Backup(BACKUP)),
    "closed, then neither host connected": (
        [CLOSED, NOT_SENT, FailedTry(BACKUP, sent=False)],
        GiveUp(sent=True),
    ),
    "not connected, then the backup's kept connection closed": (
        [NOT_SENT, FailedTry(BACKUP, sent=True, reused=True)],
        Resend(BACKUP),
    ),
    "not connected, then the backup's connection closed twice": (
        [NOT_SENT, FailedTry(BACKUP, sent=True, reused=True), FailedTry(BACKUP, sent=True)],
        GiveUp(sent=True),
    ),
    "neither host connected": ([NOT_SENT, FailedTry(BACKUP, sent=False)], GiveUp(sent=False)),
}


@pytest.mark.parametrize(("tries", "step"), EXAMPLES.values(), ids=EXAMPLES)
def test_sequences_that_are_easy_to_get_wrong(tries: list[FailedTry], step: NextTry) -> None:
    """Two tries of one call are judged together: the backup is one more try, not a second call."""
    assert next_try(tries, other=BACKUP, repeatable=True) == step

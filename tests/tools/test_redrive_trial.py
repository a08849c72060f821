"""The short form of the trial: `python -m tools.redrive_trial` runs it with thousands of letters."""

from pathlib import Path

from sandbox.cloud import Cloud
from tools.redrive_trial import Trial, redrive


def test_a_selective_redrive_that_is_stopped_and_killed_loses_nothing(tmp_path: Path) -> None:
    """Of 240 letters of three causes those of one move, with Ctrl-C and SIGKILL in the middle; nothing is lost.

    At most the batch that SQS was taking when the program was killed is doubled, and the last run says so.
    """
    with Cloud.start(tmp_path) as cloud:
        trial = Trial(cloud, tmp_path, hold=5)
        trial.create()
        result = redrive(trial, 240)
    assert result.is_sound, result
    assert (result.selected, result.runs[1].status, result.runs[2].status) == (80, 130, -9)

"""Which alarm fires, and when: the page repeats the program, failing orders raise an alarm in time."""

import random
from pathlib import Path

import pytest

from bench import alarms, template
from bench.alarms import (
    FAILING,
    MINUTES_NEEDED,
    PATIENT,
    PROMISE,
    RECEIVES,
    WINDOW,
    attempts,
    first_alarm,
    partial,
    rows,
)
from tests.test_template import ALARMS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/operate/alarms.md").read_text(encoding="utf-8")


def test_the_page_shows_what_the_program_computes() -> None:
    """A changed wait or threshold changes the page."""
    assert alarms.table() in PAGE
    assert alarms.notifications_table() in PAGE


def test_every_alarm_has_a_row() -> None:
    """Each alarm of the template fires for something, and no row names an alarm that does not exist."""
    assert {alarm for row in rows() for alarm in row.alarms} == ALARMS.keys()


@pytest.mark.parametrize("name", FAILING)
def test_orders_that_keep_failing_raise_an_alarm_in_time(name: str) -> None:
    """Whatever the reason: a single order at a quiet shop with 99 % certainty, one order a minute always."""
    assert first_alarm(FAILING[name]).within(PROMISE) > 0.99
    assert MINUTES_NEEDED + alarms.EVALUATED <= PROMISE


def test_a_partial_outage_raises_an_alarm_in_time() -> None:
    """Where one order in fifty always fails; a passing failure in a hundred calls is no alarm."""
    waits = FAILING["most reasons"]
    times = [partial(share, waits) for share in (1.0, 0.5, 0.1, 0.02)]
    assert all(minutes is not None and minutes <= PROMISE for minutes in times)
    assert times == sorted(times, key=lambda minutes: minutes or 0)
    assert alarms.SHARE > 0.01


def test_orders_that_wait_for_their_shop_ring_no_age_alarm() -> None:
    """SQS leaves a message out of the age once it was received three times; that is before the threshold."""
    for waits in (*PATIENT.values(), *FAILING.values()):
        third_receive = waits(1, 1.0) + waits(2, 1.0)
        assert third_receive < alarms.OLDEST
    assert max(waits(1, 1.0) + waits(2, 1.0) for waits in PATIENT.values()) == 900  # the reason of the threshold


@pytest.mark.parametrize("name", FAILING)
def test_the_distribution_is_that_of_the_waits(name: str) -> None:
    """Two thousand simulated orders behave as the program counts them."""
    generator, waits, draws = random.Random(7), FAILING[name], 2000  # noqa: S311  a simulation
    in_time, by_then = 0, 0
    for _ in range(draws):
        offset = generator.choice(list(alarms.OFFSETS))
        times = [offset]
        for receive in range(1, RECEIVES):
            times.append(times[-1] + waits(receive, generator.random()))
        minutes = sorted({time // 60 for time in times})
        in_time += len(minutes) >= MINUTES_NEEDED and minutes[MINUTES_NEEDED - 1] < WINDOW - 1
        by_then += sum(time - offset < 900 for time in times)
    assert in_time / draws == pytest.approx(first_alarm(waits).within(WINDOW), abs=0.03)
    assert by_then / draws == pytest.approx(attempts(waits)[899], rel=0.05)


def test_every_new_dead_letter_notifies_though_a_hopeless_one_stays() -> None:
    """The level alarm notifies once; the alarm on arrivals notifies for each, unless two share or follow a minute."""
    assert alarms.notifications("DeadLettersAlarm", list(alarms.LEVEL)) == [0]
    assert alarms.notifications("NewDeadLetterAlarm", list(alarms.ARRIVALS)) == list(alarms.ARRIVALS)
    assert alarms.notifications("NewDeadLetterAlarm", [10, 11, 12, 14]) == [10, 14]


def test_one_incident_notifies_once() -> None:
    """An alarm whose cause shows again after each wait stays in ALARM in between, whatever the jitter."""
    assert alarms.notifications("CircuitAlarm", list(alarms.PROBES)) == [0]
    waits = FAILING["SIGN_ERROR, SECRET_UNAVAILABLE"]
    attempts_of_one_order = alarms.slowest_attempts(waits)
    assert attempts_of_one_order[-1] > 10 * 60  # ten hours of attempts
    for alarm in ("SignatureRefusedAlarm", "UnknownWordAlarm", "UnreadableItemAlarm"):
        assert alarms.notifications(alarm, attempts_of_one_order) == [0]
    assert len(alarms.notifications("NewDeadLetterAlarm", attempts_of_one_order)) > 5  # what a short window would do


def test_one_faulty_message_moves_no_traffic_back() -> None:
    """A new version is rolled back by faults in two of five minutes, not by one unreadable message of a POS."""
    assert alarms.notifications("VersionFaultyAlarm", [3]) == []
    assert alarms.notifications("VersionFaultyAlarm", [3, 6]) == [6]
    assert alarms.notifications("VersionFaultyAlarm", [3, 8]) == []


def test_a_steady_share_of_failures_notifies_once() -> None:
    """Failures in any two minutes of seven hold OrdersFailingAlarm, so that a composite alarm has nothing to smooth."""
    steady = [minute for minute in range(300) if minute % 7 in {0, 3}]
    assert len(alarms.notifications("OrdersFailingAlarm", steady)) == 1


def test_a_threshold_that_the_template_does_not_have_is_named() -> None:
    """A renamed alarm must not leave the page behind."""
    with pytest.raises(LookupError, match="Threshold in NoSuchAlarm"):
        template.setting("NoSuchAlarm", "Threshold")

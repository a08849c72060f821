"""Which alarm fires for what is wrong, and when, computed from the function's own waits.

`python -m bench.alarms` prints the table of docs/operate/alarms.md. Nothing is measured or simulated. An order that
keeps failing has attempts at times whose distribution `bench.retries` counts; OrdersFailingAlarm fires when enough
different minutes had one. Thresholds are read from template.yaml.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate

from bench import figures
from bench.retries import CAPPED, WAITS, Run, Waits, one_wait, runs, total_of
from bench.template import default, optional_setting, setting

MINUTE = 60
EVALUATED = 1  # minute, from the end of one until CloudWatch evaluates the alarm on it; AWS promises no time
HORIZON = 30 * MINUTE  # seconds that are followed
OFFSETS = range(0, MINUTE, 15)  # seconds of the minute in which the first attempt falls, equally likely
RECEIVES = default("MaxReceiveCount")
PROMISE = 15  # minutes within which orders that keep failing must be reported


MINUTES_NEEDED = int(setting("OrdersFailingAlarm", "DatapointsToAlarm"))
WINDOW = int(setting("OrdersFailingAlarm", "EvaluationPeriods"))  # minutes
SHARE = setting("OrdersFailingAlarm", "Threshold")
OLDEST = int(setting("OrderAgeAlarm", "Threshold"))  # seconds
THROTTLED_MINUTES = int(setting("ThrottlesAlarm", "DatapointsToAlarm"))


FAILING: Mapping[str, Waits] = {
    name: waits for name, waits in WAITS.items() if name not in {"DEDUCTING", "USER_CONFIRM, CREATED"}
}
PATIENT: Mapping[str, Waits] = {name: waits for name, waits in WAITS.items() if name not in FAILING}
"""Waits of the reasons that count as failing, and of those that no alarm counts (`orders.report.NOT_FAILING`)."""


@dataclass(frozen=True, slots=True)
class FirstAlarm:
    """When OrdersFailingAlarm fires for one order that keeps failing: probability of each minute, counted from 1."""

    minutes: Sequence[float]

    def within(self, minutes: int) -> float:
        """Probability that it has fired by then."""
        return sum(self.minutes[: minutes + 1])

    def percentile(self, part: float) -> int | None:
        """The minute by which it has fired with this probability; None where it may not."""
        reached = accumulate(self.minutes)
        return next((minute for minute, total in enumerate(reached) if total >= part), None)


@cache
def first_alarm(waits: Waits) -> FirstAlarm:
    """Follow one order whose every attempt fails until its attempts fell into enough different minutes."""
    minutes = [0.0] * (WINDOW + EVALUATED + 1)
    for offset in OFFSETS:
        for minute, probability in enumerate(_reached(waits, offset)):
            if minute < WINDOW:  # later the first minute has left the window
                minutes[minute + 1 + EVALUATED] += probability / len(OFFSETS)
    return FirstAlarm(minutes)


def _reached(waits: Waits, offset: int) -> list[float]:
    """The probability that the last of the minutes needed is number 0, 1, 2 and so on."""
    at = [[0.0] * HORIZON for _ in range(MINUTES_NEEDED)]  # at[k][t]: the attempt at t fell into the (k + 1)th minute
    at[0][offset] = 1.0
    fired = [0.0] * HORIZON
    for receive in range(1, RECEIVES):
        changes = [[0.0] * (HORIZON + 1) for _ in range(MINUTES_NEEDED)]
        for run in runs(one_wait(waits, min(receive, CAPPED))):
            for reached, seconds in enumerate(at[:-1]):
                _spread(seconds, run, changes[reached], changes[reached + 1])
        at = [list(accumulate(one))[:-1] for one in changes]
        fired = [total + more for total, more in zip(fired, at[-1], strict=True)]
        at[-1] = [0.0] * HORIZON
    return [sum(fired[start : start + MINUTE]) for start in range(0, HORIZON, MINUTE)]


def _spread(seconds: Sequence[float], run: Run, same: list[float], next_one: list[float]) -> None:
    """Add one wait to each attempt: what stays in its minute, and what falls into another; as differences."""
    for second, probability in enumerate(seconds):
        if probability:
            mass, border = probability * run.probability, (second // MINUTE + 1) * MINUTE
            first, last = second + run.first, second + run.last + 1
            _add(same, first, min(last, border), mass)
            _add(next_one, max(first, border), last, mass)


def _add(changes: list[float], start: int, end: int, mass: float) -> None:
    if start < end and start < HORIZON:
        changes[start] += mass
        changes[min(end, HORIZON)] -= mass


@cache
def attempts(waits: Waits) -> Sequence[float]:
    """Attempts that an order which keeps failing has had, on average, at each second of its age."""
    total, reached = [0.0] * HORIZON, [1.0] + [0.0] * (HORIZON - 1)
    for receive in range(1, RECEIVES):
        total = [one + more for one, more in zip(total, reached, strict=True)]
        changes = [0.0] * (HORIZON + 1)
        for run in runs(one_wait(waits, min(receive, CAPPED))):
            for second, probability in enumerate(reached):
                if probability:
                    _add(changes, second + run.first, second + run.last + 1, probability * run.probability)
        reached = list(accumulate(changes))[:-1]
    return list(accumulate(total))


def partial(share: float, waits: Waits) -> int | None:
    """Minutes until the alarm fires where this share of a steady stream of orders always fails; None: it does not."""
    enough = 0
    for minute in range(HORIZON // MINUTE):
        seconds = attempts(waits)[minute * MINUTE : (minute + 1) * MINUTE]
        failing = share * sum(seconds) / MINUTE  # of the orders that came at any second until now
        enough += failing / (failing + 1 - share) >= SHARE
        if enough == MINUTES_NEEDED:
            return minute + 1 + EVALUATED
    return None


# ---- the table -------------------------------------------------------------------------------------------------------

AT_ONCE = 1 + EVALUATED  # the minute in which it happens


@dataclass(frozen=True, slots=True)
class Row:
    """What is wrong, which alarms say so, and minutes: one order at a quiet shop (median, 95 %), one order a minute."""

    wrong: str
    alarms: tuple[str, ...]
    median: int | None
    late: int | None
    busy: int | None
    note: str = ""


def rows() -> Iterator[Row]:
    """Yield the table, row by row."""
    failing = "OrdersFailingAlarm"
    everything = MINUTES_NEEDED + EVALUATED
    names = {
        "most reasons": (
            "WeChat Pay down or slow, the table refuses everything, a bug of ours: every attempt fails",
            (failing,),
        ),
        "THROTTLED": ("THROTTLED for every order", (failing,)),
        "SIGN_ERROR, SECRET_UNAVAILABLE": (
            "a merchant's keys or secret are broken",
            ("SignatureRefusedAlarm", failing),
        ),
        "CIRCUIT_OPEN all the time": ("the circuit is open", ("CircuitAlarm", failing)),
    }
    for name, waits in FAILING.items():
        wrong, alarms = names[name]
        first = alarms[0] == "SignatureRefusedAlarm"
        when = (
            (AT_ONCE,) * 3
            if first
            else (first_alarm(waits).percentile(0.5), first_alarm(waits).percentile(0.95), everything)
        )
        yield Row(wrong, alarms, *when)
    yield Row(
        "WeChat Pay answers with a state that this version does not know", ("UnknownWordAlarm", failing), *_at_once()
    )
    for share in (0.5, 0.1, 0.05, 0.02, 0.01):
        minutes = partial(share, FAILING["most reasons"])
        yield Row(
            f"{share:.0%} of the orders always fail, the others are settled",
            (failing,) if minutes else (),
            None,
            None,
            minutes,
        )
    yield Row("an item of the table cannot be read", ("UnreadableItemAlarm", failing), *_at_once())
    letters = ("NewDeadLetterAlarm", "DeadLettersAlarm")
    yield Row("a message cannot be read, an order is rejected, its receives are used up", letters, *_at_once())
    yield Row("a customer has paid twice", ("PaidByWeChatAlarm",), *_at_once())
    yield Row("the function crashes or times out", ("ErrorsAlarm",), *_at_once())
    yield from _notification_rows()
    yield from _outcome_rows()
    during = "while CodeDeploy moves the traffic"
    yield Row(f"a new version crashes or times out, {during}", ("VersionErrorsAlarm", "ErrorsAlarm"), *_at_once())
    faulty = int(setting("VersionFaultyAlarm", "DatapointsToAlarm")) + EVALUATED
    yield Row(f"a new version reads, signs or asks wrongly, {during}", ("VersionFaultyAlarm",), None, None, faulty)
    hour = int(setting("KeyExpiryAlarm", "Period")) // MINUTE + EVALUATED
    yield Row("a merchant's last platform certificate has 30 days left", ("KeyExpiryAlarm",), hour, hour, hour)
    throttled = THROTTLED_MINUTES + EVALUATED
    yield Row(
        "Lambda throttles the function",
        ("ThrottlesAlarm",),
        throttled,
        throttled,
        throttled,
        "Lambda polls again every minute or sooner",
    )
    oldest = -(-OLDEST // MINUTE) + EVALUATED
    yield Row("the mapping is disabled, or the function does not keep up", ("OrderAgeAlarm",), oldest, oldest, oldest)
    yield Row("a queue policy or key refuses EventBridge", ("RuleFailedAlarm", "UndeliveredEventsAlarm"), *_at_once())
    yield Row("the dead-letter queue of the rule refuses, too", ("EventLostAlarm", "RuleFailedAlarm"), *_at_once())
    yield Row(
        f"over {int(setting('InFlightAlarm', 'Threshold')):,} orders wait for their retry",
        ("InFlightAlarm",),
        None,
        None,
        AT_ONCE,
    )
    for name, waits in PATIENT.items():
        hours = total_of(waits, RECEIVES).percentiles([0.5])[0] / 3600
        note = f"DeadLettersAlarm when its receives are used up, after a median of {hours:.1f} h"
        yield Row(f"one order or many wait for their shop or a deduction ({name})", (), None, None, None, note)


RESENDS = (0, 15, 30, 60, 240)  # seconds after the first, until WeChat Pay waits for half an hour (doc 4012587960)


def _notification_rows() -> Iterator[Row]:
    """Yield the rows of the second function, which only a deployment with NotificationsFront has."""
    yield Row("the function of the notifications crashes or times out", ("NotificationsErrorsAlarm",), *_at_once())
    minutes = sorted({second // MINUTE for second in RESENDS})
    needed = int(setting("NotificationsFailedAlarm", "DatapointsToAlarm"))
    alone = minutes[needed - 1] + 1 + EVALUATED  # the minute of the attempt that is enough
    busy = needed + EVALUATED
    yield Row("notifications are answered with 503", ("NotificationsFailedAlarm",), alone, alone, busy)
    period = int(setting("NotificationsUntrustedAlarm", "Period")) // MINUTE + EVALUATED
    untrusted = "no notification verifies, or some are forged"
    yield Row(untrusted, ("NotificationsUntrustedAlarm",), None, None, period)
    throttled = int(setting("NotificationsThrottlesAlarm", "DatapointsToAlarm")) + EVALUATED
    yield Row("Lambda throttles the notifications", ("NotificationsThrottlesAlarm",), None, None, throttled)


def _outcome_rows() -> Iterator[Row]:
    """Yield the rows of the third function, which only a deployment with OutcomeEvents has."""
    age = int(setting("OutcomesLateAlarm", "Threshold")) // 1000 // MINUTE
    late = age + int(setting("OutcomesLateAlarm", "EvaluationPeriods")) + EVALUATED
    wrong = "EventBridge takes no outcome event, or the function of the outcomes fails"
    yield Row(wrong, ("OutcomesLateAlarm",), late, late, late, "Lambda repeats the batch all the time")
    given_up = int(setting("OutcomesFunction", "      MaximumRecordAgeInSeconds")) // MINUTE
    hours = f"the same for {given_up // 60} hours, after which an event is given up"
    late = given_up + AT_ONCE
    yield Row(hours, ("UndeliveredOutcomesAlarm",), late, late, late)
    unreadable = "an outcome event cannot be made, because the item cannot be read"
    yield Row(unreadable, ("OutcomeUnreadableAlarm",), *_at_once())


def _at_once() -> tuple[int, int, int]:
    return AT_ONCE, AT_ONCE, AT_ONCE


def table() -> str:
    """Return the table of docs/operate/alarms.md, as Markdown."""
    columns = ["what is wrong", "alarm, the first to fire first", "one order, median", "95 %", "one order a minute"]
    return figures.table(columns, map(_cells, rows()))


def _cells(row: Row) -> list[str]:
    wrong = row.wrong + (f" ({row.note})" if row.note else "")
    return [wrong, ", ".join(row.alarms) or "none", *map(_minutes, (row.median, row.late, row.busy))]


def _minutes(minutes: int | None) -> str:
    return "-" if minutes is None else f"{minutes} min"


# ---- how often an alarm notifies -------------------------------------------------------------------------------------


def notifications(alarm: str, minutes: Sequence[int]) -> list[int]:
    """Return the minutes at which an alarm goes from OK to ALARM, if its metric is over the threshold in `minutes`.

    CloudWatch notifies on this transition only. The alarm is in ALARM while enough of its last periods are over the
    threshold; a period without data is not.
    """
    window = int(setting(alarm, "EvaluationPeriods"))
    needed = int(optional_setting(alarm, "DatapointsToAlarm") or window)
    over, transitions, ringing = frozenset(minutes), [], False
    for minute in range(max(minutes, default=0) + 1):
        rings = sum(earlier in over for earlier in range(minute - window + 1, minute + 1)) >= needed
        if rings and not ringing:
            transitions.append(minute)
        ringing = rings
    return transitions


ARRIVALS = (0, 120, 300, 540)
"""Minutes at which messages come to DeadLetters; the first is hopeless and stays."""
LEVEL = range(ARRIVALS[0], ARRIVALS[-1] + 1)
"""Minutes in which DeadLetters has a message."""
PROBES = range(0, 240, 30)
"""Minutes at which the circuit opens again, at a shop with few orders: a message waits half an hour at most."""


def slowest_attempts(waits: Waits, receives: int = RECEIVES) -> list[int]:
    """Return the minutes of the attempts of an order that keeps failing, with the longest wait before each."""
    seconds = accumulate((waits(receive, 1.0) for receive in range(1, receives)), initial=0)
    return [int(each) // MINUTE for each in seconds]


def notifications_table() -> str:
    """Return the second table of docs/operate/alarms.md, as Markdown."""
    keys = slowest_attempts(FAILING["SIGN_ERROR, SECRET_UNAVAILABLE"])
    hopeless = f"a hopeless message lies in DeadLetters, {len(ARRIVALS) - 1} more arrive hours apart"
    cases = [
        (hopeless, "DeadLettersAlarm", list(LEVEL)),
        (hopeless, "NewDeadLetterAlarm", list(ARRIVALS)),
        (f"the circuit opens {len(PROBES)} times in four hours without WeChat Pay", "CircuitAlarm", list(PROBES)),
        (f"a merchant's keys are broken for the {len(keys)} attempts of its one order", "SignatureRefusedAlarm", keys),
    ]
    rows = [[what, alarm, str(len(notifications(alarm, minutes)))] for what, alarm, minutes in cases]
    return figures.table(["what happens", "alarm", "notifications"], rows)


if __name__ == "__main__":
    print(table(), notifications_table(), sep="\n\n")

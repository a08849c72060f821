"""What becomes of dead letters of one cause if they are redriven now: the rule over what has been tested. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum, auto

from ops.letters.reasons import NEVER_SETTLED, TABLE_SILENT, UNREADABLE, UNREADABLE_ITEM, Letter
from orders.order import Payment, Status
from orders.rules import RETRIES_EXHAUSTED
from orders.settlement import KEY_REASONS
from orders.wechat.verdicts import PaymentState

SAMPLES = 3  # orders of a group that WeChat Pay is asked about


class Verdict(StrEnum):
    """Whether a redrive makes sense now."""

    MENDED = "mended"
    PERHAPS = "perhaps mended"
    MEND_FIRST = "mend first"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A verdict, the evidence that it rests on, and the command or the step that comes next."""

    verdict: Verdict
    evidence: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Cause:
    """What letters have in common: reason, what stands behind it, and the merchant (empty if it cannot be read)."""

    reason: str
    detail: str
    mchid: str

    @classmethod
    def of(cls, letter: Letter) -> "Cause":
        """Return the cause of a letter; a final order is one cause, whatever reason it has."""
        if letter.order is not None and letter.order.status.final:
            return cls(str(letter.order.status), "", letter.mchid)
        return cls(letter.reason, letter.cause, letter.mchid)


@dataclass(slots=True)
class Group:
    """The letters of one cause; times are Unix seconds. Of the letters themselves only a few payments are kept."""

    cause: Cause
    count: int = 0
    oldest: float = float("inf")
    newest: float = 0.0
    judged_at: str = ""
    explanation: str = ""
    samples: list[Payment] = field(default_factory=list)

    def add(self, letter: Letter) -> None:
        """Count a letter."""
        self.count += 1
        self.oldest, self.newest = min(self.oldest, letter.sent_at), max(self.newest, letter.sent_at)
        self.explanation = self.explanation or letter.explanation
        if letter.order is not None:
            self.judged_at = max(self.judged_at, letter.order.rejected_at or letter.order.updated_at)
        if letter.payment is not None and len(self.samples) < SAMPLES:
            self.samples.append(letter.order.payment if letter.order is not None else letter.payment)


# ---- what has been tested --------------------------------------------------------------------------------------------


class Answer(StrEnum):
    """What WeChat Pay says about a sample order now."""

    WORKS = "can be settled now"
    WAITS = "is not completed by the shop yet"
    CLOSED = "is closed at WeChat Pay"
    UNKNOWN = "is in a state that this version has no word for"
    REFUSED = "is refused"
    SILENT = "could not be asked about"


ANSWERS: Mapping[PaymentState, Answer] = {
    PaymentState.TO_BE_PAID: Answer.WORKS,
    PaymentState.PAID_AT_THE_TILL: Answer.WORKS,
    PaymentState.PAID_BY_WECHAT: Answer.WORKS,
    PaymentState.NOTHING_DUE: Answer.WORKS,
    PaymentState.CONFIRMED: Answer.WAITS,
    PaymentState.CREATED: Answer.WAITS,
    PaymentState.REVOKED: Answer.CLOSED,
    PaymentState.EXPIRED: Answer.CLOSED,
    PaymentState.UNKNOWN: Answer.UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class SampleAnswer:
    """WeChat Pay's answer about one order; `words` is its own error, if it refused."""

    answer: Answer
    words: str = ""


@dataclass(frozen=True, slots=True)
class SecretState:
    """A merchant's secret now: why it cannot be used (empty if it can), which defaults it has, its last change."""

    problem: str = ""
    defaults: frozenset[str] = frozenset()
    changed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What has been tested for a group; None is what was not. `echo` is the error of an echo request, or empty."""

    secret: SecretState | None = None
    answers: Sequence[SampleAnswer] | None = None
    echo: str | None = None


class Test(StrEnum):
    """A test of a cause, in the sequence of their cost."""

    __test__ = False  # pytest would collect a class of this name

    SECRET = auto()
    ECHO = auto()
    QUERY = auto()


def tests_for(cause: Cause) -> tuple[Test, ...]:
    """Return the tests that can tell whether this cause is mended."""
    word = cause.detail if cause.reason == RETRIES_EXHAUSTED else cause.reason
    if cause.reason in Status.__members__ or cause.reason in _NEVER or cause.reason in _NOT_TESTED:
        return ()
    if word == "UNKNOWN_MERCHANT" or word.startswith("MISSING_"):
        return (Test.SECRET,)
    if word in KEY_REASONS:
        return (Test.SECRET, Test.ECHO)
    return (Test.SECRET, Test.QUERY)


# ---- the rule --------------------------------------------------------------------------------------------------------

_DELETE = "bin/ops dead-letters delete --reason {reason}"
_NEVER: Mapping[str, tuple[str, str]] = {
    "REVOKED": (
        "WeChat Pay has cancelled the order, and a cancelled order takes no payment",
        f"settle it with the shop, then bin/ops order acknowledge MCHID ORDER, and {_DELETE}",
    ),
    "EXPIRED": (
        "the order has expired at WeChat Pay, and an expired order takes no payment",
        f"settle it with the shop, then bin/ops order acknowledge MCHID ORDER, and {_DELETE}",
    ),
    UNREADABLE: (
        "the function cannot read this body, today neither",
        f"correct it at the till and report the payment again (bin/ops event send FILE), then {_DELETE}",
    ),
}
_NOT_TESTED: Mapping[str, tuple[str, str]] = {
    UNREADABLE_ITEM: (
        "another version has written the order's item",
        "deploy that version again, or correct the item (bin/ops order show MCHID ORDER)",
    ),
    TABLE_SILENT: (
        "the orders table did not answer, so the cause is not known",
        "run bin/ops dead-letters analyze again",
    ),
}
_MEND: Mapping[str, str] = {
    "UNKNOWN_MERCHANT": "bin/ops merchant add {mchid}",
    "NO_AUTH": "bin/ops keys check {mchid} --bound",
    "RESOURCE_NOT_EXISTS": "bin/ops keys check {mchid} --bound",
    "PARAM_ERROR": "bin/ops order show {mchid} {order}: last_error names the field; correct the secret or the till",
    "INVALID_REQUEST": "bin/ops order show {mchid} {order}: last_error names the field; correct the secret or the till",
    "ORDER_NOT_EXIST": "compare the till's order number with the shop's: bin/ops order show {mchid} {order}",
}


def diagnose(group: Group, evidence: Evidence) -> Diagnosis:
    """Judge a group by what has been tested."""
    cause = group.cause
    if cause.reason in Status.__members__ and Status(cause.reason).final:
        words = f"the orders are {cause.reason} by now"
        return Diagnosis(Verdict.MENDED, words, "redrive ends the messages without a call to WeChat Pay")
    for verdict, table in ((Verdict.NEVER, _NEVER), (Verdict.MEND_FIRST, _NOT_TESTED)):
        if cause.reason in table:
            words, remedy = table[cause.reason]
            return Diagnosis(verdict, words, remedy.format(reason=cause.reason))
    if evidence.secret is not None and evidence.secret.problem:
        command = f"bin/ops {'merchant add' if cause.reason == 'UNKNOWN_MERCHANT' else 'keys check'} {cause.mchid}"
        return Diagnosis(Verdict.MEND_FIRST, evidence.secret.problem, command)
    tests = tests_for(cause)
    if Test.ECHO in tests:
        return _by_echo(group, evidence)
    return _by_answers(group, evidence) if Test.QUERY in tests else _by_secret(group, evidence)


def _by_secret(group: Group, evidence: Evidence) -> Diagnosis:
    secret, reason = evidence.secret, group.cause.reason
    if secret is None:
        return _untested(group, evidence)
    name = reason.removeprefix("MISSING_").lower()
    if reason.startswith("MISSING_") and name not in secret.defaults:
        words = f"the secret of {group.cause.mchid} has no {name}"
        return Diagnosis(Verdict.MEND_FIRST, words, f"add {name} to the secret, or to the till's events")
    return Diagnosis(Verdict.MENDED, f"the secret of {group.cause.mchid} passes the function's check now")


def _by_echo(group: Group, evidence: Evidence) -> Diagnosis:
    mchid = group.cause.mchid
    if evidence.echo is None:
        return _untested(group, evidence)
    if evidence.echo:
        return Diagnosis(
            Verdict.MEND_FIRST,
            f"WeChat Pay refuses {mchid}'s keys: {evidence.echo}",
            f"bin/ops keys check {mchid} --echo",
        )
    return Diagnosis(Verdict.MENDED, f"WeChat Pay takes {mchid}'s signature now, and its own is verified")


def _by_answers(group: Group, evidence: Evidence) -> Diagnosis:
    """Judge by what WeChat Pay says of the samples; a query does not refute what was wrong in a sync's parameters."""
    answers = evidence.answers
    if not answers:
        return _untested(group, evidence)
    words = _summary(answers)
    kinds = {one.answer for one in answers}
    if kinds == {Answer.WORKS} and group.cause.reason in {"PARAM_ERROR", "INVALID_REQUEST"}:
        return _by_change(group, evidence, words)
    if kinds == {Answer.WORKS}:
        return Diagnosis(Verdict.MENDED, words)
    if kinds == {Answer.CLOSED}:
        return Diagnosis(Verdict.NEVER, words, _NEVER["REVOKED"][1].format(reason=group.cause.reason))
    if Answer.WORKS in kinds:
        return Diagnosis(Verdict.PERHAPS, words, "redrive some first: bin/ops dead-letters redrive --order MCHID#ORDER")
    waits = "have the shop complete the order, then analyze again"
    return Diagnosis(Verdict.MEND_FIRST, words, waits if Answer.WAITS in kinds else _remedy(group))


def _summary(answers: Sequence[SampleAnswer]) -> str:
    counts = {kind: sum(one.answer is kind for one in answers) for kind in Answer}
    parts = [f"{count} of {len(answers)} sample(s) {kind}" for kind, count in counts.items() if count]
    words = next((one.words for one in answers if one.words), "")
    return ", ".join(parts) + (f": {words}" if words else "")


def _untested(group: Group, evidence: Evidence) -> Diagnosis:
    if group.cause.reason == NEVER_SETTLED:
        words = "no attempt is recorded, and WeChat Pay was not asked"
        return Diagnosis(Verdict.PERHAPS, words, "see ErrorsAlarm and the function's log; then redrive")
    return _by_change(group, evidence, "WeChat Pay was not asked")


def _by_change(group: Group, evidence: Evidence, words: str) -> Diagnosis:
    """Judge by whether the merchant's secret has changed since the last verdict."""
    secret = evidence.secret
    changed_at = secret.changed_at if secret else None
    if changed_at is None or not group.judged_at:
        return Diagnosis(Verdict.MEND_FIRST, f"{words}; when the secret changed last is not known", _remedy(group))
    when = f"{changed_at:%Y-%m-%dT%H:%M:%SZ}"
    if changed_at > datetime.fromisoformat(group.judged_at):
        return Diagnosis(
            Verdict.PERHAPS, f"{words}; the secret changed at {when}, after the verdict", "redrive one first"
        )
    return Diagnosis(Verdict.MEND_FIRST, f"{words}; the secret has not changed since {when}", _remedy(group))


def _remedy(group: Group) -> str:
    cause = group.cause
    word = cause.detail if cause.reason == RETRIES_EXHAUSTED else cause.reason
    order = group.samples[0].out_order_no if group.samples else "ORDER"
    default = "bin/ops order show {mchid} {order}: last_error has WeChat Pay's words"
    return _MEND.get(word, default).format(mchid=cause.mchid, order=order)

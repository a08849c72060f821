"""The verdict of `dead-letters analyze`: a cause is tested before a message moves."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from ops.letters import browse
from ops.letters.plan import Selection
from ops.letters.proofs import Proofs
from ops.letters.survey import Survey
from ops.letters.verdicts import (
    Answer,
    Cause,
    Diagnosis,
    Evidence,
    Group,
    SampleAnswer,
    SecretState,
    Verdict,
    diagnose,
)
from orders.order import Attempt, Payment, Status
from sandbox.testbed import APPID, SERVICE_ID
from sandbox.wechat_pay import Simulator
from tests.ops.simulated_queues import AT, MERCHANT, Bench, a_body

BEFORE, AFTER = datetime(2025, 12, 31, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)


class Shop:
    """A deployment with one merchant whose keys are in order, and a simulated WeChat Pay that counts its calls."""

    def __init__(self, wechat_pay: Simulator) -> None:
        self.wechat_pay = wechat_pay
        self.bench = Bench.of()
        self.bench.parameters["WeChatPayBaseUrl"] = wechat_pay.base_url
        self.store()

    def store(self, **changes: Any) -> None:
        """Store the merchant's secret with changes; `...` removes a field."""
        secret = self.wechat_pay.merchant(MERCHANT).secret() | {"appid": APPID, "service_id": SERVICE_ID}
        self.bench.vault.secrets[MERCHANT] = {
            name: value for name, value in (secret | changes).items() if value is not ...
        }

    def letter(self, number: str, reason: str = "", **fields: Any) -> None:
        """Put a letter into the queue, and its order, rejected for this reason, into the table."""
        self.bench.sqs.put(a_body(number))
        if reason:
            self.bench.table.put(number, reason=reason, rejected_at=AT, **fields)

    def analyze(self, *, offline: bool = False) -> dict[str, tuple[Group, Diagnosis]]:
        """Return each group with its verdict, by its reason."""
        survey = Survey()
        for _ in survey.look(browse.source(self.bench.deployment), self.bench.deployment.table):
            pass
        proofs = Proofs(self.bench.deployment, offline=offline)
        return {group.cause.reason: (group, diagnosis) for group, diagnosis in survey.diagnose(proofs)}

    def verdict(self, reason: str, *, offline: bool = False) -> Diagnosis:
        """Return the verdict on the group of this reason."""
        return self.analyze(offline=offline)[reason][1]

    @property
    def calls(self) -> int:
        """How many calls WeChat Pay has had."""
        return len(self.wechat_pay.calls)


@pytest.fixture
def shop(wechat_pay: Simulator) -> Shop:
    """A deployment with one merchant, and its WeChat Pay."""
    return Shop(wechat_pay)


def test_an_unknown_merchant_is_mended_when_its_secret_passes_the_check(shop: Shop) -> None:
    """UNKNOWN_MERCHANT: mend first without a usable secret, by the command that adds it; mended with one, unasked."""
    shop.letter("A-1", "UNKNOWN_MERCHANT")
    del shop.bench.vault.secrets[MERCHANT]
    assert shop.verdict("UNKNOWN_MERCHANT").verdict is Verdict.MEND_FIRST
    assert shop.verdict("UNKNOWN_MERCHANT").remedy == f"bin/ops merchant add {MERCHANT}"
    shop.store(private_key="nonsense")
    assert "private_key" in shop.verdict("UNKNOWN_MERCHANT").evidence
    shop.store()
    assert shop.verdict("UNKNOWN_MERCHANT").verdict is Verdict.MENDED
    assert shop.calls == 0


def test_an_unknown_order_is_mended_when_a_query_finds_it(shop: Shop) -> None:
    """ORDER_NOT_EXIST: mend first while WeChat Pay has none of the samples, perhaps with some, mended with all."""
    for number in range(5):
        shop.letter(f"A-{number}", "ORDER_NOT_EXIST")
    first = shop.verdict("ORDER_NOT_EXIST")
    assert (first.verdict, shop.calls) == (Verdict.MEND_FIRST, 3)
    assert first.evidence.startswith("3 of 3 sample(s) is refused: ORDER_NOT_EXIST")
    shop.wechat_pay.ready_to_sync(MERCHANT, "A-0")
    assert shop.verdict("ORDER_NOT_EXIST").verdict is Verdict.PERHAPS
    for number in range(1, 3):
        shop.wechat_pay.ready_to_sync(MERCHANT, f"A-{number}")
    assert shop.verdict("ORDER_NOT_EXIST") == Diagnosis(Verdict.MENDED, "3 of 3 sample(s) can be settled now")


def test_offline_no_call_is_made(shop: Shop) -> None:
    """With --offline WeChat Pay is not asked, and the verdict says so."""
    shop.letter("A-1", "ORDER_NOT_EXIST")
    shop.letter("A-2", "RETRIES_EXHAUSTED", history=(Attempt(AT, "m", "RETRYING", "SIGN_ERROR"),))
    shop.letter("A-3")
    results = {reason: diagnosis for reason, (_, diagnosis) in shop.analyze(offline=True).items()}
    assert {reason: diagnosis.verdict for reason, diagnosis in results.items()} == {
        "ORDER_NOT_EXIST": Verdict.MEND_FIRST,
        "RETRIES_EXHAUSTED": Verdict.MEND_FIRST,
        "NEVER_SETTLED": Verdict.PERHAPS,
    }
    assert all("WeChat Pay was not asked" in diagnosis.evidence for diagnosis in results.values())
    assert shop.calls == 0


@pytest.mark.parametrize(("changed_at", "verdict"), [(AFTER, Verdict.PERHAPS), (BEFORE, Verdict.MEND_FIRST)])
def test_a_secret_that_changed_after_the_verdict_perhaps_mends(
    shop: Shop, changed_at: datetime, verdict: Verdict
) -> None:
    """PARAM_ERROR: a query cannot refute it; perhaps mended if the secret changed after the verdict."""
    shop.letter("A-1", "PARAM_ERROR")
    shop.wechat_pay.ready_to_sync(MERCHANT, "A-1")
    shop.bench.vault.changes[MERCHANT] = changed_at
    diagnosis = shop.verdict("PARAM_ERROR")
    assert (diagnosis.verdict, f"{changed_at:%Y-%m-%d}" in diagnosis.evidence) == (verdict, True)


def test_a_permission_that_works_now_is_mended(shop: Shop) -> None:
    """NO_AUTH: mended when a query with the merchant's keys is answered; otherwise the command that checks them."""
    shop.letter("A-1", "NO_AUTH")
    shop.wechat_pay.misbehave("unsigned_error", status=403, code="NO_AUTH", message="商户无权限")
    first = shop.verdict("NO_AUTH")
    assert (first.verdict, first.remedy) == (Verdict.MEND_FIRST, f"bin/ops keys check {MERCHANT} --bound")
    shop.wechat_pay.behave()
    shop.wechat_pay.ready_to_sync(MERCHANT, "A-1")
    assert shop.verdict("NO_AUTH").verdict is Verdict.MENDED


def test_refused_keys_are_tested_by_an_echo(shop: Shop) -> None:
    """RETRIES_EXHAUSTED by SIGN_ERROR: mended when WeChat Pay takes the signature now; mend first while it does not."""
    shop.letter("A-1", "RETRIES_EXHAUSTED", history=(Attempt(AT, "m", "RETRYING", "SIGN_ERROR"),))
    assert shop.verdict("RETRIES_EXHAUSTED").verdict is Verdict.MENDED
    shop.wechat_pay.merchant(MERCHANT).rotate_key()
    diagnosis = shop.verdict("RETRIES_EXHAUSTED")
    assert (diagnosis.verdict, diagnosis.remedy) == (Verdict.MEND_FIRST, f"bin/ops keys check {MERCHANT} --echo")


@pytest.mark.parametrize(
    ("steps", "verdict"),
    [
        (["open"], Verdict.MEND_FIRST),
        (["open", "confirm"], Verdict.MEND_FIRST),
        (["open", "cancel"], Verdict.NEVER),
        (["ready_to_sync"], Verdict.MENDED),
    ],
)
def test_exhausted_retries_are_judged_by_the_orders_state_now(shop: Shop, steps: list[str], verdict: Verdict) -> None:
    """RETRIES_EXHAUSTED by the order's state: by what WeChat Pay says of the order now."""
    shop.letter("A-1", "RETRIES_EXHAUSTED", history=(Attempt(AT, "m", "RETRYING", "USER_CONFIRM"),))
    for step in steps:
        call: Callable[..., object] = getattr(shop.wechat_pay, step)
        call(MERCHANT, "A-1")
    group, diagnosis = shop.analyze()["RETRIES_EXHAUSTED"]
    assert (group.cause.detail, diagnosis.verdict) == ("USER_CONFIRM", verdict)


def test_a_host_that_does_not_answer_mends_nothing(shop: Shop) -> None:
    """If WeChat Pay cannot be asked, the cause is not mended, and the evidence says why."""
    shop.letter("A-1", "ORDER_NOT_EXIST")
    shop.bench.parameters["WeChatPayBaseUrl"] = "http://127.0.0.1:9"
    diagnosis = shop.verdict("ORDER_NOT_EXIST")
    assert diagnosis.verdict is Verdict.MEND_FIRST
    assert diagnosis.evidence.startswith("1 of 1 sample(s) could not be asked about: ")


def test_a_sample_without_a_required_field_is_not_asked_about(shop: Shop) -> None:
    """A query needs service_id: without it in event and secret the evidence names the field."""
    shop.letter("A-1", "ORDER_NOT_EXIST")
    shop.store(service_id=...)
    assert "service_id" in shop.verdict("ORDER_NOT_EXIST").evidence
    assert shop.calls == 0


def test_a_missing_default_is_mended_when_the_secret_has_it(shop: Shop) -> None:
    """MISSING_SERVICE_ID: mended when the secret has a service_id."""
    shop.letter("A-1", "MISSING_SERVICE_ID")
    assert shop.verdict("MISSING_SERVICE_ID").verdict is Verdict.MENDED
    shop.store(service_id=...)
    diagnosis = shop.verdict("MISSING_SERVICE_ID")
    assert (diagnosis.verdict, "add service_id" in diagnosis.remedy) == (Verdict.MEND_FIRST, True)


@pytest.mark.parametrize("reason", ["REVOKED", "EXPIRED"])
def test_a_closed_order_is_never_redriven(shop: Shop, reason: str) -> None:
    """REVOKED and EXPIRED: never; it is said what to do instead."""
    shop.letter("A-1", reason)
    diagnosis = shop.verdict(reason)
    assert diagnosis.verdict is Verdict.NEVER
    assert f"bin/ops dead-letters delete --reason {reason}" in diagnosis.remedy


def test_what_no_test_can_tell_has_a_verdict_too(shop: Shop) -> None:
    """UNREADABLE: never. An unreadable item: mend first. A final order: a redrive ends the message without a call."""
    shop.bench.sqs.put("nonsense")
    shop.letter("A-1", "X")
    shop.bench.table.items[f"{MERCHANT}#A-1"]["status"] = {"S": "REFUNDED"}
    shop.bench.sqs.put(a_body("A-2"))
    shop.bench.table.put("A-2", status=Status.SYNCED, reason="OTHER_PAID_TIME")
    verdicts = {reason: diagnosis.verdict for reason, (_, diagnosis) in shop.analyze().items()}
    assert verdicts == {
        "UNREADABLE": Verdict.NEVER,
        "UNREADABLE_ITEM": Verdict.MEND_FIRST,
        "SYNCED": Verdict.MENDED,
    }


def test_an_unknown_state_is_not_mended() -> None:
    """A state of WeChat Pay's that this version has no word for is not mended."""
    group = Group(Cause("RETRIES_EXHAUSTED", "UNKNOWN_STATE", MERCHANT), 1, samples=[Payment(MERCHANT, "A-1", "x")])
    evidence = Evidence(SecretState(), [SampleAnswer(Answer.UNKNOWN)])
    diagnosis = diagnose(group, evidence)
    assert (diagnosis.verdict, diagnosis.remedy.startswith("bin/ops order show")) == (Verdict.MEND_FIRST, True)


def test_letters_are_grouped_by_cause_and_merchant(shop: Shop) -> None:
    """A group has count, oldest and newest of its letters, and a few payments, however many letters it has."""
    for number in range(7):
        shop.letter(f"A-{number}", "REVOKED")
        shop.bench.clock.now += 60
    group, _ = shop.analyze()["REVOKED"]
    assert (group.count, group.newest - group.oldest, len(group.samples)) == (7, 360, 3)
    assert group.cause == Cause("REVOKED", "", MERCHANT)


def test_only_what_is_mended_is_planned(shop: Shop) -> None:
    """A plan with --mended has the letters whose cause is mended, and no other."""
    shop.letter("A-1", "ORDER_NOT_EXIST")
    shop.letter("A-2", "REVOKED")
    shop.wechat_pay.ready_to_sync(MERCHANT, "A-1")
    survey = Survey(Selection(mended=True))
    for _ in survey.look(browse.source(shop.bench.deployment), shop.bench.deployment.table):
        pass
    plan = survey.plan("dead", "orders", Proofs(shop.bench.deployment), 0.0)
    assert [entry.order for entry in plan.entries.values()] == [f"{MERCHANT}#A-1"]

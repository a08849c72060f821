"""Test the causes of dead letters: a merchant's secret, and what WeChat Pay answers to it now. Changes nothing."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ops.letters.verdicts import (
    ANSWERS,
    Answer,
    Diagnosis,
    Evidence,
    Group,
    SampleAnswer,
    SecretState,
    Test,
    diagnose,
    tests_for,
)
from ops.stack import Deployment
from orders.errors import OrdersError
from orders.merchants import Merchant, Merchants
from orders.order import Payment
from orders.wechat.requests import missing_fields, order_query, with_defaults
from orders.wechat.verdicts import payment_state
from wechatpay import Client, RefusedError, WeChatPayError
from wechatpay.text import printable


class Proofs:
    """The tests, each made once per merchant. `offline`: WeChat Pay is not asked.

    `wall_clock` returns Unix seconds, for the validity of certificates.
    """

    def __init__(
        self, deployment: Deployment, *, offline: bool = False, wall_clock: Callable[[], float] = time.time
    ) -> None:
        self._secrets = deployment.client("secretsmanager")
        self._prefix = deployment.secret_prefix
        self._offline = offline
        self._states: dict[str, SecretState] = {}
        self._echoes: dict[str, str] = {}
        hosts: dict[str, Any] = {"base_url": deployment.wechat_pay_url} if deployment.wechat_pay_url else {}

        def client(**keys: Any) -> Client:  # noqa: ANN401  the client's own arguments
            return Client(**hosts, **keys)

        self._merchants = Merchants(self._secrets, self._prefix, client, wall_clock=wall_clock)

    def diagnose(self, group: Group) -> Diagnosis:
        """Test the cause of a group, and judge it."""
        tests = tests_for(group.cause)
        secret = self._secret(group.cause.mchid) if Test.SECRET in tests else None
        usable = secret is not None and not secret.problem and not self._offline
        answers = [self._ask(payment) for payment in group.samples] if usable and Test.QUERY in tests else None
        echo = self._echo(group.cause.mchid) if usable and Test.ECHO in tests else None
        return diagnose(group, Evidence(secret, answers, echo))

    def _secret(self, mchid: str) -> SecretState:
        if mchid not in self._states:
            self._states[mchid] = self._read_secret(mchid)
        return self._states[mchid]

    def _read_secret(self, mchid: str) -> SecretState:
        try:
            merchant = self._merchants.get(mchid)
        except OrdersError as error:
            return SecretState(str(error))
        defaults = frozenset(name for name in ("appid", "service_id") if getattr(merchant, name))
        return SecretState("", defaults, self._changed_at(mchid))

    def _changed_at(self, mchid: str) -> datetime | None:
        """Return when the secret was changed last; None if the operator may not know."""
        try:
            answer = self._secrets.describe_secret(SecretId=f"{self._prefix}/{mchid}")
        except (ClientError, BotoCoreError):
            return None
        changed_at = answer.get("LastChangedDate")
        return changed_at if isinstance(changed_at, datetime) else None

    def _echo(self, mchid: str) -> str:
        if mchid not in self._echoes:
            try:
                self._merchant(mchid).client.security.echo()
                self._echoes[mchid] = ""
            except WeChatPayError as error:
                self._echoes[mchid] = printable(str(error)) or type(error).__name__
        return self._echoes[mchid]

    def _ask(self, payment: Payment) -> SampleAnswer:
        """Query an order, which changes nothing."""
        merchant = self._merchant(payment.mchid)
        complete = with_defaults(payment, merchant)
        if missing := missing_fields(complete):
            return SampleAnswer(Answer.SILENT, f"{', '.join(missing)} in neither the event nor the secret")
        try:
            order = merchant.client.payscore.query(**order_query(complete))
        except RefusedError as error:
            return SampleAnswer(Answer.REFUSED, printable(f"{error.code or error.status}: {error.message}"))
        except (WeChatPayError, ValueError) as error:
            return SampleAnswer(Answer.SILENT, printable(str(error)))
        return SampleAnswer(ANSWERS[payment_state(order, complete.endpoint or "direct")])

    def _merchant(self, mchid: str) -> Merchant:
        return self._merchants.get(mchid)

"""The registry of faults feeds the page, the control port, the command line and chaos; every fault in it strikes."""

import inspect
import re
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox import __main__ as command_line
from sandbox.wechat_pay import FAULTS, Simulator
from sandbox.wechat_pay.draft import Response
from sandbox.wechat_pay.faults import KINDS, MODULES, Fault, FaultKind, When, table
from sandbox.wechat_pay.random_faults import DRAWN, RandomFaults
from tests.sandbox.signed import BASE, LIMIT, MCHID, PAID, QUERY, signed_request, situations


def test_every_fault_is_a_function_of_a_module_of_faults() -> None:
    """The registry holds every function that a module of faults enters, and nothing else."""
    entered = {name for module in MODULES for name, one in vars(module).items() if _is_of(module.__name__, one)}
    assert {name for name in entered if not name.startswith("_")} == FAULTS
    assert all(
        kind.summary and kind.change.__module__.startswith("sandbox.wechat_pay.faults.") for kind in KINDS.values()
    )


def _is_of(module: str, thing: object) -> bool:
    return inspect.isfunction(thing) and thing.__module__ == module


def test_the_page_of_the_sandbox_has_the_table_of_faults() -> None:
    """`sandbox/README.md` lists every fault, where it strikes, its options with their defaults, and what happens."""
    page = (Path(__file__).parents[2] / "sandbox/README.md").read_text(encoding="utf-8")
    assert table() in page


def test_control_and_command_line_list_every_fault(wechat_pay: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    """`GET /__sandbox__/faults` has them as JSON, `python -m sandbox faults` as the table of the page."""
    view = requests.get(f"{wechat_pay.base_url}/__sandbox__/faults", timeout=LIMIT).json()
    assert {kind["name"] for kind in view} == FAULTS
    assert {"strikes", "options", "what"} <= view[0].keys()
    assert command_line.run(["faults"]) == 0
    assert capsys.readouterr().out == table() + "\n"


def test_chaos_draws_every_fault_that_strikes_a_single_call() -> None:
    """Refused connections strike a host, the choice of the key all of a merchant's calls; both are left out."""
    left_out = {When.CONNECT, When.KEY}
    assert set(DRAWN) == {name for name, kind in KINDS.items() if kind.when not in left_out}
    for name in DRAWN:
        Fault.of(name, KINDS[name].chaos_options)


def test_a_random_fault_is_drawn_only_for_an_operation_that_it_can_strike() -> None:
    """A random fault is one that can strike the operation: no query is answered that its paid_time is ahead."""
    random_faults = RandomFaults(seed=1, rate=1.0)
    names = {fault.kind.name for number in range(2000) if (fault := random_faults.draw("query", str(number)))}
    assert names == {name for name in DRAWN if KINDS[name].can_strike("query")}
    assert "paid_time_ahead" not in names


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("sulk", {}, "no fault is named 'sulk'"),
        ("slow", {"second": 1}, "slow has no option 'second'; its options: seconds"),
        ("tampered_body", {"x": 1}, "tampered_body has no option 'x'; its options: none"),
        ("slow", {"seconds": "1"}, "slow: seconds must be a number, not '1'"),
        ("slow", {"seconds": True}, "slow: seconds must be a number, not True"),
        ("silence", {"processed": 1}, "silence: processed must be true or false, not 1"),
        ("redirect", {"location": 7}, "redirect: location must be text, not 7"),
        ("connection_refused", {"host": "third"}, "connection_refused: host must be one of both, main, backup"),
        ("slow", {"times": "2"}, "slow: times must be a whole number of calls, not '2'"),
        ("slow", {"times": -1}, "slow: times must be a whole number of calls, not -1"),
    ],
)
def test_a_fault_that_cannot_be_is_refused_by_name(
    wechat_pay: Simulator, name: str, options: dict[str, Any], message: str
) -> None:
    """A fault or option that does not exist raises ValueError, and over HTTP answers 400 with its text."""
    with pytest.raises(ValueError, match=re.escape(message)):
        wechat_pay.misbehave(name, **options)
    url = f"{wechat_pay.base_url}/__sandbox__/misbehave"
    answer = requests.post(url, json={"name": name, **options}, timeout=LIMIT)
    assert answer.status_code == 400
    assert message in answer.json()["error"]


def _bare(response: Response) -> tuple[object, ...]:
    """The parts of an answer that are the same each time: all but random numbers and signatures."""
    fresh = {"Request-ID", "Wechatpay-Nonce", "Wechatpay-Timestamp", "Wechatpay-Signature"}
    headers = {name: value for name, value in response.reply.headers.items() if name not in fresh}
    lengths = {name: len(value) for name, value in response.reply.headers.items() if name in fresh}
    return response.wire, response.delivery, response.reply.status, response.reply.body, headers, lengths


def _verifies(wechat_pay: Simulator, response: Response) -> bool:
    headers = response.reply.headers
    message = f"{headers.get('Wechatpay-Timestamp')}\n{headers.get('Wechatpay-Nonce')}\n".encode()
    signature = wechat_pay.platform.sign(headers.get("Wechatpay-Serial", ""), message + response.reply.body + b"\n")
    age = abs(int(headers.get("Wechatpay-Timestamp", "0")) - time.time())
    return headers.get("Wechatpay-Signature") == signature and age < 300


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_fault_strikes(wechat_pay: Simulator, kind: FaultKind) -> None:
    """In some state of an order, a fault changes the answer to a sync or a query, as its place in a call demands."""
    strikes = differences = 0
    for prepare in situations(wechat_pay).values():
        for method, target, body in (("GET", QUERY, b""), ("POST", f"{BASE}/S1/sync", PAID)):
            request = signed_request(wechat_pay, method, target, body)
            prepare()
            before = wechat_pay.order(MCHID, "S1")
            honest = wechat_pay.answer(request)
            wechat_pay._store(before)
            wechat_pay.misbehave(kind.name)
            was_active = list(wechat_pay._faults.faults)
            for fault in was_active:
                fault.times = 1
            response = wechat_pay.answer(request)
            strikes += kind.when is When.CONNECT or was_active[0].times == 0
            wechat_pay.behave()
            differences += _bare(response) != _bare(honest) or _verifies(wechat_pay, response) != _verifies(
                wechat_pay, honest
            )
            if kind.when in {When.BEFORE, When.UNEXECUTED, When.STATE, When.REPLAY} and _bare(response) != _bare(
                honest
            ):
                assert wechat_pay.order(MCHID, "S1").state == before.state
            assert response.wire == honest.wire or kind.when in {When.CONNECT, When.WIRE, When.AFTER}
            assert response.delivery == honest.delivery or kind.when is When.DELIVERY
    assert strikes
    assert differences or kind.when is When.REPLAY  # a second sync may be refused as the simulator itself refuses it

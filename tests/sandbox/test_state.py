"""What the simulator has answered outlives its process, and what was in the middle is there or is not."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sandbox.wechat_pay import times
from sandbox.wechat_pay.service import SimulatedService
from sandbox.wechat_pay.state import FILE, State, StateError
from tests.sandbox.signed import MCHID, signed_request

ROOT = Path(__file__).parents[2]


def test_orders_keys_switches_and_plans_are_the_same_after_a_restart(tmp_path: Path, key_ring: Path) -> None:
    """Another simulator on the same folder has the same orders, merchants, certificates, switches and plans."""
    now = [1_790_000_000.0]
    first = SimulatedService(state=tmp_path, keys=key_ring, clock=lambda: now[0])
    first.ready_to_sync(MCHID, "S1")
    first.merchant(MCHID).rotate_key()
    first.change_merchant("1900000109", kind="certificate", has_apiv3_key=False)
    withdrawn, serial = first.platform.issue_certificate(), first.platform.issue_certificate()
    first.withdraw_certificate(withdrawn)
    first.replace_public_key()
    first.switch("second_sync", "200")
    first.automate(MCHID, "S1", deduct_after=60.0)
    memory = (
        first.ledger(), first.merchants(), first.platform.certificates, first.switches, first.next_due,
        first.merchant(MCHID).certificate,
    )  # fmt: skip
    first.close()
    second = SimulatedService(state=tmp_path, keys=key_ring, clock=lambda: now[0])
    assert memory == (
        second.ledger(), second.merchants(), second.platform.certificates, second.switches, second.next_due,
        second.merchant(MCHID).certificate,
    )  # fmt: skip
    assert second.platform.certificate_serial == serial
    now[0] += 60
    second.pass_time()
    assert second.order(MCHID, "S1").paid_type == "NEWTON"
    second.close()


def test_keys_are_a_part_of_the_state(tmp_path: Path) -> None:
    """A simulator with a folder for its state has its keys there too, for the owner alone."""
    first = SimulatedService(state=tmp_path)
    secret = first.merchant(MCHID).secret()
    first.close()
    second = SimulatedService(state=tmp_path)
    assert second.merchant(MCHID).secret() == secret
    second.close()
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "keys").iterdir()} == {0}


def test_what_was_due_while_the_process_was_down_happens_at_its_own_time(tmp_path: Path, key_ring: Path) -> None:
    """A deduction that fell into the pause is dated when it was due, and a sync that comes after it is too late."""
    now = [1_790_000_000.0]
    first = SimulatedService(state=tmp_path, keys=key_ring, clock=lambda: now[0])
    first.ready_to_sync(MCHID, "S1", at=now[0])
    first.automate(MCHID, "S1", deduct_after=30.0)
    first.close()
    now[0] += 3600
    second = SimulatedService(state=tmp_path, keys=key_ring, clock=lambda: now[0])
    second.pass_time()
    assert second.order(MCHID, "S1").paid_time == times.digits(1_790_000_030.0)
    second.close()


def test_a_second_process_does_not_get_a_folder_in_use(tmp_path: Path) -> None:
    """A folder belongs to one simulator; the refusal says what to do, and its end frees the folder."""
    first = State(tmp_path)
    with pytest.raises(StateError, match="choose another folder, or end the process that uses it"):
        State(tmp_path)
    first.close()
    State(tmp_path).close()


@pytest.mark.parametrize("content", [b"no database at all, but long enough to be read as one" * 20, None])
def test_a_file_that_is_no_state_of_this_version_is_refused(tmp_path: Path, content: bytes | None) -> None:
    """A file that is no database, or that another version has written, is refused with its name and stays as it is."""
    if content is None:
        with closing(sqlite3.connect(tmp_path / FILE)) as database:
            database.execute("PRAGMA user_version = 99")
    else:
        (tmp_path / FILE).write_bytes(content)
    with pytest.raises(StateError, match=FILE):
        State(tmp_path)
    assert content is None or (tmp_path / FILE).read_bytes() == content


def test_a_transaction_is_written_whole_or_not_at_all() -> None:
    """An error in the middle of a transaction leaves nothing of it, an inner one takes the outer with it."""
    state = State()

    def fail() -> None:
        with state.transaction():
            state.put_record("a", "1", {})
            with state.transaction():
                state.put_record("a", "2", {})
                raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert state.record("a", "1") is None
    assert state.record("a", "2") is None
    state.put_record("a", "3", {"x": 1})
    assert state.record("a", "3") == {"x": 1}


def test_an_order_of_another_version_is_read_as_far_as_it_can_be(key_ring: Path) -> None:
    """A field that this version does not have is left out, one that the record lacks has its default."""
    service = SimulatedService(keys=key_ring)
    order = service.open(MCHID, "S1")
    record: dict[str, Any] = order.as_dict() | {"of_tomorrow": 1}
    del record["currency"]
    with service._state.transaction() as database:
        database.execute("UPDATE orders SET record = ?", (json.dumps(record),))
    assert service.order(MCHID, "S1") == replace(order, currency="HKD")


_PROGRAM = """
    import sys
    from pathlib import Path
    from sandbox.wechat_pay import times
from sandbox.wechat_pay.service import SimulatedService
    service = SimulatedService(state=Path(sys.argv[1]), keys=Path(sys.argv[2]), notify_url="http://127.0.0.1:9/n")
    number = 0
    while True:
        number += 1
        service.ready_to_sync("1230000109", f"K-{number}")
        service.deduct("1230000109", f"K-{number}")
        print(number, flush=True)
"""


def test_a_kill_in_the_middle_loses_nothing_that_was_answered(tmp_path: Path, key_ring: Path) -> None:
    """After kill -9 every order that was answered stands as answered, each with both of its notifications."""
    command = [sys.executable, "-c", textwrap.dedent(_PROGRAM), str(tmp_path), str(key_ring)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(40)]
        os.kill(process.pid, signal.SIGKILL)
        lines += process.stdout.readlines()
    answered = [int(line) for line in lines if line.endswith("\n")]
    service = SimulatedService(state=tmp_path, keys=key_ring)
    for number in answered:
        assert service.order(MCHID, f"K-{number}").paid_type == "NEWTON"
        events = [one.event_type for one in service.outbox.newest(MCHID, f"K-{number}")]
        assert events == ["PAYSCORE.USER_CONFIRM", "PAYSCORE.USER_PAID"]
    assert len(service.ledger()) <= len(answered) + 1
    service.close()


def test_a_call_is_in_the_state_before_it_is_answered(tmp_path: Path, key_ring: Path) -> None:
    """What a signed call has changed is in the file when its answer is returned, with no further step."""
    service = SimulatedService(state=tmp_path, keys=key_ring)
    service.ready_to_sync(MCHID, "S1")
    body = b'{"appid":"wxd678efh567hg6787","service_id":"500001","reason":"x"}'
    request = signed_request(service, "POST", "/v3/payscore/serviceorder/S1/cancel", body)
    assert service.answer(request).reply.status == 200
    rows = service._state.rows("SELECT json_extract(record, '$.state') FROM orders")
    assert rows == [("REVOKED",)]
    assert not service._state._database.in_transaction
    service.close()

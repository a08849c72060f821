"""The operator's commands, against a deployed stack with something to look at."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ops.__main__ import main
from orders.order import Status
from sandbox import up
from sandbox.testbed import MERCHANT, OTHER_MERCHANT, Testbed, until


@dataclass(frozen=True)
class Desk:
    """Where the operator sits."""

    world: Testbed
    capsys: pytest.CaptureFixture[str]

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run a command; returns its exit code and what it printed to stdout and stderr."""
        code = main(["--stack", "sandbox", "--endpoint-url", self.world.cloud.endpoint_url, *arguments])
        shown = self.capsys.readouterr()
        return code, shown.out, shown.err


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    """A world in which one order is synced, one paid twice, one deducting, one revoked, and one message unreadable."""
    with pytest.MonkeyPatch.context() as patch, Testbed.open(tmp_path_factory.mktemp("busy")) as world:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "sandbox")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        up.seed(world)
        for file in ("paid-offline", "won-by-wechat", "deducting", "revoked", "mixed-batch"):
            world.publish(f"{file}.json")
        ends = {"PAID-OFFLINE-1": "SYNCED", "WON-BY-WECHAT-1": "PAID_BY_WECHAT", "DEDUCTING-1": "RETRYING"}
        for number, status in (ends | {"REVOKED-1": "REJECTED", "MIXED-3": "SYNCED"}).items():
            _becomes(world, number, Status(status))
        yield world


def _becomes(world: Testbed, number: str, status: Status) -> None:
    """Wait until the order has this status."""

    def there() -> bool:
        order = world.order(number)
        return order is not None and order.status is status

    until(there, state=f"{number}: {status}", instead=lambda: world.order(number))


@pytest.fixture
def desk(busy: Testbed, capsys: pytest.CaptureFixture[str]) -> Desk:
    """The operator's desk in that world."""
    return Desk(busy, capsys)


def test_an_order_is_shown_whole(desk: Desk) -> None:
    """As JSON, WeChat Pay's answer included."""
    code, out, _ = desk.run("order", "show", MERCHANT, "PAID-OFFLINE-1")
    item = json.loads(out)
    assert (code, item["status"], item["wechat"]["state"]) == (0, "SYNCED", "DONE")


def test_an_order_that_nobody_reported_is_told_so(desk: Desk) -> None:
    """Exit code 1, and the key that was looked for."""
    code, out, err = desk.run("order", "show", MERCHANT, "NEVER")
    assert (code, out) == (1, "")
    assert f"{MERCHANT}#NEVER" in err


def test_orders_that_need_attention_are_listed(desk: Desk) -> None:
    """With what an operator needs at once; a synced order is not among them."""
    code, out, _ = desk.run("order", "list", "--attention")
    assert code == 0
    lines = {line.split("  ")[3]: line for line in out.splitlines()}
    assert "DEDUCTING" in lines["DEDUCTING-1"]
    assert "4200" in lines["WON-BY-WECHAT-1"]
    assert "REVOKED" in lines["REVOKED-1"]
    assert "PAID-OFFLINE-1" not in lines
    _, only, _ = desk.run("order", "list", "--attention", "--status", "REJECTED")
    assert "REVOKED-1" in only
    assert "DEDUCTING-1" not in only


def test_dead_letters_are_listed_with_their_reasons_and_stay(desk: Desk) -> None:
    """From the item, or from the parser for what has none; listing twice lists the same."""

    def listed() -> str | None:
        _, out, _ = desk.run("dead-letters", "list")
        return out if "2 dead letter(s)" in out else None

    out = until(listed, state="two dead letters are listed", instead=lambda: desk.run("dead-letters", "list"))
    assert "REVOKED-1  REJECTED  REVOKED" in out
    assert "UNREADABLE\n    detail.paid_time: is not a time" in out
    assert listed() == out


def test_a_dead_letter_is_shown_with_its_body(desk: Desk) -> None:
    """By its message id."""
    _, out, _ = desk.run("dead-letters", "list")
    unreadable = next(line.split("  ")[0] for line in out.splitlines() if "UNREADABLE" in line)
    code, shown, _ = desk.run("dead-letters", "show", unreadable)
    assert (code, shown.splitlines()[0]) == (0, "UNREADABLE")
    assert "MIXED-2" in shown
    assert desk.run("dead-letters", "show", "nobody")[0] == 1
    assert desk.run("dead-letters", "redrive", "--message-id", "nobody")[0] == 1


def test_an_event_is_checked_before_it_is_sent(desk: Desk, tmp_path: Path) -> None:
    """A wrong one goes nowhere; a good one ends in the table, by queue or by bus."""
    code, _, err = desk.run("event", "send", "--mchid", MERCHANT, "--out-order-no", "OPS-1", "--paid-time", "yesterday")
    assert code == 1
    assert "detail.paid_time" in err
    code, _, err = desk.run("event", "send", "--mchid", MERCHANT)
    assert (code, "out_order_no: is missing" in err) == (1, True)
    for number, source in (("OPS-1", ()), ("OPS-2", ("--source", "pos.ops"))):
        desk.world.ready(number)
        sent = ("--mchid", MERCHANT, "--out-order-no", number, "--paid-time", "20260101120000", *source)
        assert desk.run("event", "send", *sent)[0] == 0
        _becomes(desk.world, number, Status.SYNCED)
    file = tmp_path / "mine.json"
    file.write_text("[]")
    assert desk.run("event", "send", str(file))[0] == 1
    assert desk.run("event", "send", str(tmp_path / "absent.json"))[0] == 1


def test_keys_are_checked_without_being_shown(desk: Desk) -> None:
    """What signs and what is trusted, by serial."""
    code, out, _ = desk.run("keys", "check", MERCHANT)
    secret = desk.world.wechat_pay.merchant(MERCHANT).secret()
    assert code == 0
    assert secret["serial_no"] in out
    assert next(iter(secret["platform_keys"])) in out
    assert "PRIVATE KEY" not in out
    desk.world.cloud.put_secret("wechatpay/4711", secret | {"mchid": "4711", "private_key": "nonsense!"})
    code, out, err = desk.run("keys", "check", "4711")
    assert (code, out) == (1, "")
    assert "private_key" in err
    assert "nonsense" not in err
    assert "create it" in desk.run("keys", "check", "4712")[2]
    assert desk.run("keys", "check", OTHER_MERCHANT)[0] == 0


def test_keys_are_tried_with_wechat_pay_itself(desk: Desk) -> None:
    """An echo touches no money; a key that WeChat Pay refuses is told in its own words."""
    code, out, _ = desk.run("keys", "check", MERCHANT, "--echo")
    assert (code, "WeChat Pay echoed, 08" in out) == (0, True)
    stale = desk.world.wechat_pay.merchant("4713").secret()
    desk.world.cloud.put_secret("wechatpay/4713", stale)
    desk.world.wechat_pay.merchant("4713").rotate_key()
    assert "SIGN_ERROR" in desk.run("keys", "check", "4713", "--echo")[2]


def test_a_stack_that_is_not_there_is_named(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1; a wrong command line is 2."""
    endpoint = desk.world.cloud.endpoint_url
    assert main(["--stack", "nowhere", "--endpoint-url", endpoint, "order", "list", "--attention"]) == 1
    assert "nowhere" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        main(["order", "shew"])
    assert caught.value.code == 2


def test_all_letters_at_once_need_the_real_sqs(desk: Desk) -> None:
    """The embedded AWS cannot move messages; the command says what to do instead."""
    code, _, err = desk.run("dead-letters", "redrive")
    assert code == 1
    assert "--message-id" in err

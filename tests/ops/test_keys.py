"""`keys check`: every field of a secret with its fault and its remedy, never with its value."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from ops import keys
from ops.__main__ import main
from ops.stack import Deployment, OpsError
from orders.secret import FIELDS
from sandbox.testbed import MERCHANT
from tests.orders.key_material import KeyMaterial, a_secret
from tests.orders.test_merchants import NOT_FOUND, Vault, refused
from tests.wechatpay.conftest import CERTIFICATE_SERIAL, NOW, PUBLIC_KEY_ID


@pytest.fixture(scope="module")
def material() -> KeyMaterial:
    """Keys for this module."""
    return KeyMaterial()


class Desk:
    """A deployment of which Secrets Manager alone is there."""

    def __init__(self, material: KeyMaterial) -> None:
        self.vault = Vault()
        self.deployment = Deployment(lambda _: self.vault, {}, {"WeChatPayBaseUrl": "http://127.0.0.1:9"})
        self.values = a_secret(material)

    def store(self, **changes: Any) -> None:
        """Store the secret; `...` takes a field out."""
        values = {name: value for name, value in (self.values | changes).items() if value is not ...}
        self.vault.contents[MERCHANT] = json.dumps(values)

    def lines(self, at: float = NOW) -> dict[str, str]:
        """What is said about each field of a secret that can be used."""
        return {
            name: words.strip()
            for name, words in self.split(keys.check(self.deployment, MERCHANT, wall_clock=lambda: at).lines)
        }

    @staticmethod
    def split(lines: Any) -> list[tuple[str, str]]:
        """Split each line into the field and the words."""
        return [(line[:15].strip(), line[15:]) for line in lines]


@pytest.fixture
def desk(material: KeyMaterial) -> Desk:
    """One merchant's secret is stored."""
    desk = Desk(material)
    desk.store()
    return desk


def test_a_good_secret_has_a_line_for_each_field(desk: Desk) -> None:
    """All of them are right."""
    assert desk.lines() == dict.fromkeys(FIELDS, "ok")


def test_what_is_absent_and_may_be_is_told(desk: Desk) -> None:
    """With what it would be good for."""
    desk.store(apiv3_key=..., appid="", service_id=None, endpoint=...)
    lines = desk.lines()
    assert lines["apiv3_key"].startswith("absent: needed to open notifications")
    assert lines["appid"] == lines["service_id"] == "absent: each event must name it"
    assert lines["endpoint"] == "ok"


def test_a_certificate_near_its_end_is_told_in_time(desk: Desk) -> None:
    """It can still be used; in thirty days it could not."""
    end = NOW + 1725 * 86400
    day = datetime.fromtimestamp(end, UTC).date()
    assert desk.lines(end - 31 * 86400)["platform_keys"] == "ok"
    assert desk.lines(end - 29 * 86400)["platform_keys"].startswith(f"ok, but {CERTIFICATE_SERIAL} ends on {day}")
    with pytest.raises(OpsError, match=f"ended on {day}"):
        desk.lines(end)


def test_all_faults_are_told_field_by_field(desk: Desk) -> None:
    """Those that are right as well, so that what is left to do is plain."""
    desk.store(serial_no=int(desk.values["serial_no"], 16), private_key="nonsense!", appid="x" * 33)
    with pytest.raises(OpsError) as caught:
        desk.lines()
    first, *lines = str(caught.value).splitlines()
    told = dict(Desk.split(lines))
    assert first == f"the secret of {MERCHANT} cannot be used:"
    assert list(told) == list(FIELDS)
    assert told["serial_no"].startswith("is a number: store it as text")
    assert told["private_key"].startswith("is not PEM")
    assert told["appid"].startswith("is longer than 32 characters")
    assert {told[name] for name in ("mchid", "platform_keys", "apiv3_key", "service_id", "endpoint")} == {"ok"}
    assert "nonsense" not in str(caught.value)


def test_each_of_several_platform_keys_has_its_line(desk: Desk) -> None:
    """Both kinds, both wrong."""
    desk.store(platform_keys={PUBLIC_KEY_ID: "", CERTIFICATE_SERIAL: 5})
    with pytest.raises(OpsError) as caught:
        desk.lines()
    lines = [words for name, words in Desk.split(str(caught.value).splitlines()) if name == "platform_keys"]
    assert lines == [
        f"platform_keys['{PUBLIC_KEY_ID}'] is empty",
        "has an entry that is a number: store the PEM file as text",
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("nonsense", "not JSON"),
        (refused("ResourceNotFoundException", NOT_FOUND), "create it"),
        (refused("AccessDeniedException", "Access to KMS is not allowed"), "Access to KMS is not allowed"),
    ],
)
def test_a_secret_that_cannot_be_had_is_told_in_one_line(desk: Desk, content: Any, words: str) -> None:
    """There is nothing to say about its fields."""
    desk.vault.contents[MERCHANT] = content
    with pytest.raises(OpsError, match=words) as caught:
        desk.lines()
    assert "\n" not in str(caught.value)


def test_the_command_ends_with_1_where_something_is_wrong(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Faults go to stderr, fields that are right to stdout; no value to either."""
    monkeypatch.setattr(Deployment, "find", lambda *_, **__: desk.deployment)
    ageless = {PUBLIC_KEY_ID: desk.values["platform_keys"][PUBLIC_KEY_ID]}  # unlike a certificate
    desk.store(platform_keys=ageless)
    assert main(["keys", "check", MERCHANT]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("mchid          ok\nserial_no      ok\n")
    assert f"trusts                      {PUBLIC_KEY_ID}\n" in shown.out
    desk.store(platform_keys=ageless, apiv3_key="too-short-to-be-one")
    assert main(["keys", "check", MERCHANT]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "apiv3_key      must have exactly 32 bytes" in shown.err
    assert "too-short" not in shown.err

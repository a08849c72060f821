"""`keys check`: every field of a secret with its fault and its remedy, without its value."""

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
    """The keys of a merchant and of WeChat Pay."""
    return KeyMaterial()


class Account:
    """A deployment that has Secrets Manager only, and the merchant's secret in it."""

    def __init__(self, material: KeyMaterial) -> None:
        self.vault = Vault()
        self.deployment = Deployment(lambda _: self.vault, {}, {"WeChatPayBaseUrl": "http://127.0.0.1:9"})
        self.values = a_secret(material)

    def store(self, **changes: Any) -> None:
        """Store the secret with changes; `...` removes a field."""
        values = {name: value for name, value in (self.values | changes).items() if value is not ...}
        self.vault.contents[MERCHANT] = json.dumps(values)

    def lines(self, at: float = NOW) -> dict[str, str]:
        """Run the check and return its text for each field; the secret can be used."""
        return {
            name: words.strip()
            for name, words in self.split(keys.check(self.deployment, MERCHANT, wall_clock=lambda: at).lines)
        }

    @staticmethod
    def split(lines: Any) -> list[tuple[str, str]]:
        """Split each line into the field and the text."""
        return [(line[:15].strip(), line[15:]) for line in lines]


@pytest.fixture
def account(material: KeyMaterial) -> Account:
    """A deployment with one merchant's valid secret."""
    account = Account(material)
    account.store()
    return account


def test_a_good_secret_has_a_line_for_each_field(account: Account) -> None:
    """For a valid secret the check prints one line for each field: ok."""
    assert account.lines() == dict.fromkeys(FIELDS, "ok")


def test_an_absent_optional_field_is_reported(account: Account) -> None:
    """An optional field that is absent is reported with what it is needed for."""
    account.store(apiv3_key=..., appid="", service_id=None, endpoint=...)
    lines = account.lines()
    assert lines["apiv3_key"].startswith("absent: needed to open notifications")
    assert lines["appid"] == lines["service_id"] == "absent: each event must name it"
    assert lines["endpoint"] == "ok"


def test_a_certificate_that_ends_soon_is_reported(account: Account) -> None:
    """A platform certificate is valid until its end; the check reports it thirty days before."""
    end = NOW + 1725 * 86400
    day = datetime.fromtimestamp(end, UTC).date()
    assert account.lines(end - 31 * 86400)["platform_keys"] == "ok"
    assert account.lines(end - 29 * 86400)["platform_keys"].startswith(f"ok, but {CERTIFICATE_SERIAL} ends on {day}")
    with pytest.raises(OpsError, match=f"ended on {day}"):
        account.lines(end)


def test_all_faults_are_reported_field_by_field(account: Account) -> None:
    """A secret with several faults is reported at once, each fault on its field, valid fields as ok."""
    account.store(serial_no=int(account.values["serial_no"], 16), private_key="nonsense!", appid="x" * 33)
    with pytest.raises(OpsError) as caught:
        account.lines()
    first, *lines = str(caught.value).splitlines()
    verdicts = dict(Account.split(lines))
    assert first == f"the secret of {MERCHANT} cannot be used:"
    assert list(verdicts) == list(FIELDS)
    assert verdicts["serial_no"].startswith("is a number: store it as text")
    assert verdicts["private_key"].startswith("is not PEM")
    assert verdicts["appid"].startswith("is longer than 32 characters")
    assert {verdicts[name] for name in ("mchid", "platform_keys", "apiv3_key", "service_id", "endpoint")} == {"ok"}
    assert "nonsense" not in str(caught.value)


def test_each_of_several_platform_keys_has_its_line(account: Account) -> None:
    """Each faulty platform key has a line of its own, for both kinds of keys."""
    account.store(platform_keys={PUBLIC_KEY_ID: "", CERTIFICATE_SERIAL: 5})
    with pytest.raises(OpsError) as caught:
        account.lines()
    lines = [words for name, words in Account.split(str(caught.value).splitlines()) if name == "platform_keys"]
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
def test_a_secret_that_cannot_be_read_is_reported_in_one_line(account: Account, content: Any, words: str) -> None:
    """If the secret cannot be read as JSON or fetched, the error is one line without fields."""
    account.vault.contents[MERCHANT] = content
    with pytest.raises(OpsError, match=words) as caught:
        account.lines()
    assert "\n" not in str(caught.value)


def test_the_exit_status_is_1_if_the_secret_has_a_fault(
    account: Account, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A valid secret is reported on stdout with 0, a faulty one on stderr with 1; neither prints a value."""
    monkeypatch.setattr(Deployment, "find", lambda *_, **__: account.deployment)
    public_key = {
        PUBLIC_KEY_ID: account.values["platform_keys"][PUBLIC_KEY_ID]
    }  # unlike a certificate, it does not expire
    account.store(platform_keys=public_key)
    assert main(["keys", "check", MERCHANT]) == 0
    output = capsys.readouterr()
    assert output.out.startswith("mchid          ok\nserial_no      ok\n")
    assert f"trusts                      {PUBLIC_KEY_ID}\n" in output.out
    account.store(platform_keys=public_key, apiv3_key="too-short-to-be-one")
    assert main(["keys", "check", MERCHANT]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert "apiv3_key      must have exactly 32 bytes" in output.err
    assert "too-short" not in output.err

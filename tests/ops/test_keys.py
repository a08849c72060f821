"""`keys check`: every field of a secret with its fault and its remedy, without its value."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from ops import binding, keys
from ops.__main__ import main
from ops.findings import Finding, State
from ops.stack import Deployment, OpsError
from orders.secret import FIELDS
from sandbox.testbed import MERCHANT
from tests.ops.merchant_files import DAY, certificate_of
from tests.orders.key_material import KeyMaterial, a_secret
from tests.orders.test_merchants import NOT_FOUND, Vault, refused
from tests.wechatpay.conftest import CERTIFICATE_SERIAL, NOW, PUBLIC_KEY_ID, certificate_pem
from wechatpay import RefusedError


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


class Desk:
    """An operator who runs commands against that deployment."""

    def __init__(self, account: Account, capsys: pytest.CaptureFixture[str]) -> None:
        self.account = account
        self._capsys = capsys

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run `keys check`; return its exit status, stdout and stderr."""
        code = main(["keys", "check", MERCHANT, *arguments])
        output = self._capsys.readouterr()
        assert "PRIVATE KEY" not in output.out + output.err
        return int(code), output.out, output.err


@pytest.fixture
def desk(account: Account, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Desk:
    """An operator of that deployment, whose secret has WeChat Pay's public key, which does not expire."""
    monkeypatch.setattr(Deployment, "find", lambda *_, **__: account.deployment)
    account.values["platform_keys"] = {PUBLIC_KEY_ID: account.values["platform_keys"][PUBLIC_KEY_ID]}
    account.store()
    return Desk(account, capsys)


def test_the_exit_status_is_3_if_the_secret_has_a_fault(desk: Desk) -> None:
    """A valid secret is reported with 0, a faulty one with 3, both on stdout; neither prints a value."""
    code, out, err = desk.run()
    assert (code, err) == (0, "")
    assert out.startswith("mchid          ok\nserial_no      ok\n")
    assert f"trusts                      {PUBLIC_KEY_ID}\n" in out
    desk.account.store(apiv3_key="too-short-to-be-one")
    code, out, err = desk.run()
    assert (code, err) == (3, "")
    assert out.startswith(f"the secret of {MERCHANT} cannot be used:\nmchid          ok\n")
    assert "apiv3_key      must have exactly 32 bytes" in out
    assert "too-short" not in out


def test_a_secret_that_does_not_exist_is_a_finding(desk: Desk) -> None:
    """No secret, or one that is no JSON, ends with 3 and names the remedy; one that cannot be fetched ends with 1."""
    contents = desk.account.vault.contents
    contents[MERCHANT] = refused("ResourceNotFoundException", NOT_FOUND)
    code, out, _ = desk.run()
    assert (code, f"(merchant add {MERCHANT} creates it)" in out) == (3, True)
    contents[MERCHANT] = "nonsense"
    assert (desk.run()[0], "is not JSON" in desk.run()[1]) == (3, True)
    contents[MERCHANT] = refused("AccessDeniedException", "Access to KMS is not allowed")
    code, out, err = desk.run()
    assert (code, out, "Access to KMS is not allowed" in err) == (1, "", True)


def test_a_program_reads_the_findings(desk: Desk) -> None:
    """With --json the report has each finding with its state, the serials, and the days left of each certificate."""
    document = json.loads(desk.run("--json")[1])
    assert document["usable"] is True
    assert {finding["state"] for finding in document["findings"]} == {"ok"}
    assert [finding["subject"] for finding in document["findings"]] == list(FIELDS)
    assert (document["serial_no"], document["days_left"]) == (desk.account.values["serial_no"], {})
    desk.account.store(private_key="nonsense!")
    document = json.loads(desk.run("--json")[1])
    states = {finding["subject"]: finding["state"] for finding in document["findings"]}
    assert (document["usable"], states["private_key"], states["mchid"]) == (False, "failed", "ok")


# ---- the merchant's own certificate ----------------------------------------------------------------------------------


def own_certificate(material: KeyMaterial, **validity: Any) -> str:
    """Return the merchant's certificate as PEM, valid from and until these times from now."""
    certificate = certificate_of(material.merchant, material.serial_no, MERCHANT, **validity)
    return certificate.public_bytes(Encoding.PEM).decode()


def test_the_certificate_of_the_secret_is_compared(desk: Desk, material: KeyMaterial) -> None:
    """A certificate in the secret belongs to its private key, serial and mchid, and has its days left."""
    desk.account.store(certificate=own_certificate(material))
    code, out, _ = desk.run()
    assert code == 0
    assert "certificate    ok, belongs to private_key, serial_no and mchid, ends on " in out
    assert f"signs with the certificate  {material.serial_no} (ends on " in out
    assert json.loads(desk.run("--json")[1])["days_left"] == {material.serial_no: 1724}


@pytest.mark.parametrize(
    ("validity", "code", "words"),
    [
        ({"end": 29 * DAY}, 0, "certificate    ok, but belongs to private_key"),
        ({"begin": -9 * DAY, "end": -DAY}, 3, "WeChat Pay refuses what it signs: request its successor"),
        ({"begin": DAY}, 3, "check the clock of this machine"),
    ],
)
def test_the_dates_of_the_certificate_count(
    desk: Desk, material: KeyMaterial, validity: Any, code: int, words: str
) -> None:
    """A certificate that ends within 30 days is a warning, one that has ended or begins later ends with 3."""
    desk.account.store(certificate=own_certificate(material, **validity))
    status, out, _ = desk.run()
    assert (status, words in out) == (code, True)


def test_a_certificate_of_a_file_is_compared(desk: Desk, material: KeyMaterial, tmp_path: Path) -> None:
    """--certificate compares a file with the secret: another key, another serial, no certificate, no file."""
    path = tmp_path / "apiclient_cert.pem"
    path.write_text(own_certificate(material))
    assert desk.run("--certificate", str(path))[0] == 0
    for content, words in (
        (certificate_pem(material.platform, material.serial_no), "does not belong to private_key"),
        (certificate_pem(material.merchant, "5" * 40), f"serial_no is {material.serial_no}, the certificate's is 555"),
        (certificate_pem(material.merchant, material.serial_no), "the certificate was issued to 'Tenpay.com sign'"),
        ("nonsense!", "is not PEM"),
    ):
        path.write_text(content)
        status, out, _ = desk.run("--certificate", str(path))
        assert (status, words in out) == (3, True)
    path.unlink()
    assert desk.run("--certificate", str(path))[0] == 1


# ---- what WeChat Pay says --------------------------------------------------------------------------------------------


def test_a_silent_wechat_pay_is_no_fault_of_the_keys(desk: Desk) -> None:
    """If WeChat Pay does not answer, --echo and --bound are not checked, and the exit status is 3."""
    code, out, _ = desk.run("--echo", "--bound", "--sub-mchid", "1900000109")
    assert code == 3
    assert "is well formed, but WeChat Pay has not answered (checked " in out
    assert "echo           not checked: WeChat Pay did not answer" in out
    assert "bound          not checked: the query failed" in out
    assert "WeChat Pay was asked)" in out


def test_a_query_needs_its_fields(desk: Desk) -> None:
    """--bound names the options for what neither the secret nor the command line gives."""
    desk.account.store(service_id=None)  # its endpoint is that of service providers
    _, out, _ = desk.run("--bound")
    assert "bound          not checked: the query needs service_id and sub_mchid: give --service-id and" in out


@pytest.mark.parametrize(
    ("refusal", "state", "words"),
    [
        ({"status": 404, "code": "ORDER_NOT_EXIST"}, State.OK, "mchid, appid, service_id seem to belong together"),
        ({"status": 404, "code": "ORDER_NOT_ EXIST"}, State.OK, "seem to belong together"),
        ({"status": 403, "code": "NO_AUTH", "message": "商户信息不合法"}, State.FAILED, "403 NO_AUTH 商户信息不合法"),
        ({"status": 400, "code": "PARAM_ERROR", "request_id": "08-271302149"}, State.FAILED, "seem not to belong"),
        ({"status": 401, "code": "SIGN_ERROR"}, State.NOT_CHECKED, "the signature is refused"),
        ({"status": 500, "code": "SYSTEM_ERROR"}, State.NOT_CHECKED, "says nothing about it"),
    ],
)
def test_the_refusal_of_the_query_is_a_hint(refusal: Any, state: State, words: str) -> None:
    """ORDER_NOT_EXIST hints that the numbers are bound, NO_AUTH that they are not; WeChat Pay's words are repeated."""
    finding = binding.judge(RefusedError(**refusal), {"appid": "wx1", "service_id": "500001"})
    assert (finding.state, words in finding.words) == (state, True)
    assert "WeChat Pay says" in finding.words


def test_a_strange_word_cannot_move_the_cursor(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """WeChat Pay's words are printed without control and direction characters."""
    dirty = Finding("bound", State.FAILED, "\x1b[2J\u202e", "remedy")
    monkeypatch.setattr(binding, "check", lambda *_, **__: dirty)
    code, out, _ = desk.run("--bound")
    assert (code, "\x1b" in out, "\u202e" in out) == (3, False, False)

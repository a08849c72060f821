"""`merchant add` and `merchant rotate`: the merchant platform's files in, a usable secret out, and no key shown."""

import getpass
import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.asymmetric import rsa

from ops import keys
from ops.__main__ import main
from ops.findings import Finding, failed
from ops.keys import UnusableKeysError
from ops.merchant import files, store
from ops.merchant.material import Material
from ops.stack import Deployment, OpsError
from orders.order import Status
from sandbox.testbed import MERCHANT, Testbed, until
from sandbox.wechat_pay.keys import Mode
from tests.ops.merchant_files import DAY, MerchantFiles, certificate_of
from tests.wechatpay.conftest import rsa_key

REGISTERED = frozenset({"1300000001", "1300000040"})
SERIAL = f"5{'A1' * 19}0"
APIV3_KEY = "".join(chr(ord("a") + number % 26) for number in range(32))


@dataclass(frozen=True)
class Administrator:
    """A person who stores merchants' keys in the sandbox, with the files of the merchant platform in a folder."""

    world: Testbed
    capsys: pytest.CaptureFixture[str]
    folder: Path
    key: rsa.RSAPrivateKey

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run a command; return its exit status, stdout and stderr. No output may have a key."""
        code = main(["--stack", "sandbox", "--endpoint-url", self.world.cloud.endpoint_url, *arguments])
        output = self.capsys.readouterr()
        assert not any(word in output.out + output.err for word in ("PRIVATE KEY", "BEGIN", APIV3_KEY))
        return int(code), output.out, output.err

    def files(self, mchid: str) -> MerchantFiles:
        """Return a merchant's files; only those of `REGISTERED` are known to WeChat Pay, each with a key of its own."""
        if mchid not in REGISTERED:
            return MerchantFiles(self.folder / mchid, mchid, self.key, SERIAL)
        merchant = self.world.wechat_pay.merchant(mchid)
        return MerchantFiles(self.folder / merchant.serial_no, mchid, merchant.key, merchant.serial_no)

    def platform(self, mode: Mode = "public_key") -> dict[str, str]:
        """Return WeChat Pay's keys by their names."""
        return self.world.wechat_pay.merchant(MERCHANT).platform_keys(mode)

    def add(self, mchid: str, *options: str) -> tuple[int, str, str]:
        """Run `merchant add` with the usual files of a merchant."""
        merchant = self.files(mchid)
        public_key = merchant.public_key(self.platform())
        return self.run("merchant", "add", mchid, *merchant.pair, *public_key, *options)

    def secret(self, mchid: str) -> dict[str, Any]:
        """Return the secret as it is stored."""
        answer = self.world.cloud.client("secretsmanager").get_secret_value(SecretId=f"wechatpay/{mchid}")
        values: dict[str, Any] = json.loads(answer["SecretString"])
        return values

    def has_secret(self, mchid: str) -> bool:
        """Whether there is a secret of this merchant."""
        rows = self.world.cloud.client("secretsmanager").list_secrets()["SecretList"]
        return f"wechatpay/{mchid}" in {row["Name"] for row in rows}


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    """A merchant's key."""
    return rsa_key()


@pytest.fixture
def administrator(
    world: Testbed,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    key: rsa.RSAPrivateKey,
) -> Administrator:
    """An administrator without a terminal."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "sandbox")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    return Administrator(world, capsys, tmp_path, key)


# ---- add -------------------------------------------------------------------------------------------------------------


def test_a_merchant_is_added_and_its_order_synced(administrator: Administrator, tmp_path: Path) -> None:
    """The secret that `merchant add` writes passes `keys check --echo`, and the function syncs an order with it."""
    mchid, world = "1300000001", administrator.world
    key_file = tmp_path / "apiv3.txt"
    key_file.write_text(f"\ufeff{APIV3_KEY}\r\n", encoding="utf-8")
    options = ("--apiv3-key-file", str(key_file), "--appid", "wxd678efh567hg6787", "--service-id", "500001", "--yes")
    code, out, err = administrator.add(mchid, *options)
    assert (code, err) == (0, "")
    assert "secret         wechatpay/1300000001\nencrypted by   the AWS managed key" in out
    assert "private_key    present, not shown\n" in out
    assert "written: wechatpay/1300000001\nmchid          ok\n" in out
    assert "certificate    ok, belongs to private_key, serial_no and mchid, ends on " in out
    assert f"the secret of {mchid} can be used" in out
    secret = administrator.secret(mchid)
    assert (secret["apiv3_key"], secret["mchid"], secret["serial_no"]) == (
        APIV3_KEY,
        mchid,
        world.wechat_pay.merchant(mchid).serial_no,
    )
    assert "WeChat Pay echoed, " in administrator.run("keys", "check", mchid, "--echo")[1]
    world.ready("ADDED-1", mchid)
    fields = ("--mchid", mchid, "--out-order-no", "ADDED-1", "--paid-time", "20260101120000")
    assert administrator.run("event", "send", *fields)[0] == 0

    def is_synced() -> bool:
        order = world.order("ADDED-1", mchid)
        return order is not None and order.status is Status.SYNCED

    until(is_synced, state="ADDED-1 is synced", instead=lambda: world.order("ADDED-1", mchid))


def test_a_merchant_that_exists_is_not_overwritten(administrator: Administrator) -> None:
    """A second `merchant add` writes nothing, and names `merchant rotate`."""
    mchid = "1300000002"
    assert administrator.add(mchid, "--yes")[0] == 0
    before = administrator.secret(mchid)
    code, out, err = administrator.add(mchid, "--appid", "wx2", "--yes")
    assert (code, out) == (1, "")
    assert err == f"ops: secret wechatpay/{mchid} exists already, nothing was written: use `merchant rotate {mchid}`\n"
    assert administrator.secret(mchid) == before


def test_nothing_is_written_without_an_answer(administrator: Administrator) -> None:
    """Without a terminal and without --yes the plan is shown, nothing is written, and the exit status is 3."""
    code, out, _ = administrator.add("1300000003")
    assert code == 3
    assert out.endswith("nothing was written: give --yes to write this\n")
    assert SERIAL in out
    assert not administrator.has_secret("1300000003")
    plan = json.loads(administrator.add("1300000003", "--json")[1])
    assert (plan["written"], plan["plan"][0]) == (False, "secret         wechatpay/1300000003")


class Terminal(io.StringIO):
    """A terminal on which a person types."""

    def isatty(self) -> bool:
        """Say that it is one."""
        return True


@pytest.mark.parametrize(
    ("mchid", "answer", "is_written"),
    [("13001", "y\n", True), ("13002", "yes\n", True), ("13003", "n\n", False), ("13004", "", False)],
)
def test_a_person_is_asked(
    administrator: Administrator, monkeypatch: pytest.MonkeyPatch, mchid: str, answer: str, is_written: bool
) -> None:
    """At a terminal the plan and the question are on stderr; only `y` and `yes` write."""
    monkeypatch.setattr(getpass, "getpass", lambda *_, **__: "")
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    code, _, err = administrator.add(mchid)
    assert code == (0 if is_written else 1)
    assert "Write this? [y/N] " in err
    assert is_written or "not confirmed: nothing was written" in err
    assert administrator.has_secret(mchid) is is_written


def test_the_apiv3_key_is_asked_for_at_a_terminal(
    administrator: Administrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a terminal the APIv3 key is typed unseen; from a pipe it is read with `-`."""
    questions: list[str] = []

    def type_unseen(question: str, **_: object) -> str:
        questions.append(question)
        return APIV3_KEY

    monkeypatch.setattr(getpass, "getpass", type_unseen)
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    assert administrator.add("1300000004")[0] == 0
    assert questions == ["APIv3 key (not shown; Enter leaves it out): "]
    assert administrator.secret("1300000004")["apiv3_key"] == APIV3_KEY
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{APIV3_KEY}\n".encode())))
    assert administrator.add("1300000005", "--apiv3-key-file", "-", "--yes")[0] == 0
    assert administrator.secret("1300000005")["apiv3_key"] == APIV3_KEY


def test_a_p12_file_is_opened_with_the_mchid(administrator: Administrator) -> None:
    """apiclient_cert.p12 takes the place of the two PEM files; its password is the mchid, another one is an option."""
    for mchid, password, options in (
        ("1300000006", "", ()),
        ("1300000007", "another password", ("--p12-password", "another password")),
    ):
        merchant = administrator.files(mchid)
        path = merchant.write_p12(password)
        public_key = merchant.public_key(administrator.platform())
        code, out, _ = administrator.run(
            "merchant", "add", mchid, "--p12", str(path), *options, *public_key, "--appid", "wx1", "--yes"
        )
        assert (code, "can be used" in out) == (0, True)
        assert administrator.secret(mchid)["serial_no"] == merchant.serial_no


def test_a_p12_password_is_asked_for(administrator: Administrator, monkeypatch: pytest.MonkeyPatch) -> None:
    """--p12-password without a value asks for the password, so that no process list has it."""
    merchant = administrator.files("1300000008")
    path = merchant.write_p12("typed")
    monkeypatch.setattr(getpass, "getpass", lambda *_, **__: "typed")
    public_key = merchant.public_key(administrator.platform())
    arguments = ("merchant", "add", "1300000008", "--p12", str(path), *public_key, "--yes", "--p12-password")
    assert administrator.run(*arguments)[0] == 0


def test_both_kinds_of_platform_keys_are_stored(administrator: Administrator) -> None:
    """A merchant in migration gets the public key and platform certificates, with their days left."""
    mchid = "1300000009"
    [(serial, pem)] = administrator.platform("certificate").items()
    path = administrator.files(mchid).write_text("wechatpay_cert.pem", pem)
    code, out, _ = administrator.add(mchid, "--platform-certificate", str(path), "--yes")
    assert code == 0
    assert f"{serial} (ends on " in out
    assert set(administrator.secret(mchid)["platform_keys"]) == {serial, *administrator.platform()}


def test_a_secret_that_cannot_be_read_back_is_told(
    administrator: Administrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the check after the write finds a fault, the exit status is 3; if it cannot read the secret, it is 1."""

    def refuse(*findings: Finding) -> None:
        def check(*_: object, **__: object) -> None:
            raise UnusableKeysError("access denied", findings)

        monkeypatch.setattr(keys, "check", check)

    refuse(failed("appid", "is too long", "shorten it"))
    code, out, _ = administrator.add("1300000010", "--yes")
    assert (code, "written: wechatpay/1300000010\naccess denied\n" in out) == (3, True)
    refuse()
    code, _, err = administrator.add("1300000011", "--yes")
    assert (code, err) == (1, "ops: the secret was written, but cannot be read back: access denied\n")


# ---- what does not fit together --------------------------------------------------------------------------------------

type Damage = Callable[[MerchantFiles], tuple[str, ...]]


def _other_key(merchant: MerchantFiles) -> tuple[str, ...]:
    merchant.write_key(rsa_key())
    return ()


def _other_owner(merchant: MerchantFiles) -> tuple[str, ...]:
    merchant.write_certificate(certificate_of(merchant.key, merchant.serial_no, "1900000000"))
    return ()


def _after_its_end(merchant: MerchantFiles) -> tuple[str, ...]:
    merchant.write_certificate(certificate_of(merchant.key, merchant.serial_no, merchant.mchid, -99 * DAY, -DAY))
    return ()


def _before_its_begin(merchant: MerchantFiles) -> tuple[str, ...]:
    merchant.write_certificate(certificate_of(merchant.key, merchant.serial_no, merchant.mchid, DAY))
    return ()


def _own_as_platform(merchant: MerchantFiles) -> tuple[str, ...]:
    return ("--platform-certificate", str(merchant.folder / "apiclient_cert.pem"))


def _short_apiv3(merchant: MerchantFiles) -> tuple[str, ...]:
    return ("--apiv3-key-file", str(merchant.write_text("apiv3.txt", "too-short")))


def _encrypted(merchant: MerchantFiles) -> tuple[str, ...]:
    merchant.write_key(password="a passphrase")  # noqa: S106  of this test
    return ()


def _swapped(merchant: MerchantFiles) -> tuple[str, ...]:
    (merchant.folder / "apiclient_key.pem").write_bytes((merchant.folder / "apiclient_cert.pem").read_bytes())
    return ()


def _key_as_certificate(merchant: MerchantFiles) -> tuple[str, ...]:
    (merchant.folder / "apiclient_cert.pem").write_bytes((merchant.folder / "apiclient_key.pem").read_bytes())
    return ()


def _private_as_public(merchant: MerchantFiles) -> tuple[str, ...]:
    (merchant.folder / "pub_key.pem").write_bytes((merchant.folder / "apiclient_key.pem").read_bytes())
    return ()


def _wrong_id(_: MerchantFiles) -> tuple[str, ...]:
    return ("--public-key-id", "7132D72A")


DAMAGES: dict[str, tuple[Damage, str]] = {
    "other key": (_other_key, "certificate and private_key were not made together"),
    "other owner": (_other_owner, "certificate was issued to merchant 1900000000, not to 1300000020"),
    "ended": (_after_its_end, "certificate ended on "),
    "early": (_before_its_begin, "certificate begins on "),
    "own as platform": (_own_as_platform, "serial_no is among platform_keys: the one is the merchant's"),
    "short APIv3 key": (_short_apiv3, "apiv3_key must have exactly 32 bytes"),
    "encrypted": (_encrypted, "apiclient_key.pem: private_key is encrypted: remove its passphrase"),
    "certificate as key": (_swapped, "private_key is a certificate (apiclient_cert.pem): give apiclient_key.pem"),
    "key as certificate": (_key_as_certificate, "it is damaged or not a certificate (expected: apiclient_cert.pem)"),
    "private as public": (_private_as_public, "is a private key: give WeChat Pay's public key (pub_key.pem)"),
    "wrong id": (_wrong_id, "its name must be its id, PUB_KEY_ID_"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_files_that_do_not_belong_together_are_refused(administrator: Administrator, name: str) -> None:
    """Files that do not fit are refused with the cause and the remedy, nothing is written, and no key is shown."""
    mchid, (damage, words) = "1300000020", DAMAGES[name]
    merchant = administrator.files(mchid)
    public_key = merchant.public_key(administrator.platform())
    options = damage(merchant)
    code, out, err = administrator.run("merchant", "add", mchid, *merchant.pair, *public_key, *options, "--yes")
    assert (code, out) == (1, "")
    assert words in err
    assert not administrator.has_secret(mchid)


def test_all_that_does_not_fit_is_reported_at_once(administrator: Administrator) -> None:
    """A certificate of another merchant that has ended is two lines."""
    merchant = administrator.files("1300000021")
    merchant.write_certificate(certificate_of(merchant.key, merchant.serial_no, "1900000000", -99 * DAY, -DAY))
    public_key = merchant.public_key(administrator.platform())
    _, _, err = administrator.run("merchant", "add", "1300000021", *merchant.pair, *public_key, "--yes")
    first, *lines = err.splitlines()
    assert first == "ops: nothing was written: the keys of 1300000021 do not fit:"
    assert [line.split()[1:3] for line in lines] == [["certificate", "was"], ["certificate", "ended"]]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "give --private-key and --certificate, or --p12"),
        (("--p12", "a"), "give --public-key with --public-key-id, or --platform-certificate"),
        (("--private-key", "a", "--platform-certificate", "{cert}"), "--private-key and --certificate belong together"),
        (("--p12", "a", "--certificate", "b", "--platform-certificate", "{cert}"), "not both"),
        (("--private-key", "a", "--public-key", "b"), "--public-key and --public-key-id belong together"),
        (
            ("--private-key", "a", "--p12-password", "b", "--platform-certificate", "{cert}"),
            "--p12-password is that of --p12",
        ),
    ],
)
def test_options_that_do_not_fit_are_refused(
    administrator: Administrator, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str
) -> None:
    """Options that do not belong together end with status 2, before anything is read from AWS or written."""
    path = administrator.files("1300000022").folder / "apiclient_cert.pem"
    options = [argument.format(cert=path) for argument in arguments]
    monkeypatch.setattr(Deployment, "find", lambda *_, **__: Deployment(DeniedSecrets.everywhere, {}, {}))
    code, out, err = administrator.run("merchant", "add", "1300000022", *options, "--yes")
    assert (code, out) == (2, "")
    assert words in err


# ---- files -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def merchant_files(tmp_path: Path, key: rsa.RSAPrivateKey) -> MerchantFiles:
    """The files of a merchant."""
    return MerchantFiles(tmp_path, "1300000030", key, "5" * 40)


def test_a_file_that_cannot_be_read_is_named(merchant_files: MerchantFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is absent, a directory, empty, too large or not readable is named with its option and the remedy."""
    folder = merchant_files.folder

    def problem(name: str) -> str:
        with pytest.raises(OpsError) as caught:
            files.read_bytes("--private-key", folder / name)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    absent = folder / "absent.pem"
    assert problem("absent.pem") == (
        f"--private-key {absent}: there is no such file: give the path of apiclient_key.pem"
    )
    assert "it is a directory: give the path of apiclient_key.pem in it" in problem(".")
    merchant_files.write_text("empty.pem", " \n")
    assert "it is empty" in problem("empty.pem")
    merchant_files.write_text("large.pem", "x" * 70_000)
    assert "it has more than 64 KB" in problem("large.pem")
    assert "it cannot be read" in problem("\0")

    open_file = Path.open

    def refuse(self: Path, *args: Any, **options: Any) -> IO[Any]:
        if self.name == "apiclient_key.pem":
            raise PermissionError(13, "Permission denied")
        return cast("IO[Any]", open_file(self, *args, **options))

    monkeypatch.setattr(Path, "open", refuse)  # refuses this file alone
    assert "it may not be read: run this as the owner of the file" in problem("apiclient_key.pem")


def test_a_p12_file_with_another_password_is_explained(merchant_files: MerchantFiles) -> None:
    """A wrong password, a damaged file, and one that is not PKCS#12 are different texts, none with the password."""
    path = merchant_files.write_p12("the real one")
    with pytest.raises(OpsError, match="its password is wrong, or the file is damaged") as caught:
        files.read_p12(path, "a wrong one")
    assert "a wrong one" not in str(caught.value)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(OpsError, match="the file is damaged"):
        files.read_p12(path, "the real one")
    with pytest.raises(OpsError, match="it is not a PKCS#12 file"):
        files.read_p12(merchant_files.folder / "apiclient_key.pem", "the real one")
    with pytest.raises(OpsError, match="it is not text"):
        files.apiv3_key(b"\xff\xfe\xfd", "file")


def test_no_key_is_in_a_repr(merchant_files: MerchantFiles) -> None:
    """What the files contain prints without a key or a certificate."""
    credentials = files.read_pair(*(merchant_files.folder / f"apiclient_{name}.pem" for name in ("key", "cert")))
    assert repr(credentials) == "Credentials()"
    assert repr(Material(credentials, apiv3_key=APIV3_KEY)).count(APIV3_KEY) == 0
    assert APIV3_KEY not in repr(store.Version("1", {"apiv3_key": APIV3_KEY}))


# ---- rotate ----------------------------------------------------------------------------------------------------------


def test_a_key_is_rotated_and_the_way_back_works(administrator: Administrator) -> None:
    """`merchant rotate` replaces key, serial and certificate alone; the command that it prints brings the old ones."""
    mchid, wechat_pay = "1300000040", administrator.world.wechat_pay
    assert administrator.add(mchid, "--appid", "wx1", "--service-id", "500001", "--yes")[0] == 0
    before = administrator.secret(mchid)
    wechat_pay.merchant(mchid).rotate_key()
    assert "SIGN_ERROR" in administrator.run("keys", "check", mchid, "--echo")[1]
    merchant = administrator.files(mchid)
    code, out, _ = administrator.run("merchant", "rotate", mchid, *merchant.pair, "--yes")
    after = administrator.secret(mchid)
    assert code == 0
    assert f"serial_no      {before['serial_no']} → {merchant.serial_no}\n" in out
    assert "private_key    replaced, not shown\n" in out
    assert "The function keeps a secret for 300 s, and fetches it at once when WeChat Pay answers 401." in out
    assert {name for name in after if after[name] != before[name]} == {"serial_no", "private_key", "certificate"}
    assert administrator.run("keys", "check", mchid, "--echo")[0] == 0
    way_back = out.splitlines()[-1].split()
    assert way_back[:3] == ["aws", "secretsmanager", "update-secret-version-stage"]
    options = dict(zip(way_back[3::2], way_back[4::2], strict=True))
    administrator.world.cloud.client("secretsmanager").update_secret_version_stage(
        SecretId=options["--secret-id"],
        VersionStage=options["--version-stage"],
        MoveToVersionId=options["--move-to-version-id"],
        RemoveFromVersionId=options["--remove-from-version-id"],
    )
    assert administrator.secret(mchid) == before


def test_platform_keys_are_added_and_dropped(administrator: Administrator) -> None:
    """A rotation keeps the platform keys of the secret; only --drop-platform-key removes one, never the last."""
    mchid = "1300000041"
    assert administrator.add(mchid, "--yes")[0] == 0
    [name] = administrator.platform()
    [(serial, pem)] = administrator.platform("certificate").items()
    path = administrator.files(mchid).write_text("platform.pem", pem)
    code, out, _ = administrator.run("merchant", "rotate", mchid, "--platform-certificate", str(path), "--yes")
    assert code == 0
    assert f"platform_keys  {serial} added\nplatform_keys  {name} stays\n" in out
    assert set(administrator.secret(mchid)["platform_keys"]) == {name, serial}
    code, out, _ = administrator.run("merchant", "rotate", mchid, "--drop-platform-key", name.lower(), "--yes")
    assert (code, f"platform_keys  {name} removed\n" in out) == (0, True)
    assert set(administrator.secret(mchid)["platform_keys"]) == {serial}
    for drop, words in ((serial, "would leave no platform key"), (name, f"has no such key, only {serial}")):
        code, _, err = administrator.run("merchant", "rotate", mchid, "--drop-platform-key", drop, "--yes")
        assert (code, words in err) == (1, True)


def test_a_rotation_that_changes_nothing_writes_nothing(administrator: Administrator) -> None:
    """The same values again are an error, and the secret has no new version."""
    mchid = "1300000042"
    assert administrator.add(mchid, "--appid", "wx1", "--yes")[0] == 0
    code, _, err = administrator.run("merchant", "rotate", mchid, "--appid", "wx1", "--yes")
    assert (code, "nothing changes" in err) == (1, True)
    code, out, _ = administrator.run("merchant", "rotate", mchid, "--appid", "wx2")
    assert (code, "appid          wx1 → wx2\n" in out) == (3, True)
    assert administrator.secret(mchid)["appid"] == "wx1"


def test_a_secret_in_an_odd_form_is_rotated(administrator: Administrator) -> None:
    """JSON in JSON and platform keys as text are read as the function reads them; unknown fields stay."""
    mchid = "1300000043"
    secret = administrator.world.wechat_pay.merchant(MERCHANT).secret() | {"mchid": mchid}
    secret |= {"platform_keys": json.dumps(secret["platform_keys"]), "note": "of the shop"}
    administrator.world.cloud.client("secretsmanager").create_secret(
        Name=f"wechatpay/{mchid}", SecretString=json.dumps(json.dumps(secret))
    )
    assert administrator.run("merchant", "rotate", mchid, "--service-id", "500002", "--yes")[0] == 0
    after = administrator.secret(mchid)
    assert (after["note"], after["service_id"]) == ("of the shop", "500002")
    assert after["platform_keys"] == secret["platform_keys"]


def test_a_key_in_the_wrong_field_is_not_shown(administrator: Administrator) -> None:
    """What a stored secret has in place of a serial, an id or a name is shown only if it cannot be a key."""
    mchid = "1300000047"
    secret = administrator.world.wechat_pay.merchant(MERCHANT).secret() | {"mchid": mchid}
    [pem] = secret["platform_keys"].values()
    secret |= {"appid": APIV3_KEY, "platform_keys": {APIV3_KEY: pem} | secret["platform_keys"]}
    administrator.world.cloud.client("secretsmanager").create_secret(
        Name=f"wechatpay/{mchid}", SecretString=json.dumps(secret)
    )
    code, _, err = administrator.run("merchant", "rotate", mchid, "--drop-platform-key", "X", "--yes")
    assert code == 1
    assert "only (not shown: it may be a key), PUB_KEY_ID_" in err
    options = ("--appid", "wx1", "--drop-platform-key", APIV3_KEY)
    code, out, _ = administrator.run("merchant", "rotate", mchid, *options, "--yes")
    assert (code, "appid          (not shown: it may be a key) → wx1\n" in out) == (0, True)


def test_a_rotation_needs_a_secret(administrator: Administrator) -> None:
    """Without a secret `merchant rotate` names `merchant add`; a secret that is no JSON is told to be replaced."""
    code, _, err = administrator.run("merchant", "rotate", "1300000044", "--appid", "wx1", "--yes")
    assert (code, err) == (1, "ops: there is no secret wechatpay/1300000044: run `merchant add 1300000044`\n")
    administrator.world.cloud.client("secretsmanager").create_secret(
        Name="wechatpay/1300000045", SecretString="not JSON"
    )
    code, _, err = administrator.run("merchant", "rotate", "1300000045", "--appid", "wx1", "--yes")
    assert (code, "is not JSON" in err, "run `merchant add`" in err) == (1, True, True)


def test_a_deleted_secret_is_restored_before_it_is_used(administrator: Administrator) -> None:
    """A secret that is scheduled for deletion cannot be added again; the error has the command that restores it."""
    assert administrator.add("1300000046", "--yes")[0] == 0
    administrator.world.cloud.client("secretsmanager").delete_secret(SecretId="wechatpay/1300000046")
    code, _, err = administrator.run("merchant", "add", "1300000046", "--p12", "a", "--platform-certificate", "b")
    assert (code, "restore-secret" in err) == (1, True)


# ---- permissions -----------------------------------------------------------------------------------------------------


class DeniedSecrets:
    """A Secrets Manager that refuses each call with an error of AWS."""

    def __init__(self, code: str, message: str) -> None:
        self._error = {"Error": {"Code": code, "Message": message}}

    @classmethod
    def everywhere(cls, _: str) -> "DeniedSecrets":
        """Return it as the client of any service: a command that calls it fails."""
        return cls("AccessDeniedException", "not expected")

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def refuse(**_: object) -> None:
            raise ClientError(self._error, operation)  # type: ignore[arg-type]  # as botocore makes it

        return refuse


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("is not authorized", "the operator's role needs secretsmanager:CreateSecret on the secret wechatpay/1"),
        ("Access to KMS is not allowed", "needs kms:GenerateDataKey and kms:Decrypt on the stack's KMS key"),
    ],
)
def test_a_missing_permission_is_named(message: str, words: str) -> None:
    """If AWS denies a call, the error is one line with the permission that is missing."""
    deployment = Deployment(lambda _: DeniedSecrets("AccessDeniedException", message), {}, {})
    with pytest.raises(OpsError) as caught:
        store.create(deployment, "1", {}, "")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_errors_of_aws_are_one_line() -> None:
    """An error that is no missing permission has AWS's own words."""
    deployment = Deployment(lambda _: DeniedSecrets("LimitExceededException", "too many"), {}, {})
    calls: tuple[Callable[[], object], ...] = (
        lambda: store.create(deployment, "1", {}, ""),
        lambda: store.require_absent(deployment, "1"),
        lambda: store.current(deployment, "1"),
    )
    for call in calls:
        with pytest.raises(OpsError, match=r"secret wechatpay/1: .*LimitExceededException: too many"):
            call()


class KmsSecrets:
    """A Secrets Manager that keeps the arguments of CreateSecret, and whose secret others change."""

    def __init__(self) -> None:
        self.arguments: dict[str, Any] = {}
        self.versions = iter(range(9))

    def create_secret(self, **arguments: Any) -> dict[str, str]:
        """Keep the arguments."""
        self.arguments = arguments
        return {"VersionId": "1"}

    def get_secret_value(self, **_: Any) -> dict[str, str]:
        """Answer with a new version each time."""
        return {"VersionId": str(next(self.versions)), "SecretString": "{}"}


def test_the_stacks_kms_key_encrypts_the_secret() -> None:
    """A secret is created with the KMS key of the stack's parameters; without one with that of Secrets Manager."""
    secrets = KmsSecrets()
    store.create(Deployment(lambda _: secrets, {}, {"KmsKeyArn": "arn:aws:kms:eu-west-1:1:key/2"}), "1", {}, "")
    assert secrets.arguments["KmsKeyId"] == "arn:aws:kms:eu-west-1:1:key/2"
    store.create(Deployment(lambda _: secrets, {}, {"KmsKeyArn": ""}), "1", {}, "")
    assert "KmsKeyId" not in secrets.arguments


def test_a_secret_that_changes_meanwhile_is_not_overwritten() -> None:
    """If another operator stores a version between the plan and the answer, nothing is written."""
    deployment = Deployment(lambda _: secrets, {}, {})
    secrets = KmsSecrets()
    before = store.current(deployment, "1")
    with pytest.raises(OpsError, match="was changed meanwhile: nothing was written"):
        store.replace(deployment, "1", before, {})

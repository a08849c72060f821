"""A merchant's credentials as files: what the merchant platform gives, for any client, and for `ops merchant add`."""

import base64
import json
import socket
import stat
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12

import wechatpay
from ops.merchant import files, material
from orders import secret
from sandbox import client_environment
from sandbox.errors import SandboxError
from sandbox.place import PLACE, Place
from sandbox.waiting import PATIENCE
from sandbox.wechat_pay import Simulator, credentials
from sandbox.wechat_pay.keys import MODES, Mode
from tests.sandbox.signed import LONG_AGO, MCHID, WHO

OWN = {"apiclient_key.pem", "apiclient_cert.pem", "apiclient_cert.p12", "apiv3_key.txt", "proxy_ca.pem", "proxy_ca.p12"}
ROOT = Path(__file__).parents[2]


def wechat_pays(wechat_pay: Simulator, mode: Mode) -> set[str]:
    """The names of WeChat Pay's own files in a mode."""
    certificate = f"wechatpay_{wechat_pay.platform.certificate_serial}.pem"
    names = {"public_key": {"pub_key.pem", "pub_key_id.txt"}, "certificate": {certificate}}
    return names.get(mode) or set().union(*names.values())


@pytest.mark.parametrize("mode", MODES)
def test_a_mode_decides_which_of_wechat_pays_keys_are_there(wechat_pay: Simulator, mode: Mode, tmp_path: Path) -> None:
    """The folder has the merchant's own files, and WeChat Pay's of the mode; each is its owner's alone."""
    credentials.write(tmp_path / MCHID, wechat_pay.credentials(MCHID, mode))
    paths = list((tmp_path / MCHID).iterdir())
    assert {path.name for path in paths} == OWN | wechat_pays(wechat_pay, mode)
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o600}


def test_without_a_mode_the_merchants_kind_decides(wechat_pay: Simulator) -> None:
    """Without a mode the files are those of the merchant's kind."""
    merchant = wechat_pay.merchant(MCHID)
    for kind in MODES:
        merchant.change(kind=kind)
        assert set(wechat_pay.credentials(MCHID)) == OWN | wechat_pays(wechat_pay, kind)
    merchant.change(has_apiv3_key=False)
    assert "apiv3_key.txt" not in wechat_pay.credentials(MCHID)


def test_the_files_belong_together(wechat_pay: Simulator) -> None:
    """Key, certificate and .p12 are one pair, the .p12's password is the mchid, the id is the public key's."""
    contents = wechat_pay.credentials(MCHID, "both")
    merchant = wechat_pay.merchant(MCHID)
    key = load_pem_private_key(contents["apiclient_key.pem"], None)
    certificate = x509.load_pem_x509_certificate(contents["apiclient_cert.pem"])
    assert certificate.public_key() == key.public_key()
    assert f"{certificate.serial_number:X}" == merchant.serial_no
    store = load_pkcs12(contents["apiclient_cert.p12"], MCHID.encode())
    assert store.cert is not None
    assert store.cert.certificate == certificate
    assert contents["pub_key_id.txt"].decode().strip() == wechat_pay.platform.public_key_id
    assert contents["apiv3_key.txt"].decode() == merchant.apiv3_key
    [proxy] = load_pkcs12(contents["proxy_ca.p12"], b"changeit").additional_certs
    assert proxy.certificate == x509.load_pem_x509_certificate(contents["proxy_ca.pem"])


def test_writing_again_leaves_nothing_that_is_out_of_date(wechat_pay: Simulator, tmp_path: Path) -> None:
    """A second writing replaces what has changed, removes what is no longer valid, and touches no other file."""
    credentials.write(tmp_path, wechat_pay.credentials(MCHID, "both"))
    (tmp_path / "notes.txt").write_text("mine")
    before = (tmp_path / "apiclient_key.pem").read_bytes()
    wechat_pay.merchant(MCHID).rotate_key()
    credentials.write(tmp_path, wechat_pay.credentials(MCHID, "public_key"))
    names = {path.name for path in tmp_path.iterdir()}
    assert names == OWN | wechat_pays(wechat_pay, "public_key") | {"notes.txt"}
    assert (tmp_path / "apiclient_key.pem").read_bytes() != before
    with pytest.raises(ValueError, match="is no file of a merchant's credentials"):
        credentials.write(tmp_path, {"../elsewhere": b""})


def test_credentials_of_another_source_are_left_alone(
    wechat_pay: Simulator, command_line: Place, tmp_path: Path
) -> None:
    """A folder with a merchant's real key is refused in one line, before anything in it is touched."""
    (tmp_path / "apiclient_key.pem").write_text("a key that nothing can restore")
    with pytest.raises(SandboxError, match=r"not the sandbox's \(apiclient_key.pem\): nothing was written"):
        client_environment.main([MCHID, str(tmp_path)])
    assert [path.read_text() for path in tmp_path.iterdir()] == ["a key that nothing can restore"]


def test_an_answer_with_other_files_is_refused(
    command_line: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is none of a merchant's is refused before anything is written."""
    monkeypatch.setattr(client_environment, "fetch", lambda *_: {"../.bashrc": b""})
    with pytest.raises(SandboxError, match="is no file of a merchant's credentials: nothing was written"):
        client_environment.main([MCHID, str(tmp_path / "keys")])
    assert not (tmp_path / "keys").exists()


@pytest.mark.parametrize("mode", ["public_key", "certificate"])
def test_ops_makes_a_secret_of_them_that_works(wechat_pay: Simulator, mode: Mode, tmp_path: Path) -> None:
    """What `ops merchant add` makes of the files is a secret with which an order can be queried."""
    credentials.write(tmp_path, wechat_pay.credentials(MCHID, mode))
    pair = files.read_pair(tmp_path / "apiclient_key.pem", tmp_path / "apiclient_cert.pem")
    assert files.read_p12(tmp_path / "apiclient_cert.p12", MCHID).private_key_pem == pair.private_key_pem
    if mode == "public_key":
        keys = files.read_public_key(tmp_path / "pub_key.pem", (tmp_path / "pub_key_id.txt").read_text())
    else:
        [path] = tmp_path.glob("wechatpay_*.pem")
        keys = files.read_platform_certificate(path)
    apiv3_key = files.read_apiv3_key(tmp_path / "apiv3_key.txt")
    document = material.document(MCHID, material.Material(pair, keys, apiv3_key))
    material.require_fit(MCHID, document, pair, datetime.now(UTC))
    assert secret.read(json.dumps(document), MCHID, datetime.now(UTC)).appid is None
    fields = ("mchid", "serial_no", "private_key", "platform_keys", "apiv3_key")
    wechat_pay.ready_to_sync(MCHID, "S1", at=LONG_AGO)
    client = wechatpay.Client(**{name: document[name] for name in fields}, base_url=wechat_pay.base_url)  # type: ignore[arg-type]
    assert client.v3.payscore.serviceorder.get(params={**WHO, "out_order_no": "S1"}).json()["state"] == "DOING"


def test_node_opens_the_p12(wechat_pay: Simulator, tmp_path: Path) -> None:
    """Node.js, whose OpenSSL refuses the oldest encryptions, opens the .p12 by the mchid."""
    credentials.write(tmp_path, wechat_pay.credentials(MCHID, "public_key"))
    program = (
        "require('tls').createSecureContext({ pfx: require('fs').readFileSync(process.argv[1]), passphrase: '%s' })"
    )
    command = ["node", "-e", program % MCHID, str(tmp_path / "apiclient_cert.p12")]
    try:
        subprocess.run(command, check=True, timeout=PATIENCE)
    except FileNotFoundError:
        pytest.skip("node is not on PATH")


# ---- the control port and the command --------------------------------------------------------------------------------


@pytest.fixture
def place(wechat_pay: Simulator) -> Place:
    """Where WeChat Pay's control port and proxy are."""
    control, proxy = (int(url.rpartition(":")[2]) for url in (wechat_pay.control_url, wechat_pay.proxy_url))
    return Place(control=control, proxy=proxy)


@pytest.fixture
def command_line(place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The command, on the ports of this simulator."""
    monkeypatch.setattr(client_environment, "place_of", lambda _: place)
    return place


def test_the_control_port_gives_the_files(wechat_pay: Simulator) -> None:
    """The control port answers with the files in base64, and refuses an unknown mode by name."""
    url = f"{wechat_pay.control_url}/__sandbox__/credentials"
    answer = requests.get(url, params={"mchid": MCHID, "mode": "certificate"}, timeout=PATIENCE).json()
    expected = wechat_pay.credentials(MCHID, "certificate")
    assert set(answer["files"]) == set(expected)
    assert base64.b64decode(answer["files"]["apiclient_key.pem"]) == expected["apiclient_key.pem"]
    assert set(requests.get(url, timeout=PATIENCE).json()["files"]) == set(wechat_pay.credentials(MCHID))
    for query, words in {
        "mode=both%20": "mode must be one of",
        "mchid=x": "mchid must be",
        "colour=red": "colour",
    }.items():
        refusal = requests.get(f"{url}?{query}", timeout=PATIENCE)
        assert refusal.status_code == 400
        assert words in refusal.json()["error"]


def test_the_command_writes_the_files_and_prints_two_lines(
    command_line: Place, wechat_pay: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`credentials` writes the files of a running sandbox, and prints what a shell has to export."""
    folder = tmp_path / "a folder"
    assert client_environment.main(["1900000109", str(folder), "--mode", "certificate"]) == 0
    assert (folder / "apiclient_key.pem").read_text() == wechat_pay.merchant("1900000109").private_key
    assert not (folder / "pub_key.pem").exists()
    output = capsys.readouterr()
    assert output.err == f"{len(list(folder.iterdir()))} files of merchant 1900000109 are in {folder}\n\n"
    script = f'{output.out}\necho "$HTTPS_PROXY $NODE_EXTRA_CA_CERTS $SSL_CERT_FILE $REQUESTS_CA_BUNDLE"'
    values = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, check=True).stdout.rstrip("\n")
    assert values == " ".join([wechat_pay.proxy_url, *3 * [str(folder / "proxy_ca.pem")]])


def test_a_folder_that_cannot_be_written_is_named(command_line: Place, tmp_path: Path) -> None:
    """A folder that cannot be made is named in one line, with the remedy."""
    (tmp_path / "file").touch()
    with pytest.raises(SandboxError, match=r"cannot be written \(Not a directory\): name another directory"):
        client_environment.main([MCHID, str(tmp_path / "file" / "inside")])


def test_a_refusal_of_the_sandbox_is_passed_on(place: Place) -> None:
    """What the control port refuses is told in its own words."""
    with pytest.raises(SandboxError, match=r"refuses: .*mode must be one of public_key, certificate, both"):
        client_environment.fetch(place, MCHID, "none")


@pytest.mark.parametrize("answer", [b"[]", b"{}", b'{"files": []}', b"not JSON"])
def test_another_program_at_the_port_is_no_sandbox(answer: bytes) -> None:
    """An answer that is not a sandbox's is said to be none."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + answer)

        threading.Thread(target=serve, daemon=True).start()
        with pytest.raises(SandboxError, match="no sandbox answers at"):
            client_environment.fetch(Place(control=listener.getsockname()[1]), MCHID, None)


def test_no_sandbox_is_said_in_one_line() -> None:
    """Where no sandbox runs, or another program answers, one line says so and names the remedy."""
    remedy = "start it with `make sandbox`, or name its --port"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(SandboxError, match=f"no sandbox answers at http://127.0.0.1:{port}: {remedy}"):
        client_environment.fetch(Place(control=port), MCHID, None)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["12a"], "a merchant's number has 1 to 32 digits, not '12a'"),
        (["--mode", "none"], "invalid choice: 'none'"),
        (["--port", "0"], "must be a number from 1 to 65535"),
    ],
)
def test_a_wrong_command_line_is_refused(arguments: list[str], words: str) -> None:
    """A wrong command line is refused at once, with the usage."""
    command = [sys.executable, "-m", "sandbox", "credentials", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 2
    assert words in done.stderr
    assert "usage: .venv/bin/python -m sandbox credentials [MCHID]" in done.stderr


def test_the_default_is_the_first_merchant_in_the_sandboxs_folder() -> None:
    """The files of `make sandbox` are in its folder, by merchant, and the lines name the proxy's port."""
    folder = client_environment.folder_of(Path("/sandbox"), MCHID)
    authority = "/sandbox/merchants/1230000109/proxy_ca.pem"
    lines = client_environment.exports(f"http://{PLACE.address}:{PLACE.proxy}", folder).splitlines()
    assert lines == [
        "export HTTPS_PROXY=http://127.0.0.1:4513",
        f"export SSL_CERT_FILE={authority} REQUESTS_CA_BUNDLE={authority} NODE_EXTRA_CA_CERTS={authority}",
    ]

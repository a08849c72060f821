"""The proxy's certificate authority: who trusts it trusts WeChat Pay's three names, and nothing else."""

import shutil
import socket
import ssl
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from sandbox.waiting import PATIENCE
from sandbox.wechat_pay import credentials, proxy_authority
from sandbox.wechat_pay.proxy_authority import CERTIFICATE, LIFETIME, NAMES, ProxyAuthority

NOW = datetime.now(UTC)
MAIN = "api.mch.weixin.qq.com"
OTHER = "shop.example.com"


def certificate_of(pem: str) -> x509.Certificate:
    """The certificate in a PEM."""
    return x509.load_pem_x509_certificate(pem.encode())


def test_each_name_has_a_certificate_of_its_own() -> None:
    """Each of the three names has a certificate for that name alone, of a server, signed by the authority."""
    authority = ProxyAuthority.create(NOW)
    root = certificate_of(authority.certificate)
    assert list(authority.identities) == ["api.mch.weixin.qq.com", "api2.mch.weixin.qq.com", "apihk.mch.weixin.qq.com"]
    for name, identity in authority.identities.items():
        leaf = certificate_of(identity)
        leaf.verify_directly_issued_by(root)
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == [name]
        assert leaf.not_valid_after_utc - leaf.not_valid_before_utc < timedelta(days=825)


def test_the_authority_is_constrained_to_the_names() -> None:
    """The authority's name constraints, which are critical, permit the three names and exclude every address."""
    root = certificate_of(ProxyAuthority.create(NOW).certificate)
    extension = root.extensions.get_extension_for_class(x509.NameConstraints)
    assert extension.critical
    assert [name.value for name in extension.value.permitted_subtrees or ()] == list(NAMES)
    assert [str(name.value) for name in extension.value.excluded_subtrees or ()] == ["0.0.0.0/0", "::/0"]
    assert root.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0


def test_the_authoritys_key_is_in_no_file(tmp_path: Path) -> None:
    """No stored key is the authority's, so no further certificate can be made; every file is its owner's alone."""
    authority = ProxyAuthority.of(tmp_path / "proxy")
    files = sorted((tmp_path / "proxy").iterdir())
    assert [file.name for file in files] == sorted([*(f"{name}.pem" for name in NAMES), CERTIFICATE])
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "proxy").stat().st_mode) == 0o700
    root = certificate_of(authority.certificate).public_key()
    keys = [load_pem_private_key(file.read_bytes(), None) for file in files if b"PRIVATE" in file.read_bytes()]
    assert len(keys) == len(NAMES)
    assert root not in [key.public_key() for key in keys]
    assert "PRIVATE" not in repr(authority)


def test_it_is_made_once(tmp_path: Path) -> None:
    """The next start finds the same authority; without a folder each start makes its own."""
    assert ProxyAuthority.of(tmp_path) == ProxyAuthority.of(tmp_path)
    assert ProxyAuthority.of(None) != ProxyAuthority.of(None)


def _damaged(folder: Path) -> None:
    (folder / f"{MAIN}.pem").write_text("damaged")


def _incomplete(folder: Path) -> None:
    (folder / CERTIFICATE).unlink()


def _of_another(folder: Path) -> None:
    (folder / CERTIFICATE).write_text(ProxyAuthority.create(NOW).certificate)


@pytest.mark.parametrize("spoil", [_damaged, _incomplete, _of_another])
def test_one_that_does_not_fit_is_made_again(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    """Files that are damaged, incomplete or of two authorities are replaced by a new set."""
    before = ProxyAuthority.of(tmp_path)
    spoil(tmp_path)
    after = ProxyAuthority.of(tmp_path)
    assert after.certificate != before.certificate
    assert ProxyAuthority.of(tmp_path) == after


def test_one_that_ends_within_a_month_is_made_again(tmp_path: Path) -> None:
    """An authority is replaced a month before it ends, and where the clock was set back before its beginning."""
    first = ProxyAuthority.of(tmp_path, NOW)
    assert ProxyAuthority.of(tmp_path, NOW + LIFETIME - timedelta(days=31)) == first
    assert ProxyAuthority.of(tmp_path, NOW + LIFETIME - timedelta(days=29)) != first
    assert ProxyAuthority.of(tmp_path, NOW) != first


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that cannot be put in place leaves the one before, and no other file."""
    path = tmp_path / "key.pem"
    proxy_authority.write_private(path, b"before")

    replace = Path.replace

    def fail(self: Path, target: Path) -> Path:
        if target == path:
            raise OSError("the disk is full")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fail)  # fails for this file alone
    with pytest.raises(OSError, match="the disk is full"):
        proxy_authority.write_private(path, b"after")
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("key.pem", b"before")]


# ---- what programs make of it ----------------------------------------------------------------------------------------

Server = Callable[[str], int]


@contextmanager
def serving(identity: str, folder: Path) -> Iterator[int]:
    """A TLS server on loopback with this key and certificate, on the port that is yielded."""
    path = folder / "server.pem"
    path.write_text(identity)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with suppress(OSError), context.wrap_socket(connection, server_side=True) as tls:
                        tls.recv(1000)
                        tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


def _python(port: int, name: str, folder: Path) -> bool:
    context = ssl.create_default_context(cafile=folder / CERTIFICATE)
    try:
        with (
            socket.create_connection(("127.0.0.1", port), PATIENCE) as raw,
            context.wrap_socket(raw, server_hostname=name),
        ):
            return True
    except ssl.SSLCertVerificationError:
        return False


def _openssl(port: int, name: str, folder: Path) -> bool:
    return _succeeds(
        *("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", name, "-verify_hostname", name),
        *("-CAfile", str(folder / CERTIFICATE), "-no-CApath", "-x509_strict", "-verify_return_error"),
    )


_NODE = """
const [port, servername] = process.argv.slice(1);
require('tls').connect({ port, host: '127.0.0.1', servername }, () => process.exit(0))
  .on('error', () => process.exit(1));
"""


def _node(port: int, name: str, folder: Path) -> bool:
    return _succeeds("env", f"NODE_EXTRA_CA_CERTS={folder / CERTIFICATE}", "node", "-e", _NODE, str(port), name)


_JAVA = """
import javax.net.ssl.*;
class Verify {
    public static void main(String[] arguments) throws Exception {
        SSLSocketFactory factory = (SSLSocketFactory) SSLSocketFactory.getDefault();
        java.net.Socket raw = new java.net.Socket("127.0.0.1", Integer.parseInt(arguments[0]));
        SSLSocket socket = (SSLSocket) factory.createSocket(raw, arguments[1], 443, true);
        SSLParameters parameters = socket.getSSLParameters();
        parameters.setEndpointIdentificationAlgorithm("HTTPS");
        socket.setSSLParameters(parameters);
        socket.startHandshake();
    }
}
"""


def _java(port: int, name: str, folder: Path) -> bool:
    (folder / "Verify.java").write_text(_JAVA)
    store = folder / credentials.TRUST_STORE
    return _succeeds(
        *("java", "-XX:TieredStopAtLevel=1", f"-Djavax.net.ssl.trustStore={store}"),
        *(f"-Djavax.net.ssl.trustStorePassword={credentials.TRUST_STORE_PASSWORD}", str(folder / "Verify.java")),
        *(str(port), name),
    )


def _succeeds(*command: str) -> bool:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    return done.returncode == 0


VERIFIERS = {"python": _python, "openssl": _openssl, "node": _node, "java": _java}


@pytest.fixture(scope="module")
def constrained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """An authority as files, its identity for WeChat Pay's name, and one that its key signed for another name."""
    folder = tmp_path_factory.mktemp("authority")
    key, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = proxy_authority._root(key, NOW)
    private = server.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    genuine, foreign = (
        private + proxy_authority._pem(proxy_authority._leaf(name, server, root, key, NOW)) for name in (MAIN, OTHER)
    )
    credentials.write(folder, credentials.authority_files(proxy_authority._pem(root)))
    return folder, genuine, foreign


@pytest.mark.parametrize("program", VERIFIERS)
def test_a_verifier_accepts_the_names_and_refuses_every_other(program: str, constrained: tuple[Path, str, str]) -> None:
    """A verifier that trusts the authority accepts it for WeChat Pay's name; for another name its signature is void.

    Java accepts the name as well, but does not read the constraints of an authority that it was told to trust
    (RFC 5280, 6.1, leaves that open): there the absence of the key is the whole protection.
    """
    if program != "python" and shutil.which(program) is None:
        pytest.skip(f"{program} is not on PATH")
    folder, genuine, foreign = constrained
    verify = VERIFIERS[program]
    with serving(genuine, folder) as port:
        assert verify(port, MAIN, folder)
    if program != "java":
        with serving(foreign, folder) as port:
            assert not verify(port, OTHER, folder)

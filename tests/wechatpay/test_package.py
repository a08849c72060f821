"""The library as a user installs it: a wheel that stands alone, public names that stay, and a docstring on each."""

import email
import inspect
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

import wechatpay
from wechatpay.direct_orders import DirectOrders
from wechatpay.version import __version__

LAYER = Path(__file__).parents[2] / "layers/wechatpay"
PACKAGE = LAYER / "python/wechatpay"

# Public since 0.1.0: a name may be added, never removed.
NAMES = {
    "Answer",
    "AsyncVerb",
    "Bill",
    "Call",
    "CanceledOrder",
    "CertificateStore",
    "Client",
    "Collection",
    "CollectionDetail",
    "CompletedOrder",
    "Device",
    "Endpoint",
    "EndpointName",
    "GoodsDetail",
    "InvalidKeyError",
    "Location",
    "MalformedError",
    "MemoryStore",
    "Merchant",
    "ModifiedOrder",
    "NewOrder",
    "Node",
    "Notification",
    "OrderIdentity",
    "OrderQuery",
    "PayScore",
    "PlatformKeys",
    "PostDiscount",
    "PostPayment",
    "PromotionDetail",
    "RefusedError",
    "RiskFund",
    "Security",
    "ServiceOrder",
    "Session",
    "SignedCall",
    "StartedCall",
    "SyncPayment",
    "TimeRange",
    "UnansweredError",
    "UndecryptableError",
    "UntrustedError",
    "Verb",
    "WeChatPayError",
    "tls_context",
}
SIGNATURES = {
    wechatpay.Client: "mchid serial_no private_key platform_keys apiv3_key base_url backup_url timeout session "
    "certificate_store clock nonce async_threads",
    wechatpay.Client.notification: "self headers body",
    wechatpay.Notification.open: "headers body platform_keys apiv3_key clock",
    wechatpay.Merchant: "mchid serial_no private_key",
    wechatpay.Merchant.check: "self certificate",
}


def test_the_exported_names_are_kept() -> None:
    """The exported names are exactly those of this list."""
    assert set(wechatpay.__all__) == NAMES


@pytest.mark.parametrize("called", SIGNATURES, ids=lambda called: str(called.__qualname__))
def test_the_arguments_are_kept(called: Any) -> None:
    """The names of the arguments are public, because callers pass them as keywords."""
    assert " ".join(inspect.signature(called).parameters) == SIGNATURES[called]


def _public(owner: Any, name: str) -> Iterator[tuple[str, object]]:
    yield name, owner
    if inspect.isclass(owner):
        for member, value in vars(owner).items():
            if not member.startswith("_") and (callable(value) or isinstance(value, property | classmethod)):
                yield f"{name}.{member}", value


def test_every_public_name_is_explained() -> None:
    """Each exported class, and each of its methods and properties."""
    aliases = {"EndpointName"}  # its text stands next to it, where no program finds it
    owners = [getattr(wechatpay, name) for name in NAMES - aliases] + [DirectOrders]
    public = dict(pair for owner in owners for pair in _public(owner, owner.__name__))
    assert len(public) > 80
    assert [name for name, value in public.items() if not inspect.getdoc(value)] == []


def test_every_module_explains_itself() -> None:
    """In its first line."""
    modules = [PACKAGE / f"{name}.py" for name in ("__init__",)] + sorted(PACKAGE.glob("[a-z]*.py"))
    assert [path.name for path in modules if not path.read_text(encoding="utf-8").startswith('"""')] == []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the library's folder alone, as pip builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    build = ["pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([sys.executable, "-m", *build, str(LAYER)], check=True, cwd=folder)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    """The metadata in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(archive.read(name))


def test_the_wheel_holds_the_library_and_nothing_else(wheel: Path) -> None:
    """The wheel has every module, the marker of type hints and the licence, and no file in addition."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    folder = f"wechatpay_client-{__version__}.dist-info"
    assert {name for name in names if not name.startswith(folder)} == {
        f"wechatpay/{path.name}" for path in PACKAGE.iterdir() if path.suffix in {".py", ".typed"}
    }
    assert names >= {"wechatpay/py.typed", f"{folder}/licenses/LICENSE"}


def test_the_wheel_can_be_imported_alone(wheel: Path) -> None:
    """With the declared dependencies, and without anything of AWS."""
    code = "import sys, wechatpay; print(wechatpay.__file__, 'boto3' in sys.modules)"
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True, env={"PYTHONPATH": str(wheel)}
    )
    assert process.stdout.split() == [f"{wheel}/wechatpay/__init__.py", "False"]


def test_the_metadata_says_what_the_library_is(metadata: Message) -> None:
    """A name of its own, "unofficial", the licence as PEP 639 has it, and the README as the page."""
    assert (metadata["Name"], metadata["Version"]) == ("wechatpay-client", __version__)
    assert str(metadata["Summary"]).startswith("Unofficial WeChat Pay APIv3 client")
    assert (metadata["License-Expression"], metadata["License-File"]) == ("Apache-2.0", "LICENSE")
    assert metadata["Description-Content-Type"] == "text/markdown"
    classifiers = metadata.get_all("Classifier", [])
    assert {"Typing :: Typed", "Intended Audience :: Developers", "Development Status :: 4 - Beta"} <= set(classifiers)
    assert not any(classifier.startswith("License ::") for classifier in classifiers)


def test_the_version_has_one_source() -> None:
    """The metadata's version is that of the module, and the project file has none of its own."""
    project = tomllib.loads((LAYER / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" not in project["project"]
    assert project["tool"]["hatch"]["version"] == {"path": "python/wechatpay/version.py"}
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)


def test_the_changelog_has_the_version_or_announces_it() -> None:
    """The newest entry is that of the version, or is unreleased and names the version that it will be."""
    changelog = (LAYER / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{__version__}] - " in changelog or f"The first release will be {__version__}." in changelog
    assert "## [Unreleased]\n" in changelog


def test_the_reference_is_made_of_docstrings(tmp_path: Path) -> None:
    """As `make docs` does."""
    command = [sys.executable, "-m", "pdoc", "--docformat", "google", "--output-directory", str(tmp_path), "wechatpay"]
    subprocess.run(command, check=True, capture_output=True, env={"PYTHONPATH": str(LAYER / "python")})
    page = (tmp_path / "wechatpay.html").read_text(encoding="utf-8")
    assert all(f'id="{name}"' in page for name in NAMES)

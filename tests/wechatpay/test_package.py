"""The library as a stranger gets it: a wheel that stands alone, names that are kept, every one of them explained."""

import inspect
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import wechatpay
from wechatpay.direct_orders import DirectOrders

LAYER = Path(__file__).parents[2] / "layers/wechatpay"
PACKAGE = LAYER / "python/wechatpay"

# Public since 0.1.0: a name may be added, never taken away.
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
    """Whoever adds one says so here."""
    assert set(wechatpay.__all__) == NAMES


@pytest.mark.parametrize("called", SIGNATURES, ids=lambda called: str(called.__qualname__))
def test_the_arguments_are_kept(called: Any) -> None:
    """Their names are part of the contract: callers use them as keywords."""
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


def test_the_wheel_holds_the_library_and_nothing_else(tmp_path: Path) -> None:
    """Built as pip builds it, from the folder alone; typed, with its README and its licence named."""
    build = ["pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", "-w", str(tmp_path)]
    subprocess.run([sys.executable, "-m", *build, str(LAYER)], check=True, cwd=tmp_path)
    (wheel,) = tmp_path.glob("wechatpay-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
        metadata = archive.read(next(name for name in archive.namelist() if name.endswith("METADATA"))).decode()
    sources = {f"wechatpay/{path.name}" for path in PACKAGE.iterdir() if path.suffix in {".py", ".typed"}}
    assert held == sources
    assert "wechatpay/py.typed" in held
    for line in ("License-Expression: Apache-2.0", "Description-Content-Type: text/markdown", "Requires-Python: >=3."):
        assert line in metadata
    alone = "import sys, wechatpay; print(wechatpay.__file__, 'boto3' in sys.modules)"
    asked = subprocess.run(
        [sys.executable, "-c", alone], capture_output=True, check=True, text=True, env={"PYTHONPATH": str(wheel)}
    )
    assert asked.stdout.split() == [f"{wheel}/wechatpay/__init__.py", "False"]


def test_the_reference_is_made_of_docstrings(tmp_path: Path) -> None:
    """As `make docs` does."""
    command = [sys.executable, "-m", "pdoc", "--docformat", "google", "--output-directory", str(tmp_path), "wechatpay"]
    subprocess.run(command, check=True, capture_output=True, env={"PYTHONPATH": str(LAYER / "python")})
    page = (tmp_path / "wechatpay.html").read_text(encoding="utf-8")
    assert all(f'id="{name}"' in page for name in NAMES)

"""boto3, imported without S3's transfer manager, which it loads at its start: a tenth of this function's imports.

boto3 1.44.8, compat.py, takes one class of s3transfer to see whether it knows a setting. A stub answers that it does
not, and is gone again before anything else is imported: S3 would work as ever, but for the transfer library that is
written in C. `tests/orders/test_aws.py` fails where boto3 imports more than that.
"""

import sys
from types import ModuleType


class _TransferConfig:
    """Knows no setting."""


def _stubs() -> dict[str, ModuleType]:
    package, manager = ModuleType("s3transfer"), ModuleType("s3transfer.manager")
    manager.__dict__["TransferConfig"] = _TransferConfig
    return {"s3transfer": package, "s3transfer.manager": manager}


if "boto3" not in sys.modules:
    stubs = {name: stub for name, stub in _stubs().items() if name not in sys.modules}
    sys.modules.update(stubs)
    try:
        import boto3
    finally:
        for name in stubs:
            del sys.modules[name]
else:
    import boto3

__all__ = ["boto3"]

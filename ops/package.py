"""Makes what ships small and quick to start: `python -m ops.package models` and `python -m ops.package slim BUILD`.

`models` writes functions/orders/models: of botocore's 1.5 MB of endpoints and its descriptions of services the part
that the function uses. `slim` is the last step of a build: it takes out what is never read, and compiles what is left,
because Lambda's disk cannot be written to and would have Python compile it at each cold start. It also adds LICENSE and
NOTICE, refuses a dependency that comes without the text of its licence, and writes the processor of the binaries into
the built template, so that CloudFormation refuses to deploy them for another one.
"""

import argparse
import compileall
import gzip
import json
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Any

import botocore

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "functions/orders/models"
BOTOCORE = Path(botocore.__file__).parent / "data"

OPERATIONS = {
    "dynamodb": ("BatchExecuteStatement", "BatchGetItem", "GetItem", "PutItem", "UpdateItem"),
    "secretsmanager": ("GetSecretValue",),
    "sqs": ("ChangeMessageVisibilityBatch",),
}
"""What the function asks of AWS, the circuit breaker of Powertools included."""

CODE = {"OrdersFunction": ("", "/var/task"), "WeChatPayLayer": ("python", "/opt/python")}
"""Where a build has its folders of code, and where Lambda puts them."""

MACHINES = {0x3E: "x86_64", 0xB7: "arm64"}
"""Lambda's names for processors, by ELF's `e_machine` (System V ABI)."""

NEVER_READ = (
    *("botocore/data", "boto3/data", "boto3/examples"),  # four hundred services; the function brings its own three
    "aws_lambda_powertools/event_handler",  # for HTTP APIs
    *(
        f"aws_lambda_powertools/utilities/{name}"
        for name in (
            "batch",
            "data_classes",
            "data_masking",
            "feature_flags",
            "idempotency",
            "kafka",
            "parameters",
            "parser",
        )
    ),
    *("cffi", "pycparser"),  # compile C; of cffi cryptography uses the binary alone, which lies beside it
    "bin",
)
"""Parts of libraries that this function never imports; its tests and the demo run without them."""


LICENCES = ("LICENSE", "NOTICE")
"""Of this repository; a built package has them beside the code, those of its dependencies in their *.dist-info."""

LICENCE_TEXTS = ("LICEN[CS]E*", "COPYING*")

MODELS_NOTICE = """\
The files in this folder are derived from botocore {version} (github.com/boto/botocore, folder botocore/data)
and were changed.

  Copyright 2012-2022 Amazon.com, Inc. or its affiliates. All Rights Reserved.
  Licensed under the Apache License, Version 2.0; its text is in LICENSE, and in botocore's own distribution.

Changes, all made by `python -m ops.package models`:

{changes}
"""


def models(source: Path = BOTOCORE) -> dict[str, Any]:
    """Return the function's part of botocore's data, by file name."""
    kept: dict[str, Any] = {
        name: json.loads((source / name).read_text(encoding="utf-8"))
        for name in ("_retry.json", "endpoints.json", "partitions.json", "sdk-default-configuration.json")
    }
    for partition in kept["endpoints.json"]["partitions"]:
        partition["services"] = {
            name: partition["services"][name] for name in OPERATIONS if name in partition["services"]
        }
    for service, operations in OPERATIONS.items():
        newest = max(path for path in (source / service).iterdir() if (path / "service-2.json.gz").is_file())
        folder = f"{service}/{newest.name}"
        kept[f"{folder}/service-2.json"] = _part(_unzipped(newest / "service-2.json.gz"), operations)
        kept[f"{folder}/endpoint-rule-set-1.json"] = _unzipped(newest / "endpoint-rule-set-1.json.gz")
        for extras in newest.glob("*.sdk-extras.json"):
            kept[f"{folder}/{extras.name}"] = json.loads(extras.read_text(encoding="utf-8"))
    return kept


def _unzipped(path: Path) -> Any:  # noqa: ANN401  JSON
    return json.loads(gzip.decompress(path.read_bytes()))


def _part(model: Mapping[str, Any], operations: tuple[str, ...]) -> dict[str, Any]:
    """Keep some operations of a service, the shapes that these reach, and no documentation."""
    chosen = {name: model["operations"][name] for name in operations}
    reached: set[str] = set()
    ahead = list(_shapes(chosen))
    while ahead:
        name = ahead.pop()
        if name not in reached:
            reached.add(name)
            ahead.extend(_shapes(model["shapes"][name]))
    shapes = {name: shape for name, shape in model["shapes"].items() if name in reached}
    part: dict[str, Any] = _without_documentation({**model, "operations": chosen, "shapes": shapes})
    return part


def _shapes(value: Any) -> Iterator[str]:  # noqa: ANN401  JSON
    """Names of the shapes that a part of a model refers to."""
    if isinstance(value, dict):
        for name, member in value.items():
            if name == "shape" and isinstance(member, str):
                yield member
            else:
                yield from _shapes(member)
    elif isinstance(value, list):
        for member in value:
            yield from _shapes(member)


def _without_documentation(value: Any) -> Any:  # noqa: ANN401  JSON
    if isinstance(value, dict):
        kept = {
            name: member for name, member in value.items() if name != "documentation" or not isinstance(member, str)
        }
        return {name: _without_documentation(member) for name, member in kept.items()}
    return [_without_documentation(member) for member in value] if isinstance(value, list) else value


def write_models(into: Path = MODELS) -> None:
    """Write them anew, after each change of the pinned boto3."""
    shutil.rmtree(into, ignore_errors=True)
    for name, content in models().items():
        path = into / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, separators=(",", ":"), ensure_ascii=False) + "\n", encoding="utf-8")
    (into / "NOTICE").write_text(models_notice(), encoding="utf-8")


def models_notice() -> str:
    """Return the statement of origin and change that the Apache License asks for (section 4)."""
    changes = [
        f"{service}/*/service-2.json: of the service's operations only {', '.join(operations)}, the shapes that these "
        "refer to, no documentation"
        for service, operations in OPERATIONS.items()
    ]
    changes += [
        f"endpoints.json: of the services only {', '.join(OPERATIONS)}",
        "all files: unpacked where botocore compresses them, and written as JSON without white space",
    ]
    lines = [textwrap.fill(line, 118, initial_indent="- ", subsequent_indent="  ") for line in changes]
    return MODELS_NOTICE.format(version=botocore.__version__, changes="\n".join(lines))


def slim(build: Path) -> None:
    """Finish what `sam build` left in `build`: take out, compile. Doing it again changes nothing."""
    for resource, (folder, in_lambda) in CODE.items():
        code = build / resource / folder
        for name in NEVER_READ:
            shutil.rmtree(code / name, ignore_errors=True)
        for name in LICENCES:
            shutil.copyfile(ROOT / name, code / name)
        if unlicensed := without_licence(code):
            raise SystemExit(f"{code}: no text of the licence came with {', '.join(unlicensed)}: do not ship it")
        compiled = compileall.compile_dir(
            code,
            quiet=1,
            stripdir=str(code),
            prependdir=in_lambda,  # where tracebacks will look
            invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,  # times of files do not survive the upload
        )
        if not compiled:
            raise SystemExit(f"{code}: something in it does not compile")
    fix_architecture(build / "template.yaml", architecture(build))


def architecture(build: Path) -> str:
    """Return the processor that the binaries of a build are for; SystemExit where they differ or there are none."""
    found = {_machine(path) for path in build.rglob("*.so*") if path.is_file()}
    if len(found) != 1:
        raise SystemExit(f"{build}: its binaries must be for one processor, and are for: {sorted(found) or 'none'}")
    return found.pop()


def _machine(binary: Path) -> str:
    with binary.open("rb") as file:
        header = file.read(20)
    number = int.from_bytes(header[18:20], "little")
    if header[:4] != b"\x7fELF" or number not in MACHINES:
        raise SystemExit(f"{binary}: no binary for Lambda's processors")
    return MACHINES[number]


_ARCHITECTURE = re.compile(r"^  Architecture:\n(?:    .*\n)+", re.MULTILINE)


def fix_architecture(template: Path, name: str) -> None:
    """Let the built template be deployed for this processor and no other."""
    parameter = (
        "  Architecture:\n"
        "    Description: Processor of the function and its layer, which the build has fixed.\n"
        "    Type: String\n"
        f"    Default: {name}\n"
        f"    AllowedValues: [{name}]\n"
    )
    text, replaced = _ARCHITECTURE.subn(parameter, template.read_text(encoding="utf-8"))
    if replaced != 1:
        raise SystemExit(f"{template}: expected one parameter Architecture, found {replaced}")
    template.write_text(text, encoding="utf-8")


def without_licence(code: Path) -> list[str]:
    """Return the distributions in a folder of code that lack the text of their licence."""
    return [
        folder.name.removesuffix(".dist-info")
        for folder in sorted(code.glob("*.dist-info"))
        if not any(path.stat().st_size for pattern in LICENCE_TEXTS for path in folder.rglob(pattern) if path.is_file())
    ]


def main() -> None:
    """Run one of the two."""
    parser = argparse.ArgumentParser(prog="python -m ops.package", description="Makes what ships small.")
    parser.add_argument("step", choices=["models", "slim"])
    parser.add_argument("build", type=Path, nargs="?", help="what `sam build` has written, for slim")
    given = parser.parse_args()
    if given.step == "models":
        write_models()
    elif given.build is None or not given.build.is_dir():
        sys.exit("ops.package slim: name the folder that `sam build` has written, such as .aws-sam/build")
    else:
        slim(given.build)


if __name__ == "__main__":
    main()

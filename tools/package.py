"""Make a build small and quick to start: `python -m tools.package models` and `python -m tools.package slim BUILD`.

`models` writes functions/orders/models: the part of botocore's data (1.5 MB of endpoints and service descriptions) that
the function uses. `slim` is the last step of a build. It removes what is never read and compiles the rest: Lambda's
disk is read-only, so Python would compile it again at each cold start. It also adds LICENSE and NOTICE, refuses a
dependency without the text of its licence, and writes the architecture of the binaries into the built template, so that
CloudFormation refuses to deploy them for another architecture.
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
    "events": ("PutEvents",),
    "dynamodb": ("BatchExecuteStatement", "BatchGetItem", "GetItem", "PutItem", "UpdateItem"),
    "secretsmanager": ("GetSecretValue",),
    "sqs": ("ChangeMessageVisibilityBatch",),
}
"""Operations that the functions call, including those of the circuit breaker of Powertools."""

CODE = {
    "OrdersFunction": ("", "/var/task"),
    "WeChatPayLayer": ("python", "/opt/python"),
}
"""For each resource: the folder of its code in a build, and the folder where Lambda mounts it.

Each function has the layer: what both need is in the layer alone.
"""

SAME_CODE = {"NotificationsFunction": "OrdersFunction", "OutcomesFunction": "OrdersFunction"}
"""Functions with the code of another one: SAM writes a copy for each, and every deployment would upload both."""

MACHINES = {0x3E: "x86_64", 0xB7: "arm64"}
"""Lambda's names of architectures, by ELF's `e_machine` (System V ABI)."""

NEVER_READ = (
    *("botocore/data", "boto3/data", "boto3/examples"),  # four hundred services; the function has its own data of three
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
    *("cffi", "pycparser"),  # compile C; cryptography needs only the binary of cffi, which is outside this folder
    *("boto3/s3", "boto3/ec2"),
    *("dateutil/zoneinfo", "dateutil/rrule.py", "urllib3/contrib/emscripten"),
    "botocore/cacert.pem",  # the authorities are certifi's
    "charset_normalizer/*.so",  # a faster search for a charset, which is never asked for; its sources stay
    "*.dist-info/RECORD",  # what pip would remove
    "bin",
)
"""Parts of libraries that the function never reads, as patterns; its tests and the demo run without them."""

LICENCES = ("LICENSE", "NOTICE")
"""Texts of this repository that a built package contains; those of its dependencies are in their *.dist-info."""

LICENCE_TEXTS = ("LICEN[CS]E*", "COPYING*")

MODELS_NOTICE = """\
The files in this folder are derived from botocore {version} (github.com/boto/botocore, folder botocore/data)
and were changed.

  Copyright 2012-2022 Amazon.com, Inc. or its affiliates. All Rights Reserved.
  Licensed under the Apache License, Version 2.0; its text is in LICENSE, and in botocore's own distribution.

Changes, all made by `python -m tools.package models`:

{changes}
"""


def models(source: Path = BOTOCORE) -> dict[str, Any]:
    """Return the function's part of botocore's data, by file name."""
    files: dict[str, Any] = {
        name: json.loads((source / name).read_text(encoding="utf-8"))
        for name in ("_retry.json", "endpoints.json", "partitions.json", "sdk-default-configuration.json")
    }
    for partition in files["endpoints.json"]["partitions"]:
        partition["services"] = {
            name: partition["services"][name] for name in OPERATIONS if name in partition["services"]
        }
    for service, operations in OPERATIONS.items():
        newest = max(path for path in (source / service).iterdir() if (path / "service-2.json.gz").is_file())
        folder = f"{service}/{newest.name}"
        files[f"{folder}/service-2.json"] = _part(_unzip(newest / "service-2.json.gz"), operations)
        files[f"{folder}/endpoint-rule-set-1.json"] = _unzip(newest / "endpoint-rule-set-1.json.gz")
        for extras in newest.glob("*.sdk-extras.json"):
            files[f"{folder}/{extras.name}"] = json.loads(extras.read_text(encoding="utf-8"))
    return files


def _unzip(path: Path) -> Any:  # noqa: ANN401  JSON
    return json.loads(gzip.decompress(path.read_bytes()))


def _part(model: Mapping[str, Any], operations: tuple[str, ...]) -> dict[str, Any]:
    """Keep some operations of a service and the shapes that they refer to; remove the documentation."""
    selection = {name: model["operations"][name] for name in operations}
    references: set[str] = set()
    pending = list(_shapes(selection))
    while pending:
        name = pending.pop()
        if name not in references:
            references.add(name)
            pending.extend(_shapes(model["shapes"][name]))
    shapes = {name: shape for name, shape in model["shapes"].items() if name in references}
    part: dict[str, Any] = _without_documentation({**model, "operations": selection, "shapes": shapes})
    return part


def _shapes(value: Any) -> Iterator[str]:  # noqa: ANN401  JSON
    """Yield the names of the shapes that a part of a model refers to."""
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
        members = {
            name: member for name, member in value.items() if name != "documentation" or not isinstance(member, str)
        }
        return {name: _without_documentation(member) for name, member in members.items()}
    return [_without_documentation(member) for member in value] if isinstance(value, list) else value


def write_models(into: Path = MODELS) -> None:
    """Write the models; needed after each change of the pinned boto3."""
    shutil.rmtree(into, ignore_errors=True)
    for name, content in models().items():
        path = into / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, separators=(",", ":"), ensure_ascii=False) + "\n", encoding="utf-8")
    (into / "NOTICE").write_text(models_notice(), encoding="utf-8")


def models_notice() -> str:
    """Return the statement of origin and changes that the Apache License requires (section 4)."""
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
    """Remove, compile and check what `sam build` wrote to `build`. Idempotent."""
    for resource, original in SAME_CODE.items():
        share_code(build, resource, original)
    leave_to_layer(build / "OrdersFunction", build / "WeChatPayLayer/python")
    for resource, (folder, in_lambda) in CODE.items():
        code = build / resource / folder
        for pattern in NEVER_READ:
            for path in list(code.glob(pattern)):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        for name in LICENCES:
            shutil.copyfile(ROOT / name, code / name)
        if unlicensed := without_licence(code):
            raise SystemExit(f"{code}: no text of the licence came with {', '.join(unlicensed)}: do not ship it")
        compiled = compileall.compile_dir(
            code,
            quiet=1,
            stripdir=str(code),
            prependdir=in_lambda,  # the path in tracebacks
            invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,  # the upload does not keep modification times
        )
        if not compiled:
            raise SystemExit(f"{code}: something in it does not compile")
    fix_architecture(build / "template.yaml", architecture(build))


def share_code(build: Path, resource: str, original: str) -> None:
    """Remove the copy of a function's code, and refer to the original in the built template; SystemExit if they differ.

    Idempotent: the second time there is neither a copy nor a reference to it.
    """
    template, copy = build / "template.yaml", build / resource
    if copy.is_dir():
        names = [{path.relative_to(folder) for path in folder.rglob("*.py")} for folder in (copy, build / original)]
        if names[0] != names[1]:
            raise SystemExit(f"{copy}: it is no copy of {original}: give both resources one CodeUri")
        shutil.rmtree(copy)
    text = template.read_text(encoding="utf-8")
    template.write_text(re.sub(rf"(CodeUri: ){resource}$", rf"\g<1>{original}", text, flags=re.MULTILINE), "utf-8")


def leave_to_layer(function: Path, layer: Path) -> None:
    """Remove the distributions that the layer has too; SystemExit if the versions differ."""
    versions = [dict(path.stem.rsplit("-", 1) for path in place.glob("*.dist-info")) for place in (function, layer)]
    for name in versions[0].keys() & versions[1].keys():
        if versions[0][name] != versions[1][name]:
            raise SystemExit(f"{function}: {name} {versions[0][name]}, and {versions[1][name]} in its layer: make lock")
        information = function / f"{name}-{versions[0][name]}.dist-info"
        for root in {line.split(",")[0].split("/")[0] for line in (information / "RECORD").read_text().splitlines()}:
            path = function / root
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def architecture(build: Path) -> str:
    """Return the architecture of the binaries of a build; SystemExit if they differ or there are none."""
    machines = {_machine(path) for path in build.rglob("*.so*") if path.is_file()}
    if len(machines) != 1:
        raise SystemExit(
            f"{build}: its binaries must be for one architecture, they are for {sorted(machines) or 'none'}"
        )
    return machines.pop()


def _machine(binary: Path) -> str:
    with binary.open("rb") as file:
        header = file.read(20)
    number = int.from_bytes(header[18:20], "little")
    if header[:4] != b"\x7fELF" or number not in MACHINES:
        raise SystemExit(f"{binary}: not a binary for an architecture of Lambda")
    return MACHINES[number]


_ARCHITECTURE = re.compile(r"^  Architecture:\n(?:    .*\n)+", re.MULTILINE)


def fix_architecture(template: Path, name: str) -> None:
    """Make this architecture the only allowed value of the built template's parameter."""
    parameter = (
        "  Architecture:\n"
        "    Description: Architecture of the function and its layer. The build has fixed it to that of the binaries.\n"
        "    Type: String\n"
        f"    Default: {name}\n"
        f"    AllowedValues: [{name}]\n"
    )
    text, replaced = _ARCHITECTURE.subn(parameter, template.read_text(encoding="utf-8"))
    if replaced != 1:
        raise SystemExit(f"{template}: expected one parameter Architecture, found {replaced}")
    template.write_text(text, encoding="utf-8")


def without_licence(code: Path) -> list[str]:
    """Return the distributions in a folder of code that come without the text of their licence."""
    return [
        folder.name.removesuffix(".dist-info")
        for folder in sorted(code.glob("*.dist-info"))
        if not any(path.stat().st_size for pattern in LICENCE_TEXTS for path in folder.rglob(pattern) if path.is_file())
    ]


def main() -> None:
    """Run `models` or `slim`."""
    parser = argparse.ArgumentParser(prog="python -m tools.package", description="Make what ships small.")
    parser.add_argument("step", choices=["models", "slim"])
    parser.add_argument("build", type=Path, nargs="?", help="for slim: the folder that `sam build` has written")
    arguments = parser.parse_args()
    if arguments.step == "models":
        write_models()
    elif arguments.build is None or not arguments.build.is_dir():
        sys.exit("tools.package slim: name the folder that `sam build` has written, such as .aws-sam/build")
    else:
        slim(arguments.build)


if __name__ == "__main__":
    main()

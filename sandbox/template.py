"""Prepare the built template for the embedded AWS: code as archives, numeric parameters written in place."""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse


@dataclass(frozen=True, slots=True)
class PreparedTemplate:
    """A template as JSON text, and the archives that it refers to, by their keys on S3."""

    body: str
    archives: Mapping[str, bytes]


def prepare(build: Path, parameters: Mapping[str, str], bucket: str) -> PreparedTemplate:
    """Read what `sam build` left in `build`; nothing is stripped from the template."""
    template: dict[str, Any] = yaml_parse((build / "template.yaml").read_text(encoding="utf-8"))
    archives = _archive(template["Resources"], build, bucket)
    template["Resources"] = _with_numbers(template["Resources"], _numbers(template["Parameters"], parameters))
    return PreparedTemplate(json.dumps(template), archives)


def _archive(resources: Mapping[str, Any], build: Path, bucket: str) -> dict[str, bytes]:
    """Zip the folders of code under names that change with them, as `sam package` does, and refer to these."""
    archives: dict[str, bytes] = {}
    keys: dict[str, str] = {}  # by folder: two functions may have the same code
    for resource in resources.values():
        for uri in ("CodeUri", "ContentUri"):
            folder = resource.get("Properties", {}).get(uri)
            if isinstance(folder, str):
                if folder not in keys:
                    path = build / folder
                    code = path.read_bytes() if path.is_file() else _zip(path)  # the package has archives
                    keys[folder] = f"{Path(folder).name}-{hashlib.sha256(code).hexdigest()}.zip"
                    archives[keys[folder]] = code
                resource["Properties"][uri] = f"s3://{bucket}/{keys[folder]}"
    return archives


def _zip(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:  # it stays on this machine
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder))
    return buffer.getvalue()


def _numbers(declarations: Mapping[str, Any], parameters: Mapping[str, str]) -> dict[str, int | float]:
    """Return the values of the parameters of type Number."""
    numeric = {name: one for name, one in declarations.items() if one["Type"] == "Number"}
    texts = {name: str(parameters.get(name, one.get("Default"))) for name, one in numeric.items()}
    return {name: float(text) if "." in text else int(text) for name, text in texts.items()}


def _with_numbers(value: object, numbers: Mapping[str, int | float]) -> object:
    """Write numeric parameters where they are referred to: MiniStack passes them on as text, and compares them so."""
    match value:
        case {"Ref": name} if name in numbers:
            return numbers[name]
        case dict():
            texts = {"Environment"}  # whose variables are text
            return {name: one if name in texts else _with_numbers(one, numbers) for name, one in value.items()}
        case list():
            return [_with_numbers(one, numbers) for one in value]
        case _:
            return value

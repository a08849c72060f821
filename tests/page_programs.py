"""Substitutes for programs in printed commands that a machine may lack: `aws` (AWS CLI, version 2) and `curl`.

`python page_programs.py aws …` takes the options of the CLI, which botocore's models define: `--function-name` is
FunctionName. It supports the options that the pages use, and refuses others.
"""

import importlib
import json
import re
import sys
from pathlib import Path
from typing import Any

import boto3
import requests


def aws(words: list[str]) -> None:
    """Call one operation and print its answer as JSON, as `aws SERVICE OPERATION` does."""
    endpoint_url, query, blobs_are_raw, dry, options, plain = None, "@", False, False, {}, []
    while words:
        word = words.pop(0)
        match word:
            case "--endpoint-url":
                endpoint_url = words.pop(0)
            case "--cli-binary-format":
                blobs_are_raw = words.pop(0) == "raw-in-base64-out"
            case "--query":
                query = words.pop(0)
            case "--only-read-the-command-line":
                dry = words.pop(0) == "yes"
            case _ if word.startswith("--"):
                is_flag = not words or words[0].startswith("--")
                options[word.removeprefix("--")] = "true" if is_flag else words.pop(0)
            case _:
                plain.append(word)
    service, operation, *outfile = plain
    create: Any = boto3.client
    client = create(service, endpoint_url=endpoint_url)
    names = {_option_name(name): name for name in client.meta.service_model.operation_names}
    shape = client.meta.service_model.operation_model(names[operation]).input_shape
    members = {_option_name(name): (name, member.type_name) for name, member in shape.members.items()}
    arguments = {}
    for option, text in options.items():
        if option in members:
            name, kind = members[option]
            arguments[name] = _value(text, kind, blobs_are_raw=blobs_are_raw)
        else:
            name, kind = members[option.removeprefix("no-")]
            assert (kind, text) == ("boolean", "true"), option
            arguments[name] = False
    if dry:
        return
    answer = getattr(client, operation.replace("-", "_"))(**arguments)
    answer.pop("ResponseMetadata")
    for name in [name for name, value in answer.items() if hasattr(value, "read")]:
        Path(outfile[0]).write_bytes(answer.pop(name).read())
    print(json.dumps(importlib.import_module("jmespath").search(query, answer), indent=4, default=str))


def _option_name(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name).lower()  # UUID is --uuid


def _value(text: str, kind: str, *, blobs_are_raw: bool) -> Any:
    if kind == "blob":
        assert blobs_are_raw, "version 2 expects base64 without --cli-binary-format raw-in-base64-out"
    if text.startswith("file://"):
        text = Path(text.removeprefix("file://")).read_text(encoding="utf-8")
    return json.loads(text) if kind in {"list", "structure", "map", "boolean", "integer"} else text


def curl(words: list[str]) -> None:
    """Send one request: `URL [-H HEADER] [-d BODY]`; print the answer, also that of an error, as curl does."""
    url, headers, body = "", {}, None
    while words:
        match words.pop(0):
            case "-H":
                name, _, value = words.pop(0).partition(": ")
                headers[name] = value
            case "-d":
                body = words.pop(0).encode()
            case word:
                assert not word.startswith("-"), word
                url = word
    answer = requests.request("POST" if body else "GET", url, data=body, headers=headers, timeout=60)
    print(answer.text, end="")


if __name__ == "__main__":
    {"aws": aws, "curl": curl}[sys.argv[1]](sys.argv[2:])

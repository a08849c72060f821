"""What a client of WeChat Pay needs to call the sandbox unchanged: a merchant's files, and two lines for its shell.

Imports nothing that is slow.
"""

import argparse
import base64
import json
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, build_opener

from ops.installation import HERE
from sandbox.errors import SandboxError
from sandbox.place import MERCHANT, Place, add_ports, directory_of, place_of

USAGE = "credentials [MCHID] [DIRECTORY] [--mode MODE] [--address A] [--port N] [--wechat-pay-port N]"
AUTHORITIES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")  # OpenSSL and Go; requests; Node.js
LIMIT = 30.0  # seconds for the sandbox to answer


def folder_of(directory: Path, mchid: str) -> Path:
    """Return the folder of a merchant's files in the folder of a sandbox."""
    return directory / "merchants" / mchid


def exports(proxy_url: str, folder: Path) -> str:
    """Return the two lines for a shell: the proxy, and the file of its authority in this folder."""
    authority = shlex.quote(str(folder.resolve() / "proxy_ca.pem"))
    return f"export HTTPS_PROXY={proxy_url}\nexport {' '.join(f'{name}={authority}' for name in AUTHORITIES)}"


def main(arguments: Sequence[str]) -> int:
    """Write a merchant's files as the running sandbox has them now, and print where, with the two lines."""
    parser = argparse.ArgumentParser(
        usage=f"{HERE.sandbox} {USAGE}", description="Write a merchant's keys and certificates as files."
    )
    parser.add_argument("mchid", nargs="?", default=MERCHANT, type=_mchid)
    parser.add_argument("directory", nargs="?", type=Path)
    parser.add_argument("--mode", choices=("public_key", "certificate", "both"), help="without it: the merchant's kind")
    parser.add_argument("--address", default="127.0.0.1", help="the address that the sandbox was started with")
    add_ports(parser)
    options = parser.parse_args(arguments)
    place = place_of(options)
    folder = options.directory or folder_of(directory_of(place), options.mchid)
    files = fetch(place, options.mchid, options.mode)
    from sandbox.wechat_pay import credentials  # noqa: PLC0415  cryptography takes a moment, once there is work to do

    try:
        credentials.write(folder, files)
    except (credentials.ForeignCredentialsError, ValueError) as error:
        raise SandboxError(f"{error}: nothing was written; name another directory") from None
    except OSError as error:
        raise SandboxError(f"{folder} cannot be written ({error.strerror}): name another directory") from None
    print(f"{len(files)} files of merchant {options.mchid} are in {folder}\n", file=sys.stderr)
    print(exports(f"http://{place.address}:{place.proxy}", folder))
    return 0


def fetch(place: Place, mchid: str, mode: str | None) -> Mapping[str, bytes]:
    """Return a merchant's files by name, from the control port of the sandbox at this place."""
    control = f"http://{place.address}:{place.control}"
    query = urlencode({"mchid": mchid} | ({"mode": mode} if mode else {}))
    try:
        with build_opener(ProxyHandler({})).open(f"{control}/__sandbox__/credentials?{query}", timeout=LIMIT) as answer:
            files = json.load(answer)["files"]
        return {name: base64.b64decode(text) for name, text in files.items()}
    except HTTPError as error:
        with error:
            reason = error.read(500).decode("utf-8", "replace").strip()
        raise SandboxError(f"the sandbox at {control} refuses: {reason}") from None
    except (OSError, HTTPException, ValueError, LookupError, TypeError, AttributeError):
        raise SandboxError(
            f"no sandbox answers at {control}: start it with `{HERE.start}`, or name its --port"
        ) from None


def _mchid(text: str) -> str:
    if not re.fullmatch(r"[0-9]{1,32}", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"a merchant's number has 1 to 32 digits, not {text!r}")
    return text

"""Install other clients, pinned with hashes, each into a temporary folder of its own."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
CLIENTS = HERE / "clients"
LIMIT = 300  # seconds, for a slow network
# What pip and npm print if the registry cannot be reached; any other failure is a failed check.
UNREACHABLE = re.compile(
    r"NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|ProxyError|SSLError"
    r"|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT|ERR_SOCKET_TIMEOUT"
)


class UnavailableError(Exception):
    """This machine lacks what a client needs: node, or a registry that answers. The client is skipped."""


class InstallationError(Exception):
    """The registry answers, and the installation failed. It counts as a failed check."""


def own_library(_: Path) -> list[str]:
    """Return the command of our own client: this environment has the library."""
    return [sys.executable, str(CLIENTS / "own_client.py")]


def wechatpayv3(directory: Path) -> list[str]:
    """Install wechatpayv3; return the command that runs its steps."""
    python = directory / "bin/python"
    subprocess.run([sys.executable, "-m", "venv", directory], check=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1"]
    lock = HERE.parents[1] / "requirements/interop.lock"
    install("PyPI", [*pip, "--no-deps", "--require-hashes", "-r", str(lock)], directory)
    return [str(python), str(CLIENTS / "wechatpayv3_client.py")]


def node(directory: Path, program: str) -> list[str]:
    """Install the clients from npm by their lock; return the command that runs the steps of one."""
    if missing := [name for name in ("node", "npm") if shutil.which(name) is None]:
        raise UnavailableError(f"{' and '.join(missing)} not on PATH")
    if not (directory / "node_modules").exists():
        for path in (*CLIENTS.glob("*.cjs"), *CLIENTS.glob("*.json")):
            shutil.copy(path, directory)
        npm = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1"]
        install("npm's registry", npm, directory)
    return ["node", str(directory / program)]


def install(registry: str, command: list[str], directory: Path) -> None:
    """Run an installation.

    Raises:
        UnavailableError: The registry cannot be reached, or is too slow.
        InstallationError: The installation failed for another reason.
    """
    try:
        run = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"{registry} did not deliver within {LIMIT} s") from None
    if run.returncode:
        if error := UNREACHABLE.search(run.stdout + run.stderr):
            raise UnavailableError(f"{registry} cannot be reached ({error[0]})")
        raise InstallationError(" ".join(run.stderr.split())[-300:])

"""Look up known vulnerabilities of all pinned packages: `make audit-dependencies`.

pip-audit queries PyPI or OSV. Behind a package mirror neither answers: PyPI's advisories are then "not found" for every
package, which pip-audit reports as no vulnerability. Here an audit counts only if a database answered. If none did, the
output says so and the exit status is 0, because no vulnerability is known.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PIP_AUDIT = ROOT / ".venv-audit/bin/pip-audit"
SHIPPED = ("functions/requirements.txt", "layers/wechatpay/python/requirements.txt")
SERVICES = ("pypi", "osv")
SECONDS = 15  # pip-audit's own limit for one answer of a database

UNREACHABLE_WORDS = (
    "requests.exceptions.ConnectionError",
    "requests.exceptions.ConnectTimeout",
    "requests.exceptions.ReadTimeout",
    "requests.exceptions.ProxyError",
    "requests.exceptions.SSLError",
    "requests.exceptions.HTTPError",
    "requests.exceptions.JSONDecodeError",  # a proxy's page instead of an advisory
    "Could not connect to",
    "PyPI is not redirecting properly",
)
"""What pip-audit 2.10 prints if a database does not answer; any other failure is an AuditError."""


class AuditError(Exception):
    """pip-audit failed for another reason than an unreachable database; the message is its last line of output."""


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No database answered; `reason` in one line."""

    reason: str


@dataclass(frozen=True, slots=True)
class Audited:
    """A database answered for `packages` packages; `findings` has one line for each problem."""

    packages: int
    findings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of pip-audit: its JSON report, None if it wrote none, and its standard error."""

    report: Mapping[str, Any] | None
    stderr: str


def judge(run: Run) -> Audited | Unreachable:
    """Return the outcome of a run of pip-audit; raise AuditError if it failed for another reason than the network."""
    if run.report is None:
        lines = run.stderr.strip().splitlines() or ["no output"]
        reasons = [line for line in lines if any(word in line for word in UNREACHABLE_WORDS)]
        if reasons:
            return Unreachable(reasons[-1])
        raise AuditError(lines[-1])
    dependencies = run.report["dependencies"]
    skipped = [each for each in dependencies if "skip_reason" in each]
    if len(skipped) == len(dependencies):
        return Unreachable(skipped[0]["skip_reason"] if skipped else "the report is empty")
    findings = [f"{each['name']}: {each['skip_reason']}" for each in skipped]
    for each in dependencies:
        for vulnerability in each.get("vulns", ()):
            releases = ", ".join(vulnerability["fix_versions"]) or "no release yet"
            findings.append(f"{each['name']} {each['version']}: {vulnerability['id']}, fixed in {releases}")
    return Audited(len(dependencies) - len(skipped), tuple(findings))


def audit(files: Iterable[Path], run: Callable[[Path, str], Run]) -> Audited | Unreachable:
    """Audit files of pins with the first database that answers. Raises AuditError.

    Args:
        files: Requirements with hashes; each is audited on its own, since environments may pin different versions.
        run: Runs pip-audit for a file and a service of SERVICES.
    """
    packages, findings, reasons = 0, list[str](), list[str]()
    services = list(SERVICES)
    for path in files:
        while services:
            outcome = judge(run(path, services[0]))
            if isinstance(outcome, Audited):
                packages += outcome.packages
                findings += (f"{path.name}: {line}" for line in outcome.findings)
                break
            reasons.append(f"{services.pop(0)}: {outcome.reason}")
        else:
            if not packages:
                return Unreachable("; ".join(reasons))
            findings.append(f"{path.name}: not audited, the database stopped answering: {reasons[-1]}")
    return Audited(packages, tuple(dict.fromkeys(findings)))


def pins() -> list[Path]:
    """Return the files of pins; those of what ships come first."""
    return [*(ROOT / name for name in SHIPPED), *sorted(ROOT.glob("requirements/*.lock"))]


def pip_audit(path: Path, service: str, command: Sequence[str | Path] = (PIP_AUDIT,)) -> Run:
    """Audit one file of pins with pip-audit."""
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory) / "report.json"
        options = ["--progress-spinner", "off", "--disable-pip", "--require-hashes", "--timeout", str(SECONDS)]
        arguments = [*options, "-s", service, "-f", "json", "-o", str(report), "-r", str(path)]
        process = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
        text = report.read_text(encoding="utf-8") if report.is_file() else ""
    return Run(json.loads(text) if text else None, process.stderr)


def main() -> int:
    """Print the outcome; return 1 if a vulnerability is known or the audit itself failed."""
    try:
        outcome = audit(pins(), pip_audit)
    except AuditError as error:
        print(f"pip-audit failed: {error}", file=sys.stderr)
        return 1
    match outcome:
        case Unreachable(reason):
            print(f"NOT AUDITED: no vulnerability database can be reached from here ({reason})")
            return 0
        case Audited(packages, ()):
            print(f"no known vulnerability in {packages} pinned packages")
            return 0
        case Audited(_, findings):
            print(*findings, sep="\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())

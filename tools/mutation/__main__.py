"""`make mutation`, or `python -m tools.mutation wechatpay.message orders.event`: change one thing, and run the tests.

cosmic-ray runs in a temporary environment, on a copy of the tracked files. The output has each module's score and the
mutants that survived. docs/evidence/mutation.md has the latest figures, and why those mutants survive.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

# module → the tests that should fail for each of its mutants
MODULES = {
    "wechatpay.message": "test_message.py test_signature.py",
    "wechatpay.authorization": "test_authorization.py test_signature.py",
    "wechatpay.verification": "test_verification.py",
    "wechatpay.chain": "test_chain.py",
    "wechatpay.paths": "test_chain.py",
    "wechatpay.retries": "test_retries.py",
    "orders.order": "test_order.py",
    "orders.rules": "test_rules.py",
    "orders.waits": "test_waits.py",
    "orders.settlement": "test_settlement.py",
    "orders.wechat.refusals": "test_wechat.py",
    "orders.wechat.verdicts": "test_wechat.py",
    "orders.event": "test_event.py",
    "orders.envelope": "test_event.py",
    "orders.mistakes": "test_event.py test_records.py",
    "orders.items": "test_items.py",
    "orders.fields": "test_event.py",
    "orders.records": "test_records.py",
}
FOLDERS = {
    "wechatpay": ("layers/wechatpay/python/wechatpay", "tests/wechatpay"),
    "orders": ("functions/orders", "tests/orders"),
}
CONFIG = """
[cosmic-ray]
module-path = "{module}"
timeout = 30.0
excluded-modules = []
test-command = "{python} -m pytest -q -x -p no:cacheprovider --hypothesis-profile quick {tests}"

[cosmic-ray.distributor]
name = "local"
"""


@dataclass(frozen=True, slots=True)
class Score:
    """One module's mutants."""

    killed: int
    survivors: tuple[str, ...]

    @property
    def percent(self) -> float:
        """The share of mutants that were killed."""
        return 100 * self.killed / max(1, self.killed + len(self.survivors))


def main(names: list[str]) -> int:
    """Mutate the modules, all by default; 0 if the tests kill nine tenths of each module's mutants."""
    names = names or list(MODULES)
    if unknown := [name for name in names if name not in MODULES]:
        sys.exit(f"unknown module: {', '.join(unknown)}; known are {', '.join(MODULES)}")
    scores = {}
    with tempfile.TemporaryDirectory() as directory:
        python = _environment(Path(directory))
        for name in names:
            scores[name] = score = _mutate(name, Path(directory), python)
            total = score.killed + len(score.survivors)
            print(f"\n{name}: {score.killed} of {total} killed, {score.percent:.1f} %", flush=True)
            for survivor in score.survivors:
                print(survivor)
    return 0 if all(score.percent >= 90 for score in scores.values()) else 1


def _environment(directory: Path) -> Path:
    """Install cosmic-ray and the pinned packages; return the path of that environment's Python."""
    environment = directory / "venv"
    python = environment / "bin/python"
    uv = [sys.executable, "-m", "uv", "pip"]
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    locks = [ROOT / "requirements/dev.lock", ROOT / "requirements/mutation.lock"]
    subprocess.run([*uv, "sync", "--quiet", "--python", python, "--require-hashes", *locks], check=True)
    return python


def _mutate(name: str, directory: Path, python: Path) -> Score:
    """Mutate one module in a fresh copy, so that no mutant is left for the next module."""
    copy = directory / name
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    copy.mkdir()
    archive = subprocess.run(
        ["tar", "-c", "--null", "-T", "-"], cwd=ROOT, input=tracked, capture_output=True, check=True
    )
    subprocess.run(["tar", "-x"], cwd=copy, input=archive.stdout, check=True)
    (copy / ".venv-ministack").symlink_to(ROOT / ".venv-ministack")  # the tests' embedded AWS
    package, _, module = name.partition(".")
    source, tests = FOLDERS[package]
    config, session = copy / "cosmic-ray.toml", copy / "session.sqlite"
    files = " ".join(f"{tests}/{file}" for file in MODULES[name].split())
    config.write_text(CONFIG.format(module=f"{source}/{module}.py", python=python, tests=files))
    _cosmic_ray(python, copy, "init", config, session)
    _cosmic_ray(python, copy, "exec", config, session)
    return _score(_cosmic_ray(python, copy, "dump", session))


def _cosmic_ray(python: Path, copy: Path, *arguments: str | Path) -> str:
    command = [python.parent / "cosmic-ray", *arguments]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=copy, env=environment, check=True, capture_output=True, text=True).stdout


def _score(dumped: str) -> Score:
    outcomes: Counter[str] = Counter()
    survivors = []
    for line in dumped.splitlines():
        item, result = json.loads(line)
        outcome = (result or {}).get("test_outcome", "none")
        outcomes[outcome] += 1
        if outcome == "survived":
            [mutation] = item["mutations"]
            place = f"line {mutation['start_pos'][0]}, {mutation['operator_name'].removeprefix('core/')}"
            difference = [
                part
                for part in (result["diff"] or "").splitlines()
                if part[:1] in "+-" and part[:3] not in {"+++", "---"}
            ]
            survivors.append("  " + place + "\n" + "\n".join(f"    {part}" for part in difference))
    return Score(outcomes["killed"], tuple(survivors))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

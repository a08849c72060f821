"""How this program was installed, in a clone or from the package index: what its texts name differs between the two.

Texts are written as a clone has them: `bin/ops order list`, `docs/operate/outage.md`. This is the one place that knows
what the installed program `wechat-payscore-sandbox` has instead.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PROGRAM = "wechat-payscore-sandbox"
PACKAGE = "wechat_payscore_sandbox"
STATE = "WECHAT_PAYSCORE_SANDBOX_STATE"  # names the folder of the installed program's files


@dataclass(frozen=True, slots=True)
class Installation:
    """How the programs are called here, and which folders they use."""

    root: Path  # holds sandbox, ops, events and docs
    state: Path  # where sandboxes keep their files
    is_package: bool  # installed, not a clone
    ops: str = "bin/ops"
    sandbox: str = ".venv/bin/python -m sandbox"
    start: str = "make sandbox"
    install: str = "make venv"
    port_option: str = "PORT="
    state_option: str = ""  # chooses `state`; a clone has none

    def start_on(self, port: int) -> str:
        """Return the command that starts a sandbox on this port."""
        return f"{self.start} {self.port_option}{port}"

    def page(self, name: str) -> str:
        """Return where a page of the documentation is: in a clone the name itself."""
        return str(self.root / name) if self.is_package else name

    def words(self, text: str) -> str:
        """Return a text that names commands and pages of a clone as this installation has them."""
        text = re.sub(r"(?<![\w/])bin/ops(?= )", lambda _: self.ops, text)
        return re.sub(r"(?<![\w/])docs/operate/", lambda name: self.page(name[0].rstrip("/")) + "/", text)


def installation_at(root: Path, environment: Mapping[str, str], home: Path) -> Installation:
    """Return what is installed at `root`: a folder of the package, or a clone.

    The package keeps its files outside site-packages, where the XDG Base Directory Specification has a user's state.
    """
    if root.parent.name != PACKAGE:
        return Installation(root, root / ".sandbox", is_package=False)
    base = Path(environment.get("XDG_STATE_HOME", ""))
    default = (
        base if base.is_absolute() else home / ".local/state"
    ) / PROGRAM  # the specification: relative is ignored
    state = Path(environment[STATE]).absolute() if environment.get(STATE) else default
    again = f"pip install --force-reinstall {PROGRAM}"
    return Installation(root, state, True, f"{PROGRAM} ops", PROGRAM, PROGRAM, again, "--port ", "--state")


HERE = installation_at(Path(__file__).parents[1], os.environ, Path.home())
"""What this program was started from."""

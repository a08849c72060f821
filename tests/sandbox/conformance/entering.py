"""Enter checks of a merchant that asks in several families as rows of a section."""

from collections.abc import Callable

from tests.sandbox.asking import Asking
from tests.sandbox.conformance.row import DOCUMENTED, Section

type AskingCheck = Callable[[Asking], None]
type Enter = Callable[[AskingCheck], AskingCheck]


def enter(
    section: Section[Asking], name: str, page: str, says: str, *, does: str = "Does the same", switch: str = ""
) -> Enter:
    """Enter a check as a row; `switch` names the choice that changes what the simulator does."""

    def entered(check: AskingCheck) -> AskingCheck:
        verdict = f"switch `{switch}`" if switch else DOCUMENTED
        section.add(name, says, page, does, check, verdict)
        return check

    return entered

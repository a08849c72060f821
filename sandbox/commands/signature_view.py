"""A hunt for a signature error as the output of a command."""

from ops.findings import State
from ops.output import Exit, Report, Table
from sandbox.signature import Hunt
from sandbox.timeline.exchange import Exchange

_MARKS = {State.OK: "ok", State.WARNING: "warning", State.FAILED: "WRONG", State.NOT_CHECKED: "not checked"}


def report(hunt: Hunt, call: Exchange | None = None) -> Report:
    """Return the hunt for people and programs; the exit status is ACTION unless everything is right.

    `call` is the one that arrived with this signature: WeChat Pay's own verdict about it is the first line.
    """
    rows = tuple((_MARKS[one.state], one.subject, one.words) for one in hunt.findings)
    verdict = [f"WeChat Pay: {'verified' if call.is_verified else call.problem}"] if call else []
    lines: list[str | Table] = [
        *verdict,
        "verified" if hunt.is_verified else "not verified",
        "",
        Table(("", "part", "what"), rows),
    ]
    remedies = [f"  -> {one.remedy}" for one in hunt.findings if one.remedy and one.state is not State.OK]
    lines += ["", *dict.fromkeys(remedies)] if remedies else []
    if hunt.difference:
        lines += ["", "the first byte that differs", f"  {hunt.difference.words}"]
        lines += [f"  received  {hunt.difference.received_context}", f"  pasted    {hunt.difference.pasted_context}"]
    lines += ["", "the text that should have been signed", *(f"  {line}" for line in hunt.text_lines)]
    if hunt.signed_lines:
        lines += ["", "the text that was signed", *(f"  {line}" for line in hunt.signed_lines)]
    return Report(tuple(lines), hunt.document(), Exit.DONE if hunt.is_verified else Exit.ACTION)

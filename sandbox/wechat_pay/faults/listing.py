"""The registry as a table in Markdown: for `sandbox/README.md` and `python -m sandbox faults`."""

from sandbox.wechat_pay.faults.registry import KINDS, FaultKind, Option, When


def table() -> str:
    """Return every fault with its options in Markdown, as `sandbox/README.md` shows it, by where it strikes."""
    kinds = sorted(KINDS.values(), key=lambda kind: list(When).index(kind.when))
    rows = [f"| `{kind.name}` | {kind.when} | {_listing(kind)} | {kind.summary} |" for kind in kinds]
    return "\n".join(["| fault | strikes | options | what happens |", "|---|---|---|---|", *rows])


def _listing(kind: FaultKind) -> str:
    return ", ".join(f"`{name}` {_default(option)}".rstrip() for name, option in kind.options.items())


def _default(option: Option) -> str:
    match option:
        case Option(choices=(_, *_)):
            return " or ".join(option.choices)
        case Option(default=None):
            return ""
        case Option(default=bool()):
            return "true" if option.default else "false"
        case _:
            return str(option.default)

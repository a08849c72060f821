"""No test depends on the speed of the machine: each pause and each short limit has a reason in its line's comment.

This reads the sources of the tests and of the sandbox. `pytest -s tests/test_tempo.py` prints the lines with reasons.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path for folder in ("tests", "sandbox") for path in (ROOT / folder).rglob("*.py"))
LEAST = 30.0  # seconds; a machine that is merely slow may reach a shorter limit

PAUSES = {"sleep", "Timer"}
LIMITED = {"join", "wait", "settimeout", "timeout", "result", "communicate"}  # whose first argument is a limit
LIMITED_BY_THE_SECOND = {"until", "wait_for"}
LIMITS = {"timeout", "read_timeout", "connect_timeout", "call_budget", "seconds", "read", "connect"}
TEXTS = {"WECHATPAY_TIMEOUT", "HttpConnectTimeout", "HttpReadTimeout"}
CLOCKS = {"monotonic", "perf_counter"}


@dataclass(frozen=True)
class Spot:
    """A line that depends on time: what it does, and the reason from its comment."""

    path: str
    line: int
    what: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}  {self.what}  # {self.reason or 'WITHOUT A REASON'}"


def spots(path: str, source: str) -> Iterator[Spot]:
    """Yield the pauses of a source, its short limits, and its comparisons of durations."""
    tree = ast.parse(source)
    written = comments(source)
    constants = _constants(tree)
    for node in ast.walk(tree):
        for spot, what in _time_dependencies(node, constants):
            lines = {*range(spot.lineno, (spot.end_lineno or spot.lineno) + 1), *_definitions(spot, tree, constants)}
            reason = " ".join(written[line] for line in sorted(lines) if line in written)
            yield Spot(path, spot.lineno, what, reason)


def _definitions(node: ast.expr, tree: ast.Module, constants: dict[str, float]) -> Iterator[int]:
    """Yield the lines of the module that define the numbers of an expression; they may have the reason."""
    names = {name.id for name in ast.walk(node) if isinstance(name, ast.Name)} & constants.keys()
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            targets = {
                name.id for target in statement.targets for name in ast.walk(target) if isinstance(name, ast.Name)
            }
            if targets & names:
                yield statement.lineno


def _time_dependencies(node: ast.AST, constants: dict[str, float]) -> Iterator[tuple[ast.expr, str]]:
    match node:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            yield from ((node, what) for what in _of_call(name, node, constants))
        case ast.Dict(keys=keys, values=values):
            for key, value in zip(keys, values, strict=True):
                match key, value:
                    case ast.Constant(value=str(name)), ast.Constant(value=str(text)) if name in TEXTS:
                        if min(map(float, text.split(","))) < LEAST:
                            yield value, f"{name} {text}"
        case ast.Compare(left=duration, ops=[ast.Lt() | ast.LtE()]) if any(map(_is_clock, ast.walk(duration))):
            yield node, "compares a duration"


def _of_call(name: str, call: ast.Call, constants: dict[str, float]) -> Iterator[str]:
    """Yield a pause, or a limit that is too short; `seconds` is a limit of `until` only."""
    first = call.args[0] if call.args else None
    if name in PAUSES and not (isinstance(first, ast.Constant) and first.value == 0):
        yield f"{name} {ast.unparse(first) if first else ''}".strip()
        return
    limits = [word.value for word in call.keywords if word.arg in LIMITS and (word.arg != "seconds" or name == "until")]
    if name in LIMITED and len(call.args) == 1 and not isinstance(getattr(call.func, "value", None), ast.Constant):
        limits += call.args
    if name in LIMITED_BY_THE_SECOND:
        limits += call.args[1:2]
    if name == "misbehave" and isinstance(first, ast.Constant) and first.value == "slow":
        yield "misbehave slow"
    for limit in limits:
        seconds = _seconds(limit, constants)
        if seconds is not None and seconds < LEAST:
            yield f"{name} {ast.unparse(limit)}"


def _seconds(value: ast.expr, constants: dict[str, float]) -> float | None:
    """Return the least number of seconds of an expression; None if the source does not define it."""
    match value:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return float(number)
        case ast.Name(id=name):
            return constants.get(name)
        case ast.Tuple(elts=members):
            return _least(members, constants)
        case ast.IfExp(body=body, orelse=other):
            return _least([body, other], constants)
    return None


def _least(members: list[ast.expr], constants: dict[str, float]) -> float | None:
    numbers = [seconds for member in members if (seconds := _seconds(member, constants)) is not None]
    return min(numbers, default=None)


def _constants(tree: ast.Module) -> dict[str, float]:
    """Return the numbers that a module assigns to names."""
    constants: dict[str, float] = {}
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                if (seconds := _seconds(value, constants)) is not None:
                    constants[name] = seconds
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
                for target, value in zip(names, values, strict=False):
                    if isinstance(target, ast.Name) and (seconds := _seconds(value, constants)) is not None:
                        constants[target.id] = seconds
    return constants


def _is_clock(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            return name in CLOCKS
    return False


def comments(source: str) -> dict[int, str]:
    """Return the comments by line, without directives to linters."""
    by_line = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            words = re.sub(r"(noqa|type|pragma): ?[\w\[\], -]*?(  |$)", "", token.string.lstrip("# ")).strip(" #")
            if len(words.split()) >= 3:
                by_line[token.start[0]] = words
    return by_line


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_pause_and_each_short_limit_has_its_reason_on_its_line(path: Path) -> None:
    """Each pause and each limit below 30 s has a comment with its reason on its line."""
    lines = list(spots(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")))
    print("\n".join(map(str, lines)))
    assert [str(spot) for spot in lines if not spot.reason] == []


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("time.sleep(0.05)", "sleep 0.05"),
        ("await asyncio.sleep(1)", "sleep 1"),
        ("await asyncio.sleep(0)", None),
        ("Timer(0.05, store).start()", "Timer 0.05"),
        ("thread.join(5)", "join 5"),
        ("thread.join()", None),
        ('", ".join(names)', None),
        ("answers.get(timeout=15)", "get 15"),
        ("answers.get(timeout=300)", None),
        ("event.wait(60)", None),
        ("TIMEOUT = (1.0, 0.4)\nClient(timeout=TIMEOUT)", "Client TIMEOUT"),
        ("CONNECT, READ = 60, 0.4\ncall(timeout=(CONNECT, READ))", "call (CONNECT, READ)"),
        ("until(look, 20.0)", "until 20.0"),
        ("until(look, seconds=20)", "until 20"),
        ("until(look)", None),
        ('misbehave("slow", seconds=0.8)', "misbehave slow"),
        ('environment = {"WECHATPAY_TIMEOUT": "10,1"}', "WECHATPAY_TIMEOUT 10,1"),
        ('x = {"a": 1,  # a reason of its own\n "HttpReadTimeout": "1"}', "HttpReadTimeout 1"),
        ("assert time.monotonic() - start < 1.5", "compares a duration"),
        ("assert time.monotonic() - start >= 1.5", None),
        ("BRIEF = 0.3\ncall(read=BRIEF if silent else 300)", "call BRIEF if silent else 300"),
        ("async with asyncio.timeout(0.2): pass", "timeout 0.2"),
    ],
)
def test_the_reader_of_sources_finds_what_depends_on_time(source: str, what: str | None) -> None:
    """A comment of three words or more is the reason of its line; a directive to a linter is none."""
    body = source.replace("await ", "").replace("async ", "")
    assert [spot.what for spot in spots("x.py", body)] == ([what] if what else [])
    *before, last = body.splitlines()
    for comment, reason in (("a server is polled", "a server is polled"), ("noqa: S101", ""), ("type: ignore[x]", "")):
        commented = spots("x.py", "\n".join([*before, f"{last}  # {comment}"]))
        assert {spot.reason for spot in commented} == ({reason} if what else set())


GLOBAL_CLOCK = re.compile(r"""setattr\(\s*(?:"time\.|'time\.|time\s*,)""")


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_test_replaces_a_clock_of_the_whole_process(source: Path) -> None:
    """A thread of another test would sleep by it for hours: replace `time` in the one module that is tested."""
    assert not GLOBAL_CLOCK.search(source.read_text(encoding="utf-8"))

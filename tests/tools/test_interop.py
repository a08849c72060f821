"""`make interop`: the table, what fails it, and a run of the one client that needs no download."""

import json
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from sandbox.wechat_pay import Simulator
from sandbox.wechat_pay.keys import Mode
from tools.interop import __main__ as interop
from tools.interop import course, installation, table
from tools.interop.course import CERTIFICATES, END, STEPS, Run
from tools.interop.notifications import FORGERIES, REPLAY, notifications
from tools.interop.table import MODES, Column

ROOT = Path(__file__).parents[2]
LOCK: dict[str, Any] = json.loads((installation.CLIENTS / "package-lock.json").read_text(encoding="utf-8"))


def as_expected(client: str, mode: Mode) -> Column:
    """The column of a client whose steps all end as expected."""
    bare = Column(client, "1", mode)
    expectations = {step: table.expectation(bare, step) for step in STEPS}
    return Column(client, "1", mode, Run(expectations, 9, 1.23))


def with_result(column: Column, step: str, result: str) -> Column:
    """The same column, with another result of one step."""
    assert column.run
    return Column(column.client, column.version, column.mode, Run({**column.run.results, step: result}))


CLIENTS = ("wechatpay", *interop.CLIENTS)


def test_a_run_without_findings_is_one_row_for_each_step() -> None:
    """The table has a row for each step and a column for each client and mode."""
    columns = [as_expected(client, mode) for client in CLIENTS for mode in MODES]
    lines = table.render(columns).splitlines()
    assert lines[0].split() == [client for client in CLIENTS for _ in MODES]
    assert [line.partition("  ")[0] for line in lines[4:]] == [*STEPS, "calls", "seconds"]
    assert lines[-1].split() == ["seconds", *["1.2"] * 8]
    assert all(line == line.rstrip() for line in lines)
    assert list(table.findings(columns)) == []


def test_our_client_refuses_every_forgery_and_the_replay() -> None:
    """Of our own client nothing but refusals is expected for what is not genuine; of others no forgery is accepted."""
    for client in CLIENTS:
        for mode in MODES:
            column = Column(client, "1", mode)
            refused = FORGERIES if client != "wechatpay" else (*FORGERIES, REPLAY, "tampered answer")
            assert {table.expectation(column, step) for step in refused} == {"refused"}


@pytest.mark.parametrize(
    ("client", "step", "result", "words"),
    [
        ("wechatpay", "sync", "RefusedError: 400", "sync: ok was expected, not RefusedError: 400"),
        ("wechatpay", REPLAY, "accepted", f"{REPLAY}: refused was expected, not accepted"),
        ("wechatpayv3", "forged body", "accepted", "forged body: refused was expected, not accepted"),
        ("wechatpayv3", REPLAY, "refused", f"{REPLAY}: accepted was expected, not refused"),
        ("wechatpay-axios-plugin", CERTIFICATES, "ok", f"{CERTIFICATES}: - was expected, not ok"),
        ("wechatpay-node-v3", END, "it hangs", f"{END}: ok was expected, not it hangs"),
    ],
)
def test_each_difference_is_a_finding(client: str, step: str, result: str, words: str) -> None:
    """A result that is not as expected is one line that names client, mode, step and result, in either direction."""
    column = with_result(as_expected(client, "certificate"), step, result)
    assert list(table.findings([column])) == [f"FAILED {client} 1, certificates: {words}"]


def test_what_others_do_differently_is_said_with_its_reason() -> None:
    """A known difference of another client is a remark with its reason, and no finding."""
    [remark] = table.remarks([as_expected("wechatpayv3", "public_key")])
    assert remark == f"wechatpayv3: {REPLAY}: accepted: it has no check of a notification's time"


def test_a_client_that_could_not_run_is_skipped_with_its_reason() -> None:
    """A column without a run is said to be skipped, with the reason, and fails nothing."""
    column = Column("wechatpayv3", "1", "public_key", reason="PyPI cannot be reached (ProxyError)")
    assert list(table.findings([column])) == []
    assert list(table.remarks([column])) == ["skipped wechatpayv3 1, public key: PyPI cannot be reached (ProxyError)"]
    assert "skipped" in table.render([column])


# ---- runs ------------------------------------------------------------------------------------------------------------


def test_our_own_client_passes_every_step(capsys: pytest.CaptureFixture[str]) -> None:
    """Our own client, with WeChat Pay's hosts and a merchant's files, ends every step as expected in both modes."""
    status = interop.main(lambda _: [interop.Program("wechatpay", "0", installation.own_library)])
    output = capsys.readouterr().out
    assert status == 0, output
    assert output.endswith("2 of 2 columns ran; 0 results are not as expected\n")


def _program(folder: Path, text: str) -> list[str]:
    (folder / "client.py").write_text(text)
    return [sys.executable, str(folder / "client.py")]


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("import sys; sys.exit(3)", "exit status 3"),
        ("raise ValueError('broken')", "ValueError: broken"),
        ("import sys; sys.stdin.read(); sys.stdin.close(); input()", "it hangs"),
    ],
)
def test_a_program_that_does_not_end_well_is_a_finding(
    tmp_path: Path, text: str, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that fails, crashes or hangs has its end as a result, and lacks its steps."""
    if end == "it hangs":
        start, here = subprocess.run, threading.current_thread()

        def hang(*args: Any, **options: Any) -> object:
            if threading.current_thread() is here:
                raise subprocess.TimeoutExpired("client", 1)
            return start(*args, **options)

        monkeypatch.setattr(subprocess, "run", hang)  # hangs in this thread alone
    run = course.run(_program(tmp_path, text), "public_key", tmp_path)
    assert run.results[END].endswith(end)
    assert list(run.results) == [END]
    assert len(list(table.findings([Column("wechatpay", "0", "public_key", run)]))) > 10


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (installation.UnavailableError("node not on PATH"), 0, "skipped other 1, public key: node not on PATH"),
        (installation.InstallationError("no such version"), 1, "it cannot be installed: no such version"),
    ],
)
def test_an_installation_that_fails_is_told_from_one_that_cannot_be_tried(
    error: Exception, code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without node or registry a client is skipped with status 0; an installation that fails is a finding."""

    def install(_: Path) -> list[str]:
        raise error

    assert interop.main(lambda _: [interop.Program("other", "1", install)]) == code
    assert words in capsys.readouterr().out


def test_the_words_of_a_registry_decide(tmp_path: Path) -> None:
    """An error of the network is no failure of the client; any other error is."""
    with pytest.raises(installation.UnavailableError, match=r"PyPI cannot be reached \(ECONNREFUSED\)"):
        installation.install("PyPI", _program(tmp_path, "raise OSError('ECONNREFUSED')"), tmp_path)
    with pytest.raises(installation.InstallationError, match="no such package"):
        installation.install("PyPI", _program(tmp_path, "raise ValueError('no such package')"), tmp_path)


def test_node_is_named_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without node and npm their clients are skipped by that reason."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(installation.UnavailableError, match="node and npm not on PATH"):
        installation.node(tmp_path, "axios_client.cjs")
    for name in ("node", "npm"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(stat.S_IRWXU)
    assert installation.node(tmp_path, "axios_client.cjs") == ["node", str(tmp_path / "axios_client.cjs")]
    assert (tmp_path / "course.cjs").exists()


# ---- pins ------------------------------------------------------------------------------------------------------------


def test_every_package_of_npm_has_a_hash_and_no_host() -> None:
    """The lock of the clients from npm has a SHA-512 of each package, and names no registry."""
    packages = {name: package for name, package in LOCK["packages"].items() if name}
    assert len(packages) > 50
    assert [name for name, package in packages.items() if not package["integrity"].startswith("sha512-")] == []
    assert [name for name, package in packages.items() if "resolved" in package] == []


def test_the_versions_are_those_of_the_locks() -> None:
    """The versions in the table are those that are installed."""
    for client in ("wechatpay-axios-plugin", "wechatpay-node-v3"):
        assert LOCK["packages"][f"node_modules/{client}"]["version"] == interop.CLIENTS[client]


def test_the_notifications_differ_as_they_say(wechat_pay: Simulator) -> None:
    """Each forgery differs from the true notification in one thing; the replay is ten minutes old and truly signed."""
    wechat_pay.ready_to_sync("1230000109", "S1")
    serial = wechat_pay.platform.public_key_id
    pieces = notifications(wechat_pay, "1230000109", "S1", serial)
    true_headers, true_body = pieces["notification"]
    assert set(pieces) == {"notification", *FORGERIES, REPLAY}
    assert pieces["forged body"][0] == true_headers
    assert pieces["forged body"][1] != true_body
    assert {body for name, (_, body) in pieces.items() if name != "forged body"} == {true_body}
    assert pieces["forged signature"][0]["Wechatpay-Serial"] == serial
    assert pieces["forged serial"][0]["Wechatpay-Serial"] != serial
    age = int(true_headers["Wechatpay-Timestamp"]) - int(pieces[REPLAY][0]["Wechatpay-Timestamp"])
    assert age == 600

"""`merchant`: store a merchant's keys, and rotate them."""

import argparse
import getpass
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from ops import keys, screen
from ops.commands import keys as keys_command
from ops.commands.parser import Nouns
from ops.keys import UnusableKeysError
from ops.merchant import files, material, store
from ops.merchant.files import Credentials
from ops.merchant.material import Document, Material
from ops.output import Exit, Output, Report
from ops.stack import Deployment, OpsError, UsageError
from orders.merchants import SECRET_MAX_AGE
from wechatpay.endpoints import ENDPOINTS

_ADD = """\
Store the keys of a new merchant as the secret {MerchantSecretPrefix}/{mchid}.

The files are those of the merchant platform (pay.weixin.qq.com, 账户中心, API安全), unchanged. Before anything
is written they must belong together: the private key to the certificate, the certificate to the mchid, the platform
keys to WeChat Pay; dates count as well. What will be written is shown, without a key. After the answer, or with --yes,
the secret is created, with the stack's KMS key if it has one, and checked as `keys check` does. A secret that exists is
not touched.

No key is an argument: keys come from files, from standard input or from a prompt."""

_ROTATE = """\
Give the secret of a merchant a new version, in which only the fields that the options name differ.

A new private key comes with its certificate: the serial and the key change together. A new platform key is added to the
ones in the secret, because WeChat Pay signs with both while a merchant migrates; --drop-platform-key removes one.
Old and new serials are shown before anything is written. The old certificate must stay valid at WeChat Pay until the
function has the new key: at most five minutes."""

_P12_HELP = "the password of --p12; default: the mchid, as the merchant platform makes it; without a value: a prompt"
_APIV3 = "file with the APIv3 key, or - for standard input"


def register(nouns: Nouns) -> None:
    """Add the noun and its verbs."""
    merchant = nouns.noun("merchant", "store and rotate merchants' keys")
    add = merchant.command("add", _add, "store the keys of a new merchant", _ADD)
    rotate = merchant.command("rotate", _rotate, "replace some of a merchant's keys", _ROTATE)
    for parser in (add, rotate):
        parser.add_argument("mchid", help="the merchant number")
        _add_options(parser)
    rotate.add_argument(
        "--drop-platform-key", action="append", default=[], metavar="NAME", help="PUB_KEY_ID_… or serial to remove"
    )


def _add_options(parser: argparse.ArgumentParser) -> None:
    def add(option: str, text: str, **arguments: object) -> None:
        parser.add_argument(option, help=text, **arguments)  # type: ignore[arg-type]  # argparse's own

    add("--private-key", "apiclient_key.pem", type=Path, metavar="FILE")
    add("--certificate", "apiclient_cert.pem", type=Path, metavar="FILE")
    add("--p12", "apiclient_cert.p12, in place of the two", type=Path, metavar="FILE")
    add("--p12-password", _P12_HELP, nargs="?", const="", metavar="PASSWORD")
    add("--public-key", "pub_key.pem, WeChat Pay's public key", type=Path, metavar="FILE")
    add("--public-key-id", "its id, PUB_KEY_ID_…", metavar="ID")
    add("--platform-certificate", "may be repeated", type=Path, action="append", default=[], metavar="FILE")
    add("--apiv3-key-file", _APIV3, metavar="FILE")
    add("--appid", "appid of events that name none", metavar="ID")
    add("--service-id", "service_id of events that name none", metavar="ID")
    add("--endpoint", "endpoint of events that name none; default: direct", choices=tuple(ENDPOINTS))
    add("--yes", "write without asking", action="store_true")


# ---- add -------------------------------------------------------------------------------------------------------------


def _add(deployment: Deployment, options: argparse.Namespace) -> Output:
    _require_options(options)
    _require_files(options)
    store.require_absent(deployment, options.mchid)
    content = _material(options, prompt=not options.yes)
    now = datetime.now(UTC)
    values = material.document(options.mchid, content)
    material.require_fit(options.mchid, values, content.credentials, now)
    plan = _plan(deployment, options.mchid, material.describe(values, now))
    if (refusal := _confirm(plan, options)) is not None:
        return refusal
    store.create(deployment, options.mchid, values, f"WeChat Pay: the keys of merchant {options.mchid}")
    return _check(deployment, options.mchid, plan, ())


def _require_files(options: argparse.Namespace) -> None:
    """Raise UsageError unless the options name a certificate with its key, and a platform key."""
    if not (options.p12 or options.private_key or options.certificate):
        raise UsageError("give --private-key and --certificate, or --p12")
    if not (options.public_key or options.platform_certificate):
        raise UsageError("give --public-key with --public-key-id, or --platform-certificate")


def _plan(deployment: Deployment, mchid: str, fields: dict[str, str]) -> list[str]:
    key = store.kms_key(deployment) or "the AWS managed key of Secrets Manager"
    lines = [f"secret         {store.secret_name(deployment, mchid)}", f"encrypted by   {key}"]
    return lines + [f"{name:<15}{words}" for name, words in fields.items()]


# ---- rotate ----------------------------------------------------------------------------------------------------------


def _rotate(deployment: Deployment, options: argparse.Namespace) -> Output:
    _require_options(options)
    content, now = _material(options, prompt=False), datetime.now(UTC)
    before = store.current(deployment, options.mchid)
    after = material.document(options.mchid, content, before.document)
    names = material.changes(before.document, after)
    if not names:
        raise OpsError("nothing changes: the secret has all of this already; nothing was written")
    material.require_fit(options.mchid, after, content.credentials, now)
    plan = _differences(deployment, options.mchid, before.document, after, names)
    if (refusal := _confirm(plan, options)) is not None:
        return refusal
    version = store.replace(deployment, options.mchid, before, after)
    advice = _advice(store.way_back(deployment, options.mchid, before.id, version))
    return _check(deployment, options.mchid, plan, advice)


_HIDDEN = frozenset({"private_key", "apiv3_key", keys.CERTIFICATE})


def _differences(
    deployment: Deployment, mchid: str, before: Document, after: Document, names: Sequence[str]
) -> list[str]:
    """Return a line for each field that changes: old and new serials and names, and of a key that it changes."""
    lines = [f"secret         {store.secret_name(deployment, mchid)}"]
    for name in names:
        if name == "platform_keys":
            lines += _key_differences(material.platform_keys(before), material.platform_keys(after))
        elif name in _HIDDEN:
            lines.append(f"{name:<15}{'replaced' if before.get(name) else 'added'}, not shown")
        else:
            lines.append(f"{name:<15}{material.display(before.get(name))} → {material.display(after.get(name))}")
    return lines


def _key_differences(before: Document, after: Document) -> list[str]:
    words = {name: "removed" for name in before if name not in after}
    words |= {name: "added" if name not in before else "replaced" for name in after if before.get(name) != after[name]}
    rows = words | {name: "stays" for name in after if name not in words}
    return [f"{'platform_keys':<15}{material.display(name)} {word}" for name, word in rows.items()]


def _advice(way_back: str) -> tuple[str, ...]:
    return (
        f"The function keeps a secret for {SECRET_MAX_AGE:.0f} s, and fetches it at once when WeChat Pay answers 401.",
        "Let the old certificate stay valid at WeChat Pay until then. The version before is AWSPREVIOUS; to go back:",
        f"  {way_back}",
    )


# ---- both ------------------------------------------------------------------------------------------------------------


def _require_options(options: argparse.Namespace) -> None:
    """Raise UsageError for options that do not belong together."""
    if bool(options.public_key) != bool(options.public_key_id):
        raise UsageError("--public-key and --public-key-id belong together: the merchant platform shows both")
    if options.p12 and (options.private_key or options.certificate):
        raise UsageError("give --p12, or --private-key and --certificate, not both")
    if options.p12_password is not None and not options.p12:
        raise UsageError("--p12-password is that of --p12: give the file")
    if bool(options.private_key) != bool(options.certificate):
        raise UsageError("--private-key and --certificate belong together: give both files of one download")


def _material(options: argparse.Namespace, *, prompt: bool) -> Material:
    """Read the files that the options name; ask for the APIv3 key if `prompt` and nothing gives it."""
    platform_keys: dict[str, str] = {}
    if options.public_key:
        platform_keys |= files.read_public_key(options.public_key, options.public_key_id)
    for path in options.platform_certificate:
        platform_keys |= files.read_platform_certificate(path)
    return Material(
        _credentials(options),
        platform_keys,
        _apiv3_key(options.apiv3_key_file, prompt=prompt),
        options.appid,
        options.service_id,
        options.endpoint,
        tuple(getattr(options, "drop_platform_key", ())),
    )


def _credentials(options: argparse.Namespace) -> Credentials | None:
    if options.p12:
        password = options.mchid if options.p12_password is None else options.p12_password
        return files.read_p12(options.p12, password or _ask_secret(f"Password of {options.p12}: "))
    return files.read_pair(options.private_key, options.certificate) if options.private_key else None


def _apiv3_key(source: str | None, *, prompt: bool) -> str | None:
    if source == "-" and not sys.stdin.isatty():
        return files.apiv3_key(sys.stdin.buffer.read(files.LIMIT), "-")
    if source == "-" or (source is None and prompt and sys.stdin.isatty()):
        return _ask_secret("APIv3 key (not shown; Enter leaves it out): ").strip() or None
    return files.read_apiv3_key(Path(source)) if source else None


def _ask_secret(question: str) -> str:
    return getpass.getpass(screen.line(question), stream=sys.stderr)


def _ask(question: str) -> str:
    print(question, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()


def _confirm(plan: Sequence[str], options: argparse.Namespace, ask: Callable[[str], str] = _ask) -> Report | None:
    """Return None if the plan may be executed; without an answer and without --yes a report that it was not."""
    if options.yes:
        return None
    if not sys.stdin.isatty():
        lines = (*plan, "nothing was written: give --yes to write this")
        return Report(lines, {"mchid": options.mchid, "written": False, "plan": list(plan)}, Exit.ACTION)
    for line in plan:
        print(screen.line(line), file=sys.stderr)
    if ask("Write this? [y/N] ").lower() not in {"y", "yes"}:
        raise OpsError("not confirmed: nothing was written")
    return None


def _check(deployment: Deployment, mchid: str, plan: Sequence[str], advice: tuple[str, ...]) -> Report:
    """Return the report on what was written: the plan, and what `keys check` says about the secret now."""
    try:
        report = keys_command.describe(keys.check(deployment, mchid))
    except UnusableKeysError as error:  # changed by another operator, or a key that this role may not use
        if not error.findings:
            raise OpsError(f"the secret was written, but cannot be read back: {error}") from error
        report = keys_command.unusable(mchid, error)
    head = f"written: {store.secret_name(deployment, mchid)}"
    document = {"mchid": mchid, "written": True, "plan": list(plan), "check": report.document, "advice": list(advice)}
    return Report((*plan, head, *report.lines, *advice), document, report.status)

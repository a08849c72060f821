"""PEM in every form in which it gets copied, or one clear line that never repeats the key."""

import base64
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wechatpay.errors import InvalidKeyError
from wechatpay.pem import find_block, find_blocks

DER = bytes(range(200))
LINES = base64.encodebytes(DER).decode()
PEM = f"-----BEGIN PRIVATE KEY-----\n{LINES}-----END PRIVATE KEY-----\n"

PASTED: dict[str, str | bytes] = {
    "as it is": PEM,
    "bytes": PEM.encode(),
    "without its final line end": PEM.strip(),
    "CRLF": PEM.replace("\n", "\r\n"),
    "old Mac line ends": PEM.replace("\n", "\r"),
    r"literal \n, from an environment variable": PEM.replace("\n", "\\n"),
    r"literal \r\n": PEM.replace("\n", "\\r\\n"),
    "with a BOM": f"\ufeff{PEM}",
    "bytes with a BOM": PEM.encode("utf-8-sig"),
    "in double quotes": f'"{PEM}"',
    "in single quotes": f"'{PEM.strip()}'",
    "indented, out of YAML": PEM.replace("\n", "\n    "),
    "on one line with blanks": PEM.replace("\n", " "),
    "on one line without anything": PEM.replace("\n", ""),
    "after openssl's bag attributes": f"Bag Attributes\n    friendlyName: x\nKey Attributes: <No Attributes>\n{PEM}",
    "with blank lines": PEM.replace("\n", "\n\n"),
    r"literal \\n, out of JSON in JSON": PEM.replace("\n", "\\\\n"),
    "bytes in UTF-16, as PowerShell writes them": PEM.encode("utf-16"),
    "base64 of the whole file": base64.encodebytes(PEM.encode()).decode(),
    "base64 of the whole file, bytes": base64.b64encode(PEM.encode()),
    "base64 of the whole file with a BOM": base64.b64encode(PEM.encode("utf-8-sig")).decode(),
    "base64 of the whole file in UTF-16": base64.b64encode(PEM.encode("utf-16")).decode(),
    "base64 of the whole file with CRLF": base64.b64encode(PEM.replace("\n", "\r\n").encode()).decode(),
    "base64 of a file on one line": base64.b64encode(PEM.replace("\n", "\\n").encode()).decode(),
    "BOM, quotes and base64": f'\ufeff"{base64.b64encode(PEM.encode()).decode()}"',
}


@pytest.mark.parametrize("pasted", PASTED.values(), ids=PASTED)
def test_a_key_is_read_however_it_was_pasted(pasted: str | bytes) -> None:
    """Every form in which the same key gets copied is read as the same key."""
    block = find_block(pasted, "private_key")
    assert (block.label, block.der, block.encrypted) == ("PRIVATE KEY", DER, False)


@pytest.mark.parametrize("pasted", [LINES, LINES.replace("\n", ""), LINES.replace("\n", "\\n"), f"\n  {LINES}"])
def test_base64_without_its_frame_is_read_too(pasted: str) -> None:
    """Base64 without BEGIN and END lines, as some consoles show a key, is read."""
    assert find_block(pasted, "private_key").der == DER


def test_the_first_of_several_blocks_counts() -> None:
    """Where no kind is asked for, the first block is returned, as openssl does."""
    assert find_block(f"{PEM}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "x").label == "PRIVATE KEY"


CERTIFICATE = f"-----BEGIN CERTIFICATE-----\n{LINES}-----END CERTIFICATE-----\n"


@pytest.mark.parametrize("before", ["", CERTIFICATE, CERTIFICATE * 2, CERTIFICATE.replace(LINES[:9], "!damaged!")])
@pytest.mark.parametrize("after", ["", CERTIFICATE])
def test_the_block_of_the_wanted_kind_is_found_among_others(before: str, after: str) -> None:
    """The key is found in a file that begins with its certificate, even with a damaged one."""
    for pem in (before + PEM + after, before + PEM.replace("PRIVATE", "RSA PRIVATE") + after):
        assert find_block(pem, "x", "PRIVATE KEY").label.endswith("PRIVATE KEY")
        assert find_block(base64.b64encode(pem.encode()), "x", "PRIVATE KEY").der == DER


def test_where_the_wanted_kind_is_missing_the_first_block_is_returned() -> None:
    """The first block is returned where none has the kind, so that an error can name what the file is instead."""
    assert find_block(CERTIFICATE + PEM, "x", "PUBLIC KEY").label == "CERTIFICATE"


def test_all_blocks_of_a_chain_are_found() -> None:
    """Every block of the kind is returned, in the order of the file."""
    assert [block.label for block in find_blocks(CERTIFICATE + PEM + CERTIFICATE, "x", "CERTIFICATE")] == [
        "CERTIFICATE",
        "CERTIFICATE",
    ]


def test_a_damaged_file_in_base64_is_refused_like_a_damaged_file() -> None:
    """The error about base64 of a damaged file is that of the file, where the base64 can be decoded."""
    cut = base64.b64encode(PEM.partition("-----END")[0].encode()).decode()
    with pytest.raises(InvalidKeyError, match=r"^private_key has no END line that fits its BEGIN line"):
        find_block(cut, "private_key")
    with pytest.raises(InvalidKeyError, match=r"^private_key is damaged"):
        find_block(base64.b64encode(PEM.encode()).decode()[:-3], "private_key")


@pytest.mark.parametrize(
    ("pasted", "text"),
    [
        ("", "private_key is empty"),
        (" \n'' ", "private_key is empty"),
        (PEM.partition("-----END")[0], "private_key has no END line that fits its BEGIN line"),
        (PEM.replace("END PRIVATE", "END PUBLIC"), "private_key has no END line that fits its BEGIN line"),
        ("a password, perhaps!", "private_key is not PEM: it must begin with -----BEGIN"),
        (PEM.replace("-----", "—"), "private_key is not PEM"),
        (PEM.replace(LINES[:3], "!?!"), "private_key is damaged: what stands between BEGIN and END is not base64"),
        (PEM.replace(LINES[:1], ""), "private_key is damaged"),
        (b"\x30\x82\x04\xbe\x02\x01", "private_key is not text: give the PEM file, not the DER or PKCS#12 one"),
        (None, "private_key must be the text of a PEM file, not NoneType"),
        (123, "private_key must be the text of a PEM file, not int"),
    ],
)
def test_what_is_no_pem_is_told_in_one_line(pasted: str, text: str) -> None:
    """Text that is not PEM is refused in one line with the field and the remedy, without its content."""
    with pytest.raises(InvalidKeyError) as caught:
        find_block(pasted, "private_key")
    assert str(caught.value).startswith(text)
    assert LINES[4:20] not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_encrypted_key_is_marked() -> None:
    """An encrypted block is marked and has no content."""
    pem = (
        f"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: X\n\n{LINES}-----END RSA PRIVATE KEY-----"
    )
    block = find_block(pem, "private_key")
    assert (block.encrypted, block.der) == (True, b"")


def test_a_block_does_not_show_its_content() -> None:
    """The `repr` of a block shows its label alone."""
    assert repr(find_block(PEM, "private_key")) == "Block('PRIVATE KEY')"


@settings(max_examples=300)
@given(st.one_of(st.text(), st.binary(), st.text(alphabet="-BEGIN PRIVATEKEYD\n\\nA=").map(lambda text: PEM + text)))
def test_nothing_but_the_one_error_comes_out(pasted: str | bytes) -> None:
    """Any text and any bytes are read, or raise InvalidKeyError and nothing else."""
    with suppress(InvalidKeyError):
        assert "PRIVATE" not in repr(find_block(pasted, "x").der)

"""The command line of `python -m sandbox up`: one number moves the whole sandbox."""

from dataclasses import replace

import pytest

from sandbox.errors import PlaceError
from sandbox.place import FOLDER, PLACE, Place, directory_of, read_place


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], PLACE),
        (["127.0.0.1", "--port=4566"], PLACE),
        (["--port", "4600"], Place("127.0.0.1", 4600, *range(4601, 4607))),
        (["--port=4600", "--wechat-pay-port=4700"], Place("127.0.0.1", 4600, *range(4700, 4706))),
        (["--wechat-pay-port=4700"], Place("127.0.0.1", 4566, *range(4700, 4706))),
        (["--port=4600", "--keep"], replace(Place("127.0.0.1", 4600, *range(4601, 4607)), keep=True)),
    ],
)
def test_one_number_moves_the_whole_sandbox(arguments: list[str], expected: Place) -> None:
    """One port number moves the whole sandbox, unless WeChat Pay has a number of its own."""
    assert read_place(arguments) == expected
    assert (directory_of(expected) == FOLDER) is (expected == PLACE)


@pytest.mark.parametrize(
    "port", ["", "0", "65536", "-1", "4_566", "４５６６", "45 66", "4566;true", "../x", "0x1", "1e3"]
)
def test_a_port_is_digits(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A port that is not 1 to 65535 in ASCII digits is refused: it becomes the name of a folder."""
    with pytest.raises(SystemExit):
        read_place([f"--port={port}"])
    assert "must be a number from 1 to 65535" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--port=65535"], ["--port=4510", "--wechat-pay-port=4509"]])
def test_seven_ports_are_needed(arguments: list[str]) -> None:
    """The seven ports must be different and at most 65535."""
    with pytest.raises(PlaceError, match="needs seven ports"):
        read_place(arguments)

"""Print every table of docs/operate/scaling.md, or write its figures."""

import argparse
from dataclasses import fields

from bench.scaling.page import PAGE, rewritten, sentences
from bench.scaling.service import Service
from bench.scaling.tables import tables


def main() -> None:
    """Print the tables of the service that the flags describe; with --write put its figures into the page."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.scaling", description="Print the tables of docs/operate/scaling.md."
    )
    parser.add_argument("--write", action="store_true", help="write the figures into the page, too")
    for field in fields(Service):
        default = getattr(Service(), field.name)
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=type(default), default=default)
    arguments = vars(parser.parse_args())
    write = arguments.pop("write")
    service = Service(**arguments)
    printed = tables(service)
    print("\n\n".join(printed.values()))
    if write:
        page = rewritten(PAGE.read_text(encoding="utf-8"), list(printed.values()), sentences(service))
        PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()

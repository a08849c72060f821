"""Print every table of docs/operate/scaling.md."""

import argparse
from dataclasses import fields

from bench.scaling.service import Service
from bench.scaling.tables import tables


def main() -> None:
    """Print the tables of the service that the flags describe."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.scaling", description="Print the tables of docs/operate/scaling.md."
    )
    for field in fields(Service):
        default = getattr(Service(), field.name)
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=type(default), default=default)
    print("\n\n".join(tables(Service(**vars(parser.parse_args()))).values()))


if __name__ == "__main__":
    main()

"""The version of the package; the wheel's metadata reads this file."""

__version__ = "0.1.0"

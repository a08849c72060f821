"""The commands of `python -m sandbox` for a running sandbox: `trigger`, `event`, `order`, `timeline`, `signature`.

Each module has `read(arguments)`, which imports nothing that is slow, so that a wrong command line is refused at once.
"""

NAMES = ("trigger", "event", "order", "timeline", "signature")
"""One module for each."""

"""The errors of the sandbox, each with a text for its user."""


class SandboxError(Exception):
    """The sandbox cannot go on; the text is for its user."""


class PlaceError(SandboxError):
    """The sandbox cannot listen there; the text says why, and what to do instead."""

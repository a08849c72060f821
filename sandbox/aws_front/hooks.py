"""Put a function around one of MiniStack's, at a named place, and fail loudly where a new version has moved it."""

from collections.abc import Callable
from functools import wraps
from importlib import import_module
from inspect import signature
from types import ModuleType
from typing import Any

type MiniStackRecord = dict[str, Any]
"""A queue, message, event, rule, function or table, as MiniStack keeps it: JSON without a type of its own."""

type Around = Callable[..., Any]
"""Receives the original function, then its arguments, and returns what it returns."""


class HookError(Exception):
    """This version of MiniStack is not the one that the front was written for."""


def service(name: str) -> ModuleType:
    """Return a module of MiniStack's services."""
    return import_module(f"ministack.services.{name}")


def around(home: str, name: str, parameters: str, wrapper: Around) -> None:
    """Put `wrapper` around a function of a service, which must have exactly these parameters.

    Raise HookError where it has not, so that a new version of MiniStack cannot pass the front by unseen.
    """
    module = service(home)
    original = getattr(module, name, None)
    if original is None or list(signature(original).parameters) != parameters.split():
        raise HookError(
            f"MiniStack's {module.__name__} has no function {name}({', '.join(parameters.split())}), which the "
            "sandbox's front is put around: adapt sandbox/aws_front to this version, or pin the former one"
        )

    @wraps(original)
    def replacement(*arguments: object, **keywords: object) -> object:
        return wrapper(original, *arguments, **keywords)

    setattr(module, name, replacement)
    _replace_handlers(module, original, replacement)


def _replace_handlers(module: ModuleType, original: Around, replacement: Around) -> None:
    """Replace it in the service's own table of actions too."""
    handlers: dict[str, Around] = getattr(module, "_HANDLERS", {})
    for action, handler in handlers.items():
        if handler is original:
            handlers[action] = replacement

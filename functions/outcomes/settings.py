"""The environment of the outcomes function; no other module of it reads the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from orders.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Settings:
    """What `template.yaml` sets: the bus that outcome events go to."""

    event_bus_name: str
    aws_ca_bundle: str | None

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read every variable; raise SettingsError naming the one that is missing."""
        name = environ.get("EVENT_BUS_NAME", "").strip()
        if not name:
            raise SettingsError("EVENT_BUS_NAME", "is missing: the template sets it")
        return cls(name, environ.get("AWS_CA_BUNDLE") or environ.get("REQUESTS_CA_BUNDLE"))  # as boto3 takes them

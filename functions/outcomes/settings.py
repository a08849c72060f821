"""The environment of the outcomes function; no other module of it reads the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from orders.settings import ca_bundle, required


@dataclass(frozen=True, slots=True)
class Settings:
    """What `template.yaml` sets: the bus that outcome events go to."""

    event_bus_name: str
    aws_ca_bundle: str | None

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read every variable; raise SettingsError naming the one that is missing."""
        return cls(required(environ, "EVENT_BUS_NAME"), ca_bundle(environ))

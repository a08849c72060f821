"""Every text of the console, by language: the files of `texts/{language}/`, one for each page.

A key is the file's name, then the name in the file: `till.send` is `send` of `till.toml`.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).with_name("texts")
LANGUAGES: Mapping[str, str] = {"en": "English", "zh-CN": "中文"}
DEFAULT = "en"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The texts of one language."""

    language: str
    texts: Mapping[str, str]

    def text(self, key: str, **values: object) -> str:
        """Return a text with its values filled in; KeyError for a key that no file has."""
        return self.texts[key].format(**values) if values else self.texts[key]

    def optional(self, key: str, default: str) -> str:
        """Return a text, or the default: for words of others, such as the names of faults."""
        return self.texts.get(key, default)


@cache
def catalogue(language: str) -> Catalogue:
    """Read the texts of a language."""
    texts: dict[str, str] = {}
    for path in sorted((FOLDER / language).glob("*.toml")):
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        texts |= {f"{path.stem}.{key}": text for key, text in document.items()}
    return Catalogue(language, texts)


def preferred(accept_language: str) -> str:
    """Return the language that a browser prefers (RFC 9110, 12.5.4); any Chinese is Chinese here."""
    best, best_weight = DEFAULT, 0.0
    for part in accept_language.split(","):
        tag, _, parameters = part.partition(";")
        language = _match(tag.strip().lower())
        weight = _weight(parameters)
        if language and weight > best_weight:
            best, best_weight = language, weight
    return best


def _match(tag: str) -> str:
    """Return our language for a tag; empty where there is none."""
    primary = tag.partition("-")[0]
    return next((language for language in LANGUAGES if language.lower().partition("-")[0] == primary), "")


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    try:
        return float(value) if name.strip() == "q" else 1.0
    except ValueError:
        return 0.0

"""A verified answer of WeChat Pay."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from wechatpay.errors import MalformedError


@dataclass(frozen=True, slots=True)
class Answer:
    """A 2xx answer whose signature has been verified over exactly these bytes.

    `headers` ignore case; `content` is the body as it came; `request_id` is WeChat Pay's name for the exchange
    (`Request-ID`, empty where absent): write it into every log; `serial` names the key that signed.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    request_id: str
    serial: str
    method: str
    path: str

    def json(self) -> Any:  # noqa: ANN401  whatever the endpoint answers
        """Return the decoded body; MalformedError where it is empty or not JSON (a 204 has no body)."""
        try:
            return decoded(self.content)
        except ValueError as error:
            raise MalformedError(
                f"the verified body of {len(self.content)} bytes is not JSON ({error})",
                method=self.method,
                path=self.path,
            ) from None


def decoded(content: bytes) -> Any:  # noqa: ANN401  JSON
    """Decode UTF-8 JSON; ValueError, which never repeats the content, for all that is not."""
    try:
        return _DECODER.decode(content.decode())
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} at character {error.pos}") from None


def tidy(value: Any) -> Any:  # noqa: ANN401  JSON
    """Drop the blanks that WeChat Pay's own samples have around some field names (`"transaction_id "`)."""
    match value:
        case dict():
            return {name.strip(): tidy(member) for name, member in value.items()}
        case list():
            return [tidy(member) for member in value]
        case _:
            return value


def _no_json(word: str) -> NoReturn:
    raise ValueError(f"{word} is Python's own")


_DECODER = json.JSONDecoder(parse_constant=_no_json)

"""The base of every setting that a user may write: immutable, and strict about names and numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dyadnet.errors import ConfigError

Positive = Annotated[int, Field(ge=1)]
"""A whole number of at least 1."""


class Spec(BaseModel):
    """A record of settings. Unknown keys, NaN and infinity are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @classmethod
    def read(cls, values: Any, where: str = "") -> Self:
        """Build from plain values.

        Raises
        ------
        ConfigError
            Naming the first field that is not legal, its value, and what is.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as problem:
            raise _as_config_error(problem, values, where) from None


def _as_config_error(problem: ValidationError, values: Any, where: str) -> ConfigError:
    """The first complaint of a validation as one of our own errors."""
    first = problem.errors(include_url=False)[0]
    kind, given, message = first["type"], first["input"], first["msg"].removeprefix("Value error, ")
    parts = [*([where] if where else []), *_path(values, first["loc"])]
    if kind == "missing":
        parts, given, message = [*parts, str(first["loc"][-1])], None, "it has to be given"
    elif kind == "extra_forbidden":
        message = "unknown key; remove it or check its spelling"
    elif kind == "union_tag_invalid":
        parts, given = [*parts, "kind"], first["ctx"]["tag"]
        message = "one of " + first["ctx"]["expected_tags"].replace("'", "")
    elif kind == "union_tag_not_found":
        parts, given, message = [*parts, "kind"], None, "it has to be given"
    elif kind in ("model_type", "model_attributes_type"):
        message = "it should be a mapping of settings"
    elif message.startswith("Input should be "):
        message = "it" + message.removeprefix("Input")
    elif "should" not in message:
        message = f"it should be {message}"
    return ConfigError(".".join(parts) or "configuration", given, message)


def _path(values: Any, loc: tuple[int | str, ...]) -> list[str]:
    """Where a complaint points to in what was given; pydantic names each member of a union that it tried, too."""
    found = []
    for part in loc:
        known = isinstance(values, Mapping) and part in values
        if known or (isinstance(values, Sequence) and isinstance(part, int) and part < len(values)):
            values = values[part]
            found.append(str(part))
    return found

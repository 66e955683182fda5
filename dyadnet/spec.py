"""The base of every setting that a user may write: immutable, and strict about names and numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from dyadnet.errors import ConfigError

Positive = Annotated[int, Field(ge=1)]
"""A whole number of at least 1."""
SHOULD = "Input should be "
"""How pydantic begins most complaints."""


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
    errors = [(_path(values, error), error) for error in problem.errors(include_url=False)]
    # Where a setting may be written in several ways, each has its complaint; the deepest is of the way that was meant.
    first = errors[0][0]
    path = max((path for path, _ in errors if path[: len(first)] == first), key=len)
    meant = [error for other, error in errors if other == path]
    kind, given, message = meant[0]["type"], meant[0]["input"], meant[0]["msg"].removeprefix("Value error, ")
    shoulds = [error["msg"].removeprefix(SHOULD) for error in meant if error["msg"].startswith(SHOULD)]
    if kind == "missing":
        given, message = None, "it has to be given"
    elif kind == "extra_forbidden":
        message = "unknown key; remove it or check its spelling"
    elif kind == "union_tag_invalid":
        path, given = [*path, "kind"], meant[0]["ctx"]["tag"]
        message = "one of " + meant[0]["ctx"]["expected_tags"].replace("'", "")
    elif kind == "union_tag_not_found":
        path, given, message = [*path, "kind"], None, "it has to be given"
    elif kind in ("model_type", "model_attributes_type"):
        message = "it should be a mapping of settings"
    elif shoulds:
        message = f"it should be {' or '.join(shoulds)}"
    elif "should" not in message:
        message = f"it should be {message}"
    return ConfigError(".".join([*([where] if where else []), *path]) or "configuration", given, message)


def _path(values: Any, error: ErrorDetails) -> list[str]:
    """Where a complaint points to in what was given; pydantic names each member of a union that it tried, too."""
    found = []
    for part in error["loc"]:
        known = isinstance(values, Mapping) and part in values
        if known or (isinstance(values, Sequence) and isinstance(part, int) and part < len(values)):
            values = values[part]
            found.append(str(part))
    return found + ([str(error["loc"][-1])] if error["type"] == "missing" else [])

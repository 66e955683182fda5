"""The base of every setting that a user may write: immutable, and strict about names and numbers."""

from __future__ import annotations

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
            raise as_config_error(problem, where) from None


def as_config_error(problem: ValidationError, where: str = "") -> ConfigError:
    """The first complaint of a validation as one of our own errors."""
    first = problem.errors(include_url=False)[0]
    tags = {
        "constant",
        "uniform",
        "geometric",
        "exponential",
        "every-tick",
        "periodic",
        "red-black",
        "bernoulli",
        "auto",
    }
    tags |= {
        "linear",
        "cosine",
        "increments",
        "sgd",
        "momentum",
        "adam",
        "lockstep",
        "free",
        "function-plain",
        "int",
        "float",
        "str",
    }
    types = ("function-", "constrained-", "literal[")
    parts = [str(part) for part in first["loc"] if str(part) not in tags and not str(part).startswith(types)]
    field = ".".join([where, *parts] if where else parts) or "configuration"
    if first["type"] == "extra_forbidden":
        return ConfigError(field, first["input"], "unknown key; remove it or check its spelling")
    message = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return ConfigError(field, first["input"], f"it should be {message}" if "should" not in message else message)

"""Base class of all user settings: immutable, and strict about names and numbers."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import cache
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, Union, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from dyadnet.errors import ConfigError, nearest

Positive = Annotated[int, Field(ge=1)]
"""A whole number of at least 1."""
SHOULD = "Input should be "
"""Beginning of most of pydantic's messages."""


if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass as _Meta
else:
    _Meta = type(BaseModel)


class _Checked(_Meta):
    """Metaclass that turns pydantic's errors into a one-line `ConfigError` when a program builds a record."""

    def __call__(self, *arguments: Any, **values: Any) -> Any:
        try:
            return super().__call__(*arguments, **values)
        except ValidationError as problem:
            raise _as_config_error(cast("type[Spec]", self), problem, values, "") from None


SYNONYMS = {
    "lambda": "lam",
    "lr": "learning_rate",
    "batch_size": "minibatch",
    "batch": "minibatch",
    "optimizer": "optimiser",
    "workers": "actors",
    "checkpoints": "checkpoint",
}
"""Names that other programs use for a setting, and dyadnet's own name."""


class Spec(BaseModel, metaclass=_Checked):
    """A record of settings. It refuses unknown keys, NaN and infinity with a `ConfigError`."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _no_switches(cls, values: Any) -> Any:
        """Refuse true and false where a number is expected, although Python treats them as numbers."""
        # Strict models refuse them anyway.
        lax = isinstance(values, Mapping) and not cls.model_config.get("strict")
        for name, field in cls.model_fields.items() if lax else ():
            value = values.get(name)
            if _holds_switch(value) and _counts(cast(Hashable, field.annotation)):
                problem = PydanticCustomError("switch", "it should be a number, not true or false")
                raise ValidationError.from_exception_data(
                    cls.__name__, [InitErrorDetails(type=problem, loc=(name,), input=value)]
                )
        return values

    @classmethod
    def read(cls, values: Any, where: str = "") -> Self:
        """Build from plain values.

        Raises
        ------
        ConfigError
            Names the first illegal field, its value, and the legal values.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as problem:
            raise _as_config_error(cls, problem, values, where) from None


def _holds_switch(value: Any) -> bool:
    """Whether a value is true or false, or a plain collection that contains one of them."""
    if isinstance(value, Mapping):
        value = list(value.values())
    return isinstance(value, bool) or (isinstance(value, list | tuple) and any(map(_holds_switch, value)))


@cache
def _counts(annotation: Hashable) -> bool:
    """Whether a setting takes numbers, and neither booleans nor anything that may contain one."""
    kinds = _kinds(annotation)
    return bool(kinds & {int, float}) and kinds <= {int, float, str, list, tuple, dict, Literal, NoneType}


def _kinds(annotation: Any) -> set[Any]:
    """Return all types of which an annotation is composed."""
    origin = get_origin(annotation)
    if origin is Literal:
        return {Literal, *map(type, get_args(annotation))}
    if origin is Annotated:
        return _kinds(get_args(annotation)[0])
    found = {annotation if origin is None else origin} - {UnionType, Union}
    return found.union(*map(_kinds, get_args(annotation))) if origin is not None else found


def _as_config_error(cls: type[Spec], problem: ValidationError, values: Any, where: str) -> ConfigError:
    """Convert the first problem of a validation to a `ConfigError`."""
    errors = _misspelt_alone([(_path(values, error), error) for error in problem.errors(include_url=False)])
    # A setting with several legal forms yields one problem per form. The deepest one belongs to the form that was
    # meant.
    first = errors[0][0]
    path = max((path for path, _ in errors if path[: len(first)] == first), key=len)
    meant = [error for other, error in errors if other == path]
    kind, given, message = meant[0]["type"], meant[0]["input"], meant[0]["msg"].removeprefix("Value error, ")
    shoulds = [error["msg"].removeprefix(SHOULD) for error in meant if error["msg"].startswith(SHOULD)]
    if kind == "missing":
        given, message = None, "it has to be given"
    elif kind == "extra_forbidden":
        message = "unknown key; remove it or check its spelling"
        key = str(meant[0]["loc"][-1])
        key = SYNONYMS.get(key, key)
        known = _fields(cls, [part for part in path if part != key])
        exact = [key] if key in known else sorted(_elsewhere(cls, key), key=len)
        if guess := next(iter(exact), None) or nearest(key, known):
            message += f"; did you mean {guess}?"
    elif kind == "union_tag_invalid":
        path, given = [*path, "kind"], meant[0]["ctx"]["tag"]
        message = "one of " + meant[0]["ctx"]["expected_tags"].replace("'", "")
    elif kind == "union_tag_not_found":
        path, given, message = [*path, "kind"], None, "it has to be given"
    elif kind in ("model_type", "model_attributes_type"):
        message = "it should be a mapping of settings" + (", or be left out" if given is None else "")
    elif shoulds:
        message = f"it should be {' or '.join(shoulds)}"
        if guess := nearest(given, re.findall("'([^']+)'", message)):
            message += f"; did you mean {guess}?"
    elif "should" not in message:
        message = f"it should be {message}"
    return ConfigError(".".join([*([where] if where else []), *path]) or "configuration", given, message)


def _misspelt_alone(errors: list[tuple[list[str], ErrorDetails]]) -> list[tuple[list[str], ErrorDetails]]:
    """Reduce the problems to one if a key is misspelt and its correct name is reported as missing; else return all."""
    missing = [path for path, error in errors if error["type"] == "missing"]
    for path, error in errors:
        beside = [other[-1] for other in missing if other[:-1] == path[:-1]]
        if error["type"] == "extra_forbidden" and nearest(path[-1], beside):
            return [(path, error)]
    return errors


def _models(annotation: Any) -> set[type[Spec]]:
    """Return all records of settings of which an annotation is composed."""
    if isinstance(annotation, type) and issubclass(annotation, Spec):
        return {annotation}
    return set().union(*map(_models, get_args(annotation)))


def paths(cls: type[Spec], within: str = "") -> Iterator[str]:
    """Yield the dotted paths of all values of a record. Entries of dictionaries, lists and tuples have no path."""
    for name, field in cls.model_fields.items():
        section = isinstance(field.annotation, type) and issubclass(field.annotation, Spec)
        # Inside a section, most records have a short form that stands at the record's own path.
        if within or not section:
            yield f"{within}{name}"
        for model in _parts(field.annotation):
            yield from paths(model, f"{within}{name}.")


def _parts(annotation: Any) -> set[type[Spec]]:
    """Return the records of settings in an annotation, but not those inside dictionaries, lists and tuples."""
    if get_origin(annotation) in (dict, list, tuple):
        return set()
    if isinstance(annotation, type) and issubclass(annotation, Spec):
        return {annotation}
    return set().union(*map(_parts, get_args(annotation)))


def _fields(cls: type[Spec], path: Sequence[str]) -> list[str]:
    """Return the names of the settings that are legal at a path."""
    models = {cls}
    for part in path:
        inner = set().union(
            *(_models(model.model_fields[part].annotation) for model in models if part in model.model_fields)
        )
        # A part that is no field is a user's own name or an index of a list.
        models = inner or models
    return sorted({name for model in models for name in model.model_fields} - {"kind"})


def _elsewhere(cls: type[Spec], key: str, within: str = "", depth: int = 3) -> list[str]:
    """Return the dotted paths of all settings with this name."""
    found = []
    for name, field in cls.model_fields.items():
        if name == key:
            found.append(f"{within}{name}")
        for model in _models(field.annotation) if depth else ():
            found += _elsewhere(model, key, f"{within}{name}.", depth - 1)
    return found


def _path(values: Any, error: ErrorDetails) -> list[str]:
    """Return the path to the faulty value. Names of union members, which pydantic inserts, are left out."""
    found = []
    for part in error["loc"]:
        known = isinstance(values, Mapping) and part in values
        if known or (isinstance(values, Sequence) and isinstance(part, int) and part < len(values)):
            values = values[part]
            found.append(str(part))
    return found + ([str(error["loc"][-1])] if error["type"] == "missing" else [])

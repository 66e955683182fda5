"""What users and other packages add: one object by name for each kind of thing.

A kind has one `Registry`. What is built in is there from the beginning; a program adds by `register`, an installed
package by an entry point of the group ``dyadnet.<kind>``. A file never names code: a name that nobody registered is
refused. What a program registered travels to other processes with its configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from pydantic import GetCoreSchemaHandler
from pydantic_core import core_schema

from dyadnet.errors import ConfigError, UsageError, guessed
from dyadnet.schema import Spec

Thing = TypeVar("Thing")
_REGISTRIES: dict[str, Registry[Any]] = {}


class Registry(Mapping[str, Thing], Generic[Thing]):
    """All things of one kind, by name, in the order in which they came.

    Parameters
    ----------
    kind
        As `register` and the entry-point group name it.
    built_in
        What dyadnet has itself.
    check
        Says what is wrong with a thing that is to be added; None if nothing is.
    """

    def __init__(
        self,
        kind: str,
        built_in: Mapping[str, Thing] | None = None,
        check: Callable[[str, Any], str | None] = lambda name, thing: None,
    ) -> None:
        self.kind = kind
        self.built_in = dict(built_in or {})
        self._added: dict[str, Thing] = {}
        self._check = check
        _REGISTRIES[kind] = self

    @property
    def added(self) -> dict[str, Thing]:
        """What this process has registered beside what is built in."""
        return dict(self._added)

    def add(self, name: str, thing: Thing) -> None:
        """Add a thing; one of the same name that was added before is replaced, as when a notebook's cell runs again.

        Raises
        ------
        UsageError
            If the name is taken by something built in, or the thing is not what its kind needs.
        """
        if name in self.built_in:
            raise UsageError(f"register({self.kind!r}, {name!r}): this name is built in; choose another")
        if problem := self._check(name, thing):
            raise UsageError(f"register({self.kind!r}, {name!r}): {problem}")
        self._added[name] = thing

    def forget(self, name: str) -> None:
        """Take away what was added under a name."""
        del self._added[name]

    def __getitem__(self, name: str) -> Thing:
        found = self._all()
        if name not in found:
            found = found | self._installed(name)
        return found[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._all()
        yield from (point.name for point in self._points() if point.name not in self._all())

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def legal(self, name: str) -> str:
        """What a name may be, for the error about one that is not there."""
        return f"one of {', '.join(self)}{guessed(name, self)}; one of your own is registered by dyadnet.register first"

    def _all(self) -> dict[str, Thing]:
        return self.built_in | self._added

    def _points(self) -> list[Any]:
        return list(entry_points(group=f"dyadnet.{self.kind}"))

    def _installed(self, name: str) -> dict[str, Thing]:
        for point in self._points():
            if point.name == name:
                self.add(name, point.load())
                return {name: self._added[name]}
        return {}


def register(kind: str, name: str) -> Callable[[Thing], Thing]:
    """A decorator, or a function to call with an object: adds one thing of a kind under a name.

    Parameters
    ----------
    kind
        What it is: ``activation``, ``loss``, ...; ``docs/extending.md`` lists every kind with what it needs.
    name
        As configurations write it.

    Raises
    ------
    UsageError
        If there is no such kind, the name is taken by something built in, or the thing lacks what its kind needs.
    """
    if kind not in _REGISTRIES:
        legal = f"one of {', '.join(sorted(_REGISTRIES))}{guessed(kind, _REGISTRIES)}"
        raise UsageError(f"register({kind!r}, ...): there is no such kind; {legal}")

    def add(thing: Thing) -> Thing:
        _REGISTRIES[kind].add(name, thing)
        return thing

    return add


class Registrations:
    """All that this process has registered; where it is unpickled, it is registered as well."""

    def __reduce__(self) -> tuple[Any, ...]:
        found = [(kind, name, thing) for kind, kept in _REGISTRIES.items() for name, thing in kept.added.items()]
        return _registered, (found,)


def _registered(found: list[tuple[str, str, Any]]) -> Registrations:
    for kind, name, thing in found:
        _REGISTRIES[kind].add(name, thing)
    return Registrations()


class Open:
    """Annotates a union of `Spec` with a field ``kind``: classes of a registry are members, too.

    A registered class is a `Spec` whose field ``kind`` has its name as the default.
    """

    def __init__(self, registry: Registry[type[Spec]]) -> None:
        self._registry = registry

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_wrap_validator_function(
            self._read,
            handler(source),
            serialization=core_schema.wrap_serializer_function_ser_schema(self._written, schema=handler(source)),
        )

    def _read(self, value: Any, usual: Callable[[Any], Any]) -> Any:
        if isinstance(value, tuple(self._registry.added.values())):
            return value
        name = value if isinstance(value, str) else value.get("kind") if isinstance(value, Mapping) else None
        if isinstance(name, str) and name not in self._registry.built_in and name in self._registry:
            rest = {} if isinstance(value, str) else {key: given for key, given in value.items() if key != "kind"}
            return self._registry[name].model_validate(rest)
        return usual(value)

    def _written(self, value: Any, usual: Callable[[Any], Any]) -> Any:
        if isinstance(value, tuple(self._registry.added.values())):
            return value.model_dump(mode="json")  # type: ignore[attr-defined]
        return usual(value)


def check_spec(name: str, thing: Any) -> str | None:
    """What is wrong with a class that is to be a member of an open union."""
    if not (isinstance(thing, type) and issubclass(thing, Spec)):
        return "it has to be a class that derives from dyadnet.schema.Spec"
    field = thing.model_fields.get("kind")
    if field is None or field.default != name:
        return f"its field kind has to be {name!r} unless given: kind: Literal[{name!r}] = {name!r}"
    return None


def found(registry: Registry[Thing], field: str, name: str) -> Thing:
    """One thing by its name in a configuration.

    Raises
    ------
    ConfigError
        If there is none.
    """
    if name not in registry:
        raise ConfigError(field, name, registry.legal(name))
    return registry[name]

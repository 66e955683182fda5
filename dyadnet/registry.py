"""What users and other packages add: one object by name for each kind of thing.

A kind has one `Registry`. What is built in is there from the beginning; a program adds by `register`, an installed
package by an entry point of the group ``dyadnet.<kind>``. A file never names code: a name that nobody registered is
refused. What a program registered travels to other processes with its configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic_core import InitErrorDetails, core_schema

from dyadnet.errors import ConfigError, UsageError, guessed
from dyadnet.schema import Spec

Thing = TypeVar("Thing")
_REGISTRIES: dict[str, Registry[Any]] = {}
PLUGINS: list[str] = []
"""Modules that a command was told to import for what they register."""


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
    made
        What is kept of a thing that is added, such as an object of a class; it is checked then. The thing itself
        unless given.
    """

    def __init__(
        self,
        kind: str,
        built_in: Mapping[str, Thing] | None = None,
        check: Callable[[str, Any], str | None] = lambda name, thing: None,
        made: Callable[[Any], Any] = lambda thing: thing,
    ) -> None:
        self.kind = kind
        self.built_in = dict(built_in or {})
        self._added: dict[str, Thing] = {}
        self._check, self._made = check, made
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
        try:
            kept = self._made(thing)
        except TypeError as problem:
            raise UsageError(f"register({self.kind!r}, {name!r}): {problem}") from None
        if wrong := self._check(name, kept):
            raise UsageError(f"register({self.kind!r}, {name!r}): {wrong}")
        self._added[name] = kept

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
        return f"one of {', '.join(self)}; one of your own is registered by dyadnet.register first{guessed(name, self)}"

    def _all(self) -> dict[str, Thing]:
        return self.built_in | self._added

    def _points(self) -> list[Any]:
        return list(entry_points(group=f"dyadnet.{self.kind.replace(' ', '_')}"))

    def _installed(self, name: str) -> dict[str, Thing]:
        for point in self._points():
            if point.name == name:
                self.add(name, loaded(point))
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


def loaded(point: Any) -> Any:
    """What an entry point leads to.

    Raises
    ------
    UsageError
        If it cannot be imported.
    """
    try:
        return point.load()
    except Exception as problem:  # Whatever a module does when it is imported.
        why = f"{type(problem).__name__}: {' '.join(str(problem).split())[:200]}"
        raise UsageError(f"{point.group}: {point.name} ({point.value}) cannot be loaded: {why}") from problem


def registered() -> list[tuple[str, str, Any]]:
    """Kind, name and thing of all that this process has registered beside what is built in."""
    return [(kind, name, thing) for kind, kept in _REGISTRIES.items() for name, thing in kept.added.items()]


def forget(kind: str, name: str) -> None:
    """Take away what this process has registered under a name."""
    _REGISTRIES[kind].forget(name)


class Registrations:
    """All that this process has registered; where it is unpickled, it is registered as well, by the same plugins."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _registered, (registered(), list(PLUGINS))


def _registered(found: list[tuple[str, str, Any]], plugins: list[str]) -> Registrations:
    for kind, name, thing in found:
        _REGISTRIES[kind].add(name, thing)
    PLUGINS[:] = plugins
    return Registrations()


class Open:
    """Annotates a union of `Spec` with a field ``kind``: classes of a registry are members, too.

    A registered class is a `Spec` whose field ``kind`` has its name as the default.

    Parameters
    ----------
    by_name
        Whether a name alone stands for a member whose settings are as they are unless given.
    """

    def __init__(self, registry: Registry[Any], *, by_name: bool = False) -> None:
        self._registry, self._by_name = registry, by_name

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        inner = handler(source)
        return core_schema.no_info_wrap_validator_function(
            self._read,
            inner,
            serialization=core_schema.wrap_serializer_function_ser_schema(self._written, schema=inner),
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        found = handler.resolve_ref_schema(handler(schema))
        added = [name for name in self._registry if name not in self._registry.built_in]
        if not added:
            return found
        members = [handler(self._registry[name].__pydantic_core_schema__) for name in added]
        # Where a setting may be a number, too, its schema offers any of several.
        way = "oneOf" if "oneOf" in found else "anyOf"
        return {**found, way: [*found.get(way, []), *members]}

    def _read(self, value: Any, usual: Callable[[Any], Any]) -> Any:
        if self._is_added(value):
            return value
        named = isinstance(value, str) and self._by_name
        name = value if named else value.get("kind") if isinstance(value, Mapping) else None
        if not isinstance(name, str) or name in self._registry.built_in:
            return usual(value)
        if name not in self._registry:
            legal = self._registry.legal(name).removeprefix("one of ")
            wrong = {"discriminator": "'kind'", "tag": name, "expected_tags": legal}
            problem = InitErrorDetails(type="union_tag_invalid", ctx=wrong, input=value)
            raise ValidationError.from_exception_data(self._registry.kind, [problem])
        rest = {} if named else {key: given for key, given in value.items() if key != "kind"}
        return self._registry[name].model_validate(rest)

    def _written(self, value: Any, usual: Callable[[Any], Any]) -> Any:
        return value.model_dump(mode="json") if self._is_added(value) else usual(value)

    def _is_added(self, value: Any) -> bool:
        # By its name: its class is another one once a notebook's cell has run again.
        return isinstance(value, Spec) and getattr(value, "kind", None) in self._registry.added


def check_spec(base: type[Spec]) -> Callable[[str, Any], str | None]:
    """Says what is wrong with a class that is to be a member of an open union of classes of a base."""

    def check(name: str, thing: Any) -> str | None:
        if not (isinstance(thing, type) and issubclass(thing, base)):
            return f"it has to be a class that derives from {base.__module__}.{base.__name__}"
        if not thing.__pydantic_complete__:
            return "what its annotations name cannot be found; import it at the top of the module"
        field = thing.model_fields.get("kind")
        if field is None or field.default != name:
            return f"its field kind has to be {name!r} unless given: kind: Literal[{name!r}] = {name!r}"
        lacks = sorted(getattr(thing, "__abstractmethods__", ()))
        return f"it lacks {' and '.join(lacks)}" if lacks else None

    return check


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

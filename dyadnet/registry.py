"""Registries of everything that users and other packages can add, such as activations, losses and clocks.

Each kind of thing has one `Registry`. It holds the built-in things from the start. A program adds things by
`register`; an installed package adds them by an entry point of the group ``dyadnet.<kind>``. A configuration file
never names code: it uses registered names, and unknown names are refused. A configuration carries the things that a
program registered to the other processes of a run.
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
"""Modules that a command was told to import because they register things."""


class Registry(Mapping[str, Thing], Generic[Thing]):
    """A mapping from names to all things of one kind, in the order of registration.

    Parameters
    ----------
    kind
        Name of the kind, as in `register` and in the entry-point group.
    built_in
        Things that dyadnet itself provides.
    check
        Function of the name and the thing that is to be added. Returns what is wrong with the thing, or None.
    made
        Function that converts a thing before it is checked and kept, for example a class to an object. The identity
        by default.
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
        """Things that this process has registered in addition to the built-in ones."""
        return dict(self._added)

    def add(self, name: str, thing: Thing) -> None:
        """Add a thing. A thing that was added under the same name is replaced, so that a notebook cell can run again.

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
        """Remove the thing that was added under a name."""
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
        """Return the text that tells which names are legal, for the error about an unknown name."""
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
    """Register one thing of a kind under a name. Use it as a decorator, or call the result with an object.

    Parameters
    ----------
    kind
        Kind of the thing: ``activation``, ``loss``, ...; ``docs/extending.md`` lists every kind and its requirements.
    name
        Name by which configurations refer to it.

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
    """Load the object that an entry point refers to.

    Raises
    ------
    UsageError
        If it cannot be imported.
    """
    try:
        return point.load()
    except Exception as problem:  # The import of a module can raise anything.
        why = f"{type(problem).__name__}: {' '.join(str(problem).split())[:200]}"
        raise UsageError(f"{point.group}: {point.name} ({point.value}) cannot be loaded: {why}") from problem


def registered() -> list[tuple[str, str, Any]]:
    """Return kind, name and thing of everything that this process has registered; built-in things are left out."""
    return [(kind, name, thing) for kind, kept in _REGISTRIES.items() for name, thing in kept.added.items()]


def forget(kind: str, name: str) -> None:
    """Remove the thing that this process has registered under a name."""
    _REGISTRIES[kind].forget(name)


class Registrations:
    """Everything that this process and its plugins have registered. Unpickling it registers the same things."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _registered, (registered(), list(PLUGINS))


def _registered(found: list[tuple[str, str, Any]], plugins: list[str]) -> Registrations:
    for kind, name, thing in found:
        _REGISTRIES[kind].add(name, thing)
    PLUGINS.extend(name for name in plugins if name not in PLUGINS)
    return Registrations()


class Open:
    """Annotation that adds a registry's classes to a union of `Spec` classes with a field ``kind``.

    A registered class is a `Spec`. The default of its field ``kind`` is its name.

    Parameters
    ----------
    by_name
        Whether a name alone may stand for a member with default settings.
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
        # If a setting may also be a number, its schema already has an ``anyOf``.
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
        # Compare names, not classes: the class is a new one after a notebook cell has run again.
        return isinstance(value, Spec) and getattr(value, "kind", None) in self._registry.added


def check_spec(base: type[Spec]) -> Callable[[str, Any], str | None]:
    """Return a check for classes that are added to an open union: they must derive from `base` and be complete."""

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
    """Look up a thing by its name in a configuration.

    Raises
    ------
    ConfigError
        If the registry has no such name. The error names `field`.
    """
    if name not in registry:
        raise ConfigError(field, name, registry.legal(name))
    return registry[name]

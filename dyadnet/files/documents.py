"""A strict YAML reader: consistent number formats, unique keys, and limits on the size of a file.

PyYAML follows YAML 1.1, in which 1e-3 is text, 1:30 is ninety and 010 is eight. Of two equal keys it takes the last
one. It passes on any exception of its constructors, and nested aliases can grow exponentially. Therefore this module
only uses its parser and constructs the values itself. Keys are text, as they are written. Yes, no, on and off are
booleans, as in YAML 1.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

SIZE = 4 * 2**20
"""Maximal size of a file in bytes."""
DEPTH, NODES = 50, 200_000
"""Maximal nesting depth and number of values. Values behind aliases are counted each time."""
_DIGITS = 100
_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_NULL = {"", "~", "null", "Null", "NULL"}
_SWITCH = {
    form: value
    for value, words in ((True, ("yes", "true", "on")), (False, ("no", "false", "off")))
    for word in words
    for form in (word, word.capitalize(), word.upper())
}
_D = r"[0-9]+(?:_[0-9]+)*"
_INT = re.compile(rf"[-+]?{_D}")
_BASED = re.compile(r"[-+]?0(?:x[0-9a-fA-F]+|o[0-7]+|b[01]+)")
_FLOAT = re.compile(rf"[-+]?(?:{_D}(?:\.(?:{_D})?)?|\.{_D})(?:[eE][-+]?[0-9]+)?")
_BEYOND = re.compile(r"([-+]?)\.(?:(inf|Inf|INF)|(nan|NaN|NAN))")


class DocumentError(ValueError):
    """A text that is not YAML, is ambiguous, or is too large. The message names the line."""


@dataclass(frozen=True, slots=True)
class Document:
    """Plain values, and the line of each value by its path. List items are addressed by index."""

    values: Any
    lines: Mapping[tuple[str, ...], int]

    def line(self, dotted: str, value: object) -> int | None:
        """Return the line that contains a value, or None. For a missing value (None), return the line of its parent.

        Parameters
        ----------
        dotted
            Path of the value, as in error messages.
        """
        keys = re.sub(r"\[(\d+)\]", r".\1", dotted).split(".")
        for path, found, left in _walk(self.values, (), keys):
            if not left and _equal(found, value):
                return self.lines.get(path)
            if len(left) == 1 and value is None and isinstance(found, dict):
                return self.lines.get(path)
        return None


@dataclass(slots=True)
class _Anchor:
    value: Any
    nodes: int
    open: bool = True


@dataclass(slots=True)
class _Reader:
    """Constructs values from the events of a parser."""

    events: Iterator[Any]
    lines: dict[tuple[str, ...], int] = field(default_factory=dict)
    anchors: dict[str, _Anchor] = field(default_factory=dict)
    nodes: int = 0

    def node(self, event: Any, path: tuple[str, ...]) -> Any:
        line = event.start_mark.line + 1
        self.lines.setdefault(path, line)
        self._count(1, line)
        if len(path) > DEPTH:
            raise DocumentError(f"line {line}: more than {DEPTH} values lie in each other")
        if isinstance(event, yaml.AliasEvent):
            anchor = self.anchors.get(str(event.anchor))
            if anchor is None or anchor.open:
                why = "is not there" if anchor is None else "holds itself"
                raise DocumentError(f"line {line}: what *{event.anchor} stands for {why}")
            self._count(anchor.nodes, line)
            return anchor.value
        anchor = _Anchor(None, self.nodes)
        if event.anchor is not None:
            self.anchors[event.anchor] = anchor
        if isinstance(event, yaml.ScalarEvent):
            value = _tagged(event, line)
        else:
            _check_kind(event, line)
            value = (self._mapping if isinstance(event, yaml.MappingStartEvent) else self._sequence)(path)
        anchor.value, anchor.nodes, anchor.open = value, self.nodes - anchor.nodes + 1, False
        return value

    def _sequence(self, path: tuple[str, ...]) -> list[Any]:
        found: list[Any] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            found.append(self.node(event, (*path, str(len(found)))))
        return found

    def _mapping(self, path: tuple[str, ...]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        common: list[Any] = []
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            line = event.start_mark.line + 1
            if not isinstance(event, yaml.ScalarEvent):
                raise DocumentError(f"line {line}: a key should be a word; quote a text that begins with [, {{ or *")
            key = event.value
            if key in found:
                first = self.lines[(*path, key)]
                raise DocumentError(f"line {line}: the key {_brief(key)} is there already, in line {first}; keep one")
            merging = key == "<<" and event.implicit[0]
            self.lines.pop((*path, key), None)
            self.lines[(*path, key)] = line
            value = self.node(next(self.events), (*path, key))
            if merging:
                common += value if isinstance(value, list) else [value]
                if not all(isinstance(one, dict) for one in common):
                    raise DocumentError(f"line {line}: << takes mappings only")
            else:
                found[key] = value
        # Explicit keys take precedence over merged ones, and earlier merged mappings over later ones.
        for one in common:
            self._count(len(one), 0)
            found = {**one, **found}
        return found

    def _count(self, more: int, line: int) -> None:
        self.nodes += more
        if self.nodes > NODES:
            raise DocumentError(f"line {line}: more than {NODES:,} values, those that aliases stand for included")


def read(path: Path) -> Document:
    """Read the document in a file.

    Raises
    ------
    OSError
        If the file cannot be read.
    DocumentError
        If its content is not a legal document.
    """
    with path.open("rb") as file:
        data = file.read(SIZE + 1)
    if len(data) > SIZE:
        raise DocumentError(f"larger than {SIZE // 2**20} MiB")
    try:
        return parse(data.decode("utf-8-sig"))
    except UnicodeDecodeError as problem:
        line = data[: problem.start].count(b"\n") + 1
        raise DocumentError(f"line {line}: not UTF-8; save it as UTF-8") from None


def parse(text: str) -> Document:
    """Parse the document in a text. The values of an empty text are None.

    Raises
    ------
    DocumentError
        If it is not YAML, contains several documents or duplicate keys, or is too large.
    """
    events = yaml.parse(text, Loader=_PARSER)
    reader = _Reader(events)
    found: list[Any] = []
    try:
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent) and event.start_mark:
                if found:
                    raise DocumentError(f"line {event.start_mark.line + 1}: a second document begins; keep one")
                found.append(reader.node(next(events), ()))
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        what = getattr(problem, "problem", None) or getattr(problem, "reason", None) or "not readable"
        raise DocumentError(f"line {mark.line + 1}: {what}" if mark else f"{what}") from None
    except UnicodeEncodeError:
        raise DocumentError("not UTF-8; save it as UTF-8") from None
    return Document(found[0] if found else None, reader.lines)


def scalar(text: str) -> Any:
    """Interpret a plain scalar: a number, a boolean, null, or a text."""
    if text in _NULL:
        return None
    if text in _SWITCH:
        return _SWITCH[text]
    if len(text) > _DIGITS:
        return text
    if _INT.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    beyond = _BEYOND.fullmatch(text)
    return float(beyond[1] + (beyond[2] or "nan")) if beyond else text


def number(value: Any) -> int | float | None:
    """Return a number, also if it is written in quotes; None for all other values."""
    if isinstance(value, str):
        value = scalar(value)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def written(values: Any) -> str:
    """Write plain values as YAML that `parse` can read. Ambiguous texts are quoted."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    pass


# The resolver is registered only for first characters of numbers, so it examines few other scalars.
_NUMBER = re.compile(rf"(?:{_FLOAT.pattern}|{_BASED.pattern})\Z")
_Dumper.add_implicit_resolver(f"{_TAG}float", _NUMBER, [*"-+.0123456789"])


def _tagged(event: Any, line: int) -> Any:
    """Return the value of a scalar, according to its quotes or tag."""
    tag = event.tag
    if tag in (None, "!"):
        plain = event.implicit[0] and tag is None
        value = scalar(event.value) if plain else event.value
        if plain and isinstance(value, str) and len(value) > _DIGITS and _FLOAT.fullmatch(value):
            raise DocumentError(f"line {line}: a number of {len(value):,} digits; quote it if it is a text")
        return value
    kinds: dict[str, Any] = {"str": str, "int": int, "float": float, "bool": bool, "null": type(None)}
    kind = kinds.get(tag.removeprefix(_TAG)) if tag.startswith(_TAG) else None
    if kind is str:
        return event.value
    value = scalar(event.value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is None or type(value) is not kind:
        what = f"{_brief(event.value)} with the tag {_brief(tag)}"
        raise DocumentError(f"line {line}: {what}; only plain values are read")
    return value


def _check_kind(event: Any, line: int) -> None:
    own = "map" if isinstance(event, yaml.MappingStartEvent) else "seq"
    if event.tag not in (None, "!", _TAG + own):
        raise DocumentError(f"line {line}: the tag {_brief(event.tag)}; only plain values are read")


def _walk(
    values: Any, path: tuple[str, ...], keys: Sequence[str]
) -> Iterator[tuple[tuple[str, ...], Any, Sequence[str]]]:
    """Yield all values along a path of keys, the deepest first. A key in the file may contain dots."""
    for count in range(len(keys), 0, -1):
        key = ".".join(keys[:count])
        inner: Any = None
        if isinstance(values, dict) and key in values:
            inner = values[key]
        elif isinstance(values, list) and key.isdecimal() and int(key) < len(values):
            inner = values[int(key)]
        else:
            continue
        yield from _walk(inner, (*path, key), keys[count:])
    yield path, values, keys


def _equal(one: object, other: object) -> bool:
    return one is other or (type(one) is type(other) and one == other)


def _brief(text: object) -> str:
    shown = repr(str(text))
    return shown if len(shown) <= 60 else shown[:59] + "…"

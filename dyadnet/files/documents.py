"""YAML as dyadnet reads it: a number is one however it is written, each key is there once, and no file is too much.

PyYAML follows YAML 1.1, in which 1e-3 is text, 1:30 is ninety and 010 is eight; of two equal keys it takes the last, it
passes on whatever its constructors raise, and aliases of aliases never end. So only its parser is used, and what that
finds is put together here. Keys are text, as they are written. Yes, no, on and off are switches, as in YAML 1.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

SIZE = 4 * 2**20
"""Bytes that a file may have."""
DEPTH, NODES = 50, 200_000
"""How deep values may lie in each other, and how many there may be, those that aliases stand for included."""
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
    """Text that is no YAML, or means more than one thing, or too much; says in which line."""


@dataclass(frozen=True, slots=True)
class Document:
    """Plain values, and the line of every one of them by its path; list items go by their index."""

    values: Any
    lines: Mapping[tuple[str, ...], int]

    def line(self, dotted: str, value: object) -> int | None:
        """The line that says a value, or would have to if it is missing (None); None if no line does.

        Parameters
        ----------
        dotted
            Its path, as complaints name it.
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
    """Puts together what a parser finds."""

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
        # What is written stands before what is taken over, and of two of those the first.
        for one in common:
            self._count(len(one), 0)
            found = {**one, **found}
        return found

    def _count(self, more: int, line: int) -> None:
        self.nodes += more
        if self.nodes > NODES:
            raise DocumentError(f"line {line}: more than {NODES:,} values, those that aliases stand for included")


def read(path: Path) -> Document:
    """The document in a file.

    Raises
    ------
    OSError
        If it cannot be read.
    DocumentError
        If it is none.
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
    """The document in a text; no values at all are None.

    Raises
    ------
    DocumentError
        If it is no YAML, or more than one document, or says something twice, or is too much.
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
    """What a plain word means: a number, a switch, nothing, or itself."""
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
    """A number, also one that is written in quotes; None for everything else."""
    if isinstance(value, str):
        value = scalar(value)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def written(values: Any) -> str:
    """Plain values as YAML that `parse` reads back: text that looks like something else is quoted."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    pass


# Each only of what begins like a number, so that little else is looked at.
_NUMBER = re.compile(rf"(?:{_FLOAT.pattern}|{_BASED.pattern})\Z")
_Dumper.add_implicit_resolver(f"{_TAG}float", _NUMBER, [*"-+.0123456789"])


def _tagged(event: Any, line: int) -> Any:
    """The value of a scalar, as its quotes or its tag want it."""
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
    """All values on the way along some keys, the farthest first; a key of the file may hold dots."""
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

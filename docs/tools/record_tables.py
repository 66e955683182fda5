"""The tables of ``docs/record.md``, from the types of the record's lines: python docs/tools/record_tables.py."""

from __future__ import annotations

from typing import Annotated, Any, NotRequired, get_args, get_origin, get_type_hints

from dyadnet.runs.record_lines import LINES, PARTS, Key


def keys(kind: type) -> dict[str, Key]:
    """What a type says of each of its keys, those it shares with others first."""
    hints: dict[str, Any] = get_type_hints(kind, include_extras=True)
    return {name: _key(hint) for name, hint in hints.items()}


def table(kind: type) -> list[str]:
    """A table in Markdown, a row a key."""
    rows = [_row(name, key) for name, key in keys(kind).items()]
    return ["| key | unit | meaning | there |", "|---|---|---|---|", *rows]


def pages() -> dict[str, list[str]]:
    """Every table by its heading."""
    lines = {f"`{file}`: {name}": kind for file, kinds in LINES.items() for name, kind in kinds.items()}
    return {heading: table(kind) for heading, kind in (lines | {part.__name__: part for part in PARTS}).items()}


def _key(hint: Any) -> Key:
    if get_origin(hint) is NotRequired:
        (hint,) = get_args(hint)
    assert get_origin(hint) is Annotated, hint
    (key,) = (one for one in get_args(hint)[1:] if isinstance(one, Key))
    return key


def _row(name: str, key: Key) -> str:
    cells = [f"`{name}`", key.unit or "–", key.meaning, key.when or "always"]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    for heading, rows in pages().items():
        print(f"### {heading}", "", *rows, "", sep="\n")

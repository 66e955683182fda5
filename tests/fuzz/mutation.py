"""Seeded changes: of bytes, of text, and of plain values such as settings and manifests."""

from __future__ import annotations

import random
from typing import Any

TOKENS = (
    *("[", "]", "{", "}", ":", "- ", "? ", "&a ", "*a", "!!int ", "!!python/name:os.system ", "<<: *a", "#", "'", '"'),
    *("|\n", "\t", "\x00", "\x85", "\ufeff", "---\n", "...\n", "%YAML 9.9\n", "~", "null", "yes", "1e-3", "1e400"),
    *(".nan", "2021-99-99"),
)
NUMBERS = (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\0\0\0\x01")
ODD: tuple[Any, ...] = (
    *(None, True, False, "", "x", "1e-3", "auto", "é", "\ud800", "../../x", "/dev/zero", "a" * 3000),
    *(0, 1, -1, 2, 7, 10, 63, 255, 2**31, 2**63, -(2**63), 10**40, 10**400),
    *(0.5, -0.5, 1e-300, 1e300, float("nan"), float("inf"), float("-inf")),
    *([], {}, [None], [[[]]], {"kind": "x"}, {"kind": None}, {"": {}}, [1, "x", None], {"a": {"b": {"c": 1}}}),
)


def altered(draw: random.Random, data: bytes) -> bytes:
    """Bytes with a few of them changed, taken out, doubled, or cut off."""
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 8))):
        at = draw.randrange(len(changed) + 1)
        match draw.randrange(6):
            case 0 if changed:
                changed[at % len(changed)] = draw.randrange(256)
            case 1 if changed:
                changed[at % len(changed)] ^= 1 << draw.randrange(8)
            case 2:
                del changed[at : at + draw.choice((1, 4, 100))]
            case 3:
                changed[at:at] = changed[at : at + draw.choice((1, 4, 100))]
            case 4:
                changed[at : at + 4] = draw.choice(
                    (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\0\0\0\x01")
                )
            case _:
                del changed[at if draw.random() < 0.3 else len(changed) :]
    return bytes(changed)


def rewritten(draw: random.Random, text: str) -> str:
    """Text with tokens put in, lines doubled, moved or indented."""
    for _ in range(draw.choice((1, 2, 4))):
        lines = text.split("\n")
        line = draw.randrange(len(lines))
        match draw.randrange(6):
            case 0:
                lines.insert(line, lines[draw.randrange(len(lines))])
            case 1:
                lines[line] = "  " * draw.randrange(3) + lines[line]
            case 2:
                at = draw.randrange(len(lines[line]) + 1)
                lines[line] = lines[line][:at] + draw.choice(TOKENS) + lines[line][at:]
            case 3:
                lines[line] = lines[line].partition(":")[0] + ": " + draw.choice(TOKENS)
            case 4:
                lines.insert(line, draw.choice(TOKENS) * draw.choice((1, 3, 2000)))
            case _:
                del lines[line]
        text = "\n".join(lines) or " "
    return text


def varied(draw: random.Random, values: Any) -> Any:
    """Plain values of which one somewhere is another, is missing, or is there in another place."""
    if isinstance(values, dict) and values and draw.random() < 0.9:
        key = draw.choice(list(values))
        match draw.randrange(8):
            case 0:
                return {other: value for other, value in values.items() if other != key}
            case 1:
                return {**values, str(draw.choice(ODD))[:300]: draw.choice(ODD)}
            case 2:
                return {**values, key: values[draw.choice(list(values))]}
            case _:
                return {**values, key: varied(draw, values[key])}
    if isinstance(values, list) and values and draw.random() < 0.8:
        at = draw.randrange(len(values))
        match draw.randrange(4):
            case 0:
                return values[:at] + values[at + 1 :]
            case 1:
                return [*values, values[at]]
            case _:
                return [*values[:at], varied(draw, values[at]), *values[at + 1 :]]
    if isinstance(values, int | float) and not isinstance(values, bool) and draw.random() < 0.4:
        return draw.choice((values + 1, values - 1, -values, values * 1000, str(values), float(values)))
    return draw.choice(ODD)

"""Draws the rooms of both packages in their order, from the contracts in pyproject.toml, as docs/images/rooms.svg.

python docs/tools/rooms_picture.py
"""

from __future__ import annotations

import ast
import tomllib
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = {"dyadnet": ROOT / "dyadnet", "dyadnet_actors": ROOT / "actors" / "dyadnet_actors"}
WIDTH, ROW, NAME = 980, 26, 230
STYLE = "text { font: 13px sans-serif; fill: #222 } .name { font-weight: 600 } rect { stroke: #fff; stroke-width: 2 }"


def said(package: str, room: str) -> str:
    """The first line of a room's docstring."""
    folder = FOLDERS[package] / room
    file = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    return (ast.get_docstring(ast.parse(file.read_text())) or "").splitlines()[0].replace("``", "")


def layers() -> list[tuple[str, list[str]]]:
    """Packages, each with its rooms from the highest to the lowest."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    return [
        (contract["containers"][0], [room for layer in contract["layers"] for room in layer.split(" : ")])
        for contract in contracts
        if contract["type"] == "layers"
    ]


def drawn() -> str:
    """The picture."""
    rows: list[str] = []
    y = 10
    for (package, rooms), colour in zip(reversed(layers()), ("#f3d9c0", "#cfe0f1"), strict=True):
        rows.append(f'<text class="name" x="10" y="{y + 17}">{package}</text>')
        y += ROW
        for room in rooms:
            rows.append(f'<rect x="10" y="{y}" width="{WIDTH - 20}" height="{ROW}" fill="{colour}"/>')
            rows.append(f'<text class="name" x="20" y="{y + 17}">{room}</text>')
            rows.append(f'<text x="{NAME - 60}" y="{y + 17}">{escape(said(package, room))}</text>')
            y += ROW
        y += ROW // 2
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}">'
    return "\n".join([head, f"<style>{STYLE}</style>", *rows, "</svg>", ""])


if __name__ == "__main__":
    (ROOT / "docs" / "images" / "rooms.svg").write_text(drawn(), encoding="utf-8")

"""Ten functions drawn at random: could a stranger guess the file of each from its name and docstring?

    python docs/tools/ten_functions.py 7             # names and docstrings, to guess by
    python docs/tools/ten_functions.py 7 --answers   # the files

The list of the last draw is kept in docs/architecture.md.
"""

from __future__ import annotations

import ast
import random
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("dyadnet", "actors/dyadnet_actors")


def functions() -> list[tuple[str, str, str]]:
    """Name, docstring and file of every public function and method with a docstring of its own."""
    found = []
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            for node in ast.parse(file.read_text()).body:
                members = node.body if isinstance(node, ast.ClassDef) else [node]
                owner = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
                for member in members:
                    if not isinstance(member, ast.FunctionDef) or member.name.startswith("_"):
                        continue
                    said = (ast.get_docstring(member) or "").splitlines()
                    if said and not said[0].startswith("See `"):
                        found.append((f"{owner}{member.name}", said[0], str(file.relative_to(ROOT))))
    return found


def main(seed: int, answers: bool) -> None:
    """Print a draw."""
    for number, (name, said, file) in enumerate(random.Random(seed).sample(functions(), 10), start=1):
        print(f"{number:2}. {name}: {file if answers else said}")


if __name__ == "__main__":
    main(int(sys.argv[1]), "--answers" in sys.argv)

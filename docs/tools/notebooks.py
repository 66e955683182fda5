"""Runs the notebooks of docs/notebooks, which are kept as scripts, and keeps what they show as .ipynb and thumbnails.

Needs the extra ``notebooks``::

    python -m docs.tools.notebooks                # all of them
    python -m docs.tools.notebooks own-data map   # some
"""

from __future__ import annotations

import argparse
import base64
import io
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "notebooks"
THUMBNAILS = FOLDER.parent / "images" / "notebooks"
WIDTH = 420
"""Of a thumbnail, in pixels."""
TIMEOUT = 600
"""Seconds that a cell may take; a kernel that hangs ends then."""
CELL = re.compile(r"^# %%(?P<kind> \[markdown\])?\n", re.MULTILINE)


def cells(script: str) -> Iterator[tuple[str, str]]:
    """Cells of a script in the percent format: ``markdown`` or ``code``, and their text."""
    parts = CELL.split(script)
    for kind, text in zip(parts[1::2], parts[2::2], strict=True):
        if kind is None:
            yield "code", text.strip("\n")
        else:
            lines = (line.removeprefix("#").removeprefix(" ") for line in text.strip("\n").splitlines())
            yield "markdown", "\n".join(lines)


def notebook(path: Path) -> Any:
    """A script as a notebook that has not run, the same one every time."""
    from nbformat import v4

    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    found = v4.new_notebook(metadata={"kernelspec": kernel})
    for number, (kind, text) in enumerate(cells(path.read_text(encoding="utf-8"))):
        cell = v4.new_markdown_cell(text) if kind == "markdown" else v4.new_code_cell(text)
        cell["id"] = f"{path.stem}-{number}"
        found.cells.append(cell)
    return found


def executed(path: Path) -> Any:
    """A script as a notebook with what its cells show, run in a folder of its own.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        If a cell raises.
    """
    from nbclient import NotebookClient

    found = notebook(path)
    with tempfile.TemporaryDirectory() as folder:
        # As in a user's folder: nothing of this repository is beside it.
        where = {"metadata": {"path": folder}}
        client = NotebookClient(found, kernel_name="python3", timeout=TIMEOUT, record_timing=False, resources=where)
        client.execute(env=os.environ | {"PYTHONWARNINGS": "ignore"})
    for cell in found.cells:
        if cell.cell_type == "code":
            # What libraries log has times in it, and is none of what a notebook shows.
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    found.metadata.pop("language_info", None)
    found.metadata.pop("widgets", None)
    return found


def pictures(found: Any) -> list[bytes]:
    """Every PNG that a notebook's cells show, in order."""
    outputs = [output for cell in found.cells if cell.cell_type == "code" for output in cell.outputs]
    return [base64.b64decode(output.data["image/png"]) for output in outputs if "image/png" in output.get("data", {})]


def thumbnail(picture: bytes, path: Path) -> None:
    """A picture in small, on white."""
    from PIL import Image

    with Image.open(io.BytesIO(picture)) as image:
        small = image.convert("RGB")
        small.thumbnail((WIDTH, WIDTH))
        small.quantize(64).save(path, optimize=True)


def main() -> None:
    """Run them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="All of them unless named.")
    names = parser.parse_args().names or [path.stem for path in sorted(FOLDER.glob("*.py"))]
    THUMBNAILS.mkdir(exist_ok=True)
    import nbformat

    for name in names:
        found = executed(FOLDER / f"{name}.py")
        nbformat.write(found, FOLDER / f"{name}.ipynb")
        thumbnail(pictures(found)[-1], THUMBNAILS / f"{name}.png")
        print(f"{name}: {len(found.cells)} cells, {len(pictures(found))} pictures")


if __name__ == "__main__":
    main()

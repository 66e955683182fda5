"""A hook of MkDocs: every executed notebook becomes a page, and the gallery links to it.

In a checkout the gallery links to the notebooks themselves, which code hosts show.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

FOLDER = "notebooks"
LINK = re.compile(r"\]\(([\w-]+)\.ipynb\)")


def on_files(files: Any, *, config: Any) -> Any:
    """Put a page in the place of each notebook, with its pictures beside it."""
    from mkdocs.structure.files import File

    for file in [one for one in files if one.src_uri.startswith(f"{FOLDER}/") and one.src_uri.endswith(".ipynb")]:
        name = PurePosixPath(file.src_uri).stem
        text, pictures = page(name, json.loads(file.content_string))
        files.remove(file)
        files.append(File.generated(config, f"{FOLDER}/{name}.md", content=text))
        for picture, data in pictures.items():
            files.append(File.generated(config, f"{FOLDER}/{picture}", content=data))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Have the gallery lead to pages."""
    return LINK.sub(r"](\1.md)", markdown) if page.file.src_uri == f"{FOLDER}/index.md" else markdown


def page(name: str, notebook: dict[str, Any]) -> tuple[str, dict[str, bytes]]:
    """A notebook as Markdown, and its pictures by file name."""
    parts: list[str] = []
    pictures: dict[str, bytes] = {}
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(text)
            continue
        parts.append(f"```python\n{text}\n```")
        for output in cell["outputs"]:
            parts += _shown(output.get("data", {}) | _printed(output), name, pictures)
    parts.insert(1, f"*The [script]({name}.py) of this notebook; [how to run it](index.md#run-them).*")
    return "\n\n".join([*parts, ""]), pictures


def _printed(output: dict[str, Any]) -> dict[str, Any]:
    return {"text/plain": output["text"]} if output["output_type"] == "stream" else {}


def _shown(data: dict[str, Any], name: str, pictures: dict[str, bytes]) -> Iterator[str]:
    """What a cell shows, in its richest form."""
    if "image/png" in data:
        picture = f"{name}-{len(pictures)}.png"
        pictures[picture] = base64.b64decode(data["image/png"])
        yield f"![What the cell draws]({picture})"
    elif "text/html" in data:
        # In one piece: an empty line would end it. Outputs are of our own making; see `dyadnet.notebook`.
        lines = "".join(data["text/html"]).replace("\n\n", "\n").strip()
        yield f'<div class="output">{lines}</div>'
    elif "text/plain" in data:
        yield f"```text\n{''.join(data['text/plain']).rstrip()}\n```"

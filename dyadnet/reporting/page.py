"""The HTML page of a report: style, scripts, pictures and values in one file that loads nothing else."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from os import PathLike
from pathlib import Path
from typing import Any

from dyadnet.reporting.contents import contents
from dyadnet.reporting.groups import groups
from dyadnet.reporting.reading import read
from dyadnet.runs.folder import whole
from dyadnet.telemetry.web import digest, embedded, piece

PACKAGE, LIVE = "dyadnet.reporting", "dyadnet.telemetry"
STYLES = ((LIVE, "page.css"), (PACKAGE, "report.css"))
SCRIPTS = (
    (LIVE, "saving.js"),
    (LIVE, "charts.js"),
    (LIVE, "network.js"),
    (PACKAGE, "sections.js"),
    (PACKAGE, "report.js"),
)
"""Scripts of the live page, and further ones of the report; the last one starts the page."""
REPORT = "report.html"
SURROGATES = re.compile("[\ud800-\udfff]")
"""Surrogates, which stand for undecodable bytes, for example in the name of a folder; UTF-8 cannot encode them."""


def report(runs: Sequence[str | PathLike[str]]) -> str:
    """Return an HTML page about one run, or about several side by side.

    Parameters
    ----------
    runs
        Runs, or their folders.

    Raises
    ------
    RunFolderError
        If a folder holds no run. For an unfinished or damaged run, the page says what is missing.
    """
    return rendered([contents(read(Path(run))) for run in runs])


def rendered(runs: Sequence[dict[str, Any]]) -> str:
    """Render the page from the `contents` of each run."""
    runs = [dict(run) for run in runs]
    names = [run["name"] for run in runs]
    for run in runs:
        if names.count(run["name"]) > 1:
            run["name"] = run["path"]
    title = names[0] if len(names) == 1 else f"{len(names)} runs compared"
    page = _frame().replace("<!--title-->", html.escape(title))
    data = {"title": title, "version": version("dyadnet"), "runs": runs, "groups": groups(runs)}
    page = page.replace("/*data*/", embedded(data))
    return SURROGATES.sub("\N{REPLACEMENT CHARACTER}", page)


def write(runs: Sequence[str | PathLike[str]], path: str | PathLike[str]) -> None:
    """Write a report atomically.

    Parameters
    ----------
    runs
        Runs, or their folders.
    path
        Path of the page. Only `dyadnet report` checks its extension.

    Raises
    ------
    RunFolderError
        If a folder holds no run, or the page cannot be written.
    """
    text = report(runs)
    with whole(Path(path)) as fresh:
        fresh.write_text(text, encoding="utf-8")


@cache
def _frame() -> str:
    """Return the page without values. Its content security policy allows only this style and this script."""
    style = "\n".join(piece(package, name) for package, name in STYLES)
    script = "\n".join(piece(package, name) for package, name in SCRIPTS)
    policy = f"default-src 'none'; style-src {digest(style)}; script-src {digest(script)}; img-src data:"
    page = piece(PACKAGE, "report.html").replace("<!--policy-->", policy)
    return page.replace("/*style*/", style).replace("/*script*/", script)

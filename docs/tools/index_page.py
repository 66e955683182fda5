"""Rewrites the README for a package index, where pictures and links that are relative lead nowhere::

    python docs/tools/index_page.py README.md --repository OWNER/NAME --tag v0.2.0

Only whoever releases knows where the repository is, so that this is a step of a release (`docs/releasing.md`).
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

LINK = re.compile(r"(!?)(\[[^]]*\])\(([^)\s]+)\)")


def absolute(text: str, raw: str, page: str) -> str:
    """The same Markdown with absolute links.

    Parameters
    ----------
    raw, page
        What a picture's path, and any other file's, is put after.
    """

    def rewritten(found: re.Match[str]) -> str:
        picture, label, target = found.groups()
        if target.startswith(("http://", "https://", "#", "mailto:")):
            return found[0]
        return f"{picture}{label}({raw if picture else page}/{target})"

    return LINK.sub(rewritten, text)


def main() -> None:
    """Rewrite a file in its place."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("readme", type=Path)
    parser.add_argument("--repository", required=True, metavar="OWNER/NAME", help="On GitHub.")
    parser.add_argument("--tag", required=True, help="Of the release: a link keeps leading to what it led to then.")
    given = parser.parse_args()
    raw = f"https://raw.githubusercontent.com/{given.repository}/{given.tag}"
    page = f"https://github.com/{given.repository}/blob/{given.tag}"
    text = given.readme.read_text(encoding="utf-8")
    given.readme.write_text(absolute(text, raw, page), encoding="utf-8")


if __name__ == "__main__":
    main()

"""The live page: one answer with everything in it, and a policy that lets nothing else run or be fetched."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files

from dyadnet.metrics.server import Answer

SCRIPTS = ("charts.js", "network.js", "live.js")
"""In this order: the last one begins."""


@cache
def page() -> Answer:
    """The page, put together once from the files of ``dyadnet/metrics/web``."""
    style = _file("page.css")
    script = "\n".join(_file(name) for name in SCRIPTS)
    body = _file("page.html").replace("/*style*/", style).replace("/*script*/", script)
    policy = "; ".join(
        (
            "default-src 'none'",
            f"style-src {_source(style)}",
            f"script-src {_source(script)}",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )
    return Answer(body.encode(), "text/html; charset=utf-8", headers={"Content-Security-Policy": policy})


def _file(name: str) -> str:
    return (files("dyadnet.metrics") / "web" / name).read_text(encoding="utf-8")


def _source(text: str) -> str:
    """A piece of the page as the policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

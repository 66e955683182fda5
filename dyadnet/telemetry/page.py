"""The live page: one self-contained response, with a content security policy that blocks everything else."""

from __future__ import annotations

from functools import cache

from dyadnet.telemetry.server import Answer
from dyadnet.telemetry.web import digest, piece

PACKAGE = "dyadnet.telemetry"
SCRIPTS = ("saving.js", "charts.js", "network.js", "live.js")
"""Scripts in this order; the last one starts the page."""


@cache
def page() -> Answer:
    """Return the page, assembled once from the files of ``dyadnet/telemetry/web``."""
    style = piece(PACKAGE, "page.css")
    script = "\n".join(piece(PACKAGE, name) for name in SCRIPTS)
    body = piece(PACKAGE, "page.html").replace("/*style*/", style).replace("/*script*/", script)
    policy = "; ".join(
        (
            "default-src 'none'",
            f"style-src {digest(style)}",
            f"script-src {digest(script)}",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )
    return Answer(body.encode(), "text/html; charset=utf-8", headers={"Content-Security-Policy": policy})

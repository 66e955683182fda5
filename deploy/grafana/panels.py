"""Parts of a Grafana dashboard: queries of one run's metrics, panels, and how they are laid out."""

from __future__ import annotations

from typing import Any

SOURCE = {"type": "prometheus", "uid": "${source}"}
RATE = "[$__rate_interval]"
Query = tuple[str, str]
"""(expression, legend)."""


def of(metric: str, **labels: str) -> str:
    """A metric of the chosen run, with these labels; a value that begins with ! is one not to have."""
    matchers = ['run="$run"']
    for name, value in labels.items():
        matchers.append(f'{name}!="{value[1:]}"' if value.startswith("!") else f'{name}="{value}"')
    return f"dyadnet_{metric}{{{', '.join(matchers)}}}"


def per_second(metric: str, **labels: str) -> str:
    """Rate of a counter of the chosen run."""
    return f"rate({of(metric, **labels)}{RATE})"


def panel(kind: str, title: str, about: str, queries: list[Query], width: int = 8, **options: Any) -> dict[str, Any]:
    """One panel; `height`, `unit`, `log`, `most`, `stacked` and `mappings` are what differs between them."""
    height = options.get("height", 4 if kind == "stat" else 8)
    custom: dict[str, Any] = {}
    if kind == "timeseries":
        custom = {"lineWidth": 1, "fillOpacity": 30 if options.get("stacked") else 0, "showPoints": "never"}
        custom["scaleDistribution"] = {"type": "log", "log": 10} if options.get("log") else {"type": "linear"}
        custom["stacking"] = {"mode": "normal" if options.get("stacked") else "none"}
    defaults: dict[str, Any] = {"unit": options.get("unit", "short"), "custom": custom}
    if "most" in options:
        defaults |= {"min": 0, "max": options["most"]}
    if "mappings" in options:
        defaults["mappings"] = options["mappings"]
    instant = kind in ("stat", "table")
    found: dict[str, Any] = {
        "type": kind,
        "title": title,
        "description": about,
        "datasource": SOURCE,
        "gridPos": {"h": height, "w": width},
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": [
            {"refId": chr(65 + index), "datasource": SOURCE, "expr": expression, "legendFormat": legend}
            | ({"instant": True, "range": False} if instant else {"range": True})
            | ({"format": "table"} if kind == "table" else {"format": "heatmap"} if kind == "heatmap" else {})
            for index, (expression, legend) in enumerate(queries)
        ],
    }
    if kind == "stat":
        found["options"] = {"reduceOptions": {"calcs": ["lastNotNull"]}, "graphMode": "none", "textMode": "auto"}
        found["options"]["textMode"] = options.get("text", "value")
    elif kind == "timeseries":
        found["options"] = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    return found


def dashboard(rows: list[tuple[str, list[dict[str, Any]]]]) -> dict[str, Any]:
    """The whole dashboard of rows of panels, which are laid out from left to right."""
    panels: list[dict[str, Any]] = []
    x = y = 0
    for title, row in rows:
        panels.append({"type": "row", "title": title, "collapsed": False, "gridPos": {"h": 1, "w": 24, "x": 0, "y": y}})
        x, y, tallest = 0, y + 1, 0
        for one in row:
            place = one["gridPos"]
            if x + place["w"] > 24:
                x, y, tallest = 0, y + tallest, 0
            place |= {"x": x, "y": y}
            x, tallest = x + place["w"], max(tallest, place["h"])
            panels.append(one)
        y += tallest
    for index, one in enumerate(panels):
        one["id"] = index + 1
    return {
        "uid": "dyadnet",
        "title": "dyadnet",
        "tags": ["dyadnet"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "templating": {
            "list": [
                {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
                {
                    "name": "run",
                    "label": "Run",
                    "type": "query",
                    "datasource": SOURCE,
                    "query": {"query": "label_values(dyadnet_run_state, run)", "refId": "run"},
                    "refresh": 2,
                    "sort": 1,
                },
            ]
        },
        "panels": panels,
    }

"""A study's results as an object: its table, and plots on matplotlib axes."""

from __future__ import annotations

import csv
import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dyadnet.errors import ConfigError, DyadnetError, RunFolderError
from dyadnet.files.access import content
from dyadnet.study.columns import DIFFERENCE, MEASURES, METRICS
from dyadnet.study.definition import REFERENCE, Study, read_study
from dyadnet.study.folder import DEFINITION, TABLE
from dyadnet.study.table import Cell, Row, cell, with_differences

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame


def load(path: str | Path) -> Results:
    """Load a study's results from its folder, even if some trials have not ended.

    Raises
    ------
    RunFolderError
        If the folder holds no study, or no table yet.
    ConfigError
        If its definition is damaged.
    """
    folder = Path(path)
    for name in (DEFINITION, TABLE):
        if not (folder / name).is_file():
            raise RunFolderError(f"{folder}: no results of a study here ({name} is missing)")
    results = Results(folder, read_study(folder / DEFINITION))
    _ = results.rows
    return results


class Results:
    """The results in a study's folder.

    Attributes
    ----------
    path
        The study's folder.
    study
        The study's definition.
    """

    def __init__(self, path: Path, study: Study) -> None:
        self.path = path
        self.study = study

    @cached_property
    def rows(self) -> list[Row]:
        """One dict per finished trial, by column of ``results.csv`` (see `dyadnet.study.columns`).

        Unknown values are None. Every metric also has its difference to the base alone, ``<metric>_difference``.
        """
        try:
            lines = content(self.path / TABLE).decode("utf-8").splitlines()
            table = [{name: _value(text) for name, text in line.items()} for line in csv.DictReader(lines)]
            found = [row | _named(row) | _measured(row) | {"in_plan": row["variant"] != REFERENCE} for row in table]
        except (OSError, KeyError, TypeError, ValueError, csv.Error) as problem:
            raise RunFolderError(f"{self.path / TABLE}: damaged ({type(problem).__name__}: {problem})") from None
        return with_differences(found, METRICS)

    def cell(self, metric: str, **of: Any) -> Cell:
        """Return mean and interval of a metric over the trials with these values, as in ``cell("gap", model="hm")``.

        Raises
        ------
        ConfigError
            If there is no such metric or column.
        """
        self._check(metric)
        for column in of:
            if self.rows and column not in self.rows[0]:
                raise ConfigError("cell", column, f"one of {', '.join(self.rows[0])}")
        return cell(self.rows, metric, of, self.study.interval)

    def plot(
        self,
        metric: str | None = None,
        ax: Axes | None = None,
        *,
        model: str | None = None,
        variant: str | None = None,
        axis: str | None = None,
    ) -> Axes:
        """Plot one metric: a map if the study has two axes, else curves over one axis.

        Parameters
        ----------
        metric
            Name of a metric; with the suffix ``_difference``, its difference to the base alone. Default: the study's
            first.
        ax
            Axes to draw on; default: those of a new pyplot figure.
        model
            Model of a map; default: the first. Curves show all models.
        variant
            Name of the variant; default: the first.
        axis
            Column of the axis to draw curves over. In a study with two axes, this selects curves instead of a map, and
            the metric is averaged over the other axis.

        Returns
        -------
        matplotlib.axes.Axes
            The axes that were drawn on.

        Raises
        ------
        ConfigError
            If the study has no such metric, model, variant or axis.
        """
        from dyadnet.reporting.plots import mark
        from dyadnet.study.lines import legend, panel
        from dyadnet.study.maps import one_map

        metric = self.study.metrics[0] if metric is None else metric
        self._check(metric)
        variant = _chosen("variant", variant, self.study.variant_names)
        axes = {one.column: one for one in self.study.axes}
        if ax is None:
            from matplotlib import pyplot

            ax = pyplot.subplots()[1]
        if len(axes) == 2 and axis is None:
            one_map(ax, self.study, self.rows, metric, variant, _chosen("model", model, self.study.model_names))
        elif model is not None:
            raise ConfigError("model", model, "curves show all models; leave it out")
        else:
            panel(ax, self.study, self.rows, metric, variant, axes[_chosen("axis", axis, list(axes))])
            legend(ax, self.study, self.rows)
        mark(ax)
        return ax

    def to_pandas(self) -> DataFrame:
        """Return `rows` as a pandas table.

        Raises
        ------
        DyadnetError
            If pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise DyadnetError("to_pandas needs pandas: pip install 'dyadnet[pandas]'") from None
        return pandas.DataFrame(self.rows)

    def __repr__(self) -> str:
        return f"Results({str(self.path)!r}, {self.study.name}, {len(self.rows)} trials)"

    def _check(self, metric: str) -> None:
        if metric not in MEASURES:
            raise ConfigError("metric", metric, f"one of {', '.join(METRICS)}, or one of them with {DIFFERENCE}")
        if MEASURES[metric].signed and not self.study.reference:
            raise ConfigError("metric", metric, "the study did not run its base alone; choose one without _difference")


def _chosen(field: str, value: str | None, legal: list[str]) -> str:
    if value is None:
        return legal[0]
    if value not in legal:
        raise ConfigError(field, value, f"one of {', '.join(legal)}" if legal != [""] else "the study names none")
    return value


def _named(row: Row) -> Row:
    """Return the text columns of a row; an empty cell is an empty text, not an unknown value."""
    return {name: row[name] or "" for name in ("variant", "model", "error")}


def _measured(row: Row) -> Row:
    """Return the metrics of a row as numbers. A table of an older version may have fewer columns."""
    return {name: None if row.get(name) is None else float(row[name]) for name in METRICS}


def _value(text: str | None) -> Any:
    """Parse a cell of the table, as written by `dyadnet.study.table.as_csv`."""
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text

"""Write a study's table, summary and plots from the trials that have finished so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dyadnet.study.folder import SUMMARY, TABLE, StudyFolder, write_text
from dyadnet.study.lines import line_plots
from dyadnet.study.maps import heat_maps
from dyadnet.study.plan import Trial
from dyadnet.study.summary import summary
from dyadnet.study.table import as_csv, rows
from dyadnet.study.trial import Result


def write_table(folder: StudyFolder, trials: Sequence[Trial], results: Mapping[int, Result]) -> None:
    """Write table and summary."""
    found = rows(folder.study, trials, results)
    write_text(folder.path / TABLE, as_csv(folder.study, found))
    write_text(folder.path / SUMMARY, summary(folder.study, found, len(trials)))


def draw(folder: StudyFolder, trials: Sequence[Trial], results: Mapping[int, Result]) -> None:
    """Draw one map per metric if the study has two axes, else line plots."""
    study = folder.study
    found = rows(study, trials, results)
    if not found:
        return
    if len(study.axes) == 2:
        for metric in study.measures:
            heat_maps(study, found, metric, folder.path / f"map-{metric.replace('_', '-')}.png")
    else:
        line_plots(study, found, study.measures, folder.path / "lines.png")

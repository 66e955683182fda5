"""Reports as columns: the same from however many processes, and as plain as single reports where somebody looks."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from dyadnet.dynamics.epoch_metrics import EpochMetrics
from dyadnet.dynamics.outcome import Joiner, Layout, Outcome, Predicted, Reports, ResourceUsage, Share
from dyadnet.dynamics.request import Phase
from dyadnet.network.description import Network, Population, Projection
from dyadnet.network.topology import Topology
from tests.reference.reporting import block_report, columns
from tests.support import Settler
from tests.support import reference as engine

CYCLE = Network(
    4,
    (Population("a", 6, blocks=3), Population("b", 5), Population("out", 3)),
    (
        Projection("input", "a"),
        Projection("a", "b", 0.0),
        Projection("b", "a", 0.0, gain=0.2),
        Projection("b", "b", 0.0, gain=0.2),
        Projection("b", "out", 0.0),
    ),
)
"""With channels both ways between the same blocks, and one from a block to itself."""
HOMES = (
    [["a.0", "a.1", "a.2", "b", "out"]],
    [["a.0", "b"], ["a.1", "a.2", "out"]],
    [["out"], ["b"], ["a.2"], ["a.0", "a.1"]],
)


def relaxed(homes: list[list[str]]) -> tuple[Outcome, Reports]:
    """One relaxation on one process, and the same reports as they come from several."""
    built = engine(CYCLE, delay={"kind": "uniform", "low": 1, "high": 6}, clock="every-tick", lanes=2)
    outcome = Settler(built, step=0.1).run(Phase("dyadic", 0.1, 40, fixed=True))
    topology, shares = Topology(CYCLE), []
    for blocks in homes:
        lanes = {name: built.dyads[name] for name in blocks}
        reports = [block_report(active) for active in lanes.values()]
        told = Share(*columns(Layout(topology, blocks), reports, lanes), ResourceUsage("+".join(blocks)))
        shares.append(pickle.loads(pickle.dumps(told)))
    built.close()
    return outcome, Joiner(topology, homes).joined(shares)


@pytest.mark.parametrize("homes", HOMES)
def test_shares_of_any_processes_join_to_the_same_reports(homes: list[list[str]]) -> None:
    outcome, joined = relaxed(homes)
    whole = outcome.reports
    assert joined.blocks == whole.blocks == ("a.0", "a.1", "a.2", "b", "out")
    assert list(joined) == list(whole)
    assert joined.edges() == whole.edges()
    assert [spent.actor for spent in joined.spent] == ["+".join(blocks) for blocks in homes]


def test_a_report_has_whole_counts_and_none_where_nothing_is_known() -> None:
    outcome, _ = relaxed(HOMES[0])
    first, *_, last = outcome.reports
    assert (first.block, first.neurons, first.samples, first.loss, first.correct) == ("a.0", 2, 5, None, None)
    assert first.weight_norm is None
    assert first.agreement is None
    assert (last.block, type(last.updates), type(last.correct)) == ("out", int, int)
    (found,) = outcome.reports.predictions
    assert found == Predicted(last.samples, last.loss or 0.0, last.correct or 0, *found[3:])
    assert (found.squared, found.absolute) == (last.squared, last.absolute)
    assert found.loss == pytest.approx(0.5 * found.squared)
    assert outcome.reports.of("b") == outcome.reports[3] == outcome.reports[3:4][0]
    assert outcome.reports.total("messages") == sum(report.messages for report in outcome.reports)
    ends = outcome.reports.edges().values()
    assert sum(counts["messages"] for counts in ends) == outcome.reports.total("messages")
    assert sum(counts["stale"] for counts in ends) == outcome.reports.total("stale") > 0


def test_sums_over_relaxations_survive_a_checkpoint() -> None:
    outcome, _ = relaxed(HOMES[0])
    layout = Layout(Topology(CYCLE))
    tally, half = EpochMetrics(layout), EpochMetrics(layout)
    for _ in range(4):
        tally.add(outcome)
    for _ in range(2):
        half.add(outcome)
    again = EpochMetrics.from_plain(layout, json.loads(json.dumps(half.plain())))
    for _ in range(2):
        again.add(outcome)
    assert again.summary() == tally.summary()
    found = tally.summary()["blocks"]["b"]
    report = outcome.reports.of("b")
    assert found["updates"] == 4 * report.updates
    assert found["saturated"] == pytest.approx(report.saturated / (report.samples * report.neurons))
    assert found["residual_mean"] == report.residual_mean
    assert np.isfinite(found["mean_norm"])

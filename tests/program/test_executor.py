"""The compiled core against the slow reference: whatever the configuration, the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dyadnet as dn
from dyadnet.config import RunConfig
from dyadnet.dynamics.request import Phase, Relaxation
from dyadnet.dynamics.spectral_radius import ITERATION
from dyadnet.engines.local import LocalEngine
from dyadnet.learning.update import Update
from dyadnet.network.activations import ACTIVATIONS, Smooth
from dyadnet.network.description import Asymmetric, Network, Population, Projection, layered
from dyadnet.network.losses import LOSSES, Loss
from dyadnet.network.topology import colours
from dyadnet.program import executor
from dyadnet.program.lane import Lane
from dyadnet.program.tables import OVER
from tests.reference.engine import ReferenceEngine
from tests.support import cyclic, data

SAMPLES = 9
FREE_NUDGED = Phase("free", 0.0, 4, fixed=True), Phase("nudged", 0.2, 5, fixed=True)
AVERAGED = FREE_NUDGED[0], Phase("nudged", 0.2, 5, fixed=True, average=3)
SETTLING = Phase("free", 0.0, 30), Phase("nudged", 0.2, 30)
TURNS = Phase("first", 0.2, 5, side=1), Phase("second", 0.2, 5, side=-1)


def skipping() -> Network:
    """Blocks of unequal sizes, every kind of κ, a projection that skips a population, and a self-loop."""
    populations = Population("a", 6, "logistic", 2), Population("b", 5, "tanh", 5), Population("o", 3)
    projections = (
        Projection("input", "a"),
        Projection("input", "b"),
        Projection("a", "b", 0.2),
        Projection("b", "a", 0.9),
        Projection("a", "a", 0.5),
        Projection("a", "o", 0.0),
        Projection("b", "o", 1.0),
    )
    return Network(4, populations, projections)


def chains(lam: float | Asymmetric, blocks: int = 1, **options: Any) -> Network:
    return layered(5, [6, 4], 3, lam=lam, gain=1.2, **options).with_blocks(blocks)


NETWORKS = st.sampled_from(
    [
        chains(0.0),
        chains(0.0, 2),
        chains(0.5, 2),
        chains(1.0, 4),
        chains(0.3),
        chains("asymmetric", 2),
        chains(0.0, loss="cross-entropy"),
        skipping(),
        cyclic(),
    ]
)
CLOCKS = st.sampled_from(
    [
        {"kind": "auto"},
        {"kind": "every-tick"},
        {"kind": "periodic", "period": 3, "phase": 1},
        {"kind": "bernoulli", "p": 0.5},
        {"kind": "bernoulli", "p": 0.4, "unit": "neuron"},
    ]
)
DELAYS = st.one_of(
    st.sampled_from([1, 2, 5]),
    st.builds(
        lambda high, draw: {"kind": "uniform", "low": 1, "high": high, "draw": draw},
        st.integers(2, 4),
        st.sampled_from(["message", "channel", "neuron"]),
    ),
    st.builds(
        lambda p, draw: {"kind": "geometric", "p": p, "maximum": 6, "draw": draw},
        st.sampled_from([0.2, 0.6]),
        st.sampled_from(["message", "channel", "neuron"]),
    ),
)
SPANS = st.sampled_from([None, 1, 2, 5])
"""None: plain dynamics."""
BITS: dict[str, Any] = {"bits": 5, "difference_bits": 3}
CHANNELS = st.fixed_dictionaries(
    {},
    optional={
        "loss": st.just(0.3),
        "duplication": st.just(0.3),
        "additive": st.sampled_from([{"mean": 0.01}, {"mean": 0.01, "difference": 0.001}]),
        "multiplicative": st.sampled_from([{"mean": 0.1}, {"difference": 0.2}]),
        "quantisation": st.sampled_from([{"bits": 1}, BITS, BITS | {"stochastic": True, "range": [-1, 2]}]),
        "send_on_delta": st.sampled_from([{"threshold": 0.02}, {"threshold": 0.0, "difference": 0.001}]),
    },
)
DEVICES = st.fixed_dictionaries(
    {},
    optional={
        "time_constants": st.just(0.3),
        "gain": st.just(0.2),
        "threshold": st.just(0.1),
        "weights": st.just({"bits": 6}),
        "mismatch": st.just(0.2),
        "read_noise": st.just(0.05),
        "nudge_noise": st.just(0.05),
    },
)


def run_of(
    network: Network,
    imperfections: dict[str, Any] | None = None,
    learning: dict[str, Any] | None = None,
    **dynamics: Any,
) -> RunConfig:
    values: dict[str, Any] = {"network": network, "dynamics": dynamics, "imperfections": imperfections or {}}
    return RunConfig.read(values | {"learning": {"minibatch": SAMPLES} | (learning or {})})


def agree(
    config: RunConfig,
    phases: tuple[Phase, ...],
    *,
    ideal: bool = False,
    rounds: int = 2,
    gamma: float = 0.0,
    threads: int = 2,
) -> None:
    """Relax and learn on both, and compare everything that either tells."""
    dataset = data(config.network, SAMPLES)
    program, reference = LocalEngine(config, dataset, threads=threads), ReferenceEngine(config, dataset)
    couplings = tuple(projection.coupling for projection in config.network.recurrent)
    try:
        for number in range(1, rounds + 1):
            # The last minibatch of an epoch is short.
            rows = np.arange(SAMPLES if number < rounds else SAMPLES - 2)
            relaxation = Relaxation(number, "train", rows, phases, couplings, 0.3, ideal=ideal, gamma=gamma)
            found, expected = program.relax(relaxation), reference.relax(relaxation)
            assert found.lanes == expected.lanes
            np.testing.assert_array_equal(found.reports.numbers, expected.reports.numbers)
            np.testing.assert_array_equal(found.reports.counts, expected.reports.counts)
            for name in program.blocks:
                for lane, other in zip(program.lanes(name), reference.lanes(name), strict=True):
                    np.testing.assert_array_equal(lane.A, other.A)
                    np.testing.assert_array_equal(lane.D, other.D)
                    np.testing.assert_array_equal(lane.state, other.state)
            if not any(phase.side for phase in phases):
                assert program.objective(0.2) == reference.objective(0.2)
            update = Update(0.2, len(rows), 1e-2, number, measured=number == 2)
            program.learn(update)
            reference.learn(update)
            assert program.weights_sha256() == reference.weights_sha256()
            for operator in ITERATION:
                one, two = (e.spectral_radius(couplings, operator, 2) for e in (program, reference))
                assert one == two
    finally:
        program.close()
        reference.close()


def prospective(network: Network, clock: dict[str, Any], span: int | None) -> dict[str, Any]:
    """Settings of prospective neurons, where neighbours do not fire in turn."""
    if span is None or (clock["kind"] == "auto" and colours(network) is not None):
        return {}
    return {"prospective": 0.7, "prospective_span": span}


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(NETWORKS, CLOCKS, DELAYS, st.sampled_from([1, 3]), st.sampled_from(["float32", "float64"]), SPANS)
def test_clocks_and_delays(network: Network, clock: Any, delay: Any, lanes: int, dtype: str, span: int | None) -> None:
    own = prospective(network, clock, span)
    config = run_of(network, clock=clock, delay=delay, lanes=lanes, dtype=dtype, **own)
    agree(config, FREE_NUDGED, gamma=0.7 * bool(own))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(NETWORKS, CLOCKS, DELAYS, CHANNELS, DEVICES, st.booleans(), st.sampled_from([FREE_NUDGED, AVERAGED]), SPANS)
def test_imperfections(
    network: Network,
    clock: Any,
    delay: Any,
    channel: Any,
    device: Any,
    ideal: bool,
    phases: tuple[Phase, ...],
    span: int | None,
) -> None:
    imperfections, own = {"channel": channel, "device": device}, prospective(network, clock, span)
    config = run_of(network, imperfections, clock=clock, delay=delay, lanes=2, **own)
    agree(config, phases, ideal=ideal, gamma=0.7 * bool(own))


@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("span", [1, 3])
def test_prospective_networks_settle_from_any_first_state(lam: float, span: int) -> None:
    clock = {"kind": "bernoulli", "p": 0.5}
    for initial in ("zero", "previous"):
        own: dict[str, Any] = {"prospective": 0.7, "prospective_span": span, "initial": initial, "delay": 2}
        agree(run_of(chains(lam), clock=clock, **own), SETTLING, rounds=3, gamma=0.7)


def test_one_neuron_a_block_extrapolates_products_that_plain_dynamics_never_store() -> None:
    for clock in ("every-tick", {"kind": "bernoulli", "p": 0.4, "unit": "neuron"}):
        network = layered(5, [6, 4], 3, lam=0.2, gain=1.2).with_blocks(4)
        agree(run_of(network, clock=clock, delay=2, prospective=0.9), FREE_NUDGED, gamma=0.9)


@pytest.mark.parametrize("other", [{"prospective": 0.9}, {"prospective": 0.7, "prospective_span": 2}])
def test_gamma_and_span_move_a_network_elsewhere(other: dict[str, Any]) -> None:
    """What the comparison above compares is not plain dynamics."""
    states = []
    compared: tuple[dict[str, Any], ...] = ({}, {"prospective": 0.7}, other)
    for own in compared:
        config = run_of(chains(0.0), clock="every-tick", delay=3, **own)
        engine = LocalEngine(config, data(config.network, SAMPLES))
        couplings = tuple(projection.coupling for projection in config.network.recurrent)
        gamma = engine.timing.rule.gamma(1.0)
        assert gamma == own.get("prospective", 0.0)
        engine.relax(Relaxation(1, "train", np.arange(SAMPLES), FREE_NUDGED, couplings, 0.3, gamma=gamma))
        states.append(engine.lanes("h1")[0].A.copy())
        engine.close()
    for one in range(3):
        assert np.abs(states[one] - states[one - 1]).max() > 1e-4


@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0, 0.3])
@pytest.mark.parametrize("initial", ["zero", "feedforward", "previous"])
def test_settling_and_first_states(lam: float, initial: str) -> None:
    agree(run_of(chains(lam), initial=initial, check_every=2), SETTLING, rounds=3)


@pytest.mark.parametrize("lam", [0.0, 1.0])
def test_one_compartment_after_the_other(lam: float) -> None:
    agree(run_of(chains(lam, 2), lanes=2, delay=2), TURNS)
    agree(run_of(chains(lam)), (SETTLING[0], *TURNS))


@pytest.mark.parametrize("kind", ["sgd", "momentum", "adam"])
def test_optimisers(kind: str) -> None:
    optimiser = {"kind": kind, "weight_decay": 0.1, "l2": 0.01}
    agree(run_of(chains(0.0, 2), learning={"optimiser": optimiser}), FREE_NUDGED, rounds=4)


def test_exceptions_by_projection_and_block() -> None:
    imperfections = {
        "channels": {"h1->h2": {"additive": {"difference": 0.002}, "loss": 0.2}},
        "devices": {"out": {"weights": {"bits": 5}, "read_noise": 0.1}, "h2.1": {"gain": 0.3}},
    }
    delays = {"h1->h2": {"kind": "uniform", "low": 1, "high": 3, "draw": "neuron"}}
    agree(run_of(chains(0.0, 2), imperfections, delays=delays, clock="every-tick"), AVERAGED)


def test_more_rows_than_there_was_room_for() -> None:
    config = run_of(chains(0.0), initial="previous", learning={"minibatch": 3})
    agree(config, FREE_NUDGED, rounds=3)


def test_nothing_that_is_built_in_is_called_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clocks, delays, imperfections, activations and losses of the package never reach Python."""
    reasons = []
    run = executor.run

    def noting(*arguments: Any) -> int:
        reasons.append(run(*arguments))
        return int(reasons[-1])

    monkeypatch.setattr("dyadnet.program.lane.run", noting)
    channel = {
        "loss": 0.2,
        "duplication": 0.2,
        "additive": {"mean": 0.01},
        "multiplicative": {"difference": 0.1},
        "quantisation": {"bits": 6, "stochastic": True},
        "send_on_delta": 0.01,
    }
    device = dict.fromkeys(("time_constants", "gain", "threshold", "mismatch", "read_noise", "nudge_noise"), 0.1)
    for network in (chains(0.0, 2), chains(0.5, loss="cross-entropy"), skipping()):
        for clock in ("every-tick", {"kind": "bernoulli", "p": 0.5, "unit": "neuron"}):
            for law in ("uniform", "geometric"):
                numbers = {"low": 1, "high": 3} if law == "uniform" else {"p": 0.5, "maximum": 3}
                delay = {"kind": law, "draw": "message"} | numbers
                imperfections = {"channel": channel, "device": device}
                agree(run_of(network, imperfections, clock=clock, delay=delay), AVERAGED)
    assert set(reasons) == {OVER}


def test_what_is_a_users_own_is_called_back() -> None:
    """An activation and a loss that only Python knows give the bits that they give on the message path."""

    def value(a: Any) -> Any:
        return np.asarray(a / (1 + np.abs(a)), dtype=a.dtype)

    def difference(D: Any, plus: Any, minus: Any) -> Any:
        return np.asarray((plus - minus) / 2, dtype=D.dtype)

    own = Smooth("softsign", 1.0, (-1.0, 1.0), value, lambda a: 1 / (1 + np.abs(a)) ** 2, np.abs, difference)

    class Cubed(Loss):
        def value(self, s: Any, y: Any) -> Any:
            return np.sum(np.abs(s - y).astype(np.float64) ** 3, axis=1)

        def nudge(self, m: Any, d: Any, y: Any) -> Any:
            return (m - y) * np.abs(m - y), d * np.abs(m - y)

    dn.register("activation", "softsign")(own)
    dn.register("loss", "cubed")(Cubed)
    network = layered(5, [6, 4], 3, lam=0.0, activation="softsign", loss="cubed").with_blocks(2)
    agree(run_of(network, lanes=2, delay=2), FREE_NUDGED)
    agree(run_of(network, {"device": {"gain": 0.2, "nudge_noise": 0.1}}, clock="every-tick"), AVERAGED)
    ACTIVATIONS.forget("softsign")
    LOSSES.forget("cubed")


def test_probes_see_every_firing_of_their_block() -> None:
    config = RunConfig.read(
        {"network": chains(0.0, 2), "probe": {"neurons": {"h1.1": [0, 2], "out": [1]}, "samples": [0, 3]}}
    )
    dataset = data(config.network, SAMPLES)
    couplings = tuple(projection.coupling for projection in config.network.recurrent)
    taken = []
    for engine in (LocalEngine(config, dataset), ReferenceEngine(config, dataset)):
        engine.relax(Relaxation(1, "train", np.arange(SAMPLES), FREE_NUDGED, couplings, 0.3, probed=True))
        taken.append(engine.take_probes())
        engine.close()
    found, expected = taken
    assert set(found) == {"h1.1", "out"}
    for block, series in found.items():
        assert len(series["ticks"]) == 9
        for name, values in series.items():
            np.testing.assert_array_equal(values, expected[block][name])


def test_room_for_events_and_messages_grows_as_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    grown = []
    grow = Lane._grow

    def noting(lane: Lane) -> None:
        grown.append(lane)
        grow(lane)

    monkeypatch.setattr("dyadnet.program.allocation.EVENTS", 2)
    monkeypatch.setattr("dyadnet.program.allocation.AHEAD", 1)
    monkeypatch.setattr(Lane, "_grow", noting)
    delay = {"kind": "geometric", "p": 0.05, "maximum": 40}
    agree(run_of(chains(0.0, 3), {"channel": {"duplication": 0.5}}, clock="every-tick", delay=delay), FREE_NUDGED)
    assert grown

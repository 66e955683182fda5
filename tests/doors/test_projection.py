"""A kind of projection of one's own: a few array functions, which work everywhere that dense synapses do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

import dyadnet as dn
from dyadnet.analysis.assembled import assemble
from dyadnet.config import RunConfig
from dyadnet.config.dynamics import Dynamics
from dyadnet.config.overrides import merged
from dyadnet.engines.local import LocalEngine
from dyadnet.errors import StoppedError
from dyadnet.network.description import Network, Population, Projection
from dyadnet.network.serialization import network_from
from dyadnet.program.lane import Lane
from dyadnet.runs.export import export, read
from dyadnet.synapses.base import Ends, ProjectionKind
from dyadnet.synapses.kinds import PROJECTIONS
from dyadnet.training.api import resume, train
from tests.analysis.support import settler
from tests.checkpoint.runs import outcome, stopping
from tests.learning.test_gradients import BERNOULLI, BY_NEURON, PROSPECTIVE, relative_error
from tests.support import Settler, data, engine, settings

LAMBDAS = [0.0, 0.5, 1.0]


def low_rank() -> type[ProjectionKind]:
    """θ = UVᵀ; made in a function, so that it travels to actors by value, as a notebook's do."""

    class LowRank(ProjectionKind):
        kind: Literal["low-rank"] = "low-rank"
        rank: int = 2

        def shapes(self, ends: Ends) -> dict[str, tuple[int, ...]]:
            return {"U": (ends.n_post, self.rank), "V": (ends.n_pre, self.rank)}

        def initial(self, ends: Ends, gain: float, draws: np.random.Generator) -> dict[str, Any]:
            scale = np.sqrt(gain / np.sqrt(ends.n_pre * self.rank))
            return {name: scale * draws.standard_normal(shape) for name, shape in self.shapes(ends).items()}

        def forward(self, p: Any, x: Any) -> Any:
            return x @ p["V"] @ p["U"].T

        def backward(self, p: Any, d: Any) -> Any:
            return d @ p["U"] @ p["V"].T

        def contrast(self, p: Any, post: Any, pre: Any) -> dict[str, Any]:
            return {"U": post.T @ (pre @ p["V"]), "V": pre.T @ (post @ p["U"])}

    return LowRank


def diagonal() -> type[ProjectionKind]:
    """One weight a neuron; what it multiplies by is made once after each update."""

    class Diagonal(ProjectionKind):
        kind: Literal["diagonal"] = "diagonal"

        def misfit(self, ends: Ends) -> str | None:
            same = ends.n_post == ends.n_pre
            return None if same else f"two populations of one size, not of {ends.n_pre} and {ends.n_post}"

        def shapes(self, ends: Ends) -> dict[str, tuple[int, ...]]:
            return {"w": (ends.n_post,)}

        def prepared(self, parameters: Any, ends: Ends) -> Any:
            return parameters["w"][None].copy()

        def forward(self, p: Any, x: Any) -> Any:
            return x * p

        def backward(self, p: Any, d: Any) -> Any:
            return d * p

        def contrast(self, p: Any, post: Any, pre: Any) -> dict[str, Any]:
            return {"w": (post * pre).sum(axis=0)}

    return Diagonal


def pooling() -> type[ProjectionKind]:
    """The mean of neighbours, which learns nothing."""

    class Pooling(ProjectionKind):
        kind: Literal["means"] = "means"
        size: int

        def misfit(self, ends: Ends) -> str | None:
            fits = ends.n_pre == self.size * ends.n_post
            return None if fits else f"{self.size} times as many neurons before as behind it"

        def shapes(self, ends: Ends) -> dict[str, tuple[int, ...]]:
            return {}

        def forward(self, p: Any, x: Any) -> Any:
            return x.reshape(len(x), -1, self.size).mean(axis=2)

        def backward(self, p: Any, d: Any) -> Any:
            return np.repeat(d, self.size, axis=1) / self.size

        def contrast(self, p: Any, post: Any, pre: Any) -> dict[str, Any]:
            return {}

    return Pooling


@pytest.fixture(autouse=True)
def kinds() -> Iterator[None]:
    """All kinds of this file, as a program registers them."""
    dn.register("projection", "low-rank")(low_rank())
    dn.register("projection", "diagonal")(diagonal())
    dn.register("projection", "means")(pooling())
    yield
    PROJECTIONS.forget("low-rank")
    PROJECTIONS.forget("diagonal")
    PROJECTIONS.forget("means")


def graph(lam: float, loss: str = "squared-error", inputs: str = "low-rank") -> Network:
    """Every place a kind may have: from the input, between populations, to itself, beside dense synapses."""
    populations = Population("a", 6, "tanh"), Population("b", 6, "tanh"), Population("out", 4, "linear")
    projections = (
        Projection("input", "a", gain=0.7, kind=inputs),
        Projection("a", "b", lam, 0.5, "low-rank"),
        Projection("b", "a", 0.5, 0.3, "diagonal"),
        Projection("b", "b", 0.5, 0.2, {"kind": "low-rank", "rank": 1}),
        Projection("a", "out", lam, 0.4),
        Projection("b", "out", lam, 0.4, {"kind": "low-rank", "rank": 3}),
    )
    return Network(5, populations, projections, loss=loss)


# What it computes


@examples(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["low-rank", "diagonal"]), st.integers(1, 4), st.integers(0, 2**32))
def test_backward_is_the_transpose_of_forward_and_both_are_the_dense_matrix(name: str, rows: int, seed: int) -> None:
    kind, draws = PROJECTIONS[name].read({}), np.random.default_rng(seed)
    assert isinstance(kind, ProjectionKind)
    ends = Ends((5,), (5,))
    p = kind.prepared(kind.initial(ends, 1.0, draws), ends)
    x, y, theta = draws.normal(size=(rows, 5)), draws.normal(size=(rows, 5)), kind.dense(p, ends)
    np.testing.assert_allclose(kind.forward(p, x), x @ theta.T, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(kind.backward(p, y), y @ theta, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("loss", ["squared-error", "cross-entropy"])
@pytest.mark.parametrize("lam", LAMBDAS)
def test_its_contrast_is_the_gradient_of_the_settled_loss(lam: float, loss: str) -> None:
    assert relative_error(graph(lam, loss)) < 1e-6


@pytest.mark.parametrize("dynamics", [BERNOULLI, BY_NEURON, {"lanes": 2}], ids=["blocks", "neurons", "lanes"])
def test_its_contrast_is_the_gradient_on_random_clocks_with_random_delays(dynamics: Any) -> None:
    assert relative_error(graph(0.0), entries=1, **dynamics) < 1e-6


@pytest.mark.parametrize("dynamics", [PROSPECTIVE, BERNOULLI | {"prospective": "auto"}], ids=["ticks", "clocks"])
def test_its_contrast_is_the_gradient_of_prospective_neurons(dynamics: Any) -> None:
    assert relative_error(graph(0.0), entries=1, **dynamics) < 1e-6


def pooled() -> dict[str, Any]:
    """A network of which one population has no parameters but its biases."""
    populations = [{"name": "a", "size": 12, "activation": "tanh"}, {"name": "b", "size": 4, "activation": "tanh"}]
    pool = {"pre": "a", "post": "b", "lam": 0.0, "kind": {"kind": "means", "size": 3}}
    ends = {"pre": "input", "post": "a"}, {"pre": "b", "post": "out", "lam": 0.0}
    return {"populations": [*populations, {"name": "out"}], "projections": [ends[0], pool, ends[1]]}


def test_a_projection_may_have_nothing_to_learn() -> None:
    assert relative_error(network_from(pooled()).sized(5, 4)) < 1e-6


@pytest.mark.parametrize("optimiser", ["adam", "momentum", "sgd"])
def test_optimisers_change_what_lies_around_it(optimiser: str, tmp_path: Path) -> None:
    values = merged(SMALL, {"learning": {"optimiser": optimiser, "learning_rate": 0.01}, "engine": "local"})
    run = dn.train(RunConfig.read(values | {"network": pooled()}), tmp_path / "run")
    assert set(run.weights) == {"input->a", "b->out", "bias/a", "bias/b", "bias/out"}
    assert all(np.isfinite(array).all() for array in run.weights.values())
    assert all(run.weights[f"bias/{name}"].any() for name in ("a", "b", "out"))
    assert run.history["train_loss"][1] < run.history["train_loss"][0]


def as_dense(own: LocalEngine) -> LocalEngine:
    """The same network with dense synapses of the same θ."""
    network = own.config.network
    projections = tuple(replace(projection, kind="dense") for projection in network.projections)
    config = own.config.model_copy(update={"network": replace(network, projections=projections)})
    other = LocalEngine(config, data(network))
    for name, block in own.blocks.items():
        twin = other.blocks[name]
        twin.bias[...] = block.bias
        for made, same in zip(block.projections, twin.synapses, strict=True):
            same.weights[...] = made.dense()
        if block.entry is not None and twin.input_weights is not None:
            twin.input_weights[...] = block.entry.dense()
        twin.refresh()
    return other


@pytest.mark.parametrize("lam", LAMBDAS)
def test_it_settles_where_dense_synapses_of_the_same_matrix_do(lam: float) -> None:
    own = engine(graph(lam), lanes=2)
    other = as_dense(own)
    one, two = assemble(own.blocks), assemble(other.blocks)
    np.testing.assert_allclose(one.W, two.W, rtol=1e-12)
    np.testing.assert_allclose(one.input_weights, two.input_weights, rtol=1e-12)
    for run in (Settler(own), Settler(other)):
        assert run.nudged(0.1).capped == 0
    for name in own.blocks:
        for lane, same in zip(own.lanes(name), other.lanes(name), strict=True):
            np.testing.assert_allclose(lane.state, same.state, rtol=0, atol=1e-10)
    assert own.objective(0.1) == pytest.approx(other.objective(0.1), rel=1e-10)
    for operator in ("norm", "symmetric", "skew"):
        radii = [one.spectral_radius(one.group.couplings, operator, 60) for one in (own, other)]
        assert radii[0] == pytest.approx(radii[1], rel=1e-12)
    own.close()
    other.close()


def test_single_neurons_are_called_back_too() -> None:
    """A link of one synapse has a way of its own in compiled code."""
    network = dn.layered(4, [1, 1, 1], 3, activation="tanh")
    projections = tuple(replace(p, kind="dense" if p.from_input else "low-rank") for p in network.projections)
    own = engine(replace(network, projections=projections))
    other = as_dense(own)
    for run in (Settler(own), Settler(other)):
        run.nudged(0.1)
    np.testing.assert_allclose(own.lanes("h3")[0].state, other.lanes("h3")[0].state, rtol=0, atol=1e-12)
    own.close()
    other.close()


def test_the_gradient_of_the_loss_by_the_input_goes_through_it() -> None:
    network = graph(0.0)
    trained, draws = settler(network), np.random.default_rng(2)
    x, labels, beta = draws.uniform(size=(3, network.inputs)), np.array([0, 1, 2]), 1e-5
    found = trained.input_gradient(x, labels, beta)
    for entry in ((0, 0), (1, 3), (2, 4)):
        losses = []
        for change in (1e-5, -1e-5):
            moved = x.copy()
            moved[entry] += change
            losses.append(trained.settle(moved, labels).losses.sum())
        assert found[entry] == pytest.approx((losses[0] - losses[1]) / 2e-5, rel=1e-4)
    trained.close()


def test_back_propagation_passes_through_it() -> None:
    from dyadnet.baselines.backprop import BackpropEngine
    from dyadnet.dynamics.request import Phase, Relaxation

    populations = Population("a", 6, "tanh"), Population("out", 4, "linear")
    projections = Projection("input", "a", kind="low-rank"), Projection("a", "out", 0.5, kind="low-rank")
    config = settings(Network(5, populations, projections))
    settler = Settler(LocalEngine(config, data(config.network)))
    settler.nudged(1e-6)
    plain = BackpropEngine(config, data(config.network))
    plain.relax(Relaxation(1, "train", np.arange(5), (Phase("free", 0.0, 1),), (0.0,), 1.0))
    for name, gradients in plain.gradients(5).items():
        for key, gradient in gradients.items():
            np.testing.assert_allclose(settler.gradients(1e-6)[name, key], gradient, rtol=1e-6, atol=1e-9)
    settler.engine.close()
    plain.close()


def test_dense_synapses_are_never_called_back(monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[int] = []
    for method in ("serve", "serve_first"):
        monkeypatch.setattr(Lane, method, lambda lane, reason: served.append(reason))
    own = engine(dn.layered(5, [1, 6, 5], 3, lam=0.5, loss="cross-entropy"))
    Settler(own).nudged(0.1)
    assert not served
    own.close()


# Runs

SMALL: dict[str, Any] = {
    "data": {"name": "digits", "limit_train": 60, "limit_test": 20},
    "learning": {"epochs": 2, "minibatch": 20},
    "dynamics": {"sweeps": 6, "lanes": 2},
    "seed": 3,
    "network": {
        "inputs": 64,
        "populations": [{"name": "a", "size": 8}, {"name": "b", "size": 8}, {"name": "out", "size": 10}],
        "projections": [
            {"pre": "input", "post": "a", "kind": "low-rank"},
            {"pre": "a", "post": "b", "lam": 0.3, "kind": {"kind": "low-rank", "rank": 3}},
            {"pre": "b", "post": "a", "lam": 0.5, "gain": 0.3, "kind": "diagonal"},
            {"pre": "b", "post": "out", "lam": 0.0},
        ],
    },
}


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> dn.Run:
    """A short run on the local engine."""
    dn.register("projection", "low-rank")(low_rank())
    dn.register("projection", "diagonal")(diagonal())
    return dn.train(RunConfig.read({**SMALL, "engine": "local"}), tmp_path_factory.mktemp("runs") / "local")


@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize("actors", [1, 2, 3])
def test_it_gives_the_same_bits_in_one_process_and_on_actors(local: dn.Run, actors: int, tmp_path: Path) -> None:
    run = dn.train(RunConfig.read({**SMALL, "engine": "ray", "cluster": {"actors": actors}}), tmp_path / "ray")
    assert run.weights_sha256 == local.weights_sha256
    np.testing.assert_array_equal(run.history["radius"], local.history["radius"])
    np.testing.assert_array_equal(run.history["train_loss"], local.history["train_loss"])


def test_a_stopped_run_goes_on_to_the_same_bits(local: dn.Run, tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        train(RunConfig.read({**SMALL, "engine": "local"}), tmp_path / "run", stopping(3))
    assert outcome(resume(tmp_path / "run"), tmp_path / "run") == outcome(local, Path(local.out))


def test_its_weights_are_exported_and_looked_at_by_name(local: dn.Run, tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    export(Path(local.out), path, "last")
    shapes = {name: array.shape for name, array in read(path).arrays.items()}
    assert shapes == {
        "weights/input->a.U": (8, 2),
        "weights/input->a.V": (64, 2),
        "weights/a->b.U": (8, 3),
        "weights/a->b.V": (8, 3),
        "weights/b->a.w": (8,),
        "weights/b->out": (10, 8),
        "bias/a": (8,),
        "bias/b": (8,),
        "bias/out": (10,),
    }
    assert {f"weights/{name}" for name in local.weights if "bias" not in name} <= set(shapes)
    again = LocalEngine(local.config, data(local.config.network))
    again.load(read(path).parameters())
    assert again.weights_sha256() == local.weights_sha256
    again.close()


def test_a_run_starts_from_the_weights_of_another(local: dn.Run, tmp_path: Path) -> None:
    start = {"init_from": {"run": local.out, "weights": "last"}, "learning": {"learning_rate": 0.0, "epochs": 1}}
    run = dn.train(RunConfig.read(merged({**SMALL, "engine": "local"}, start)), tmp_path / "run")
    assert run.weights_sha256 == local.weights_sha256
    other = merged(start, {"network": {"populations": SMALL["network"]["populations"]}})
    network = SMALL["network"] | {"projections": [{"pre": "input", "post": "a"}, *SMALL["network"]["projections"][1:]]}
    with pytest.raises(dn.ConfigError, match=r"weights/input->a should be 8×64 and is not there"):
        dn.train(RunConfig.read(merged({**SMALL, "engine": "local"}, other) | {"network": network}), tmp_path / "other")


@pytest.mark.parametrize(
    "changes",
    [
        {"dynamics": {"clock": {"kind": "bernoulli", "p": 0.6}, "delay": {"kind": "uniform", "low": 1, "high": 3}}},
        {
            "dynamics": {"initial": "zero", "fixed": True},
            "imperfections": {"channel": {"quantisation": 8, "loss": 0.1}},
        },
        {"dynamics": {"phases": "in-turn"}},
    ],
    ids=["random", "channels", "in-turn"],
)
@pytest.mark.usefixtures("ray_session")
def test_clocks_delays_and_channels_change_nothing_of_that(changes: dict[str, Any], tmp_path: Path) -> None:
    values = merged(SMALL, {"learning": {"epochs": 1}} | changes)
    if changes["dynamics"].get("phases") == "in-turn":
        projections = [p if p["pre"] == "input" else p | {"lam": 1.0} for p in values["network"]["projections"]]
        values["network"] = values["network"] | {"projections": projections}
    runs = [
        dn.train(RunConfig.read({**values, "engine": name, "cluster": cluster}), tmp_path / name)
        for name, cluster in (("local", {}), ("ray", {"actors": 2}))
    ]
    assert runs[0].weights_sha256 == runs[1].weights_sha256


# What is written, and what is refused


def test_yaml_has_a_kind_only_where_it_is_not_dense() -> None:
    config = RunConfig.read(SMALL)
    written = config.model_dump(mode="json")["network"]["projections"]
    assert [p.get("kind") for p in written] == [
        {"kind": "low-rank", "rank": 2},
        {"kind": "low-rank", "rank": 3},
        {"kind": "diagonal"},
        None,
    ]
    assert RunConfig.read(config.model_dump(mode="json")).network == config.network
    spelled = [*SMALL["network"]["projections"][:3], {"pre": "b", "post": "out", "lam": 0.0, "kind": {"kind": "dense"}}]
    assert RunConfig.read(merged(SMALL, {"network": SMALL["network"] | {"projections": spelled}})) == config


FREE = {"mode": {"kind": "free"}, "sweeps": Dynamics().sweeps, "lanes": 1}


def with_kind(kind: Any, **more: Any) -> dict[str, Any]:
    """A run whose projection between two populations is of a kind."""
    projections = [{"pre": "input", "post": "a"}, {"pre": "a", "post": "b", "lam": 0.0, "kind": kind}]
    projections.append({"pre": "b", "post": "out", "lam": 0.0})
    return merged(SMALL, {"network": {**SMALL["network"], "projections": projections}} | more)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (with_kind("low-rnk"), r"network.projections\[1\].kind: 'low-rnk' .*low-rank.*dyadnet.register"),
        (with_kind({"kind": "low-rank", "rnk": 1}), r"network.projections\[1\].kind.rnk.*did you mean rank"),
        (with_kind(3), r"network.projections.*kind"),
        (with_kind({"rank": 3}), r"network.projections\[1\].kind: .*kind"),
        (with_kind("low-rank", dynamics=FREE), r"projections\[1\].kind.*leave out mode free"),
        (with_kind("low-rank", imperfections={"device": {"mismatch": 0.1}}), r"kind.*leave out .*device.mismatch of b"),
        (with_kind("low-rank", imperfections={"device": {"weights": 4}}), r"kind.*leave out .*device.weights of b"),
        (with_kind("low-rank", imperfections={"device": {"read_noise": 0.1}}), r"kind.*leave out .*read_noise of b"),
    ],
)
def test_what_is_not_there_or_not_possible_is_refused(values: dict[str, Any], problem: str) -> None:
    with pytest.raises(dn.ConfigError, match=problem):
        RunConfig.read(values)


def test_populations_that_do_not_fit_are_refused() -> None:
    with pytest.raises(dn.ConfigError, match=r"\[1\].kind: 'diagonal from 5 to 6' .*one size, not of 5 and 6"):
        Network(
            4,
            (Population("a", 5), Population("b", 6)),
            (Projection("input", "a"), Projection("a", "b", 0, 1, "diagonal")),
        )
    with pytest.raises(dn.ConfigError, match=r"kind.*whole populations only; leave out blocks of a"):
        settings(graph(0.0).with_blocks(2))


def test_sizes_from_the_data_are_checked_once_they_are_known() -> None:
    populations = [{"name": "a", "size": 10}, {"name": "out"}]
    projections = [
        {"pre": "input", "post": "a", "kind": "low-rank"},
        {"pre": "a", "post": "out", "lam": 0, "kind": "diagonal"},
    ]
    config = RunConfig.read({"network": {"populations": populations, "projections": projections}})
    sized = config.sized(64, 10).network
    assert [dict(sized.shapes(p)) for p in sized.projections] == [{"U": (10, 2), "V": (64, 2)}, {"w": (10,)}]
    with pytest.raises(dn.ConfigError, match="not of 10 and 3"):
        config.sized(64, 3)


def test_the_example_of_the_documentation_runs(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs/extending/projection.md").read_text(encoding="utf-8")
    python, yaml_ = (re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)[0] for language in ("python", "yaml"))
    exec(compile(python, "projection.md", "exec", dont_inherit=True), {"__name__": "__main__"})
    config = RunConfig.read({**SMALL, "engine": "local"} | yaml.safe_load(yaml_))
    run = dn.train(config, tmp_path / "run")
    assert run.weights["input->h1.V"].shape == (64, 4)
    assert run.weights["h1->h2.U"].shape == (32, 8)
    assert run.history["train_loss"][1] < run.history["train_loss"][0]


def test_a_class_that_is_no_kind_is_not_registered() -> None:
    class Lacking(ProjectionKind):
        kind: Literal["mine"] = "mine"

        def shapes(self, ends: Ends) -> dict[str, tuple[int, ...]]:
            return {}

    with pytest.raises(dn.UsageError, match="it lacks backward and contrast and forward"):
        dn.register("projection", "mine")(Lacking)
    with pytest.raises(dn.UsageError, match="its field kind has to be 'other'"):
        dn.register("projection", "other")(Lacking)
    with pytest.raises(dn.UsageError, match=r"derives from dyadnet.synapses.base.ProjectionKind"):
        dn.register("projection", "mine")(dict)
    with pytest.raises(dn.UsageError, match="built in"):
        dn.register("projection", "dense")(low_rank())


def wrong(method: str, result: Any) -> None:
    """Register a kind of which one method is not what it should be."""
    sound = low_rank()
    changed = type("Wrong", (sound,), {method: result, "__annotations__": {"kind": Literal["wrong"]}, "kind": "wrong"})
    dn.register("projection", "wrong")(changed)


@pytest.mark.parametrize(
    ("method", "result", "problem"),
    [
        ("backward", lambda self, p, d: d @ p["U"] @ -p["V"].T, "backward is not the transpose of its method forward"),
        ("backward", lambda self, p, d: d, r"backward: shape \(2, 6\) for 2 rows, not \(2, 5\)"),
        ("forward", lambda self, p, x: x @ p["W"], "it fails with KeyError"),
        ("forward", lambda self, p, x: np.full((len(x), 6), np.nan), "backward is not the transpose"),
        ("contrast", lambda self, p, post, pre: {"U": p["U"], "V": p["V"]}, "contrast is not the gradient"),
        ("contrast", lambda self, p, post, pre: {"U": p["U"]}, r"contrast, 'V': shape \(0,\) for 2 rows, not \(5, 2\)"),
        ("initial", lambda self, ends, gain, draws: {}, "initial does not make the arrays"),
        ("shapes", lambda self, ends: {"0": (2,)}, "its parameter '0' needs a name"),
    ],
)
def test_methods_that_do_not_belong_together_are_refused(method: str, result: Any, problem: str) -> None:
    wrong(method, result)
    populations = Population("a", 5), Population("b", 6)
    try:
        network = Network(4, populations, (Projection("input", "a"), Projection("a", "b", 0.0, 1.0, "wrong")))
        with pytest.raises(dn.ConfigError, match=rf"network.projections\[1\].kind: 'wrong' .*{problem}"):
            settings(network)
    finally:
        PROJECTIONS.forget("wrong")

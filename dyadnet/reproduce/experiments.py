"""The studies behind the reproductions; their trials keep the data that tables and figures need.

Table 1 and figure 2 are two views of the same runs, with weak nudging.
"""

from __future__ import annotations

import itertools
from typing import Any, Literal

from dyadnet.config.presets import preset
from dyadnet.errors import ConfigError
from dyadnet.network.description import SKEW, SYMMETRIC
from dyadnet.reproduce.paper import BETA_INCREMENT
from dyadnet.reproduce.paper import MODELS as ORDERED
from dyadnet.study.definition import Study

Name = Literal["table1", "figure2", "figure3", "translation"]
NAMES: tuple[Name, ...] = ("table1", "figure2", "figure3", "translation")
STUDIES: dict[Name, str] = {
    "table1": "weak-nudging",
    "figure2": "weak-nudging",
    "figure3": "strong-nudging",
    "translation": "translation",
}
"""Name of the study behind each reproduction; it is also the name of the study's folder."""
DATA = {"mnist": "MNIST", "fashion-mnist": "Fashion-MNIST", "digits": "the digits"}
"""Data sets by name, with their titles on pages and pictures."""
WEAK_BETA = 0.1
"""Initial β of the growth, and β of weak nudging."""
CONCAVE = 2.0
"""β at which βf′ = 1 at the output (f′ = ½); from this value on the problem for s⁻ is not concave."""
STRONG_EPOCHS = 38
"""Number of epochs, so that β = 1.95 in the last one."""
LEARNED_EPOCHS, MOVED_EPOCHS = 20, 12
"""Epochs of a network trained from scratch, and epochs after the training of a feedforward network."""
WAYS = {
    "jump": "λ jumps",
    "at-once": "λ moves, all layers at once",
    "from-output": "λ moves layer by layer, from the output down",
    "from-input": "λ moves layer by layer, from the input up",
}
"""Ways in which λ moves from ½ to its target."""


def study_of(name: Name, data: str, seeds: int, epochs: int | None = None, *, quick: bool = False) -> Study:
    """Create the study behind a table or figure.

    Parameters
    ----------
    data
        ``mnist``, ``fashion-mnist`` or ``digits``.
    seeds
        Number of seeds: 0, 1, ….
    epochs
        Epochs of every run, in place of the experiment's own; for a translation, those of the network from scratch.
    quick
        Whether to use the digits instead of `data`.

    Raises
    ------
    ConfigError
        If the data set is none of those.
    """
    if quick:
        data = "digits"
    if data not in DATA:
        raise ConfigError("--data", data, f"one of {', '.join(DATA)}")
    values: dict[str, Any] = {
        "name": STUDIES[name],
        "base": {"data": data, "set": {} if data == "digits" else {"dynamics.lanes": 1}},
        "axes": [{"key": "data.name", "grid": [data], "name": "data"}],
        "models": list(ORDERED),
        "seeds": seeds,
        "reference": False,
    }
    if name == "translation":
        return Study.read(values | _translation(data, epochs or LEARNED_EPOCHS))
    if name == "figure3":
        return Study.read(values | _strong(values["base"], data, epochs or STRONG_EPOCHS))
    return Study.read(
        values
        | {"title": "Weak nudging (paper, table 1 and figure 2)", "epochs": epochs}
        | {"keep": ["curves", "constants", "generalisation"], "metrics": ["test_accuracy", "gap"]}
    )


def _strong(base: dict[str, Any], data: str, epochs: int) -> dict[str, Any]:
    """Return the settings of growing β. The learning rate is constant, because a decay would hide the effects of β."""
    beta = {"kind": "increments", "start": WEAK_BETA, "step": BETA_INCREMENT}
    by_model = {model: {"learning": {"learning_rate": _half_rate(data, model)}} for model in ORDERED}
    return {
        "title": "Strong nudging (paper, figure 3)",
        "base": base | {"set": base["set"] | {"learning.beta": beta}, "by_model": by_model},
        "epochs": epochs,
        "keep": ["curves"],
    }


def _translation(data: str, epochs: int) -> dict[str, Any]:
    moved = max(round(epochs * MOVED_EPOCHS / LEARNED_EPOCHS), 1)
    variants = {"ffm": {"title": "FFM, trained on", "set": _moved(data, "ffm", {}, epochs, moved)}}
    for model, target in (("sshm", SKEW), ("hm", SYMMETRIC)):
        scratch = preset(data, model)
        own = {"network": scratch["network"], "learning": scratch["learning"] | {"epochs": epochs}}
        variants[f"{model}-scratch"] = {"title": f"{model.upper()}, from scratch", "set": own}
        for way, title in WAYS.items():
            lam = _paths(data, target, way, epochs, moved)
            setting = _moved(data, model, lam, epochs, moved)
            variants[f"{model}-{way}"] = {"title": f"{model.upper()}, {title}", "set": setting}
    return {
        "title": "From a feedforward network to a recurrent one (paper, outlook)",
        "base": {"data": data, "model": "ffm", "set": {} if data == "digits" else {"dynamics.lanes": 1}},
        "models": [],
        "variants": variants,
        "keep": ["curves"],
    }


def _moved(data: str, model: str, lam: dict[str, Any], epochs: int, moved: int) -> dict[str, Any]:
    """Return settings that train a feedforward network with its preset, and then move λ to the target.

    While λ moves, the learning rate starts at half that of the target, and β is that of the target. The optimiser
    remains that of the feedforward network, because the target's weight decay would act on that network too.
    """
    source, target = preset(data, "ffm")["learning"], preset(data, model)["learning"]
    falling = {"kind": "cosine", "start": _half_rate(data, model), "end": 0.0}
    rate = [{"epochs": epochs, "of": source["learning_rate"]}, {"epochs": moved, "of": falling}]
    beta = [{"epochs": epochs, "of": source["beta"]}, {"epochs": moved, "of": target["beta"]}]
    learning: dict[str, Any] = {
        "epochs": epochs + moved,
        "learning_rate": {"kind": "piecewise", "pieces": rate},
        "beta": {"kind": "piecewise", "pieces": beta},
    }
    return {"learning": learning | ({"lam": lam} if lam else {})}


def _paths(data: str, target: float, way: str, epochs: int, moved: int) -> dict[str, Any]:
    """Return λ of every projection over the whole run. It reaches its target after two thirds of the `moved` epochs."""
    hidden = preset(data, "ffm")["network"]["layered"]["hidden"]
    names = [f"h{k}" for k in range(1, len(hidden) + 1)] + ["out"]
    projections = [f"{pre}->{post}" for pre, post in itertools.pairwise(names)]
    travel = 2.0 * moved / 3.0
    if way == "from-output":
        projections.reverse()
    found: dict[str, Any] = {}
    for index, projection in enumerate(projections):
        if way == "jump":
            path: Any = target
        elif way == "at-once":
            path = {"kind": "linear", "start": 0.5, "end": target, "over": travel}
        else:
            share = travel / len(projections)
            path = {"kind": "linear", "start": 0.5, "end": target, "begin": index * share, "over": share}
        pieces = [{"epochs": epochs, "of": 0.5}, {"epochs": moved, "of": path}]
        found[projection] = {"kind": "piecewise", "pieces": pieces}
    return found


def _half_rate(data: str, model: str) -> float:
    return 0.5 * float(preset(data, model)["learning"]["learning_rate"]["start"])

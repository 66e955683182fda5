"""Where the settings of a run start from: a file, or a preset and a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dyadnet.config import DataSpec
from dyadnet.config.overrides import located, merged, read_yaml, spelled_out
from dyadnet.config.presets import check, nearest_model, preset
from dyadnet.errors import ConfigError
from dyadnet.network.description import ASYMMETRIC, FEEDFORWARD, INPUT, MODELS, Asymmetric
from dyadnet.synapses.dense import DENSE


def starting_point(
    config: Path | None,
    model: str | None,
    lam: float | None,
    data: str | None,
    data_dir: Path | None = None,
    settings: Mapping[str, Any] | None = None,
    named: str | None = None,
) -> dict[str, Any]:
    """Return the settings before the command-line flags: those of a file, or those of a preset for a model.

    Parameters
    ----------
    data
        Name of a data set or a user's own data. Without a file and a preset, the preset of this data set is used.
    data_dir
        Folder in which a user's own data may be.
    settings
        Plain values that are merged over the result later. Their task (``data.task``) determines the preset's outputs.
    named
        Name of a preset.

    Raises
    ------
    ConfigError
        If both a model and a λ are given, or both a file and a preset, or if one of them is not legal.
    """
    if model is not None and lam is not None:
        raise ConfigError("--lam", lam, "give --model or --lam, not both")
    if model is not None and model not in MODELS:
        raise ConfigError("--model", model, f"one of {', '.join(MODELS)}")
    if lam is not None and not 0.0 <= lam <= 1.0:
        raise ConfigError("--lam", lam, "a number from 0 to 1")
    if named is not None:
        check(named, "--preset")
        if config is not None:
            raise ConfigError("--preset", named, "give a file of settings or a preset, not both")
    asked = (settings or {}).get("data")
    task = asked.get("task") if isinstance(asked, Mapping) else None
    chosen = model or ("sshm" if lam is None else nearest_model(lam))
    if config is None:
        values = preset(named or data or "digits", chosen)
        if data is not None:
            values = merged(values, {"data": {"name": data}})
        values = _fitted(values, data, data_dir, task)
    else:
        values = spelled_out(read_yaml(config))
        if data is not None:
            values = merged(values, {"data": {"name": data}})
        if "network" not in values:
            try:
                given = DataSpec.read(values.get("data", {}), "data")
            except ConfigError as problem:
                raise located(problem, config) from None
            fitted = _fitted(preset(given.name, chosen), given.name, data_dir or given.dir, task or given.task)
            values = merged(fitted, values)
    value = MODELS[model] if model is not None else lam
    return values if value is None else _with_lambda(values, value)


def _fitted(values: dict[str, Any], data: str | None, data_dir: Path | None, task: Any) -> dict[str, Any]:
    """Adapt a preset's layered network to the sizes of the data, and to a task that the preset was not made for."""
    from dyadnet.data import KNOWN, KNOWN_IMAGES, MEMORY, load

    if "layered" not in values["network"]:
        return values
    chain: dict[str, Any] = {"inputs": values["network"]["layered"]["inputs"]}
    numbers = task == "denoise"
    if data is not None and data not in (*KNOWN, MEMORY):
        dataset = load(data, data_dir)
        chain = {"inputs": int(dataset.features), "outputs": int(dataset.outputs)}
        numbers = numbers or dataset.numbers is not None
    elif data in KNOWN_IMAGES:
        chain = dict(zip(("inputs", "outputs"), KNOWN_IMAGES[data], strict=True))
    if task == "denoise":
        chain["outputs"] = chain["inputs"]
    if numbers:
        # Presets describe outputs for classes.
        chain |= {"output_activation": "linear", "loss": "squared-error"}
    return merged(values, {"network": {"layered": chain}})


def _with_lambda(values: dict[str, Any], lam: float | Asymmetric) -> dict[str, Any]:
    network = values.get("network")
    if isinstance(network, dict) and "layered" in network:
        return merged(values, {"network": {"layered": {"lam": lam}}})
    if isinstance(network, dict) and "layers" in network:
        return merged(values, {"network": {"lam": lam}})
    if isinstance(network, dict) and isinstance(network.get("projections"), list):
        return {**values, "network": {**network, "projections": _projections(network["projections"], lam)}}
    return values


def _transposed(kind: Any) -> Any:
    """Return the kind of the reverse projection, as a file writes it."""
    settings = {"kind": kind} if isinstance(kind, str) else kind
    if isinstance(settings, dict) and settings.get("kind") == "transposed":
        return settings.get("of")
    return {"kind": "transposed", "of": settings}


def _projections(given: list[Any], lam: float | Asymmetric) -> list[Any]:
    """Set one λ on a graph's projections; if asymmetric, set λ = ½ and add a reverse projection to each."""
    known = [p for p in given if isinstance(p, dict) and p.get("pre") != INPUT]
    pairs = [(p.get("pre"), p.get("post")) for p in known]
    both = next((pair for pair in pairs if pair[0] != pair[1] and pair[::-1] in pairs), None)
    if lam != ASYMMETRIC and both is not None:
        what = f"{both[0]}->{both[1]} and {both[1]}->{both[0]}"
        legal = f"one way only, where one λ couples both ends: leave one of them out, or give --model {ASYMMETRIC}"
        raise ConfigError("network.projections", what, legal)
    found: list[Any] = []
    for p in given:
        if not any(p is one for one in known):
            found.append(p)
            continue
        here = {k: v for k, v in p.items() if k not in ("kappa", "lam")}
        found.append(here | {"lam": FEEDFORWARD if lam == ASYMMETRIC else lam})
        if lam == ASYMMETRIC and (p.get("post"), p.get("pre")) not in pairs:
            kind = p.get("kind", DENSE)
            back = {"pre": p.get("post"), "post": p.get("pre"), "lam": FEEDFORWARD}
            found.append(here | back | ({} if kind == DENSE else {"kind": _transposed(kind)}))
    return found

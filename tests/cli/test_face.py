"""The command line's conveniences: guesses at what was meant, short flags, a schema for editors, pictures for print."""

from __future__ import annotations

import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import dyadnet as dn
from dyadnet.config import RunConfig
from dyadnet.config.json_schema import schema
from dyadnet.config.overrides import assigned
from dyadnet.config.presets import NAMES, preset
from dyadnet.errors import ConfigError, nearest
from dyadnet.schema import paths
from dyadnet.study.definition import read_study
from dyadnet.study.plan import plan
from dyadnet.study.ready import find, names
from tests.checkpoint.runs import SMALL, settings
from tests.cli.test_main import QUICK, complaint
from tests.cli.test_main import run as command


def test_the_face_says_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    modules = {module.name for module in pkgutil.iter_modules(dn.__path__)}
    assert not modules & set(dn.__all__), "a name hides a module"
    for name in dn.__all__:
        assert getattr(dn, name) is not None
    assert command("--version") == 0
    assert capsys.readouterr().out == f"dyadnet {dn.__version__}\n"


@pytest.mark.parametrize(
    ("setting", "guess"),
    [
        ("learning.epoch=3", "epochs"),
        ("epochs=3", "learning.epochs"),
        ("learning.optimizer=sgd", "optimiser"),
        ("learning.optimiser={kind: adm}", "adam"),
        ("lr=3", "learning.learning_rate"),
        ("learning.batch_size=3", "minibatch"),
        ("dynamics.initial=feedfoward", "feedforward"),
        ("dynamics.clock=red_black", "red-black"),
        ("dynamics.delay={kind: unifrm}", "uniform"),
        ("dynamics.mode=fre", "free"),
        ("network.layered.activation=tanhh", "tanh"),
        ("network.layered.lambda=1", "lam"),
        ("network.layered.loss=crossentropy", "cross-entropy"),
        ("imperfections.chanel.loss=1", "channel"),
        ("imperfections.channels.h1->h2.los=3", "loss"),
        ("cluster.placement=sprad", "spread"),
        ("learning.early_stopping.monitr=3", "monitor"),
        ("probe.neurons.hh1=[0]", "h1"),
        ("learning.optimiser=adma", "adam"),
        ("record.pictures=pfd", "pdf"),
        ("engine_=1", "engine"),
        ("network.layred.hidden=[3]", "layered"),
        ("faults=['kil:block=h1,minibatch=2']", "kill"),
        ("faults=['kill:blok=h1,minibatch=2']", "block"),
        ("faults=['kill:block=h11,minibatch=2']", "h1"),
        ("cluster.slow={h11: 4}", "h1"),
        ("dynamics.delays={h1->h22: 3}", "h1->h2"),
    ],
)
def test_a_mistake_ends_in_a_guess(setting: str, guess: str) -> None:
    with pytest.raises(ConfigError) as refused:
        RunConfig.read(assigned(preset("digits", "sshm"), setting))
    assert str(refused.value).endswith(f"; did you mean {guess}?")


@pytest.mark.parametrize(
    ("arguments", "guess"),
    [
        (["--engine", "locl"], "local"),
        (["--data", "mnits"], "mnist"),
        (["--model", "sshn"], "sshm"),
        (["--engine", "rya"], "ray"),
        (["--fault", "kil:block=h1,minibatch=2"], "kill"),
        (["--epoch", "3"], "--epochs"),
        (["--hiden", "3"], "--hidden"),
    ],
)
def test_flags_too(arguments: list[str], guess: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = complaint(capsys, "train", *arguments, "--out", str(tmp_path / "run"))
    assert told.endswith(f"; did you mean {guess}?")


@pytest.mark.parametrize(
    ("network", "guess"),
    [
        (
            {"populatons": [{"name": "out", "size": 10}], "projections": [{"pre": "input", "post": "out"}]},
            "populations",
        ),
        ({"layred": {"hidden": [9]}}, "layered"),
        ({"populations": [{"nme": "out", "size": 10}], "projections": []}, "name"),
        ({"populations": [{"name": "out", "size": 10}], "projections": [{"pre": "inptu", "post": "out"}]}, "input"),
        ({"populations": [{"name": "out", "size": 10}], "projections": [{"pre": "input", "post": "outt"}]}, "out"),
        (
            {
                "populations": [{"name": "out", "size": 10, "activation": "tanhh"}],
                "projections": [{"pre": "input", "post": "out"}],
            },
            "tanh",
        ),
        (
            {
                "populations": [{"name": "out", "size": 10}],
                "projections": [{"pre": "input", "post": "out"}],
                "output": "uot",
            },
            "out",
        ),
    ],
)
def test_descriptions_of_networks_too(
    network: dict[str, Any], guess: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.yaml").write_text(json.dumps({"network": network}))
    told = complaint(capsys, "train", str(tmp_path / "config.yaml"), "--out", str(tmp_path / "run"))
    assert f"; did you mean {guess}?" in told


@pytest.mark.parametrize(
    ("study", "guess"),
    [
        ({"axes": [{"key": "dynamics.delya", "grid": [1, 2]}]}, "delay"),
        ({"axes": [{"key": "dynamics.delay", "grd": [1, 2]}]}, "grid"),
        ({"axes": [{"key": "dynamics.clock", "grid": ["every-tik"]}]}, "every-tick"),
        ({"axes": [{"key": "dynamics.delay", "random": {"kind": "unifrom", "low": 1, "high": 2}}]}, "uniform"),
        ({"base": {"model": "fmm"}}, "ffm"),
        ({"base": {"data": "digis"}}, "digits"),
        ({"base": {"set": {"learning.epoch": 3}}}, "epochs"),
        ({"models": ["sshn"]}, "sshm"),
        ({"metrics": ["test_acuracy"]}, "test_accuracy"),
        ({"keep": ["curvs"]}, "curves"),
        ({"variants": {"one": {"sett": {}}}}, "set"),
        ({"titel": "one"}, "title"),
    ],
)
def test_studies_too(study: dict[str, Any], guess: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = {"base": {"data": "digits"}, "axes": [{"key": "dynamics.delay", "grid": [1, 2]}]} | study
    (tmp_path / "study.yaml").write_text(json.dumps(values))
    told = complaint(capsys, "study", str(tmp_path / "study.yaml"), "--dry-run")
    assert f"; did you mean {guess}?" in told


@pytest.mark.parametrize(
    ("arguments", "guess"),
    [
        (["trian"], "train"),
        (["bench", "kernl"], "kernel"),
        (["study", "dealy-loss", "--dry-run"], "delay-loss"),
        (["reproduce", "tabel1"], "table1"),
        (["evaluate", "RUN", "--part", "tset"], "test"),
        (["evaluate", "RUN", "--weights", "bset"], "best"),
        (["analyse", "RUN", "--weights", "lats"], "last"),
        (["predict", "RUN", "x.npz", "--weights", "bets"], "best"),
        (["export", "RUN", "--weights", "bets"], "best"),
        (["chaos", "--kinds", "hagn"], "hang"),
    ],
)
def test_names_of_commands_and_what_they_take(
    arguments: list[str], guess: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert complaint(capsys, *arguments).endswith(f"; did you mean {guess}?")


def test_a_key_that_no_run_has_is_misspelt_wherever_it_is_written(tmp_path: Path) -> None:
    run = dn.train(settings(), tmp_path / "run", report=False)
    with pytest.raises(ConfigError, match=r"did you mean dynamics\?$"):
        dn.evaluate(run.path, changes={"dynamcs": {"sweeps": 3}})
    with pytest.raises(ConfigError, match="the weights depend on it"):
        dn.evaluate(run.path, changes={"seed": 3})


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["train", "--epochs", "x"], "invalid value for '--epochs'"),
        (["train", "--epochs"], "option '--epochs' requires an argument"),
        (["evaluate"], "missing argument 'RUN'; see: "),
        (["status", "one", "two"], "got unexpected extra argument"),
        (["train", "--zzz"], "no such option: --zzz; see: "),
    ],
)
def test_a_command_that_is_written_wrongly_is_one_line(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert complaint(capsys, *arguments).startswith(f"dyadnet: {told}")
    assert command(*arguments, "--json") == 2
    answer = json.loads(capsys.readouterr().out)
    assert (answer["state"], answer["exit_code"]) == ("failed", 2)


def test_a_command_without_anything_is_helped(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["bench"]):
        assert command(*arguments) == 2
        assert "Usage:" in "".join(capsys.readouterr())


def test_what_is_near_nothing_has_no_guess() -> None:
    for setting in ("zzz=1", "learning.qwertz=1", "dynamics.initial=xyz"):
        with pytest.raises(ConfigError) as refused:
            RunConfig.read(assigned(preset("digits", "sshm"), setting))
        assert "did you mean" not in str(refused.value)
    assert nearest(3, ["three"]) is None
    assert nearest("Learning-Rate", ["learning_rate", "lam"]) == "learning_rate"


def test_short_flags_are_settings(tmp_path: Path) -> None:
    arguments = ["--lr", "0.004", "--beta", "0.2", "--minibatch", "25", "--blocks", "2"]
    assert command("train", *QUICK, *arguments, "--out", str(tmp_path / "run")) == 0
    found = dn.load(tmp_path / "run").config
    assert found.learning.learning_rate.at(0.0, 1) == 0.004
    assert found.learning.beta.at(0.0, 1) == 0.2
    assert found.learning.minibatch == 25
    assert [population.blocks for population in found.network.populations] == [2, 2, 1]


def test_blocks_of_layers(tmp_path: Path) -> None:
    layers = "network: {inputs: [1, 8, 8], layers: [conv 4 3x3, {layer: dense 20, blocks: 3}, dense 10]}\n"
    (tmp_path / "run.yaml").write_text(layers)
    for flag, blocks in ((["--blocks", "2"], [2, 3, 1]), (["--set", "network.blocks=4"], [4, 3, 1]), ([], [1, 3, 1])):
        out = tmp_path / f"run{len(flag)}{flag[-1:]}"
        assert command("train", str(tmp_path / "run.yaml"), *QUICK, *flag, "--out", str(out)) == 0
        assert [population.blocks for population in dn.load(out).config.network.populations] == blocks


def test_presets_are_listed_and_chosen_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("presets", "--json") == 0
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    assert set(found) == set(NAMES)
    assert found["conv-mnist"]["data"] == "mnist"
    assert set(found["conv-mnist"]["models"]) == {"hm", "ffm", "sshm", "asymmetric"}
    assert all(name in shown.err for name in NAMES)
    assert command("train", "--preset", "digits", *QUICK, "--model", "hm", "--out", str(tmp_path / "run")) == 0
    assert dn.load(tmp_path / "run").config.network == RunConfig.read(preset("digits", "hm")).network
    capsys.readouterr()
    told = complaint(capsys, "train", "--preset", "conv-mnist", "--data", "digits", "--out", str(tmp_path / "no"))
    assert told.endswith("network.inputs: [1, 28, 28] is not legal; digits has images of the shape [1, 8, 8]")
    assert "did you mean conv-mnist?" in complaint(capsys, "train", "--preset", "conv-mnits")


def test_blocks_are_split_before_actors_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph = {
        "network": {
            "inputs": 64,
            "populations": [{"name": "a", "size": 9}, {"name": "out", "size": 10}],
            "projections": [{"pre": "input", "post": "a"}, {"pre": "a", "post": "out", "lam": 0.5}],
        }
    }
    (tmp_path / "graph.yaml").write_text(json.dumps(graph))
    for config, actors in ((None, "9"), ("graph.yaml", "5")):
        where = [] if config is None else [str(tmp_path / config)]
        arguments = [*where, "--blocks", "4", "--set", "cluster.actors=" + actors, "--engine", "local"]
        # Nine blocks and five: so many actors are legal, and the local engine has none.
        told = complaint(capsys, "train", *arguments, "--out", str(tmp_path / "run"))
        assert "only the engine ray has a cluster" in told
        arguments[arguments.index("cluster.actors=" + actors)] = f"cluster.actors={int(actors) + 1}"
        told = complaint(capsys, "train", *arguments, "--out", str(tmp_path / "run"))
        assert f"at most one for each of the {actors} blocks" in told


def test_the_help_fits_80_columns_with_what_a_beginner_needs_first() -> None:
    environment = os.environ | {"COLUMNS": "80", "TERM": "dumb", "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "dyadnet", "train", "--help"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert max(map(len, done.stdout.splitlines())) <= 80
    groups = ["First of all", "Network and training", "Actors and clusters", "Stragglers, faults", "Watching"]
    places = [done.stdout.index(group) for group in groups]
    assert places == sorted(places)
    assert places[0] < done.stdout.index("--epochs") < places[1] < done.stdout.index("--lanes") < places[2]


def completed(words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> set[str]:
    """What a shell is told after Tab."""
    monkeypatch.setenv("_DYADNET_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(words.count(" ")))
    monkeypatch.setattr(sys, "argv", ["dyadnet"])
    assert command() == 0
    return set(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("dyadnet repr", {"reproduce"}),
        ("dyadnet train --mo", {"--model", "--mode"}),
        ("dyadnet train --model ", {"hm", "ffm", "sshm", "asymmetric"}),
        ("dyadnet train --data ", {"digits", "mnist", "fashion-mnist"}),
        ("dyadnet train --engine ", {"local", "ray"}),
        ("dyadnet train --placement s", {"spread", "strict-spread"}),
        ("dyadnet train --set lea", {"learning."}),
        ("dyadnet train --set learning.e", {"learning.epochs", "learning.evaluation_batch", "learning.early_stopping"}),
        ("dyadnet train --set network.layered.h", {"network.layered.hidden"}),
        ("dyadnet train --set network.l", {"network.lam", "network.layered.", "network.layers", "network.loss"}),
        ("dyadnet train --preset conv", {"conv-mnist", "conv-cifar"}),
        ("dyadnet train --set imperfections.channel.loss.", {"imperfections.channel.loss.p"}),
        ("dyadnet resume run --set data.", {"data.dir"}),
        ("dyadnet evaluate --part t", {"test", "train"}),
        ("dyadnet study delay", {"delay-loss"}),
        ("dyadnet reproduce fig", {"figure2", "figure3"}),
        ("dyadnet report run --format p", {"png", "pdf"}),
    ],
)
def test_a_shell_completes_names(
    words: str, told: set[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told <= completed(words, monkeypatch, capsys)


def test_settings_have_paths_but_for_those_that_a_user_names_or_counts() -> None:
    listed = set(paths(RunConfig))
    assert {"learning.optimiser.kind", "dynamics.sweeps", "imperfections.device.weights.bits", "seed"} <= listed
    assert not {path for path in listed if path.startswith(("dynamics.clocks.", "faults."))}
    assert {path.partition(".")[0] for path in listed} == set(RunConfig.model_fields)


def test_the_script_that_is_installed_is_the_one_that_shells_ask() -> None:
    environment = os.environ | {"_DYADNET_COMPLETE": "complete_bash", "COMP_WORDS": "dyadnet rep", "COMP_CWORD": "1"}
    script = Path(sys.executable).parent / "dyadnet"
    done = subprocess.run([script], env=environment, capture_output=True, text=True, check=False)
    assert {"report", "reproduce", "replay"} >= set(done.stdout.split()) >= {"report", "reproduce"}


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    """Of a configuration, as an editor has it."""
    found = schema()
    Draft202012Validator.check_schema(found)
    return Draft202012Validator(found)


def test_the_schema_takes_what_dyadnet_takes(validator: Draft202012Validator) -> None:
    for data in ("digits", "mnist", "fashion-mnist", "conv-mnist", "conv-cifar", "denoise-fashion"):
        for model in ("hm", "ffm", "sshm"):
            values = preset(data, model)
            assert validator.is_valid(values), (data, model)
            assert validator.is_valid(RunConfig.read(values).model_dump(mode="json")), (data, model)
    for name in names():
        assert all(
            validator.is_valid(trial.config.model_dump(mode="json")) for trial in plan(read_study(find(name)))[:3]
        )
    for short in (
        {"data": "mnist"},
        {"dynamics": {"clock": "every-tick", "delay": 3, "mode": "free"}},
        {"checkpoint": False, "init_from": "runs/one", "learning": {"early_stopping": 5, "lam": {"h1->h2": 0.5}}},
        {"imperfections": {"channel": {"loss": 0.1}, "devices": {"out": {"weights": 4}}}},
        {"network": {"layered": {"hidden": [20, 20], "lam": [0.5, 0.0]}}},
        {"network": {"layers": ["conv 4 3x3", {"layer": "pool 2 max", "name": "b"}, "dense 10"], "inputs": [1, 8, 8]}},
        {"network": {"layers": ["dense 10"], "inputs": 64, "lam": "asymmetric", "feedback_gain": 0.3}},
    ):
        assert validator.is_valid(SMALL | short), short


@pytest.mark.parametrize(
    "wrong",
    [
        {"learning": {"epoch": 3}},
        {"learning": {"epochs": "many"}},
        {"network": {"layered": {"hiden": [3]}}},
        {"network": {"layered": {"hidden": 3}}},
        {"network": {"layers": "dense 10"}},
        {"network": {"layers": ["dense 10"], "hidden": [3]}},
        {"dynamics": {"initial": "nowhere"}},
        {"lerning": {}},
        {"imperfections": {"channel": {"los": 0.1}}},
        {"cluster": {"ports": [1]}},
    ],
)
def test_the_schema_refuses_what_dyadnet_refuses(wrong: dict[str, Any], validator: Draft202012Validator) -> None:
    assert not validator.is_valid({**SMALL, **wrong})
    with pytest.raises(ConfigError):
        RunConfig.read({**SMALL, **wrong})


def test_the_schema_says_what_settings_mean(validator: Draft202012Validator) -> None:
    definitions = validator.schema["$defs"]
    assert set(RunConfig.model_fields) == set(validator.schema["properties"])
    assert "epochs" in definitions["Learning"]["properties"]
    assert "tanh" in definitions["_LayeredSpec"]["properties"]["activation"]["examples"]


def test_the_schema_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("schema") == 0
    assert json.loads(capsys.readouterr().out) == schema()
    assert command("schema", "--out", str(tmp_path / "dyadnet.schema.json")) == 0
    assert json.loads((tmp_path / "dyadnet.schema.json").read_text()) == schema()
    assert "--out" in complaint(capsys, "schema", "--out", str(tmp_path / "schema.txt"))


BEGINS = {"pdf": b"%PDF", "svg": b"<?xml", "png": b"\x89PNG"}


@pytest.mark.pictures
@pytest.mark.parametrize("kind", ["pdf", pytest.param("svg", marks=pytest.mark.slow)])
def test_every_picture_of_a_run_comes_for_print_too(kind: str, tmp_path: Path) -> None:
    probe = {"neurons": {"h1": [0]}, "every": 5}
    dn.train(settings(record={"pictures": kind}, probe=probe), tmp_path / "run")
    dn.train(settings(probe=probe), tmp_path / "plain")
    found = sorted(path.relative_to(tmp_path / "run") for path in (tmp_path / "run").rglob(f"*.{kind}"))
    pictures = sorted(path.relative_to(tmp_path / "plain") for path in (tmp_path / "plain").rglob("*.png"))
    assert [path.with_suffix(".png") for path in found] == pictures
    assert Path("curves.png") in pictures
    for name in found:
        assert (tmp_path / "run" / name).read_bytes().startswith(BEGINS[kind])
        assert (tmp_path / "run" / name).with_suffix(".png").read_bytes().startswith(BEGINS["png"])
    assert not list((tmp_path / "plain").rglob(f"*.{kind}"))
    # Later, of a run that has none.
    assert command("report", str(tmp_path / "plain"), "--format", kind) == 0
    assert (tmp_path / "plain" / f"curves.{kind}").read_bytes().startswith(BEGINS[kind])


@pytest.mark.pictures
def test_commands_that_draw_do_so_for_print(tmp_path: Path) -> None:
    dn.train(settings(), tmp_path / "run")
    arguments = ["analyse", str(tmp_path / "run"), "--samples", "3", "--epsilons", "0.1", "--sigmas", "0.1"]
    assert command(*arguments, "--format", "svg") == 0
    assert (tmp_path / "run" / "analysis.svg").read_bytes().startswith(BEGINS["svg"])
    # Of that command only.
    (tmp_path / "run" / "analysis.svg").unlink()
    assert command(*arguments) == 0
    assert not (tmp_path / "run" / "analysis.svg").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["analyse", "RUN"],
        ["delay-limits", "--epochs", "1"],
        ["study", "delay-loss", "--dry-run"],
        ["reproduce", "table1"],
        ["real-limits", "RUN"],
    ],
)
def test_a_format_that_is_none_is_one_line(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    told = complaint(capsys, *arguments, "--format", "svgg")
    assert told == "dyadnet: --format: 'svgg' is not legal; one of png, pdf, svg; did you mean svg?"
    assert list(tmp_path.iterdir()) == []


def test_of_train_and_report_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "record.pictures: 'jpg'" in complaint(
        capsys, "train", *QUICK, "--format", "jpg", "--out", str(tmp_path / "a")
    )
    dn.train(settings(), tmp_path / "run")
    assert "--format: 'jpg'" in complaint(capsys, "report", str(tmp_path / "run"), "--format", "jpg")

"""YAML: one meaning for a value wherever it stands, a line for what is wrong, and no file that is too much."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dyadnet.config import RunConfig
from dyadnet.config.overrides import assigned, located, read_yaml
from dyadnet.config.start import starting_point
from dyadnet.errors import ConfigError
from dyadnet.files.documents import NODES, SIZE, DocumentError, parse, read, written
from dyadnet.study.definition import read_study
from dyadnet.study.plan import plan
from tests.cli.test_main import complaint

# PyYAML's emitter takes NEL, a control character, for the end of a line.
TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="\ufeff"))
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(values=PLAIN | st.sampled_from(["1e-3", "0o7", "1:30", "010", "2021-01-01", "yes", "=", "<<", "1_0", ".5"]))
def test_plain_values_come_back(values: Any) -> None:
    assert parse(written({"": values})).values == {"": values}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("-2E3", -2000.0),
        (".5e1", 5.0),
        ("1_000", 1000),
        ("010", 10),
        ("0x1f", 31),
        ("0o17", 15),
        ("1:30", "1:30"),
        ("2021-99-99", "2021-99-99"),
        ("'1e-3'", "1e-3"),
        ("!!float 1", 1.0),
        ("!!str 1", "1"),
        ("off", False),
        ("~", None),
    ],
)
def test_a_word_means_what_it_looks_like(text: str, value: object) -> None:
    found = parse(text).values
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: 1\nb: 2\na: 3", "line 3: the key 'a' is there already, in line 1"),
        ("a: {b: 1,\n b: 1}", "line 2: the key 'b' is there already"),
        ("a:\n  - !!int banana", "line 2: 'banana' with the tag"),
        ("a: !!python/name:os.system", "line 1: .* only plain values"),
        ("a: !!set {b}", "line 1: the tag .* only plain values"),
        ("a: !!binary aGk=", "line 1: .* only plain values"),
        ("? [1]\n: 2", "line 1: a key should be a word"),
        ("a: 1\n---\nb: 2", "line 2: a second document"),
        ("&a [*a]", r"line 1: what \*a stands for holds itself"),
        ("a:\n  b: *c", r"line 2: what \*c stands for is not there"),
        ("a: 1\n\tb: 2", "line 2: .*tab"),
        ("seed: " + "9" * 5000, "line 1: a number of 5,000 digits"),
        ("a: " + "[" * 5000 + "]" * 5000, "line 1: more than 50 values lie in each other"),
        ("- " * 100_000, "line 1: more than 50"),
        ("[" + "1," * 2_000_000, "more than 200,000 values"),
        ("\x00", "control characters"),
        ("\udcff", "UTF-8"),
    ],
    ids=lambda text: text[:20],
)
def test_what_is_twice_foreign_or_too_much_is_said_with_its_line(text: str, why: str) -> None:
    started = time.process_time()
    with pytest.raises(DocumentError, match=why):
        parse(text)
    assert time.process_time() - started < 5


def test_aliases_of_aliases_end(tmp_path: Path) -> None:
    lines = ["seed: &a0 [1,1,1,1,1,1,1,1,1,1]"]
    lines += [f"y{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    with pytest.raises(DocumentError, match=f"line 6: more than {NODES:,} values"):
        parse("\n".join(lines))
    assert parse("a: &x {b: 1}\nc: {<<: *x, d: 2}").values["c"] == {"b": 1, "d": 2}


def test_a_file_is_bounded_before_it_is_read_and_may_be_in_no_other_encoding(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(b"#" * (SIZE + 1))
    with pytest.raises(DocumentError, match="larger than 4 MiB"):
        read(path)
    with pytest.raises(DocumentError, match="larger than 4 MiB"):
        read(Path("/dev/zero"))
    path.write_text("seed: 1\n# ü", encoding="latin-1")
    with pytest.raises(DocumentError, match="line 2: not UTF-8"):
        read(path)
    path.write_text("seed: 1", encoding="utf-16")
    with pytest.raises(DocumentError, match="not UTF-8"):
        read(path)
    path.write_bytes(b"\xef\xbb\xbfseed: 1")
    assert read(path).values == {"seed": 1}


@pytest.mark.parametrize(
    "path",
    [
        "learning.learning_rate",
        "learning.beta",
        "learning.lam",
        "dynamics.tolerance",
        "imperfections.channel.loss",
        "imperfections.channel.duplication",
        "imperfections.channel.send_on_delta",
        "imperfections.channel.quantisation.range",
        "imperfections.device.read_noise",
        "imperfections.device.gain",
    ],
)
@pytest.mark.parametrize("word", ["1e-1", "0.1", ".1", "'0.1'", "1.0e-1", '"1e-1"'])
def test_a_number_is_the_same_in_every_setting(path: str, word: str) -> None:
    base = {"network": {"layered": {"inputs": 64, "hidden": [9], "outputs": 10}}}
    found = RunConfig.read(assigned(base, f"{path}={word}"))
    assert found == RunConfig.read(assigned(base, f"{path}=0.1"))


@pytest.mark.parametrize("word", ["2", "2e0", "2.0", "'2'"])
def test_a_whole_number_may_be_written_as_any(word: str) -> None:
    base = {"network": {"layered": {"inputs": 64, "hidden": [9], "outputs": 10}}}
    for path in ("dynamics.delay", "imperfections.channel.quantisation", "learning.epochs"):
        assert RunConfig.read(assigned(base, f"{path}={word}")) == RunConfig.read(assigned(base, f"{path}=2"))
    free = {"network": base["network"], "dynamics": {"mode": "free"}}
    slow = assigned({**free, "dynamics": {"mode": {"kind": "free"}}}, f"dynamics.mode.delay={word}")
    assert RunConfig.read(slow).dynamics.mode.delay.largest == 2  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("seed: 1\ndata:\n#  name: digits\n", ["data: None", "mapping", "line 2"]),
        ("data: [digits]", ["data: ['digits']", "mapping", "line 1"]),
        ("data: 3", ["data: 3", "mapping", "line 1"]),
        ("network:\n", ["network: None", "mapping", "line 1"]),
        ("network: hm", ["network: 'hm'", "mapping", "line 1"]),
        ("learning:\n  optimiser:\n  epochs: 1", ["learning.optimiser", "line 2"]),
        ("seed: 2021-99-99", ["seed: '2021-99-99'", "line 1"]),
        ("seed: yes", ["seed: True", "number", "line 1"]),
        ("learning:\n  epochs: true", ["learning.epochs: True", "number", "line 2"]),
        ("imperfections: {channel: {loss: yes}}", ["imperfections.channel.loss", "line 1"]),
        ("probe:\n  samples:\n  - true", ["probe.samples", "number", "line 2"]),
        ("learning:\n  learning_rate: no", ["learning.learning_rate: False", "line 2"]),
        ("seed: 1\nseed: 2", ["line 2", "'seed'", "line 1"]),
        ("dynamics:\n\n  delays: {a->b: 0}", ["dynamics.delays.a->b", "0", "line 3"]),
        (
            "network:\n  layered: {inputs: 64, hidden: [10], outputs: 10}\n  loss: cross-entropy",
            ["network.loss", "network.layered.loss", "line 3"],
        ),
        ("network:\n  layered: {inputs: 64, hidden: [9], outputs: 10}\n  output: out", ["network.output", "line 3"]),
        (
            "network:\n  layered:\n    inputs: 64\n    hidden: [9]\n    outputs: 10\n    activation: swish",
            ["network.layered.activation", "'swish'", "tanh", "line 6"],
        ),
        ("network: {layered: {inputs: 64, hidden: [9], outputs: 10, lam: [0, 1]}}", ["network.layered.lam", "line 1"]),
        (
            "network:\n  inputs: 64\n  populations:\n  - {name: a, size: 0}\n  projections: []",
            ["network.populations[0].size: 0", "line 4"],
        ),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else None,
)
def test_a_setting_that_is_not_what_it_looks_like_is_named_with_its_line(
    text: str, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    line = complaint(capsys, "train", str(path), "--out", str(tmp_path / "run"))
    assert all(word in line for word in words), line
    assert not (tmp_path / "run").exists()


def test_a_line_is_told_only_of_a_value_that_the_file_gives(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("learning: {epochs: 3}\nh2.0: {x: 1}\n")
    assert "line 1" in str(located(ConfigError("learning.epochs", 3, "more"), path))
    assert "line 1" in str(located(ConfigError("learning.minibatch", None, "it has to be given"), path))
    assert "line 2" in str(located(ConfigError("h2.0.x", 1, "more"), path))
    assert "line" not in str(located(ConfigError("learning.epochs", 4, "said after --set"), path))
    assert "line" not in str(located(ConfigError("seed", 4, "less"), None))


def test_a_data_set_may_be_named_in_short(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("data: mnist")
    assert starting_point(path, None, None, None)["data"] == {"name": "mnist"}
    assert assigned({"data": {"name": "digits", "limit_train": 5}}, "data=mnist")["data"] == {
        "name": "mnist",
        "limit_train": 5,
    }
    assert RunConfig.read(read_yaml(path) | {"network": {"layered": {"inputs": 2, "hidden": [2], "outputs": 2}}}).data


STUDY = """
base: {{data: digits, set: {{data: {{limit_train: 100}}, network: {{layered: {{hidden: [10]}}}}}}}}
axes:
- {{key: learning.learning_rate.start, name: lr, {axis}}}
models: [sshm]
"""


@pytest.mark.parametrize(
    ("axis", "words"),
    [
        ("grid: [1e-3, 0.001, 2e-2]", ["axes.0", "0.001 is there twice"]),
        ("grid: [1, 1.0]", ["axes.0", "1.0 is there twice"]),
        ("grid: ['1e-3', 2]", ["axes.0", "without quotes", "'1e-3'"]),
        ("random: {kind: choice, values: ['2']}", ["axes.0", "without quotes"]),
        ("grid: [1], grid: [2]", ["line 4", "'grid'"]),
        ("grid: [1]}\nseeds: .inf\nx: {", ["seeds", "line 5"]),
        ("grid: [1]}\nseeds: 1e12\nx: {", ["seeds", "at most 100,000", "line 5"]),
    ],
)
def test_studies_read_numbers_alike(axis: str, words: list[str], tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(STUDY.format(axis=axis))
    with pytest.raises(ConfigError) as problem:
        read_study(path)
    assert all(word in str(problem.value) for word in words), problem.value


def test_a_study_may_write_its_grid_in_any_notation(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    axis = "grid: [1e-3, 5e-3, 2e-2], ticks: [1e-3, 0.005, much], scale: log, also: {learning.beta: 1e1}"
    path.write_text(STUDY.format(axis=axis))
    study = read_study(path)
    assert study.axes[0].ticks == ["0.001", "0.005", "much"]
    assert study.axes[0].grid == [0.001, 0.005, 0.02]
    assert len(plan(study)) == 4


def test_a_study_of_too_many_trials_is_refused_before_they_are_made(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(STUDY.format(axis="random: {kind: uniform, low: 1, high: 2}") + "samples: 1000000000")
    with pytest.raises(ConfigError, match=r"1,000,000,001 trials.*at most 100,000"):
        plan(read_study(path))

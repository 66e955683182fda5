"""Images: their shape, normalisation by channel, and flips and shifts that everybody draws alike."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from numpy.typing import NDArray

import dyadnet as dn
from dyadnet.analysis.trained import input_range, inputs_of
from dyadnet.data import AugmentSpec, Dataset, Split, as_dataset, load
from dyadnet.data.images import Moves, moved, moves_of, normalisation
from dyadnet.dynamics.outcome import Outcome
from dyadnet.dynamics.request import Relaxation
from dyadnet.engines.local import LocalEngine
from dyadnet.errors import ConfigError, RunFolderError, StoppedError
from dyadnet.runs.export.files import export
from dyadnet.runs.loading import load_data
from dyadnet.runs.observer import Unobserved
from dyadnet.training.api import resume, train
from dyadnet.training.coordinator import Coordinator
from dyadnet.training.inference import outputs, precise
from tests.actors.coordination.test_lockstep import record
from tests.actors.threads import threaded
from tests.checkpoint.runs import outcome, settings, stopping, uninterrupted

VARIED: dict[str, Any] = {"normalise": True, "augment": {"flip": True, "shift": 2}}
BOTH = AugmentSpec(flip=True, shift=3)
ROWS = np.arange(400)


def images(count: int, shape: tuple[int, int, int], seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, np.prod(shape)), dtype=np.uint8)


@examples(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(2, 5), st.integers(2, 5)),
    data=st.data(),
    flip=st.booleans(),
)
def test_every_pixel_comes_from_where_flip_and_shift_say(
    shape: tuple[int, int, int], data: st.DataObject, flip: bool
) -> None:
    channels, height, width = shape
    down = data.draw(st.integers(1 - height, height - 1))
    right = data.draw(st.integers(1 - width, width - 1))
    raw = images(2, shape)
    before = raw.copy()
    moves = Moves(np.array([flip, False]), np.array([down, 0]), np.array([right, 0]))
    found = moved(raw, shape, moves)
    assert np.array_equal(raw, before)
    assert np.array_equal(found[1], raw[1])
    image, source = found[0].reshape(shape), raw[0].reshape(shape)
    for c in range(channels):
        for y in range(height):
            for x in range(width):
                inside = 0 <= y - down < height and 0 <= x - right < width
                at = width - 1 - (x - right) if flip else x - right
                assert image[c, y, x] == (source[c, y - down, at] if inside else 0)


def test_draws_depend_on_seed_epoch_and_row_alone() -> None:
    def keys(*rows: int, seed: int = 1, epoch: int = 1) -> list[tuple[bool, int, int]]:
        moves = moves_of(BOTH, seed, epoch, 500).of(np.array(rows))
        return list(zip(moves.mirrored.tolist(), moves.down.tolist(), moves.right.tolist(), strict=True))

    assert keys(3, 7, 3)[::2] == keys(3, 3)
    assert keys(*ROWS[::-1]) == keys(*ROWS)[::-1]
    assert keys(*ROWS) != keys(*ROWS, epoch=2)
    assert keys(*ROWS) != keys(*ROWS, seed=2)
    only = moves_of(AugmentSpec(shift=3), 1, 1, len(ROWS))
    assert not only.mirrored.any()
    assert only.down.tolist() == [down for _, down, _ in keys(*ROWS)]
    fewer = moves_of(AugmentSpec(flip=True), 1, 1, len(ROWS))
    assert fewer.mirrored.tolist() == [mirrored for mirrored, _, _ in keys(*ROWS)]
    assert not fewer.right.any()


def test_every_shift_is_as_likely_and_half_are_mirrored() -> None:
    moves = moves_of(AugmentSpec(flip=True, shift=1), 0, 1, 3000)
    counts = Counter(zip(moves.down.tolist(), moves.right.tolist(), strict=True))
    assert set(counts) == {(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)}
    # Of 3,000 a ninth each, give or take four deviations.
    assert all(abs(count - 3000 / 9) < 4 * 17.3 for count in counts.values())
    assert abs(moves.mirrored.mean() - 0.5) < 4 * 0.0092


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_each_channel_of_the_training_part_has_mean_0_and_variance_1(dtype: Any) -> None:
    raw = images(2500, (3, 4, 4)).astype(dtype)
    raw[:, 16:32] //= 5
    found = normalisation(raw, (3, 4, 4), 1 / 255, "some")
    channels = raw.reshape(2500, 3, 16).astype(np.float64) / 255
    assert np.allclose(found.mean, channels.mean(axis=(0, 2)), rtol=1e-12)
    assert np.allclose(found.std, channels.std(axis=(0, 2)), rtol=1e-12)
    dataset = Dataset("some", Split(raw, ROWS), Split(raw[:5] // 2, ROWS[:5]), 1 / 255, 2, shape=(3, 4, 4)).normalised()
    inputs = dataset.inputs("train", np.arange(2500), np.dtype(np.float64)).reshape(2500, 3, 16)
    assert np.allclose(inputs.mean(axis=(0, 2)), 0, atol=1e-12)
    assert np.allclose(inputs.std(axis=(0, 2)), 1)
    one = dataset.inputs("test", np.arange(2), np.dtype(np.float32))
    assert one.dtype == np.float32
    expected = dataset.test.images[:2].reshape(2, 3, 16) / 255 - np.reshape(found.mean, (3, 1))
    assert np.allclose(one.reshape(2, 3, 16), expected / np.reshape(found.std, (3, 1)), atol=1e-5)


def test_shifted_in_pixels_are_black_and_then_normalised() -> None:
    dataset = load("digits").normalised().varied(BOTH)
    row = int(np.flatnonzero(moves_of(BOTH, 5, 1, 400).down == 3)[0])
    shown = dataset.inputs("train", np.array([row]), np.dtype(np.float64), (5, 1)).reshape(8, 8)
    assert dataset.normalisation is not None
    assert np.allclose(shown[:3], -dataset.normalisation.mean[0] / dataset.normalisation.std[0])


def test_images_as_targets_move_with_their_inputs_and_numbers_stay() -> None:
    x = images(50, (1, 6, 6)).reshape(50, 6, 6)
    pair = as_dataset((x, np.stack([x, 255 - x], axis=1))).varied(BOTH)
    rows, dtype = np.arange(40), np.dtype(np.float64)
    inputs = pair.inputs("train", rows, dtype, (3, 2)).reshape(40, 36)
    targets = pair.targets(pair.train, rows, dtype, (3, 2)).reshape(40, 2, 36)
    assert not np.array_equal(inputs, pair.inputs("train", rows, dtype))
    assert np.array_equal(targets[:, 0], inputs)
    total = as_dataset((x, x.mean(axis=(1, 2)))).varied(BOTH)
    assert np.array_equal(total.targets(total.train, rows, dtype, (3, 2)), total.targets(total.train, rows, dtype))


def test_what_is_known_of_shapes() -> None:
    y = np.arange(20) % 2
    for x, shape in (
        (np.ones((20, 5, 4)), (1, 5, 4)),
        (np.ones((20, 3, 5, 4)), (3, 5, 4)),
        (np.ones((20, 20)), None),
        (np.ones((20, 2, 3, 4, 5)), None),
        (np.ones((20, 32, 32, 3)), None),
        (np.ones((20, 6, 5, 5)), (6, 5, 5)),
    ):
        assert as_dataset((x, y)).shape == shape
        assert as_dataset((x, x.mean(axis=tuple(range(1, x.ndim))))).shape == shape
        assert as_dataset((x, y)).limited(train=5).sizes.shape == shape
    assert as_dataset((np.ones((20, 3, 4)), y, np.ones((20, 12)), y)).shape is None
    assert load("digits").shape == (1, 8, 8)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ({"normalise": True}, r"data\.normalise: True is not legal; .*memory are rows of numbers, so leave it out"),
        ({"augment": {"flip": True}}, r"data\.augment\.flip: True .* rows of numbers"),
        ({"augment": {"shift": 1}}, r"data\.augment\.shift: 1 .* rows of numbers"),
    ],
)
def test_tables_are_neither_normalised_nor_moved(data: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    config = settings(network={"layered": {"inputs": 12, "outputs": 2}}, data=data | {"limit_train": None})
    config = config.model_copy(update={"data": config.data.model_copy(update={"limit_test": None})})
    x = np.random.default_rng(0).random((40, 12))
    with pytest.raises(ConfigError, match=complaint):
        train(config, tmp_path / "run", data=(x, np.arange(40) % 2))


def test_a_shift_that_moves_images_out_of_sight_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.augment\.shift: 8 .* fewer pixels than images of digits .*8×8"):
        train(settings(data={"augment": {"shift": 8}}), tmp_path / "run")
    with pytest.raises(ConfigError, match=r"data\.augment\.shift"):
        settings(data={"augment": {"shift": -1}})


def test_a_channel_without_variance_is_named() -> None:
    raw = images(9, (2, 3, 3))
    raw[:, 9:] = 7
    with pytest.raises(ConfigError, match=r"data\.normalise: .* channel 1 of some is the same in all images"):
        normalisation(raw, (2, 3, 3), 1.0, "some")


def test_neutral_settings_change_no_bit(tmp_path: Path) -> None:
    plain = train(settings(), tmp_path / "plain")
    neutral = train(settings(data={"normalise": False, "augment": {"flip": False, "shift": 0}}), tmp_path / "neutral")
    assert plain.weights_sha256 == neutral.weights_sha256
    assert "augment" not in settings().data.model_fields_set


def test_engines_and_any_number_of_actors_give_the_same_bits() -> None:
    config = settings(data=VARIED | {"limit_train": 60, "limit_test": 20}, dynamics={"lanes": 2, "sweeps": 12})
    dataset = load_data(config)
    expected = record(config, dataset, LocalEngine(config, dataset))
    for actors in (1, 2, 3):
        spread = config.model_copy(update={"cluster": config.cluster.model_copy(update={"actors": actors})})
        assert record(spread, dataset, threaded(spread, dataset)) == expected
    plain = config.model_copy(update={"data": config.data.model_copy(update={"augment": AugmentSpec()})})
    dataset = load_data(plain)
    assert record(plain, dataset, LocalEngine(plain, dataset)) != expected


@pytest.mark.parametrize("baseline", [None, "backprop"])
@pytest.mark.parametrize("stop", [4, 10])
def test_a_resumed_run_sees_the_same_images(stop: int, baseline: str | None, tmp_path: Path) -> None:
    config = settings(data=VARIED, baseline=baseline)
    expected = uninterrupted(config, tmp_path / "never")
    with pytest.raises(StoppedError):
        train(config, tmp_path / "run", stopping(stop))
    assert outcome(resume(tmp_path / "run"), tmp_path / "run") == expected


class Seeing(LocalEngine):
    """Keeps what the network was shown."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.seen: list[tuple[Relaxation, NDArray[Any]]] = []

    def relax(self, relaxation: Relaxation) -> Outcome:
        found = super().relax(relaxation)
        self.seen.append((relaxation, self.group.lane(0).inputs.copy()))
        return found


class Comparing(Unobserved):
    """Has every update compared with the exact gradient."""

    def compares(self, count: int) -> bool:
        return True


def test_only_what_is_learned_from_is_varied_and_anew_in_every_epoch() -> None:
    config = settings(data={"augment": {"flip": True, "shift": 2}})
    dataset = load_data(config)
    engine = Seeing(config, dataset)
    try:
        Coordinator(config, dataset.sizes, engine, observer=Comparing()).run()
    finally:
        engine.close()
    exact = [inputs for relaxation, inputs in engine.seen if relaxation.exact]
    learned = [inputs for relaxation, inputs in engine.seen if relaxation.minibatch]
    assert len(exact) == len(learned) == 14
    assert all(map(np.array_equal, exact, learned))
    shown: dict[int, dict[int, NDArray[Any]]] = {}
    for relaxation, inputs in engine.seen:
        plain = dataset.inputs(relaxation.part, relaxation.rows, np.dtype(np.float32))
        if relaxation.minibatch:
            assert not np.array_equal(inputs, plain)
            shown.setdefault(relaxation.epoch, {}).update(zip(relaxation.rows.tolist(), inputs, strict=True))
        elif not relaxation.exact:
            assert np.array_equal(inputs, plain)
    assert set(shown) == {1, 2}
    assert set(shown[1]) == set(shown[2])
    assert sum(np.array_equal(shown[1][row], shown[2][row]) for row in shown[1]) < len(shown[1]) / 10


def test_saved_weights_know_what_their_inputs_are_normalised_by(tmp_path: Path) -> None:
    run = train(settings(data=VARIED), tmp_path / "run")
    digits = load("digits")
    raw = digits.test.images[:40]
    known = digits.limited(150).normalised().normalisation
    assert known is not None
    exported = export(tmp_path / "run", tmp_path / "weights.npz")
    manifest = exported.manifest
    assert (tuple(manifest["input_mean"]), tuple(manifest["input_std"])) == (known.mean, known.std)
    by_hand = (raw / 16.0 - known.mean[0]) / known.std[0]
    expected = outputs(precise(run.config), exported.parameters(), exported.couplings, by_hand)
    assert np.allclose(run.outputs(raw), expected, atol=1e-7)
    (path,) = (tmp_path / "run").rglob("best/manifest.json")
    path.write_text(path.read_text().replace('"input_std"', '"input_other"'))
    with pytest.raises(RunFolderError, match="damaged, input_std is 'None'"):
        dn.load(tmp_path / "run").predict(digits.test.images[:2])


def test_analyses_see_what_the_network_sees() -> None:
    plain = load("digits")
    dataset = replace(plain, shape=(2, 4, 8)).normalised()
    assert dataset.normalisation is not None
    inputs, _ = inputs_of(dataset, "train", np.arange(1437))
    low, high = (np.asarray(bound).reshape(2, 32) for bound in input_range(dataset))
    by_channel = inputs.reshape(1437, 2, 32)
    assert np.array_equal(low, np.broadcast_to(by_channel.min(axis=(0, 2))[:, None], (2, 32)))
    assert np.array_equal(high, np.broadcast_to(by_channel.max(axis=(0, 2))[:, None], (2, 32)))
    assert input_range(plain) == (0.0, 1.0)

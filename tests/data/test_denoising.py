"""Denoising: any image set becomes inputs with noise and clean targets, drawn alike by everybody."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyadnet.analysis.trained import input_range, inputs_of
from dyadnet.config import DataSpec
from dyadnet.data import AugmentSpec, Dataset, as_dataset, denoising, load
from dyadnet.data.dataset import image_target
from dyadnet.data.noise import standard_normal
from dyadnet.errors import ConfigError

DOUBLE = np.dtype(np.float64)
ROWS = np.arange(40)


def noisy(deviation: float = 0.5) -> Dataset:
    return denoising(load("digits"), deviation)


def pair(dataset: Dataset, part: str, rows: Any, drawn: tuple[int, int] = (0, 0), dtype: Any = DOUBLE) -> Any:
    """Inputs and targets."""
    return dataset.inputs(part, rows, dtype, drawn), dataset.targets(dataset.part(part), rows, dtype, drawn)


def test_targets_are_the_images_and_inputs_have_noise_that_is_not_clipped() -> None:
    digits, found = load("digits"), noisy()
    assert (found.outputs, found.features, found.image) == (64, 64, (1, 8, 8))
    inputs, targets = pair(found, "train", np.arange(1000))
    assert np.array_equal(targets, digits.train.images[:1000] / 16)
    xi = (inputs - targets) / 0.5
    # Moments and quantiles of 64,000 standard normal draws, each within five standard errors.
    assert abs(xi.mean()) < 0.02
    assert abs(xi.var() - 1) < 0.03
    assert abs(np.mean(np.abs(xi) < 0.6745) - 0.5) < 0.01
    assert abs(np.mean(xi**4) - 3) < 0.2
    assert inputs.min() < 0
    assert inputs.max() > 1
    # Nothing is kept twice.
    assert found.train.labels is found.train.images


@given(st.lists(st.integers(0, 400), min_size=1, max_size=8), st.integers(0, 3), st.integers(0, 5))
def test_a_rows_noise_depends_on_no_other_row(rows: list[int], epoch: int, seed: int) -> None:
    found = standard_normal("train", np.array(rows), 5, seed, epoch)
    alone = [standard_normal("train", np.array([row]), 5, seed, epoch)[0] for row in rows]
    assert np.array_equal(found, alone)


def test_training_draws_anew_each_epoch_and_evaluation_once_for_all_seeds() -> None:
    def drawn(part: str, seed: int, epoch: int) -> Any:
        return standard_normal(part, ROWS, 64, seed, epoch)

    trained = [drawn("train", seed, epoch) for seed in (0, 1) for epoch in (1, 2)]
    evaluated = [drawn("train", 0, 0), drawn("test", 0, 0)]
    different = trained + evaluated
    for index, one in enumerate(different):
        for other in different[index + 1 :]:
            assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.1
    assert np.array_equal(drawn("test", 7, 0), drawn("test", 0, 0))
    assert np.array_equal(drawn("validation", 7, 0), drawn("train", 0, 0))


def test_both_types_see_the_same_noise() -> None:
    single, double = (noisy().inputs("test", ROWS, dtype) for dtype in (np.dtype(np.float32), DOUBLE))
    assert np.allclose(single, double, atol=1e-6)


def test_noise_comes_before_normalising_and_after_flips_and_shifts_that_targets_follow() -> None:
    augment = AugmentSpec(flip=True, shift=2)
    inputs, targets = pair(noisy(0.0).varied(augment), "train", ROWS, (3, 1))
    assert np.array_equal(inputs, targets)
    assert not np.array_equal(targets, pair(noisy(0.0), "train", ROWS, (3, 1))[1])
    varied = noisy().varied(augment)
    given, wanted = pair(varied.normalised(), "train", ROWS, (3, 1))
    normalisation = varied.normalised().normalisation
    assert normalisation is not None
    assert np.allclose(given, normalisation.of(varied.inputs("train", ROWS, DOUBLE, (3, 1))))
    assert np.array_equal(wanted, targets)


def test_what_an_adversary_may_do_leaves_noise_its_room() -> None:
    assert input_range(noisy(0.0)) == (0.0, 1.0)
    assert input_range(noisy(0.5)) == (-4.0, 5.0)
    low, high = input_range(noisy(0.5).normalised())
    inputs = noisy(0.5).normalised().inputs("train", ROWS, DOUBLE)
    assert (inputs > low).all()
    assert (inputs < high).all()
    assert np.ptp(high - low) == 0
    # An analysis looks at what evaluations see.
    seen, wanted = inputs_of(noisy(0.5), "test", ROWS)
    assert np.array_equal(seen, noisy(0.5).inputs("test", ROWS, DOUBLE))
    assert np.array_equal(wanted, load("digits").test.images[ROWS] / 16)


def test_data_in_memory_of_either_kind_of_number() -> None:
    draws = np.random.default_rng(0)
    for images, scale in (
        (draws.integers(0, 256, (20, 3, 5, 6), dtype=np.uint8), 1 / 255),
        (draws.random((20, 5, 6)), 1),
    ):
        found = denoising(as_dataset((images, np.arange(20) % 4)), 0.1)
        expected = (3, 5, 6) if images.ndim == 4 else (1, 5, 6)
        assert found.image == expected
        kept = np.concatenate([found.train.labels, found.test.labels])
        assert sorted(kept.ravel().tolist()) == sorted(images.ravel().tolist())
        targets = pair(found, "test", np.arange(2))[1]
        assert np.allclose(targets, found.test.images[:2] * scale)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ((np.zeros((9, 4)), np.arange(9) % 2), "data.task: 'denoise' is not legal; data whose samples are images"),
        ((np.zeros((9, 4, 4)), np.zeros(9)), "data.task: 'denoise' .* are numbers, which are learned as they are"),
    ],
)
def test_what_cannot_be_denoised_is_refused(data: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        denoising(as_dataset(data), 0.1)


def test_noise_goes_with_its_task() -> None:
    assert DataSpec(task="denoise").noise == 0.5
    assert DataSpec(task="denoise", noise=0.0).noise == 0.0
    assert DataSpec().noise is None
    for values, words in (
        ({"noise": 0.3}, "data.noise: 0.3 is not legal; only task: denoise adds noise"),
        ({"task": "denoise", "noise": -1}, "noise: -1"),
        ({"task": "denoise", "noise": float("nan")}, "noise"),
        ({"task": "segment"}, "task: 'segment'"),
    ):
        with pytest.raises(ConfigError, match=words):
            DataSpec.read(values)


@pytest.mark.parametrize(
    ("shape", "image"),
    [
        *(((4, 5), (1, 4, 5)), ((1, 4, 5), (1, 4, 5)), ((3, 4, 5), (3, 4, 5)), ((), None), ((9,), None)),
        *(((2, 4, 5), None), ((4, 5, 3), None), ((2, 5), None), ((1, 1, 4, 4), None)),
    ],
)
def test_which_targets_are_images(shape: tuple[int, ...], image: tuple[int, ...] | None) -> None:
    assert image_target(shape) == image


def test_images_beyond_0_to_1_have_no_scores_of_images_and_that_is_said() -> None:
    x, y = np.random.default_rng(0).random((2, 30, 4, 4))
    y.flat[:2] = 0, 1
    assert as_dataset((x, y)).image == (1, 4, 4)
    assert as_dataset((x, y)).notes == ()
    far = as_dataset((x, 3 * y - 1))
    assert far.image is None
    (note,) = far.notes
    assert "goes from -1 to 2, so there is no PSNR and no SSIM" in note
    assert replace(far, numbers=None).image is None

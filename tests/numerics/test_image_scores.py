"""PSNR and SSIM against scikit-image, where there is one, and against the paper's sums written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from dyadnet.numerics.image_scores import LEAST, image_scores, ssim

Array = NDArray[np.float64]
SHAPES = [(1, 28, 28), (3, 32, 32), (1, 11, 14), (1, 8, 8), (3, 4, 20), (1, 3, 3)]


def pair(shape: tuple[int, int, int], count: int = 6, noise: float = 0.2) -> tuple[Array, Array]:
    """Images and noisy ones, which go beyond 0 to 1."""
    draws = np.random.default_rng(0)
    clean = draws.random((count, *shape))
    return clean, clean + noise * draws.standard_normal(clean.shape)


def reference(x: Array, y: Array) -> float:
    """SSIM of one channel by the sums of Wang et al. (2004), window after window."""
    sizes = [min(11, size if size % 2 else size - 1) for size in x.shape]
    rows, columns = (np.exp(-((np.arange(size) - size // 2) ** 2) / (2 * 1.5**2)) for size in sizes)
    weights = np.outer(rows, columns) / np.outer(rows, columns).sum()
    found = []
    for top in range(x.shape[0] - sizes[0] + 1):
        for left in range(x.shape[1] - sizes[1] + 1):
            a, b = (one[top : top + sizes[0], left : left + sizes[1]] for one in (x, y))
            mean_a, mean_b = np.sum(weights * a), np.sum(weights * b)
            var_a, var_b = np.sum(weights * (a - mean_a) ** 2), np.sum(weights * (b - mean_b) ** 2)
            covariance = np.sum(weights * (a - mean_a) * (b - mean_b))
            luminance = (2 * mean_a * mean_b + 0.01**2) / (mean_a**2 + mean_b**2 + 0.01**2)
            found.append(luminance * (2 * covariance + 0.03**2) / (var_a + var_b + 0.03**2))
    return float(np.mean(found))


@pytest.mark.parametrize("shape", SHAPES)
def test_ssim_is_the_papers(shape: tuple[int, int, int]) -> None:
    clean, noisy = pair(shape)
    expected = [
        np.mean([reference(x, y) for x, y in zip(a, b, strict=True)]) for a, b in zip(clean, noisy, strict=True)
    ]
    assert np.allclose(ssim(noisy, clean), expected, rtol=0, atol=1e-12)
    assert np.allclose(ssim(clean, clean), 1)


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if min(shape[1:]) >= 11])
def test_scores_are_those_of_scikit_image(shape: tuple[int, int, int]) -> None:
    metrics = pytest.importorskip("skimage.metrics")
    clean, noisy = pair(shape)
    similar = [
        metrics.structural_similarity(
            *one, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1, channel_axis=0
        )
        for one in zip(clean, noisy, strict=True)
    ]
    ratios = [metrics.peak_signal_noise_ratio(*one, data_range=1) for one in zip(clean, noisy, strict=True)]
    psnr, similarity = image_scores(noisy.reshape(len(noisy), -1), clean.reshape(len(clean), -1), shape)
    assert similarity / len(clean) == pytest.approx(np.mean(similar), abs=1e-6)
    assert psnr / len(clean) == pytest.approx(np.mean(ratios), abs=1e-9)


def test_psnr_is_averaged_in_decibels_and_has_an_end() -> None:
    targets = np.zeros((3, 12))
    outputs = np.stack([np.full(12, 0.1), np.full(12, 0.01), np.zeros(12)])
    assert image_scores(outputs, targets, (3, 2, 2))[0] == pytest.approx(20 + 40 - 10 * math.log10(LEAST))


def test_sums_do_not_depend_on_how_many_come_together_and_are_of_images_alone() -> None:
    clean, noisy = (array.reshape(150, -1).astype(np.float32) for array in pair((1, 12, 12), 150))
    whole = image_scores(noisy, clean, (1, 12, 12))
    parts = [image_scores(noisy[at : at + 50], clean[at : at + 50], (1, 12, 12)) for at in (0, 50, 100)]
    assert whole == pytest.approx(np.sum(parts, axis=0), rel=1e-12)
    assert image_scores(noisy, clean, None) == (0.0, 0.0)

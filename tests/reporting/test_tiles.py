"""Pictures of weights and feature maps show every number at its place, whatever the shapes."""

from __future__ import annotations

import io
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from numpy.typing import NDArray

from dyadnet.errors import ConfigError
from dyadnet.network.description import Network, Population, Projection
from dyadnet.reporting.tiles import CELLS, MOST, Picture, mosaic, of_image, of_maps, of_weights, png

Array = NDArray[Any]


def drawn(kind: Any, post: Any, pre: Any, theta: Array, *, image: Any = None, hidden: bool = False) -> Picture:
    """The weights of one projection between neurons of these shapes, from the input or between populations."""
    populations = (*((_population("low", pre),) if hidden else ()), _population("h", post))
    below = (Projection("input", "low"),) if hidden else ()
    lam = 0.0 if hidden else None
    projection = Projection("low" if hidden else "input", "h", lam, kind=kind)
    network = Network(pre if len(pre) == 3 else pre[0], populations, (*below, projection))
    return of_weights(network, projection, {projection.name: theta}, image)


def _population(name: str, shape: Any) -> Population:
    return Population(name, shape=shape) if len(shape) == 3 else Population(name, shape[0])


def test_a_png_holds_the_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 4)).astype(np.uint8)
    read = matplotlib.image.imread(io.BytesIO(png(pixels)), format="png")
    np.testing.assert_array_equal(np.rint(255 * read), pixels)


@pytest.mark.parametrize(("count", "columns", "shape"), [(6, 3, (11, 8)), (5, 2, (17, 5)), (1, 1, (5, 2))])
def test_tiles_stand_side_by_side_with_gaps(count: int, columns: int, shape: tuple[int, int]) -> None:
    tiles = (
        np.full((count, 5, 2, 4), 255, dtype=np.uint8) * np.arange(1, count + 1, dtype=np.uint8)[:, None, None, None]
    )
    found = mosaic(tiles, columns)
    assert found.shape == (*shape, 4)
    for number in range(count):
        top, left = 6 * (number // columns), 3 * (number % columns)
        np.testing.assert_array_equal(found[top : top + 5, left : left + 2], tiles[number])
    assert np.count_nonzero(found[..., 3]) == 10 * count


def test_rows_of_any_length_make_a_wide_picture() -> None:
    for count, height, width in [(64, 5, 5), (32, 12, 3), (7, 1, 30)]:
        tiles = np.full((count, height, width, 4), 255, dtype=np.uint8)
        high, wide, _ = mosaic(tiles, None).shape
        assert wide >= high or wide == width


def test_kernels_have_a_row_for_each_filter_and_a_tile_for_each_channel() -> None:
    theta = np.zeros((2, 3, 4, 5))
    theta[1, 2] = 0.7
    theta[0, 1, 3, 4] = -0.7
    found = drawn({"kind": "convolution", "kernel": [4, 5]}, (2, 3, 4), (3, 6, 8), theta, hidden=True)
    assert found.pixels.shape == (2 * 5 - 1, 3 * 6 - 1, 4)
    red, blue = found.pixels[5, 12], found.pixels[3, 10]
    assert red[0] > red[2]
    assert blue[2] > blue[0]
    assert "−0.7" in found.note
    assert "a tile for each presynaptic channel" in found.note
    light = [pixel for pixel in found.pixels.reshape(-1, 4) if pixel[3] and min(pixel[:3]) > 230]
    assert len(light) == 6 * 20 - 20 - 1, "all others are zero"


def test_kernels_of_three_channels_of_the_input_are_in_colour() -> None:
    theta = np.zeros((4, 3, 2, 2))
    theta[0, 0], theta[1, 2] = 1.0, 1.0
    found = drawn({"kind": "convolution", "kernel": 2}, (4, 5, 6), (3, 6, 7), theta)
    np.testing.assert_array_equal(found.pixels[0, 0], [255, 128, 128, 255])
    np.testing.assert_array_equal(found.pixels[0, 3], [128, 128, 255, 255])


def test_neurons_that_see_images_have_receptive_fields_in_their_shape() -> None:
    theta = np.random.default_rng(0).standard_normal((3, 2 * 4 * 7))
    found = drawn("dense", (3,), (2, 4, 7), theta)
    assert found.pixels.shape == (3 * 5 - 1, 2 * 8 - 1, 4)
    told = drawn("dense", (3,), (28,), theta[:, :28], image=(1, 4, 7))
    assert told.pixels.shape[0] % 5 == 4, "tiles of 4 rows"
    assert told.pixels.shape[1] % 8 == 7, "and 7 columns"
    plain = drawn("dense", (3,), (28,), theta[:, :28])
    assert plain.pixels.shape == (3, 28, 4), "no square root, no shape: the matrix"


def test_only_the_first_of_many_are_shown_and_that_is_said() -> None:
    found = drawn("dense", (MOST + 6,), (1, 2, 2), np.ones((MOST + 6, 4)))
    assert f"the first {MOST} of {MOST + 6} neurons" in found.note
    assert np.count_nonzero(found.pixels[..., 3]) == 4 * MOST


def test_sparse_synapses_are_shown_as_pairs() -> None:
    pairs = [[0, 3], [2, 1], [2, 2]]
    found = drawn({"kind": "pairs", "pairs": pairs}, (3,), (5,), np.ones(3))
    dark = np.argwhere(found.pixels[..., 0] < 100)
    assert dark.tolist() == pairs
    assert "3 synapses, 20 % of all pairs" in found.note
    back = drawn({"kind": "transposed", "of": {"kind": "pairs", "pairs": pairs}}, (5,), (3,), np.ones(3))
    assert sorted(np.argwhere(back.pixels[..., 0] < 100).tolist()) == sorted([pre, post] for post, pre in pairs)


def test_pairs_of_many_neurons_share_cells() -> None:
    n = 2 * CELLS + 1
    found = drawn("one_to_one", (n,), (n,), np.ones(n))
    cells = n // 3
    assert found.pixels.shape == (cells, cells, 4)
    assert np.argwhere(found.pixels[..., 0] < 100).tolist() == [[k, k] for k in range(cells)]
    assert "a cell stands for 3x3 pairs, the darkest for 3 synapses" in found.note


def test_what_learns_nothing_has_no_picture() -> None:
    with pytest.raises(ConfigError, match=r"input->h.* is not legal"):
        drawn({"kind": "pooling", "size": 2}, (1, 2, 2), (1, 4, 4), np.zeros(0))


def test_maps_go_from_dark_to_bright_between_the_bounds() -> None:
    values = np.zeros((2, 3, 2))
    values[1, 2, 1] = 0.5
    open_ended, bounded = of_maps("h", values), of_maps("h", values, (0.0, 1.0))
    assert open_ended.pixels.shape == (3, 5, 4)
    assert open_ended.pixels[2, 4].sum() > bounded.pixels[2, 4].sum() > bounded.pixels[0, 0].sum()
    assert "bright 0.5" in open_ended.note
    assert "bright 1" in bounded.note
    assert of_maps("h", np.ones((1, 2, 2))).pixels.shape == (2, 2, 4), "constant maps are no division by zero"


def test_an_image_of_three_channels_is_in_colour() -> None:
    values = np.zeros((3, 2, 4))
    values[0, 1, 3] = 2.0
    pixels = of_image("input", values).pixels
    assert pixels.shape == (2, 4, 4)
    np.testing.assert_array_equal(pixels[1, 3], [255, 0, 0, 255])
    assert of_image("input", values[:2]).pixels.shape == (2, 9, 4)

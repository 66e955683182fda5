"""Pictures of weights and of feature maps: tiles side by side, as pixels that any page or figure shows.

A picture is an array of bytes, shape (height, width, 4): red, green, blue, and 0 where tiles leave a gap.
"""

from __future__ import annotations

import base64
import math
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.errors import ConfigError
from dyadnet.network.description import Network, Projection
from dyadnet.runs.export.layout import named
from dyadnet.synapses.base import Ends, ProjectionKind, Shape
from dyadnet.synapses.convolution import Convolution
from dyadnet.synapses.dense import Dense
from dyadnet.synapses.sparse import Sparse
from dyadnet.synapses.transposed import Transposed

Array = NDArray[Any]
Pixels = NDArray[np.uint8]

MOST = 64
"""Rows of tiles, and tiles in a row, that are shown at most, the first ones."""
CELLS = 256
"""Cells a side of a picture of pairs at most; of more neurons several share one."""
GAP = 1
WIDE = 2.0
"""Width of a picture over its height, about, if tiles may be in rows of any length."""
SIGNED = np.array([[33, 90, 160], [120, 170, 210], [245, 245, 242], [235, 150, 110], [178, 40, 50]])
RISING = np.array([[28, 20, 60], [60, 80, 150], [60, 150, 150], [150, 205, 105], [250, 235, 130]])
"""Colours of numbers from the least to the greatest; the middle one of `SIGNED` is zero."""
COLOURED = 3
"""Channels of an image that are red, green and blue."""


@dataclass(frozen=True)
class Picture:
    """Tiles as one picture.

    Attributes
    ----------
    title, note
        What it shows, and what its colours and its tiles mean.
    pixels
        Bytes, shape (height, width, 4).
    """

    title: str
    note: str
    pixels: Pixels

    @property
    def uri(self) -> str:
        """The picture as a PNG within an address, which a page shows without fetching anything."""
        return "data:image/png;base64," + base64.b64encode(png(self.pixels)).decode()


def of_weights(
    network: Network, projection: Projection, arrays: dict[str, Array], image: Shape | None = None
) -> Picture:
    """A picture of a projection's weights.

    Of a convolution and of a dense projection from neurons with a shape: each postsynaptic channel or neuron has tiles,
    one for each presynaptic channel, or one in colour for three channels of the input. Of sparse synapses: which pairs
    of neurons have one. Of others: the matrix θ.

    Parameters
    ----------
    arrays
        As `dyadnet.Run.weights` has them.
    image
        Shape of the data's images, (channels, height, width), where the network does not say so.

    Raises
    ------
    ConfigError
        If the projection has no weights.
    """
    kind, ends = projection.connectivity, network.ends(projection)
    own = {name: arrays[named(projection.name, name)] for name in kind.shapes(ends)}
    if not own:
        raise ConfigError("projection", projection.name, "one that learns weights; this one has none")
    inner = kind.of if isinstance(kind, Transposed) else kind
    if isinstance(inner, Sparse):
        return _pairs(projection.name, _joined(kind, ends), (ends.n_post, ends.n_pre))
    theta = np.asarray(next(iter(own.values())), dtype=np.float64)
    shape = image if projection.from_input and image is not None else ends.pre
    if projection.is_dense and len(shape) == 3:
        theta = theta.reshape(ends.n_post, *shape)
    elif not isinstance(inner, Dense | Convolution):
        theta = kind.dense(kind.prepared(own, ends), ends)
    most = float(np.abs(theta).max(initial=0.0))
    note = f"blue −{most:.3g}, white 0, red {most:.3g}"
    if theta.ndim == 2:
        return Picture(projection.name, f"{note}; a row for each postsynaptic neuron", _signed(theta, most))
    coloured = projection.from_input and inner is kind and theta.shape[1] == COLOURED
    if coloured:
        note = f"grey 0; red, green and blue from −{most:.3g} to {most:.3g}"
    told = "each has a row, with a tile for each presynaptic channel" if not coloured and theta.shape[1] > 1 else ""
    what = "neurons" if projection.is_dense else "filters"
    note = "; ".join(part for part in (note, told, _left(len(theta), what), _left(theta.shape[1], "channels")) if part)
    return Picture(projection.name, note, _kernels(theta[:MOST, :MOST], most, coloured=coloured))


def of_maps(title: str, values: Array, bounds: tuple[float, float] = (-math.inf, math.inf)) -> Picture:
    """Feature maps of one sample, a tile for each channel; an image of three channels in colour with `of_image`.

    Parameters
    ----------
    values
        Shape (channels, height, width).
    bounds
        Between which they lie; where these are infinite, between their own least and greatest.
    """
    least, most = (b if math.isfinite(b) else float(own) for b, own in zip(bounds, _range(values), strict=True))
    pixels = mosaic(_ramp((values[:MOST] - least) / ((most - least) or 1.0), RISING), None)
    left = _left(len(values), "channels")
    return Picture(title, f"dark {least:.3g}, bright {most:.3g}" + (f"; {left}" if left else ""), pixels)


def of_image(title: str, values: Array) -> Picture:
    """An image that a network is shown: in colour if it has three channels, a tile for each otherwise.

    Parameters
    ----------
    values
        Shape (channels, height, width).
    """
    if len(values) != COLOURED:
        return of_maps(title, values)
    least, most = _range(values)
    share = (values.transpose(1, 2, 0) - least) / ((most - least) or 1.0)
    return Picture(title, "", _opaque(255 * share))


def mosaic(tiles: Pixels, columns: int | None) -> Pixels:
    """Tiles in rows, with a transparent gap between them.

    Parameters
    ----------
    tiles
        Shape (tiles, height, width, 4).
    columns
        Tiles in a row; as many as make the picture about `WIDE` times as wide as high, if it is None.
    """
    count, height, width, _ = tiles.shape
    if columns is None:
        columns = min(count, max(1, math.ceil(math.sqrt(WIDE * count * (height + GAP) / (width + GAP)))))
    rows = -(-count // columns)
    found = np.zeros((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 4), dtype=np.uint8)
    for number, tile in enumerate(tiles):
        top, left = (number // columns) * (height + GAP), (number % columns) * (width + GAP)
        found[top : top + height, left : left + width] = tile
    return found


def png(pixels: Pixels) -> bytes:
    """A PNG file of some pixels, shape (height, width, 4)."""
    height, width, _ = pixels.shape
    lines = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    parts = (b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )


def _kernels(theta: Array, most: float, *, coloured: bool) -> Pixels:
    """Tiles of weights of the shape (filters, channels, height, width)."""
    inputs, height, width = theta.shape[1:]
    if coloured:
        share = 0.5 + 0.5 * theta.transpose(0, 2, 3, 1) / (most or 1.0)
        return mosaic(_opaque(255 * share), None)
    return mosaic(_signed(theta.reshape(-1, height, width), most), inputs if inputs > 1 else None)


def _joined(kind: ProjectionKind, ends: Ends) -> tuple[Array, Array]:
    """Postsynaptic neurons of sparse synapses, and the presynaptic one of each."""
    if isinstance(kind, Sparse):
        return kind.pairs(ends)
    assert isinstance(kind, Transposed)
    assert isinstance(kind.of, Sparse)
    back, _, forth = ends.name.partition("->")
    pre, post = kind.of.pairs(Ends(ends.pre, ends.post, f"{forth}->{back}"))
    return post, pre


def _pairs(title: str, pairs: tuple[Array, Array], size: tuple[int, int]) -> Picture:
    """Which pairs of neurons have a synapse; dark where more of a cell's pairs have one."""
    post, pre = pairs
    steps = [-(-side // CELLS) for side in size]
    cells = [-(-side // step) for side, step in zip(size, steps, strict=True)]
    counts = np.zeros(cells)
    np.add.at(counts, (post // steps[0], pre // steps[1]), 1)
    share = counts / (counts.max(initial=0.0) or 1.0)
    grey = np.repeat(235 - 200 * share[..., None], 3, axis=2)
    some = f"; a cell stands for {steps[0]}x{steps[1]} pairs, the darkest for {counts.max():.0f} synapses"
    density = 100 * len(post) / (size[0] * size[1])
    note = f"{len(post)} synapses, {density:.3g} % of all pairs; a row for each postsynaptic neuron"
    return Picture(title, note + (some if max(steps) > 1 else ""), _opaque(grey))


def _signed(values: Array, most: float) -> Pixels:
    return _ramp(0.5 + 0.5 * values / (most or 1.0), SIGNED)


def _ramp(share: Array, colours: NDArray[np.int64]) -> Pixels:
    """Numbers from 0 to 1 as colours, shape (..., 4)."""
    at = np.clip(share, 0.0, 1.0) * (len(colours) - 1)
    places = np.arange(len(colours))
    return _opaque(np.stack([np.interp(at, places, colours[:, one]) for one in range(3)], axis=-1))


def _opaque(colours: Array) -> Pixels:
    """Colours from 0 to 255, shape (..., 3), as pixels without gaps."""
    whole = np.full((*colours.shape[:-1], 4), 255, dtype=np.uint8)
    whole[..., :3] = np.clip(np.rint(colours), 0, 255)
    return whole


def _range(values: Array) -> tuple[float, float]:
    return float(values.min(initial=math.inf)), float(values.max(initial=-math.inf))


def _left(count: int, what: str) -> str:
    return f"the first {MOST} of {count} {what}" if count > MOST else ""

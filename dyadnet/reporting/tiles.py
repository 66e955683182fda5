"""Pictures of weights and of feature maps: tiles side by side, as pixels for pages and figures.

A picture is an array of bytes, shape (height, width, 4): red, green, blue and opacity, which is 0 in the gaps between
tiles.
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
"""Largest number of rows of tiles, and of tiles in a row; the first ones are shown."""
CELLS = 256
"""Largest number of cells on each side of a picture of pairs; with more neurons, several share a cell."""
GAP = 1
WIDE = 2.0
"""Approximate ratio of width to height of a picture, if the number of tiles in a row is free."""
SIGNED = np.array([[33, 90, 160], [120, 170, 210], [245, 245, 242], [235, 150, 110], [178, 40, 50]])
RISING = np.array([[28, 20, 60], [60, 80, 150], [60, 150, 150], [150, 205, 105], [250, 235, 130]])
"""Colour scales from the smallest to the largest value; the middle colour of `SIGNED` is zero."""
COLOURED = 3
"""Number of channels of a colour image: red, green and blue."""


@dataclass(frozen=True)
class Picture:
    """Tiles as one picture.

    Attributes
    ----------
    title, note
        Its title, and the meaning of its colours and tiles.
    pixels
        Bytes, shape (height, width, 4).
    """

    title: str
    note: str
    pixels: Pixels

    @property
    def uri(self) -> str:
        """The picture as a PNG in a data URI, which a page can show without loading a file."""
        return "data:image/png;base64," + base64.b64encode(png(self.pixels)).decode()


def of_weights(
    network: Network, projection: Projection, arrays: dict[str, Array], image: Shape | None = None
) -> Picture:
    """Create a picture of a projection's weights.

    A convolution, or a dense projection from neurons with a shape, has tiles for each postsynaptic channel or neuron:
    one tile for each presynaptic channel, or one colour tile if the input has three channels. For sparse synapses, the
    picture shows the pattern of connected pairs. For all others, it shows the matrix θ.

    Parameters
    ----------
    arrays
        Arrays as in `dyadnet.Run.weights`.
    image
        Shape of the data's images, (channels, height, width), if the network does not define it.

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
    """Create a picture of feature maps of one sample, with one tile for each channel; for images see `of_image`.

    Parameters
    ----------
    values
        Shape (channels, height, width).
    bounds
        Range of the colour scale; an infinite bound is replaced by the smallest or largest value.
    """
    least, most = (b if math.isfinite(b) else float(own) for b, own in zip(bounds, _range(values), strict=True))
    pixels = mosaic(_ramp((values[:MOST] - least) / ((most - least) or 1.0), RISING), None)
    left = _left(len(values), "channels")
    return Picture(title, f"dark {least:.3g}, bright {most:.3g}" + (f"; {left}" if left else ""), pixels)


def of_image(title: str, values: Array) -> Picture:
    """Create a picture of an input image: in colour if it has three channels, else one tile for each channel.

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
    """Arrange tiles in rows, with a transparent gap between them.

    Parameters
    ----------
    tiles
        Shape (tiles, height, width, 4).
    columns
        Number of tiles in a row. None: chosen so that the picture is about `WIDE` times as wide as high.
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
    """Encode pixels of shape (height, width, 4) as a PNG file."""
    height, width, _ = pixels.shape
    lines = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    parts = (b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )


def _kernels(theta: Array, most: float, *, coloured: bool) -> Pixels:
    """Arrange weights of the shape (filters, channels, height, width) as tiles."""
    inputs, height, width = theta.shape[1:]
    if coloured:
        share = 0.5 + 0.5 * theta.transpose(0, 2, 3, 1) / (most or 1.0)
        return mosaic(_opaque(255 * share), None)
    return mosaic(_signed(theta.reshape(-1, height, width), most), inputs if inputs > 1 else None)


def _joined(kind: ProjectionKind, ends: Ends) -> tuple[Array, Array]:
    """Return the postsynaptic and presynaptic neuron of each sparse synapse."""
    if isinstance(kind, Sparse):
        return kind.pairs(ends)
    assert isinstance(kind, Transposed)
    assert isinstance(kind.of, Sparse)
    back, _, forth = ends.name.partition("->")
    pre, post = kind.of.pairs(Ends(ends.pre, ends.post, f"{forth}->{back}"))
    return post, pre


def _pairs(title: str, pairs: tuple[Array, Array], size: tuple[int, int]) -> Picture:
    """Draw which pairs of neurons have a synapse; darker cells contain more synapses."""
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
    """Convert numbers from 0 to 1 to colours, shape (..., 4)."""
    at = np.clip(share, 0.0, 1.0) * (len(colours) - 1)
    places = np.arange(len(colours))
    return _opaque(np.stack([np.interp(at, places, colours[:, one]) for one in range(3)], axis=-1))


def _opaque(colours: Array) -> Pixels:
    """Convert colours from 0 to 255, shape (..., 3), to opaque pixels."""
    whole = np.full((*colours.shape[:-1], 4), 255, dtype=np.uint8)
    whole[..., :3] = np.clip(np.rint(colours), 0, 255)
    return whole


def _range(values: Array) -> tuple[float, float]:
    return float(values.min(initial=math.inf)), float(values.max(initial=-math.inf))


def _left(count: int, what: str) -> str:
    return f"the first {MOST} of {count} {what}" if count > MOST else ""

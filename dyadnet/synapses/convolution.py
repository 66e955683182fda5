"""Convolution and pooling: populations of the shape (channels, height, width)."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, field_validator

from dyadnet.numerics import plans as c
from dyadnet.schema import Positive
from dyadnet.synapses.base import Ends, Shape
from dyadnet.synapses.compiled import CompiledKind, Plan

Side = Positive | tuple[Positive, Positive]
"""Size of a window: one number, or height and width."""
CHOICES = 8
NOT_IMAGES = "populations of the shape (channels, height, width); give both a shape"


def sides(given: int | tuple[int, int]) -> tuple[int, int]:
    """Return height and width."""
    return (given, given) if isinstance(given, int) else given


class Windows(CompiledKind):
    """A kind that moves a window over images.

    Attributes
    ----------
    kernel
        Side of the window, or (height, width).
    stride
        Step of the window.
    padding
        Number of zeros around the image, or ``same``: keep the image size, for a stride of 1 and odd windows.
    """

    kernel: Side
    stride: Positive = 1
    padding: Annotated[int, Field(ge=0)] | Literal["same"] = 0

    @field_validator("kernel", mode="before")
    @classmethod
    def _two(cls, kernel: Any) -> Any:
        if isinstance(kernel, list | tuple) and len(kernel) != 2:
            raise ValueError("one number, or height and width")
        return kernel

    def margins(self) -> tuple[int, int]:
        """Return the number of zeros above and below, and to the left and right."""
        height, width = sides(self.kernel)
        return (height // 2, width // 2) if self.padding == "same" else (int(self.padding), int(self.padding))

    def moved(self, shape: Shape) -> tuple[int, int]:
        """Return the number of positions of the window, down and across."""
        _, *image = shape
        down, across = (
            (size + 2 * margin - kernel) // self.stride + 1
            for size, margin, kernel in zip(image, self.margins(), sides(self.kernel), strict=True)
        )
        return down, across

    def unfit_window(self, ends: Ends) -> str | None:
        """Return why the window cannot move over the presynaptic population, or None."""
        if len(ends.post) != 3 or len(ends.pre) != 3:
            return NOT_IMAGES
        return self.unfit_window_of(ends.pre)

    def unfit_window_of(self, pre: Shape) -> str | None:
        """Return why the window cannot move over images of this shape, or None."""
        kernel = sides(self.kernel)
        if self.padding == "same" and (self.stride != 1 or not all(side % 2 for side in kernel)):
            return "padding: same only with stride 1 and an odd kernel"
        padded = [size + 2 * margin for size, margin in zip(pre[1:], self.margins(), strict=True)]
        if any(side > size for side, size in zip(kernel, padded, strict=True)):
            return f"a kernel of at most {padded[0]}x{padded[1]}, the image with its padding, not {_times(kernel)}"
        return None


class Convolution(Windows):
    """A convolution with shared weights, with optional pooling.

    θ has the shape (filters, channels, kernel height, kernel width). The postsynaptic population has the shape
    (filters, height, width). Blocks consist of whole channels.

    Attributes
    ----------
    average_pool, max_pool
        Side of adjacent windows over the results of the convolution. The output is the mean or the maximum of each
        window; 1: no pooling.
    choices
        Number of firings of the postsynaptic block, in the first phase of a relaxation, in which the held means
        determine the maximum. Then the choice is fixed, because negative feedback weakens the chosen neuron, and the
        network would never settle.
    """

    kind: Literal["convolution"] = "convolution"
    average_pool: Positive = 1
    max_pool: Positive = 1
    choices: Positive = CHOICES

    @property
    def pool(self) -> int:
        """Side of the pooling windows."""
        return max(self.average_pool, self.max_pool)

    def output(self, pre: Shape, filters: int) -> Shape:
        """Return the shape of the postsynaptic population."""
        down, across = self.moved(pre)
        return filters, down // self.pool, across // self.pool

    def misfit(self, ends: Ends) -> str | None:
        """See `ProjectionKind.misfit`."""
        if problem := self.unfit_window(ends):
            return problem
        if min(self.average_pool, self.max_pool) > 1:
            return "one of average_pool and max_pool, not both"
        moved = self.moved(ends.pre)
        if any(size % self.pool for size in moved):
            return f"{dividing(moved)} results of a channel, not {self.pool}x{self.pool}"
        return other_shape(self.output(ends.pre, ends.post[0]), ends)

    def shape(self, ends: Ends) -> tuple[int, ...]:
        """Return (filters, channels, kernel height, kernel width)."""
        return (ends.post[0], ends.pre[0], *sides(self.kernel))

    def fan_in(self, ends: Ends) -> float:
        """Return the number of values in a window."""
        height, width = sides(self.kernel)
        return ends.pre[0] * height * width

    def part(self, ends: Ends, post: slice, pre: slice) -> Any:
        """Return the slices of filters and channels."""
        return channels(ends.post, post), channels(ends.pre, pre)

    def plan(self, ends: Ends, post: slice, pre: slice) -> Plan:
        """See `CompiledKind.plan`."""
        filters, inputs = length(channels(ends.post, post)), length(channels(ends.pre, pre))
        # The fast box average needs overlapping windows, so it works only with a stride of 1.
        box = self.average_pool if self.stride == 1 else 1
        (down, across), image, margins = self.moved(ends.pre), ends.pre[1:], self.margins()
        pool, stride, boxed = self.pool, self.stride, 0
        if box > 1:
            image = tuple(side + 2 * margin - box + 1 for side, margin in zip(image, margins, strict=True))
            down, across, pool, stride, boxed = down // box, across // box, 1, box, inputs * math.prod(image)
        area, kernel = down * across, inputs * math.prod(sides(self.kernel))
        together = max(1, c.COLUMNS // area)
        room = (kernel + filters) * together * area + filters * kernel + boxed
        plan = (c.CONVOLUTION, length(post), length(pre), filters * kernel, room, inputs, *image, filters, down, across)
        first = (0, 0) if box > 1 else margins
        pooled = pool, self.max_pool > 1, self.choices, together
        return np.array([*plan, *sides(self.kernel), stride, *first, *pooled, box, *margins], dtype=np.int64)

    def undivided(self, post_blocks: int, pre_blocks: int) -> str | None:
        """Refuse max pooling if the channels of a window are in several blocks, because no block knows the maximum."""
        if self.max_pool > 1 and pre_blocks > 1:
            return "a presynaptic population of one block where it has max_pool; leave out blocks, or take average_pool"
        return None


class Pooling(CompiledKind):
    """Each postsynaptic neuron receives the mean or the maximum of a window. Nothing is learned.

    Attributes
    ----------
    size
        Side of the windows, which are adjacent.
    of
        ``average`` or ``max``.
    choices
        See `Convolution`.
    """

    kind: Literal["pooling"] = "pooling"
    size: Annotated[int, Field(ge=2)]
    of: Literal["average", "max"] = "average"
    choices: Positive = CHOICES

    def output(self, pre: Shape) -> Shape:
        """Return the shape of the postsynaptic population."""
        return pre[0], pre[1] // self.size, pre[2] // self.size

    def misfit(self, ends: Ends) -> str | None:
        """See `ProjectionKind.misfit`."""
        if len(ends.post) != 3 or len(ends.pre) != 3:
            return NOT_IMAGES
        if any(size % self.size for size in ends.pre[1:]):
            return f"{dividing(ends.pre[1:])} numbers of a channel, not {self.size}x{self.size}"
        return other_shape(self.output(ends.pre), ends)

    def shape(self, ends: Ends) -> tuple[int, ...]:
        """Return (0,), because nothing is learned."""
        return (0,)

    def fan_in(self, ends: Ends) -> float:
        """Return the number of values in a window."""
        return self.size**2

    def part(self, ends: Ends, post: slice, pre: slice) -> Any:
        """Return an empty slice, because nothing is learned."""
        return slice(0, 0)

    def joins(self, ends: Ends, post: slice, pre: slice) -> bool:
        """Whether the neurons belong to the same channels. Each channel is pooled separately."""
        return channels(ends.post, post) == channels(ends.pre, pre)

    def undivided(self, post_blocks: int, pre_blocks: int) -> str | None:
        """Require equal numbers of blocks, because each channel is pooled separately."""
        return None if post_blocks == pre_blocks else "two populations of as many blocks"

    def plan(self, ends: Ends, post: slice, pre: slice) -> Plan:
        """See `CompiledKind.plan`."""
        count, (height, width) = length(channels(ends.pre, pre)), ends.pre[1:]
        image = count, height, width, count, height, width
        plan = (c.POOLING, length(post), length(pre), 0, 0, *image, 1, 1, 1, 0, 0)
        return np.array([*plan, self.size, self.of == "max", self.choices, 1, 1, 0, 0], dtype=np.int64)


def dividing(image: Shape) -> str:
    """Return which windows divide images of this size, as the beginning of an error."""
    sizes = [f"{side}x{side}" for side in range(2, min(image) + 1) if not any(length % side for length in image)]
    return f"windows that divide the {_times(image)} ({', '.join(sizes) or 'there are none: pad what is below'})"


def other_shape(wanted: Shape, ends: Ends) -> str | None:
    """Return what is wrong if the postsynaptic population does not have this shape, else None."""
    found = f"a postsynaptic population of the shape {list(wanted)}, not {list(ends.post)}"
    return None if wanted == ends.post else found


def channels(shape: Shape, neurons: slice) -> slice:
    """Return the slice of channels to which neurons belong."""
    area = shape[1] * shape[2]
    return slice(neurons.start // area, neurons.stop // area)


def length(part: slice) -> int:
    """Return the length of a slice."""
    return int(part.stop - part.start)


def _times(numbers: tuple[int, ...]) -> str:
    return "x".join(map(str, numbers))

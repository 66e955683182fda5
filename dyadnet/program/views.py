"""Pass many arrays to compiled code as one pointer.

numba passes an array as nine numbers, and a named tuple of fifty arrays as some four hundred, whenever one compiled
function calls another. This takes most of the time of compilation and of the call. A `View` is a named tuple of arrays
beside a table with their addresses and shapes. Compiled code takes the table's address and opens it once (`tables`,
`memory`, `state`). From there on it passes the address on, and ``view.blocks`` loads the parts of an array where they
are needed.

The tables never change while compiled code runs, so that their loads may be moved out of loops.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.core.imputils import lower_getattr_generic
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.extending import intrinsic, models, register_model
from numpy.typing import NDArray

from dyadnet.program.tables import Memory, State, Tables

ENTRY = 3
"""Numbers in a table for each array: its address, and its shape (of two axes)."""


class View(NamedTuple):
    """Arrays, and the table of their addresses and shapes.

    Attributes
    ----------
    arrays
        A named tuple, which keeps the arrays alive.
    table
        Shape (arrays, `ENTRY`).
    """

    arrays: Any
    table: NDArray[np.int64]

    @classmethod
    def of(cls, arrays: Any) -> View:
        """Return the view of a named tuple of C-contiguous arrays of one or two axes."""
        return cls(arrays, np.array([_entry(array) for array in arrays], dtype=np.int64))

    @property
    def address(self) -> int:
        """Address of the table, which compiled code takes."""
        return int(self.table.__array_interface__["data"][0])

    def put(self, name: str, array: NDArray[Any]) -> None:
        """Replace an array by another one, which the caller must keep alive."""
        self.table[self.arrays._fields.index(name)] = _entry(array)


def _entry(array: NDArray[Any]) -> tuple[int, ...]:
    assert array.flags.c_contiguous
    return (array.__array_interface__["data"][0], *array.shape, *([1] * (2 - array.ndim)))


class ViewType(types.Type):  # type: ignore[misc]
    """Numba type of the address of a table, with the types of the arrays behind it.

    Parameters
    ----------
    fields
        Name, type of the numbers, and number of axes of each array.
    """

    def __init__(self, fields: tuple[tuple[str, Any, int], ...]) -> None:
        self.fields = fields
        super().__init__(name=f"View({', '.join(f'{name}: {dtype}{axes}' for name, dtype, axes in fields)})")

    def array(self, name: str) -> tuple[int, Any]:
        """Return the position and type of an array."""
        for position, (own, dtype, axes) in enumerate(self.fields):
            if own == name:
                return position, types.Array(dtype, axes, "C")
        raise AttributeError(name)


@register_model(ViewType)
class _ViewModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, of: ViewType) -> None:
        super().__init__(manager, of, ir.IntType(64))


@infer_getattr
class _ViewAttributes(AttributeTemplate):  # type: ignore[misc]
    key = ViewType

    def generic_resolve(self, view: ViewType, name: str) -> Any:
        return view.array(name)[1]


@lower_getattr_generic(ViewType)
def _load(context, builder, view, address, name):  # type: ignore[no-untyped-def]
    """Load an array from its entry, without ownership of its memory."""
    position, kind = view.array(name)
    integer = ir.IntType(64)
    invariant = builder.module.add_metadata([])

    def number(index: int) -> Any:
        place = builder.add(address, ir.Constant(integer, 8 * (ENTRY * position + index)))
        load = builder.load(builder.inttoptr(place, integer.as_pointer()))
        load.set_metadata("invariant.load", invariant)
        return load

    array = context.make_array(kind)(context, builder)
    shape = [number(1 + axis) for axis in range(kind.ndim)]
    width = context.get_abi_sizeof(context.get_data_type(kind.dtype))
    size, items, strides = ir.Constant(integer, width), ir.Constant(integer, 1), list[Any]()
    for length in reversed(shape):
        strides.insert(0, builder.mul(items, size))
        items = builder.mul(items, length)
    array.data = builder.inttoptr(number(0), context.get_data_type(kind.dtype).as_pointer())
    array.shape = cgutils.pack_array(builder, shape)
    array.strides = cgutils.pack_array(builder, strides)
    array.nitems, array.itemsize = items, size
    return array._getvalue()


_FLOAT, _COUNT = types.float64, types.int64
_TABLES = {"real": (_FLOAT, 2), "kappa": (_FLOAT, 1), "read": (_FLOAT, 1), "axons": (_COUNT, 1)} | {
    "chances": (_FLOAT, 2),
    "members": (_COUNT, 1),
    "keys": (types.uint64, 2),
    "plans": (_COUNT, 1),
    "own": (_COUNT, 1),
}
_STATE = {"reg": (_COUNT, 1), "real": (_FLOAT, 1), "values": (_FLOAT, 2), "arriving": (_COUNT, 1)} | {
    "factors": (_FLOAT, 2),
    "draw": (types.uint64, 1),
    "words": (_COUNT, 1),
    "boards": (_COUNT, 1),
    "limits": (_COUNT, 1),
    "writing": (_COUNT, 1),
    "delays": (_FLOAT, 2),
    "aged": (_FLOAT, 1),
    "owners": (_COUNT, 1),
}


def _view(arrays: type, kinds: dict[str, tuple[Any, int]]) -> ViewType:
    """Return the type of a view; arrays that are not in `kinds` have integers and two axes."""
    fields = arrays._fields  # type: ignore[attr-defined]
    return ViewType(tuple((name, *kinds.get(name, (_COUNT, 2))) for name in fields))


def _memory(number: Any) -> ViewType:
    bits = types.int32 if number == types.float32 else types.int64
    own = {"row_bits": (bits, 1), "a_bits": (bits, 1), "d_bits": (bits, 1), "wide": (_FLOAT, 1), "when": (_COUNT, 1)}
    return _view(Memory, dict.fromkeys(Memory._fields, (number, 1)) | own)


def _address(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
    return arguments[0]


@intrinsic
def tables(typing, table):  # type: ignore[no-untyped-def]
    """View the table at an address as `Tables`."""
    return _view(Tables, _TABLES)(_COUNT), _address


@intrinsic
def state(typing, table):  # type: ignore[no-untyped-def]
    """View the table at an address as `State`."""
    return _view(State, _STATE)(_COUNT), _address


@intrinsic
def memory(typing, table, like):  # type: ignore[no-untyped-def]
    """View the table at an address as `Memory` with numbers of the type of `like`."""
    return _memory(like.dtype)(_COUNT, like), _address

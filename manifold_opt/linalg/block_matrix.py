"""Matrices made of small dense blocks of equal shape: what families of residuals have for Jacobians.

A part is n blocks of shape (m, k): block i stands in the rows from ``row + i m`` on and in the columns from
``columns[i]`` on. Nothing but the blocks is stored; parts may overlap, their entries add. A block with a negative
column stands nowhere, and is zero: it belongs to a variable that is held fixed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np


class BlockPart(NamedTuple):
    """Blocks of one shape in consecutive rows.

    Attributes
    ----------
    row : int
        First row of the first block.
    columns : array of int, shape (n,)
        First column of each block; -1 for a block of zeros that stands nowhere.
    blocks : array of shape (n, m, k)
    places : array of int, shape (n, k), optional
        What ``indices`` are, where they are known.
    """

    row: int
    columns: Any
    blocks: Any
    places: Any = None

    @property
    def rows(self) -> slice:
        """All rows that the part touches."""
        n, m, _ = self.blocks.shape
        return slice(self.row, self.row + n * m)

    @property
    def indices(self) -> Any:
        """Columns of each block, of shape (n, k); for one that stands nowhere any that exist."""
        if self.places is not None:
            return self.places
        return np.maximum(self.columns, 0)[:, None] + np.arange(self.blocks.shape[2])


class _Strip:
    """Parts that are neighbouring columns of one array.

    Attributes
    ----------
    rows : slice
    blocks : array of shape (n, m, K)
    indices : array of int, shape (n, K)
        The column of each number.
    """

    __slots__ = ("blocks", "indices", "rows")

    def __init__(self, row: int, blocks: Any, indices: list[Any]) -> None:
        n, m, _ = blocks.shape
        self.rows = slice(row, row + n * m)
        self.blocks = blocks
        whole = indices[0].base
        known = len(indices) > 1 and whole is not None and whole.shape == (n, blocks.shape[2])
        if known and all(index.base is whole for index in indices):
            self.indices = whole
        else:
            self.indices = indices[0] if len(indices) == 1 else np.concatenate(indices, axis=1)


def _neighbours(parts: list[BlockPart]) -> list[list[BlockPart]]:
    """Parts, in lists of those whose blocks are the columns of one array."""
    groups: list[list[BlockPart]] = []
    for part in parts:
        last = groups[-1] if groups else []
        if last and last[0].row == part.row and common([*(p.blocks for p in last), part.blocks]) is not None:
            last.append(part)
        else:
            groups.append([part])
    return groups


class BlockMatrix:
    """A sparse matrix of dense blocks.

    Parameters
    ----------
    shape : tuple of int
    parts : list of BlockPart
    variables : dict of str to (int, int), optional
        First column, and the one after the last, of each variable that has a name.
    """

    __slots__ = ("_product", "_strips", "parts", "shape", "variables")
    ndim = 2

    def __init__(
        self,
        shape: tuple[int, int],
        parts: list[BlockPart],
        variables: Mapping[str, tuple[int, int]] | None = None,
    ) -> None:
        self.shape = shape
        self.parts = parts
        self.variables = variables
        self._strips: Any = None
        self._product: Any = None

    @property
    def strips(self) -> list[_Strip]:
        """The parts, those that are neighbouring columns of one array put together."""
        if self._strips is None:
            self._strips = [
                _Strip(parts[0].row, stacked([part.blocks for part in parts]), [part.indices for part in parts])
                for parts in _neighbours(self.parts)
            ]
        return self._strips

    @property
    def dtype(self) -> Any:
        """Type of the entries."""
        return np.result_type(*(part.blocks.dtype for part in self.parts))

    @property
    def T(self) -> _Transposed:
        """Transpose, good for products with vectors."""
        return _Transposed(self)

    def __matmul__(self, x: Any) -> Any:
        return self.dot(x)

    def dot(self, x: Any) -> Any:
        """Product with a vector."""
        y = np.zeros(self.shape[0], np.result_type(self.dtype, x.dtype))
        for strip in self.strips:
            y[strip.rows] += np.einsum("nmk,nk->nm", strip.blocks, x[strip.indices]).reshape(-1)
        return y

    def transposed_dot(self, y: Any) -> Any:
        """Product of the transpose with a vector; that with the same array again is not computed again."""
        if self._product is not None and self._product[0] is y:
            return self._product[1]
        dtype = np.result_type(self.dtype, y.dtype)
        x = np.zeros(self.shape[1], dtype)
        for strip in self.strips:
            n, m, _ = strip.blocks.shape
            terms = np.einsum("nmk,nm->nk", strip.blocks, y[strip.rows].reshape(n, m))
            x += np.bincount(strip.indices.reshape(-1), terms.reshape(-1), minlength=self.shape[1]).astype(
                dtype, copy=False
            )
        self._product = y, x
        return x

    def toarray(self) -> Any:
        """The matrix written out."""
        A = np.zeros(self.shape, self.dtype)
        for part in self.parts:
            n, m, _ = part.blocks.shape
            rows = part.row + np.arange(n * m).reshape(n, m, 1)
            A[rows, part.indices[:, None, :]] += part.blocks
        return A

    def scaled_rows(self, w: Any) -> BlockMatrix:
        """diag(w) times the matrix."""
        return self._with([part._replace(blocks=_rows(w, part) * part.blocks) for part in self.parts])

    def without_columns(self, mask: Any) -> BlockMatrix:
        """The matrix with zeros in the columns where a mask is True."""
        return self._with([part._replace(blocks=part.blocks * ~mask[part.indices][:, None, :]) for part in self.parts])

    def mapped_rows(self, row: int, f: Callable[[Any], Any]) -> BlockMatrix:
        """The matrix with the blocks of the parts that start at ``row`` replaced by ``f(blocks)``."""
        return self._with([part._replace(blocks=f(part.blocks)) if part.row == row else part for part in self.parts])

    def _with(self, parts: list[BlockPart]) -> BlockMatrix:
        return BlockMatrix(self.shape, parts, self.variables)

    def __iter__(self) -> Iterator[BlockPart]:
        return iter(self.parts)

    def __mul__(self, factor: float) -> BlockMatrix:
        return self._with([part._replace(blocks=factor * part.blocks) for part in self.parts])

    __rmul__ = __mul__

    def __repr__(self) -> str:
        shapes = ", ".join(f"{p.blocks.shape[0]} x {p.blocks.shape[1:]}" for p in self.parts)
        return f"BlockMatrix(shape={self.shape}, blocks: {shapes})"


class _Transposed:
    """Transpose of a block matrix, to be multiplied with a vector."""

    __slots__ = ("matrix",)

    def __init__(self, matrix: BlockMatrix) -> None:
        self.matrix = matrix

    def __matmul__(self, y: Any) -> Any:
        return self.matrix.transposed_dot(y)


def stacked(blocks: list[Any]) -> Any:
    """Arrays (n, m, k) side by side: the array that they are the columns of, in this order, or a new one."""
    first = blocks[0]
    if len(blocks) == 1:
        return first
    base = common(blocks)
    if base is None:
        return np.concatenate(blocks, axis=2)
    width = sum(B.shape[2] for B in blocks)
    start = (first.ctypes.data - base.ctypes.data) // base.strides[2]
    return base if width == base.shape[2] else base[:, :, start : start + width]


def common(blocks: list[Any]) -> Any:
    """The array (n, m, K) of which arrays are neighbouring columns, in this order; None where there is none.

    It may have its instances first or, as (m, K, n), last in memory.
    """
    first = blocks[0]
    base = first.base
    if not isinstance(base, np.ndarray) or base.ndim != 3 or base.dtype != first.dtype:
        return None
    if base.strides != first.strides:
        base = base.transpose(2, 0, 1)
    step, at, width = base.strides[2], first.ctypes.data, 0
    for B in blocks:
        alike = B.base is first.base and B.strides == base.strides and B.shape[:2] == base.shape[:2]
        if not alike or B.ctypes.data != at + width * step:
            return None
        width += B.shape[2]
    start, rest = divmod(at - base.ctypes.data, step)
    return base if rest == 0 and 0 <= start and start + width <= base.shape[2] else None


def _rows(w: Any, part: BlockPart) -> Any:
    n, m, _ = part.blocks.shape
    return w[part.rows].reshape(n, m, 1)

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
    """

    row: int
    columns: Any
    blocks: Any

    @property
    def rows(self) -> slice:
        """All rows that the part touches."""
        n, m, _ = self.blocks.shape
        return slice(self.row, self.row + n * m)

    @property
    def indices(self) -> Any:
        """Columns of each block, of shape (n, k); for one that stands nowhere any that exist."""
        return np.maximum(self.columns, 0)[:, None] + np.arange(self.blocks.shape[2])


class BlockMatrix:
    """A sparse matrix of dense blocks.

    Parameters
    ----------
    shape : tuple of int
    parts : list of BlockPart
    variables : dict of str to (int, int), optional
        First column, and the one after the last, of each variable that has a name.
    """

    __slots__ = ("parts", "shape", "variables")
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
        for part in self.parts:
            y[part.rows] += np.einsum("nmk,nk->nm", part.blocks, x[part.indices]).reshape(-1)
        return y

    def transposed_dot(self, y: Any) -> Any:
        """Product of the transpose with a vector."""
        x = np.zeros(self.shape[1], np.result_type(self.dtype, y.dtype))
        for part in self.parts:
            n, m, _ = part.blocks.shape
            terms = np.einsum("nmk,nm->nk", part.blocks, y[part.rows].reshape(n, m))
            x += np.bincount(part.indices.reshape(-1), terms.reshape(-1), minlength=self.shape[1])
        return x

    def toarray(self) -> Any:
        """The matrix written out."""
        A = np.zeros(self.shape, self.dtype)
        for row, columns, blocks in self.parts:
            n, m, _ = blocks.shape
            rows = row + np.arange(n * m).reshape(n, m, 1)
            A[rows, BlockPart(row, columns, blocks).indices[:, None, :]] += blocks
        return A

    def scaled_rows(self, w: Any) -> BlockMatrix:
        """diag(w) times the matrix."""
        return self._with([part._replace(blocks=_rows(w, part) * part.blocks) for part in self.parts])

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
    base = first.base
    if isinstance(base, np.ndarray) and base.ndim == 3 and base.flags.c_contiguous and base.dtype == first.dtype:
        at = base.ctypes.data
        for B in blocks:
            if B.base is not base or B.ctypes.data != at or B.strides != base.strides or B.shape[:2] != base.shape[:2]:
                break
            at += B.shape[2] * base.itemsize
        else:
            if at == base.ctypes.data + base.shape[2] * base.itemsize:
                return base
    return np.concatenate(blocks, axis=2)


def _rows(w: Any, part: BlockPart) -> Any:
    n, m, _ = part.blocks.shape
    return w[part.rows].reshape(n, m, 1)

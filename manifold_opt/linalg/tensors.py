"""Tensors of any order that are never formed: sparse ones, and those in Tucker's form; products along modes.

The last D axes of an array are the modes of a tensor of order D, all others are a batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from manifold_opt.linalg.namespace import Array, namespace, transpose

__all__ = ["SparseTensor", "TuckerTensor", "contract", "fold", "mode_product", "unfold"]

# Numbers in the block of products of factor rows that is made at once for a sparse tensor.
_BLOCK = 1 << 20


def unfold(T: Array, d: int, order: int) -> Array:
    """The matrix ``(*batch, n_d, rest)`` whose rows belong to mode d; the other modes stay in order."""
    xp = namespace(T)
    front = xp.moveaxis(T, T.ndim - order + d, T.ndim - order)
    return front.reshape((*front.shape[: T.ndim - order + 1], -1))


def fold(M: Array, d: int, shape: Sequence[int]) -> Array:
    """The tensor with modes of these sizes whose unfolding along mode d is M."""
    xp = namespace(M)
    rest = [n for j, n in enumerate(shape) if j != d]
    T = M.reshape((*M.shape[:-2], M.shape[-2], *rest))
    order = len(shape)
    return xp.moveaxis(T, T.ndim - order, T.ndim - order + d)


def mode_product(T: Array, A: Array, d: int, order: int) -> Array:
    """``T x_d A``: the matrix A, ``(*batch, m, n_d)``, applied along mode d."""
    M = A @ unfold(T, d, order)
    rest = list(T.shape[T.ndim - order :])
    rest[d] = A.shape[-2]
    return fold(M, d, rest)


def contract(T: Any, matrices: Sequence[Array | None]) -> Array:
    """``T x_1 A_1' x_2 A_2' ...`` for a tensor of any kind; modes whose matrix is None are left as they are.

    Parameters
    ----------
    T : array, SparseTensor or TuckerTensor, modes (n_1, ..., n_D)
    matrices : sequence of D matrices (*batch, n_d, m_d), or None
    """
    if isinstance(T, (SparseTensor, TuckerTensor)):
        return T.contract(matrices)
    order = len(matrices)
    # the mode that shrinks most comes first
    gains = {d: A.shape[-1] / A.shape[-2] for d, A in enumerate(matrices) if A is not None}
    for d in sorted(gains, key=gains.__getitem__):
        T = mode_product(T, transpose(matrices[d]), d, order)
    return T


class TuckerTensor:
    """The tensor ``C x_1 A_1 x_2 A_2 ...`` of a small core and thin factors, any matrices ``(*batch, n_d, r_d)``.

    ``T.entries(indices)`` costs O(r^D) per entry; `toarray` forms the tensor.
    """

    __slots__ = ("core", "factors")
    __array_ufunc__ = None

    def __init__(self, core: Array, factors: Sequence[Array]) -> None:
        self.core, self.factors = core, tuple(factors)

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the batch and of the modes."""
        batch = np.broadcast_shapes(
            tuple(self.core.shape[: self.core.ndim - len(self.factors)]), *(tuple(A.shape[:-2]) for A in self.factors)
        )
        return (*batch, *(A.shape[-2] for A in self.factors))

    def contract(self, matrices: Sequence[Array | None]) -> Array:
        """See `manifold_opt.linalg.tensors.contract`."""
        return contract(
            self.core,
            [transpose(A) if Q is None else transpose(A) @ Q for A, Q in zip(self.factors, matrices, strict=True)],
        )

    def entries(self, indices: Any) -> Array:
        """The entries at index tuples in the rows of an (N, D) array; one tensor without a batch."""
        indices = checked_indices(indices, len(self.factors))
        xp = namespace(self.core, *self.factors)
        step = max(1, _BLOCK // max(1, math.prod(self.core.shape)))
        parts = []
        for start in range(0, len(indices), step):
            rows = indices[start : start + step]
            first, *others = self.factors
            value = first[rows[:, 0]] @ self.core.reshape((first.shape[-1], -1))
            for d, A in enumerate(others, 1):
                # mode d, the first that is left, against its rows
                value = value.reshape((len(rows), A.shape[-1], -1))
                value = (A[rows[:, d]][:, None, :] @ value)[:, 0, :]
            parts.append(value[:, 0])
        return parts[0] if len(parts) == 1 else xp.concatenate(parts)

    def toarray(self) -> Array:
        """The tensor itself."""
        return contract(self.core, [transpose(A) for A in self.factors])

    def copy(self) -> TuckerTensor:
        """The same tensor in arrays of its own."""
        return TuckerTensor(self.core.copy(), [A.copy() for A in self.factors])

    def __repr__(self) -> str:
        return f"TuckerTensor of shape {self.shape} with a core of shape {tuple(self.core.shape)}"


class SparseTensor:
    """A tensor that is zero but at listed places; places that are listed twice add up.

    Parameters
    ----------
    indices : array of int, shape (N, D)
        Index tuples in rows.
    values : array, shape (N,)
    shape : tuple of D int

    Examples
    --------
    >>> import numpy as np
    >>> T = SparseTensor([[0, 1, 1], [1, 0, 1]], np.array([2.0, 3.0]), (2, 2, 2))
    >>> float(T.toarray()[0, 1, 1])
    2.0
    """

    __slots__ = ("indices", "shape", "values")
    __array_ufunc__ = None

    def __init__(self, indices: Any, values: Array, shape: Sequence[int]) -> None:
        self.shape = tuple(int(n) for n in shape)
        self.indices = checked_indices(indices, len(self.shape))
        if tuple(values.shape) != self.indices.shape[:1]:
            raise ValueError(
                f"a SparseTensor needs one value per row of indices, but there are {self.indices.shape[0]} rows and "
                f"the shape of values is {tuple(values.shape)}"
            )
        self.values = values

    @property
    def dtype(self) -> Any:
        """That of the values."""
        return self.values.dtype

    def copy(self) -> SparseTensor:
        """The same tensor with values of its own; indices are never written."""
        return SparseTensor(self.indices, self.values.copy(), self.shape)

    def toarray(self) -> np.ndarray:
        """The tensor itself."""
        T = np.zeros(self.shape, dtype=self.values.dtype)
        np.add.at(T, tuple(self.indices.T), self.values)
        return T

    def unfolded(self, d: int) -> Any:
        """The sparse matrix whose rows belong to mode d; the other modes stay in order."""
        from scipy.sparse import csr_matrix

        rest = [j for j in range(len(self.shape)) if j != d]
        columns = np.zeros(len(self.indices), dtype=np.int64)
        for j in rest:
            columns = columns * self.shape[j] + self.indices[:, j]
        size = math.prod(self.shape[j] for j in rest)
        return csr_matrix((self.values, (self.indices[:, d], columns)), shape=(self.shape[d], size))

    def contract(self, matrices: Sequence[Array | None]) -> Array:
        """See `manifold_opt.linalg.tensors.contract`; one mode at most may be left, and matrices have no batch.

        O(N prod r_d), in blocks of places.
        """
        kept = [d for d, A in enumerate(matrices) if A is None]
        if len(kept) > 1 or any(A is not None and A.ndim > 2 for A in matrices):
            raise ValueError("a SparseTensor is contracted along all modes but one, with matrices without a batch")
        sizes = [A.shape[-1] for A in matrices if A is not None]
        columns = math.prod(sizes)
        rows = self.shape[kept[0]] if kept else 1
        dtype = next(A.dtype for A in matrices if A is not None)
        total = np.zeros((rows, columns), dtype=dtype)
        step = max(1, _BLOCK // columns)
        for start in range(0, len(self.indices), step):
            places = self.indices[start : start + step]
            block = self.values[start : start + step, None].astype(dtype, copy=False)
            for d, A in enumerate(matrices):
                if A is not None:
                    block = (block[:, :, None] * A[places[:, d]][:, None, :]).reshape(len(places), -1)
            total += collected(places[:, kept[0]], block, rows) if kept else block.sum(axis=0)
        if not kept:
            return total.reshape(sizes)
        return np.moveaxis(total.reshape((rows, *sizes)), 0, kept[0])

    def __repr__(self) -> str:
        return f"SparseTensor of shape {self.shape} with {len(self.indices)} places"


def collected(places: np.ndarray, block: np.ndarray, rows: int) -> np.ndarray:
    """The sums of the rows of a block that have the same place."""
    from scipy.sparse import csc_matrix

    N = len(places)
    return csc_matrix((np.ones(N, dtype=block.dtype), places, np.arange(N + 1)), shape=(rows, N)) @ block


def checked_indices(indices: Any, order: int) -> np.ndarray:
    indices = np.asarray(indices)
    if indices.ndim != 2 or indices.shape[1] != order or indices.dtype.kind not in "iu":
        raise ValueError(
            f"indices must be an integer array of shape (N, {order}), index tuples in rows, but its shape is "
            f"{indices.shape} and its dtype {indices.dtype}"
        )
    return indices

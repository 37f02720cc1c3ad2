"""Tensor trains: products of cores ``(*batch, r_(d-1), n_d, r_d)`` with ``r_0 = r_D = 1``, and what meets their sides.

The left interface of a train at bond d is the matrix of its first d cores, one row per index; the right interface is
that of the others, one column per index.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from manifold_opt.linalg.namespace import Array, broadcast_batch, namespace, transpose
from manifold_opt.linalg.tensors import SparseTensor, checked_indices, collected

__all__ = ["TrainTensor", "first", "last", "left", "right", "sides", "stacked"]

# Numbers in a block that is made at once for the places of a sparse tensor.
_BLOCK = 1 << 20


def left(G: Array) -> Array:
    """A core as a matrix ``(*batch, r_(d-1) n_d, r_d)``."""
    a, n, b = G.shape[-3:]
    return G.reshape((*G.shape[:-3], a * n, b))


def right(G: Array) -> Array:
    """A core as a matrix ``(*batch, r_(d-1), n_d r_d)``."""
    a, n, b = G.shape[-3:]
    return G.reshape((*G.shape[:-3], a, n * b))


def stacked(blocks: Sequence[Sequence[Array | None]]) -> Array:
    """A core whose entries are matrices of cores; None is zero."""
    whole = [core for row in blocks for core in row if core is not None]
    xp = namespace(*whole)
    batch = np.broadcast_shapes(*(tuple(core.shape[:-3]) for core in whole))
    like = whole[0]

    def block(i: int, j: int) -> Array:
        core = blocks[i][j]
        if core is None:
            tall = next(c for c in blocks[i] if c is not None).shape[-3]
            wide = next(row[j] for row in blocks if row[j] is not None).shape[-1]  # type: ignore[union-attr]
            return xp.zeros((*batch, tall, like.shape[-2], wide), dtype=like.dtype)
        if tuple(core.shape[:-3]) == batch:
            return core
        return broadcast_batch(3, core, xp.zeros((*batch, 1, 1, 1), dtype=like.dtype))[0]

    rows = [xp.concatenate([block(i, j) for j in range(len(row))], axis=-1) for i, row in enumerate(blocks)]
    return xp.concatenate(rows, axis=-3)


class TrainTensor:
    """The tensor of a train of cores.

    ``T.entries(indices)`` costs O(D r^2) per entry; `toarray` forms the tensor.

    Parameters
    ----------
    cores : sequence of arrays, each ``(*batch, r_(d-1), n_d, r_d)``
    """

    __slots__ = ("cores",)
    __array_ufunc__ = None

    def __init__(self, cores: Sequence[Array]) -> None:
        self.cores = tuple(cores)

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the batch and of the modes."""
        batch = np.broadcast_shapes(*(tuple(G.shape[:-3]) for G in self.cores))
        return (*batch, *(G.shape[-2] for G in self.cores))

    def entries(self, indices: Any) -> Array:
        """The entries at index tuples in the rows of an (N, D) array; one tensor without a batch."""
        indices = checked_indices(indices, len(self.cores))
        xp = namespace(*self.cores)
        widest = max(G.shape[-3] * G.shape[-1] for G in self.cores)
        step = max(1, _BLOCK // widest)
        parts = []
        for start in range(0, max(1, len(indices)), step):
            rows = indices[start : start + step]
            value = self.cores[0][0, rows[:, 0], :]
            for d, G in enumerate(self.cores[1:], 1):
                value = (value[:, None, :] @ xp.moveaxis(G, 1, 0)[rows[:, d]])[:, 0, :]
            parts.append(value[:, 0])
        return parts[0] if len(parts) == 1 else xp.concatenate(parts)

    def toarray(self) -> Array:
        """The tensor itself."""
        value = left(self.cores[0])
        for G in self.cores[1:]:
            value = value @ right(G)
            value = value.reshape((*value.shape[:-2], -1, G.shape[-1]))
        shape = self.shape
        return value[..., 0].reshape(shape)

    def copy(self) -> TrainTensor:
        """The same tensor in arrays of its own."""
        return TrainTensor([G.copy() for G in self.cores])

    def __repr__(self) -> str:
        ranks = tuple(G.shape[-1] for G in self.cores[:-1])
        return f"TrainTensor of shape {self.shape} with ranks {ranks}"


def sides(Z: Any, lefts: Sequence[Array], rights: Sequence[Array]) -> list[Array]:
    """For every mode, Z contracted with the left interface of one train and the right one of another.

    Parameters
    ----------
    Z : array, SparseTensor or TrainTensor
        Of order D.
    lefts : sequence of D - 1 cores
        The first of a train.
    rights : sequence of D - 1 cores
        The last of a train.

    Returns
    -------
    list of D arrays, each ``(*batch, a_(d-1), n_d, b_d)``
    """
    if isinstance(Z, TrainTensor):
        return _sides_of_train(Z, lefts, rights)
    if isinstance(Z, SparseTensor):
        return _sides_of_sparse(Z, lefts, rights)
    return _sides_of_array(Z, lefts, rights)


def _sides_of_array(Z: Array, lefts: Sequence[Array], rights: Sequence[Array]) -> list[Array]:
    D = len(lefts) + 1
    shape = tuple(Z.shape[Z.ndim - D :])
    interface = None
    interfaces: list[Any] = [None]
    for G in reversed(rights):
        if interface is None:
            interface = G[..., 0]
        else:
            interface = left(G) @ interface
        interface = interface.reshape((*interface.shape[: G.ndim - 3], G.shape[-3], -1))
        interfaces.insert(0, interface)
    found = []
    T = Z.reshape((*Z.shape[: Z.ndim - D], 1, *shape))
    T = T.reshape((*Z.shape[: Z.ndim - D], shape[0], -1))
    a = 1
    for d in range(D):
        value = T if interfaces[d] is None else T @ transpose(interfaces[d])
        found.append(value.reshape((*value.shape[:-2], a, shape[d], -1)))
        if d < D - 1:
            T = transpose(left(lefts[d])) @ T
            a = T.shape[-2]
            T = T.reshape((*T.shape[:-2], a * shape[d + 1], -1))
    return found


def _sides_of_train(Z: TrainTensor, lefts: Sequence[Array], rights: Sequence[Array]) -> list[Array]:
    grams: list[Any] = [None]
    for G, K in zip(reversed(rights), reversed(Z.cores)):
        # (b_(d-1), s_(d-1)) from (b_d, s_d)
        if grams[0] is None:
            value = right(G) @ transpose(right(K))
        else:
            moved = left(K) @ transpose(grams[0])
            moved = moved.reshape((*moved.shape[:-2], K.shape[-3], -1))
            value = right(G) @ transpose(moved)
        grams.insert(0, value)
    found = []
    before: Any = None
    for d, K in enumerate(Z.cores):
        value = K if before is None else first(before, K)
        after = value if grams[d] is None else last(value, grams[d])
        found.append(after)
        if d < len(lefts):
            before = transpose(left(lefts[d])) @ left(value)
    return found


def first(A: Array, K: Array) -> Array:
    """A matrix applied to the first axis of a core."""
    value = A @ right(K)
    return value.reshape((*value.shape[:-1], K.shape[-2], K.shape[-1]))


def last(K: Array, A: Array) -> Array:
    """A matrix applied to the last axis of a core."""
    value = left(K) @ transpose(A)
    return value.reshape((*value.shape[:-2], K.shape[-3], K.shape[-2], -1))


def _sides_of_sparse(Z: SparseTensor, lefts: Sequence[Array], rights: Sequence[Array]) -> list[Array]:
    if any(G.ndim > 3 for G in (*lefts, *rights)):
        raise ValueError("a SparseTensor meets one point at a time, not a batch")
    D = len(lefts) + 1
    dtype = lefts[0].dtype
    heights = [1, *(G.shape[-1] for G in lefts)]
    widths = [*(G.shape[0] for G in rights), 1]
    found = [np.zeros((n, a * b), dtype=dtype) for n, a, b in zip(Z.shape, heights, widths)]
    by_index = [[np.ascontiguousarray(np.moveaxis(G, 1, 0)) for G in train] for train in (lefts, rights)]
    step = max(1, _BLOCK // max(a * b for a, b in zip(heights, widths)))
    for start in range(0, len(Z.indices), step):
        places = Z.indices[start : start + step]
        after = [np.ones((len(places), 1), dtype=dtype)]
        for d in range(D - 1, 0, -1):
            after.insert(0, (by_index[1][d - 1][places[:, d]] @ after[0][:, :, None])[:, :, 0])
        before = Z.values[start : start + step, None].astype(dtype, copy=False)
        for d in range(D):
            block = (before[:, :, None] * after[d][:, None, :]).reshape(len(places), -1)
            found[d] += collected(places[:, d], block, Z.shape[d])
            if d < D - 1:
                before = (before[:, None, :] @ by_index[0][d][places[:, d]])[:, 0, :]
    return [np.moveaxis(value.reshape((n, a, b)), 0, 1) for value, n, a, b in zip(found, Z.shape, heights, widths)]

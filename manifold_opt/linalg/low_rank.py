"""Matrices given by two thin factors, and products with matrices of whatever kind: dense, sparse, operators."""

from __future__ import annotations

from typing import Any

import numpy as np

from manifold_opt.linalg.namespace import Array, adjoint, namespace

__all__ = ["LowRank", "is_operator", "products"]

# Rows gathered at once by `LowRank.entries`: two blocks of this many rows of a few dozen numbers stay in the cache.
_CHUNK = 1 << 14


class LowRank:
    """The matrix ``A B^H`` of two thin factors, which is never formed unless asked for.

    Parameters
    ----------
    A : array, shape (*batch, m, r)
    B : array, shape (*batch, n, r)

    Notes
    -----
    Products ``X @ Y`` and ``Y @ X`` with arrays are arrays and cost O((m + n) r) per column; ``X.entries(rows,
    columns)`` costs O(r) per entry; sums and multiples stay factored. There is no way to NumPy by accident: `toarray`
    forms the matrix.

    Examples
    --------
    >>> import numpy as np
    >>> X = LowRank(np.array([[1.0], [2.0]]), np.array([[3.0], [4.0], [5.0]]))
    >>> X.entries([0, 1], [2, 1])
    array([5., 8.])
    >>> (2.0 * X - X).toarray()
    array([[ 3.,  4.,  5.],
           [ 6.,  8., 10.]])
    """

    __slots__ = ("A", "B")
    __array_ufunc__ = None  # NumPy's operators leave the work to those below

    def __init__(self, A: Array, B: Array) -> None:
        if A.shape[-1] != B.shape[-1]:
            raise ValueError(
                f"the factors A (m, r) and B (n, r) must have as many columns, but their shapes are {tuple(A.shape)} "
                f"and {tuple(B.shape)}; the second factor is not transposed"
            )
        self.A, self.B = A, B

    @property
    def shape(self) -> tuple[int, ...]:
        """``(*batch, m, n)``."""
        batch = np.broadcast_shapes(tuple(self.A.shape[:-2]), tuple(self.B.shape[:-2]))
        return (*batch, self.A.shape[-2], self.B.shape[-2])

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return max(self.A.ndim, self.B.ndim)

    @property
    def dtype(self) -> Any:
        """That of the entries."""
        return (self.A[..., :1, :1] * self.B[..., :1, :1]).dtype

    @property
    def H(self) -> LowRank:
        """The conjugate transpose."""
        return LowRank(self.B, self.A)

    def entries(self, rows: Any, columns: Any) -> Array:
        """The entries at these places, ``(*batch, len(rows))``."""
        A, B = self.A, self.B
        rows, columns = np.asarray(rows), np.asarray(columns)
        xp = namespace(A, B)
        if xp is not np or A.ndim > 2 or B.ndim > 2:
            return xp.sum(A[..., rows, :] * xp.conj(B[..., columns, :]), axis=-1)
        values = np.empty(rows.shape, np.result_type(A, B))
        for start in range(0, rows.size, _CHUNK):
            part = slice(start, start + _CHUNK)
            left, right = A.take(rows[part], axis=0), B.take(columns[part], axis=0)
            np.einsum("ij,ij->i", left, np.conj(right), out=values[part])
        return values

    def toarray(self) -> Array:
        """The matrix itself, ``(*batch, m, n)``."""
        return self.A @ adjoint(self.B)

    def copy(self) -> LowRank:
        """The same matrix with factors of its own."""
        return LowRank(self.A.copy(), self.B.copy())

    def __matmul__(self, Y: Array) -> Array:
        return self.A @ (adjoint(self.B) @ Y)

    def __rmatmul__(self, Y: Array) -> Array:
        return (Y @ self.A) @ adjoint(self.B)

    def __mul__(self, c: Any) -> LowRank:
        if np.ndim(c) > 0:
            raise TypeError(
                "a LowRank matrix multiplies numbers only; products of entries are `X.entries(rows, columns) * values` "
                "at some places, or `X.toarray() * values` with the matrix formed"
            )
        return LowRank(c * self.A, self.B)

    __rmul__ = __mul__

    def __truediv__(self, c: Any) -> LowRank:
        return self * (1.0 / c)

    def __neg__(self) -> LowRank:
        return LowRank(-self.A, self.B)

    def __add__(self, other: Any) -> LowRank:
        if not isinstance(other, LowRank):
            return NotImplemented
        xp = namespace(self.A, other.A)
        return LowRank(xp.concatenate([self.A, other.A], axis=-1), xp.concatenate([self.B, other.B], axis=-1))

    def __sub__(self, other: Any) -> LowRank:
        return self + (-other) if isinstance(other, LowRank) else NotImplemented

    def __repr__(self) -> str:
        return f"LowRank of shape {self.shape} with {self.A.shape[-1]} columns in each factor"


def is_operator(G: Any) -> bool:
    """Whether G is a matrix or tensor that is no array: one of this package, or of SciPy's."""
    return hasattr(G, "shape") and any(hasattr(G, name) for name in ("entries", "matmat", "tocsr", "contract"))


def products(G: Any, U: Array, V: Array) -> tuple[Array, Array]:
    """``G V`` and ``G^H U`` for a matrix G of any kind, in the precision of U and V.

    Parameters
    ----------
    G : array, LowRank, sparse matrix or LinearOperator, shape (*batch, m, n)
        Sparse matrices and operators have no batch of their own and meet a batch of U and V at once.
    U : array, shape (*batch, m, j)
    V : array, shape (*batch, n, k)

    Raises
    ------
    ValueError
        If the shapes do not fit.
    """
    expected = (U.shape[-2], V.shape[-2])
    if tuple(G.shape[-2:]) != expected:
        raise ValueError(
            f"the matrix must have shape {('...', *expected)}, but its shape is {tuple(G.shape)}; rows come first"
        )
    if isinstance(G, LowRank):
        return G @ V, G.H @ U
    if not is_operator(G):
        return G @ V, adjoint(G) @ U
    transposed = G.H if hasattr(G, "matmat") else G.T.conj() if G.dtype.kind == "c" else G.T
    return _applied(G, V), _applied(transposed, U)


def _applied(G: Any, V: Array) -> Array:
    """``G V`` where G takes one matrix: a batch goes side by side."""
    if V.ndim == 2:
        return np.asarray(G @ V).astype(V.dtype, copy=False)
    columns = np.moveaxis(V, -2, 0)
    Y = np.asarray(G @ columns.reshape(V.shape[-2], -1)).astype(V.dtype, copy=False)
    return np.moveaxis(Y.reshape((-1, *columns.shape[1:])), 0, -2)

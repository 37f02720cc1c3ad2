r"""Jacobians whose pattern is known: columns that share no row are differentiated together.

The columns of J are coloured so that no row has two numbers of one colour. Then the derivative along the sum of all
unit vectors of a colour holds each of their columns, row by row, and a Jacobian costs as many passes as there are
colours, however large it is.

References
----------
.. [1] A. R. Curtis, M. J. D. Powell, J. K. Reid, On the estimation of sparse Jacobian matrices, J. Inst. Math. Appl. 13
   (1974), 117-119.
.. [2] A. H. Gebremedhin, F. Manne, A. Pothen, What color is your Jacobian? SIAM Review 47 (2005), 629-705.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ..linalg import Array
from ..manifolds import Euclidean, PowerManifold, ProductManifold
from .steps import relative_step
from .values import as_residuals

__all__ = ["SparseJacobian", "color_columns", "detect_sparsity"]

# directions that are handed to a back end at once, in numbers
_AT_ONCE = 2**22


def color_columns(pattern: Any) -> Array:
    """Colours of the columns of a sparse matrix: no two of one colour share a row.

    Parameters
    ----------
    pattern : SciPy sparse matrix of shape (m, d)

    Returns
    -------
    array of int, shape (d,)
        0, 1, ..., greedily, columns with many neighbours first.
    """
    from scipy.sparse import csr_array

    S = csr_array(pattern, dtype=np.int64)
    S.data[:] = 1
    near = csr_array(S.T @ S)
    indptr, indices = near.indptr.tolist(), near.indices.tolist()
    colors = [-1] * near.shape[0]
    for j in np.argsort(-np.diff(near.indptr), kind="stable").tolist():
        taken = {colors[i] for i in indices[indptr[j] : indptr[j + 1]]}
        color = 0
        while color in taken:
            color += 1
        colors[j] = color
    return np.array(colors, dtype=np.int64)


class SparseJacobian:
    """The Jacobian of a residual with a known pattern, as a function of the point.

    Parameters
    ----------
    r : callable
        Residuals.
    M : Manifold
    pattern : array or SciPy sparse matrix of shape (m, dim)
        Nonzero where a residual depends on a coordinate.
    backend : Backend
        What differentiates; one that knows no products of J with vectors is replaced by central differences.

    Attributes
    ----------
    colors : array of int, shape (dim,)
    calls : int
        Residuals that one Jacobian costs; 0 for automatic differentiation.

    Raises
    ------
    ValueError
        When the pattern has the wrong shape.
    """

    def __init__(self, r: Callable[[Any], Any], M: Any, pattern: Any, backend: Any) -> None:
        from scipy.sparse import csr_array

        S = csr_array(pattern)
        S.eliminate_zeros()
        S.sum_duplicates()
        if S.shape[1] != M.dim:
            raise ValueError(f"`jacobian_sparsity` must have one column per coordinate, {M.dim}; it has {S.shape[1]}.")
        self.r, self.M = r, M
        self.colors = color_columns(S)
        self.number = int(self.colors.max(initial=-1)) + 1
        self._indptr, self._indices, self._shape = S.indptr, S.indices, S.shape
        self._rows = np.repeat(np.arange(S.shape[0]), np.diff(S.indptr))
        self._linearize = backend.linearize(r) if hasattr(backend, "linearize") else None
        self.step = getattr(backend, "step", None)
        self.calls = 0 if self._linearize is not None else 2 * self.number

    def __call__(self, p: Array) -> tuple[Any, Any]:
        """Residuals, or None where they do not come along, and the Jacobian."""
        from scipy.sparse import csr_array

        if self._linearize is None:
            values, data = self._differences(p)
        else:
            values, data = None, self._pushed(self._linearize(p), p)
        return values, csr_array((data, self._indices, self._indptr), shape=self._shape)

    def _columns_of(self, D: Array, first: int, data: Array) -> None:
        """Sort derivatives along the sums of some colours, (m, k), into the numbers of the matrix."""
        self._check_rows(len(D))
        color = self.colors[self._indices] - first
        here = (color >= 0) & (color < D.shape[1])
        data[here] = D[self._rows[here], color[here]]

    def _check_rows(self, m: int) -> None:
        if m != self._shape[0]:
            raise ValueError(f"`jacobian_sparsity` must have one row per residual, {m}; it has {self._shape[0]}.")

    def _pushed(self, at: Any, p: Array) -> Array:
        M, data = self.M, np.empty(len(self._indices), p.real.dtype)
        k = max(1, _AT_ONCE // max(M.dim, p.size))
        for first in range(0, self.number, k):
            last = min(first + k, self.number)
            C = (self.colors == np.arange(first, last)[:, None]).astype(p.real.dtype)
            V = M.storage_vector(p, M.get_vector(p, C))
            self._columns_of(np.asarray(at.push(V)), first, data)
        return data

    def _differences(self, p: Array) -> tuple[Array, Array]:
        M, data = self.M, np.empty(len(self._indices), p.real.dtype)
        retract = M.get_retraction(None)
        # as in SciPy: relative to the coordinate where that is a number larger than one
        sizes = np.maximum(1.0, np.abs(p).reshape(-1)) if _is_flat(M) else np.ones(M.dim, p.real.dtype)
        h = (self.step or relative_step(p.dtype)) * sizes
        h = (p.reshape(-1) + h) - p.reshape(-1) if _is_flat(M) else h  # a step that is there after rounding
        values = np.array(as_residuals(self.r(p)))
        for color in range(self.number):
            X = M.get_vector(p, np.where(self.colors == color, h, 0.0))
            ahead, behind = (np.array(as_residuals(self.r(retract(p, X, t)))) for t in (1.0, -1.0))
            self._columns_of(0.5 * (ahead - behind)[:, None], color, data)
        data /= h[self._indices]
        return values, data


def _is_flat(M: Any) -> bool:
    return isinstance(M, Euclidean) and M.field == "real"


def detect_sparsity(r: Callable[[Any], Any], M: Any, p: Array) -> Any:
    """Pattern of the Jacobian of a residual, found by making variables NaN, one after the other.

    Parameters
    ----------
    r : callable
        Residuals; must let NaN pass. It is called once per variable: per entry of a real Euclidean space, per copy of a
        power, per other factor of a product.
    M : Manifold
    p : array

    Returns
    -------
    SciPy sparse matrix of shape (m, dim)

    Raises
    ------
    ValueError
        When r does not let NaN pass, or is not finite at p.
    """
    from scipy.sparse import csr_array

    values = np.array(as_residuals(r(p)))
    if not np.isfinite(values).all():
        raise ValueError("the pattern of a Jacobian cannot be detected where the residual is not finite.")
    rows, columns = [], []
    for entries, coordinates in _variables(M):
        q = p.copy()
        q.reshape(-1)[entries] = np.nan
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                moved = np.flatnonzero(np.isnan(np.array(as_residuals(r(q)))))
            except Exception as error:
                raise ValueError(
                    f"the residual does not let NaN pass ({error}), so that its pattern cannot be detected: give the "
                    "pattern itself."
                ) from error
        rows.append(np.repeat(moved, len(coordinates)))
        columns.append(np.tile(coordinates, len(moved)))
    row, column = np.concatenate(rows), np.concatenate(columns)
    return csr_array((np.ones(len(row)), (row, column)), shape=(len(values), M.dim))


def _variables(M: Any) -> list[tuple[Array, Array]]:
    """Entries of the stored point, and coordinates, of each variable."""
    if _is_flat(M):
        return [(np.array([i]), np.array([i])) for i in range(M.dim)]
    if isinstance(M, ProductManifold):
        found, entry, coordinate = [], 0, 0
        for name in M.names:
            N = M[name]
            found += [(entry + a, coordinate + b) for a, b in _variables(N)]
            entry += int(np.prod(N.point_shape)) * (2 if M.field == "real" and N.field == "complex" else 1)
            coordinate += N.dim
        return found
    if isinstance(M, PowerManifold) and len(M.copies) == 1 and M.dim:
        size, d, n = int(np.prod(M.manifold.point_shape)), M.manifold.dim, M.copies[0]
        return [(i * size + np.arange(size), i * d + np.arange(d)) for i in range(n)]
    return [(np.arange(int(np.prod(M.point_shape))), np.arange(M.dim))]

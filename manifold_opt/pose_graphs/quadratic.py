r"""The chordal objective as a quadratic form, F = tr(Y'M Y) with Y the transposed rotations and the translations.

Y stacks R_1', ..., R_n' (d rows each) and t_1', ..., t_n' (one row each), so that F does not care in which frame the
world is described: Y may be multiplied by any orthogonal matrix from the right.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..linalg.factorizations import factorization
from ..linalg.normal_matrix import BlockPattern
from .graph import PoseGraph


def stacked(graph: PoseGraph, poses: Any) -> Any:
    """Y of poses (n, d (d + 1)), of shape (n (d + 1), d)."""
    d = graph.dimension
    R, t = graph.pose_manifold.split(np.asarray(poses).reshape(graph.num_poses, -1))
    return np.concatenate([R.swapaxes(1, 2).reshape(-1, d), t])


def residual_matrix(graph: PoseGraph, kappa: Any, tau: Any) -> Any:
    """The sparse matrix A with F = |A Y|^2: rows sqrt(kappa) (R_j' - Z'R_i') and sqrt(tau) (t_j' - t_i' - z'R_i')."""
    from scipy.sparse import csr_array

    n, m, d = graph.num_poses, graph.num_edges, graph.dimension
    i, j = graph.edges.T
    rk, rt = np.sqrt(kappa), np.sqrt(tau)
    k, e = np.arange(m), np.arange(d)
    rows = k[:, None] * d + e  # of the rotations
    ci, cj = i[:, None] * d + e, j[:, None] * d + e
    last = m * d + k  # of the translations
    triples = [
        (rows, cj, np.repeat(rk[:, None], d, axis=1)),
        (
            np.repeat(rows[:, :, None], d, axis=2),
            np.repeat(ci[:, None, :], d, axis=1),
            -rk[:, None, None] * graph.rotations.swapaxes(1, 2),
        ),
        (last, n * d + j, rt),
        (last, n * d + i, -rt),
        (np.repeat(last[:, None], d, axis=1), ci, -rt[:, None] * graph.translations),
    ]
    r, c, v = (np.concatenate([np.ravel(x[a]) for x in triples]) for a in range(3))
    return csr_array((v, (r, c)), shape=(m * (d + 1), n * (d + 1)))


def rotation_form(graph: PoseGraph, kappa: Any) -> Any:
    """The matrix L with tr(Y'L Y) = sum kappa |R_j - R_i Z|^2 for the rotations alone, of shape (n d, n d)."""
    n, d = graph.num_poses, graph.dimension
    A = residual_matrix(graph, kappa, np.ones(graph.num_edges))[: graph.num_edges * d, : n * d]
    return (A.T @ A).tocsc()


class PoseMatrix:
    """A symmetric sparse matrix with the columns of each pose next to each other, to be factorized for several shifts.

    Parameters
    ----------
    A : SciPy sparse matrix
    n, d : int
        Poses, and dimension of the space; A has n d columns of rotations, and n more if it has those of translations.
    """

    def __init__(self, A: Any, n: int, d: int) -> None:
        columns = np.arange(n * d).reshape(n, d)
        if A.shape[0] > n * d:
            columns = np.concatenate([columns, n * d + np.arange(n)[:, None]], axis=1)
        w, order = columns.shape[1], columns.reshape(-1)
        B = A.tocsr()[order][:, order].tobsr((w, w))
        high, low = np.repeat(np.arange(n), np.diff(B.indptr)), B.indices.astype(np.int64)
        lower = high >= low
        high, low = high[lower], low[lower]
        pattern = BlockPattern(order, w * np.arange(n + 1), low * n + high)
        blocks = np.zeros((len(pattern.low), w, w))
        blocks[pattern.find(high, low)] = B.data[lower]
        self.matrix = A
        self._values, self._method = blocks.reshape(-1), factorization(pattern)

    def factor(self, shift: Any) -> Callable[[Any], Any]:
        """Function x = solve(b) for A + diag(shift), good until the next call; b may have columns.

        Raises
        ------
        numpy.linalg.LinAlgError
            When the matrix is not positive definite.
        """
        size = self.matrix.shape[0]
        self._method.factor(self._values, np.array(np.broadcast_to(np.asarray(shift, dtype=float), size)))
        return self._method.solve

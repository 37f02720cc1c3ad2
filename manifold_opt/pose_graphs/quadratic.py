r"""The chordal objective as a quadratic form, F = tr(Y'M Y) with Y the transposed rotations and the translations.

Y stacks R_1', ..., R_n' (d rows each) and t_1', ..., t_n' (one row each), so that F does not care in which frame the
world is described: Y may be multiplied by any orthogonal matrix from the right.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

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


def factorized(A: Any, shift: Any = 0.0) -> Callable[[Any], Any]:
    """Function x = solve(b) for the positive definite A + diag(shift); b may have columns.

    Raises
    ------
    numpy.linalg.LinAlgError
        When the matrix is not positive definite.
    """
    from scipy.sparse import csc_matrix, diags_array
    from scipy.sparse.linalg import splu

    n = A.shape[0]
    B = csc_matrix(A + diags_array(np.broadcast_to(np.asarray(shift, dtype=float), n)))
    try:
        LU = splu(B, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    except RuntimeError as error:
        raise np.linalg.LinAlgError(f"the matrix is singular ({error})") from None
    if not (LU.perm_r == LU.perm_c).all() or not (LU.U.diagonal() > 0.0).all():
        raise np.linalg.LinAlgError("the matrix is not positive definite")
    return LU.solve

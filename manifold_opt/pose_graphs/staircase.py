r"""A way out of bad minima of the chordal objective: the Riemannian staircase.

The rotations R_i become r x d matrices with orthonormal columns, the translations vectors of r numbers, for r from d
+ 1 on. What is a local minimum with d rows is often a saddle with more: the eigenvector of the certificate's matrix S
along which the cost has negative curvature is a direction down in the row that was added. As soon as S is positive
semidefinite at a critical point, the relaxed cost is at its global minimum, which is a lower bound of that of
rotations; where the point has rank d it is the solution itself, else the nearest poses are a start that is close to it.

The cost is a quadratic form, so that trust regions have their exact Hessian for one product with a sparse matrix, and a
factorization of the form, or of S, for a preconditioner.

References
----------
.. [1] N. Boumal, A Riemannian low-rank method for optimization over semidefinite matrices with block-diagonal
   constraints, arXiv 1506.00575, 2015.
.. [2] D. M. Rosen, L. Carlone, A. S. Bandeira, J. J. Leonard, SE-Sync: a certifiably correct algorithm for
   synchronization over the special Euclidean group, IJRR 38 (2019), sections 4 and 5.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np

from ..linalg.small import nearest_rotation
from ..manifolds import Euclidean, PowerManifold, ProductManifold, Stiefel
from ..solvers.trust_regions import trust_regions
from ..stopping import StopAfter, StopAfterIteration, StopWhenGradientNormLess
from .certificate import Certificate, certificate_of, dual_matrix
from .graph import PoseGraph
from .quadratic import PoseMatrix, residual_matrix, stacked

# of the gradient, relative to the square root of the cost times that of the largest diagonal entry
_TOLERANCE = 1e-9
# eigenvalue of S, relative to its diagonal, up to which S is the better preconditioner
_NEARLY = 1e-3


class Relaxed(NamedTuple):
    """Global minimum of the relaxation.

    Attributes
    ----------
    Y : array of shape (n (d + 1), r)
        Transposed frames and translations.
    certificate : Certificate
        Whether it is one; its cost less its gap is a lower bound for all poses.
    ranks : list of int
        The numbers of rows that were tried.
    """

    Y: Any
    certificate: Certificate
    ranks: list[int]


def climb(
    graph: PoseGraph,
    poses: Any,
    certificate: Certificate,
    *,
    highest: int | None = None,
    max_time: float = 60.0,
    weights: Any = None,
) -> Relaxed:
    """Minimize the relaxation, from poses that are no global minimum.

    Parameters
    ----------
    graph : PoseGraph
    poses : array of shape (n, d (d + 1))
        A critical point.
    certificate : Certificate
        Of these poses, with a direction of negative curvature.
    highest : int, optional
        Largest r; default d + 7.
    max_time : float
        Seconds after which no more is tried.
    weights : array of shape (m,), optional
        Factors of the weights of the edges.

    Returns
    -------
    Relaxed
    """
    d = graph.dimension
    end = time.perf_counter() + max_time
    Y, ranks = stacked(graph, poses), []
    Y[graph.num_poses * d :] -= Y[graph.num_poses * d + graph.anchors[0]]
    form = _Form(graph, weights)
    for r in range(d + 1, (d + 7 if highest is None else highest) + 1):
        ranks.append(r)
        form.precondition(graph, Y, certificate, weights)
        Y = form.minimized(_lifted(form, Y, certificate.direction), end - time.perf_counter())
        certificate = certificate_of(graph, Y, tolerance=certificate.tolerance, weights=weights)
        if certificate.optimal or time.perf_counter() >= end:
            break
    return Relaxed(Y, certificate, ranks)


def rounded(graph: PoseGraph, Y: Any) -> Any:
    """Poses (n, d (d + 1)) near a point of the relaxation: leading singular directions, then nearest rotations."""
    n, d = graph.num_poses, graph.dimension
    _, _, V = np.linalg.svd(Y[: n * d], full_matrices=False)
    X = Y @ V[:d].T
    R = X[: n * d].reshape(n, d, d).swapaxes(1, 2)
    if np.linalg.det(R).sum() < 0.0:
        X[:, -1] = -X[:, -1]
        R = X[: n * d].reshape(n, d, d).swapaxes(1, 2)
    return graph.pose_manifold.join(nearest_rotation(R), X[n * d :])


class _Form:
    """The quadratic form of a graph, on frames of any number of rows."""

    def __init__(self, graph: PoseGraph, weights: Any) -> None:
        self.n, self.d = graph.num_poses, graph.dimension
        kappa, tau = graph.isotropic_weights()
        if weights is not None:
            kappa, tau = kappa * weights, tau * weights
        rows = self.n * self.d
        self.free = np.setdiff1d(np.arange(self.n), graph.anchors)  # a common translation changes nothing
        self.keep = np.concatenate([np.arange(rows), rows + self.free])
        A = residual_matrix(graph, kappa, tau)
        M = (A.T @ A).tocsc()
        self.A = A.tocsc()[:, self.keep].tocsr()
        self.At = self.A.T.tocsr()
        diagonal = M.diagonal()
        self.scale = float(diagonal.max())
        self._held = np.zeros(len(diagonal))
        self._held[rows + graph.anchors] = diagonal[rows:].max()
        self._diagonal, self._form = diagonal, M
        self._solve: Any = None

    def precondition(self, graph: PoseGraph, Y: Any, certificate: Certificate, weights: Any) -> None:
        """Factorize what is close to the Hessian: S where it is nearly semidefinite, else the form itself."""
        matrix, shift = self._form, 1e-7
        if abs(certificate.eigenvalue) < _NEARLY:
            matrix, shift = dual_matrix(graph, Y, weights)[0], max(2.0 * abs(certificate.eigenvalue), 1e-9)
        A = PoseMatrix(matrix, self.n, self.d)
        while True:
            try:
                self._solve = A.factor(shift * self._diagonal + self._held)
                break
            except np.linalg.LinAlgError:
                shift *= 10.0

    def solve(self, Y: Any) -> Any:
        """The inverse of that, applied to free rows."""
        full = np.zeros((self.n * (self.d + 1), Y.shape[1]))
        full[self.keep] = Y
        return self._solve(full)[self.keep]

    def cost(self, Y: Any) -> float:
        """F of stacked frames and translations."""
        return float(np.sum((self.A @ Y[self.keep]) ** 2))

    def minimized(self, Y: Any, seconds: float) -> Any:
        """Minimum over frames with as many rows as Y has columns, or what was reached in this time."""
        n, d, r = self.n, self.d, Y.shape[1]
        M = ProductManifold(R=PowerManifold(Stiefel(r, d), n), t=Euclidean(len(self.free), r))

        def stack(p: Any) -> Any:
            R, t = M.split(p)
            return np.concatenate([R.swapaxes(1, 2).reshape(n * d, r), t])

        def joined(Z: Any) -> Any:
            return M.join(Z[: n * d].reshape(n, d, r).swapaxes(1, 2), Z[n * d :])

        result = trust_regions(
            M,
            lambda p: 0.5 * float(np.sum((self.A @ stack(p)) ** 2)),
            M.project_point(joined(Y[self.keep])),
            gradient=lambda p: joined(self.At @ (self.A @ stack(p))),
            hessian=lambda p, X: joined(self.At @ (self.A @ stack(X))),
            preconditioner=lambda p, X: M.project_vector(p, joined(self.solve(stack(X)))),
            objective_type="euclidean",
            stopping=StopAfterIteration(200)
            | StopAfter(max(seconds, 1e-3))
            | StopWhenGradientNormLess(_TOLERANCE * np.sqrt(self.cost(Y) * self.scale) + 1e-300),
        )
        Z = np.zeros_like(Y)
        Z[self.keep] = stack(result.point)
        return Z


def _lifted(form: _Form, Y: Any, direction: Any) -> Any:
    """Frames with one more row, a step down along the direction away from Y."""
    n, d = form.n, form.d
    cost = form.cost(Y)
    length = 1.0 / np.abs(direction[: n * d]).max()
    for _ in range(40):
        Z = np.column_stack([Y, length * direction])
        # rows of a frame are brought back to length one together: its polar factor
        U, _, W = np.linalg.svd(Z[: n * d].reshape(n, d, -1), full_matrices=False)
        Z[: n * d] = (U @ W).reshape(n * d, -1)
        if form.cost(Z) < cost:
            return Z
        length *= 0.5
    return np.column_stack([Y, np.zeros(len(Y))])

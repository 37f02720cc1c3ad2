r"""A certificate of global optimality for the chordal objective of a pose graph.

Without the demand that det R_i = 1 the objective F = tr(Y'M Y) (see `manifold_opt.pose_graphs.quadratic`) is a
quadratic form with the constraints R_i R_i' = I. At a critical point the symmetric matrices Lambda_i = R_i (M Y)_i
are the multipliers, F = sum tr Lambda_i, and for any other Y that keeps the constraints

    F(Y) = sum tr Lambda_i + tr(Y'S Y),        S = M - blockdiag(Lambda_1, ..., Lambda_n, 0).

If S is positive semidefinite, no Y is better: the point is a global minimizer, whatever led to it [1]_. In
floating-point arithmetic S + e D is factorized, for a small e and D the diagonal of S by poses; where that succeeds,
no Y is better by more than e tr(Y'D Y) = e d sum_i D_i. Where it fails for all e that are small enough to be of
interest, S has an eigenvector along which a relaxation of more dimensions decreases [2]_.

References
----------
.. [1] L. Carlone, D. M. Rosen, G. Calafiore, J. J. Leonard, F. Dellaert, Lagrangian duality in 3D SLAM: verification
   techniques and optimal solutions, IROS 2015.
.. [2] N. Boumal, A Riemannian low-rank method for optimization over semidefinite matrices with block-diagonal
   constraints, arXiv 1506.00575, 2015.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .graph import PoseGraph
from .quadratic import PoseMatrix, residual_matrix, stacked

# shifts that are tried, relative to the diagonal; the first is 45 roundings, more than a sparse factorization makes
_SHIFTS = 10.0 ** np.arange(-14.0, 0.5)


@dataclass(frozen=True, eq=False)
class Certificate:
    """What is known about how far poses are from the global minimum of the chordal objective.

    Attributes
    ----------
    optimal : bool
        Whether the gap is at most the tolerance that was asked for.
    cost : float
        F at the poses.
    gap : float
        F is at most this much above its global minimum.
    eigenvalue : float
        Of S, relative to its diagonal: a lower bound of the smallest one where ``optimal``, else the smallest one
        itself.
    tolerance : float
        Relative to the cost.
    stationarity : float
        Largest entry of S Y, relative to the largest of the diagonal: zero at a critical point.
    direction : array of shape (n (d + 1),) or None
        Eigenvector of the negative eigenvalue, where the poses are not optimal.
    """

    optimal: bool
    cost: float
    gap: float
    eigenvalue: float
    tolerance: float
    stationarity: float
    direction: Any = field(default=None, repr=False)

    @property
    def relative_gap(self) -> float:
        """``gap`` over ``cost``."""
        return self.gap / self.cost if self.cost > 0.0 else self.gap

    def __str__(self) -> str:
        if self.optimal:
            return f"globally optimal within {self.gap:.2g} (relative {self.relative_gap:.1e})"
        return (
            f"not certified: the dual matrix has an eigenvalue of {self.eigenvalue:.1e} times its diagonal; the cost "
            f"is at most {self.gap:.3g} above the global minimum"
        )


def certify(graph: PoseGraph, poses: Any, *, tolerance: float = 1e-6, weights: Any = None) -> Certificate:
    """Prove, or fail to prove, that poses are a global minimum of the chordal objective.

    Parameters
    ----------
    graph : PoseGraph
        With at most one fixed pose in each connected component.
    poses : array of shape (n, d (d + 1))
        A critical point, found by a solver; a point of ``graph.manifold`` will do, too.
    tolerance : float
        Largest gap, relative to the cost, that counts as optimal.
    weights : array of shape (m,), optional
        Factors of the weights of the edges.

    Returns
    -------
    Certificate

    Raises
    ------
    ValueError
        When several poses of a component are fixed: the theory does not cover that.
    """
    if len(graph.anchors) > graph.components.max() + 1:
        raise ValueError("a graph with several fixed poses in one piece cannot be certified: leave one of them fixed.")
    return certificate_of(graph, stacked(graph, poses), tolerance=tolerance, weights=weights)


def certificate_of(graph: PoseGraph, Y: Any, *, tolerance: float = 1e-6, weights: Any = None) -> Certificate:
    """The same for transposed frames with any number of rows, and translations: Y of shape (n (d + 1), r)."""
    n, d = graph.num_poses, graph.dimension
    S, _, cost = dual_matrix(graph, Y, weights)
    SY = S @ Y
    # translations that are not quite optimal, and the rounding of the sum of squares
    slack = abs(float(np.sum(Y[n * d :] * SY[n * d :]))) + 10.0 * float(np.finfo(float).eps) * cost
    D = np.zeros(n * (d + 1))
    D[: n * d] = np.repeat(_positive(S.diagonal()[: n * d].reshape(n, d).max(axis=1)), d)
    spread = float(D.sum())
    # S does not see a common translation: those of the anchors are held, by any weight
    held = np.zeros(n * (d + 1))
    held[n * d + graph.anchors] = S.diagonal()[n * d :].max()
    A = PoseMatrix(S, n, d)
    stationarity = float(np.abs(SY).max() / D.max())
    gap, shift = cost, 0.0
    for shift in _SHIFTS.tolist():
        try:
            A.factor(shift * D + held)
        except np.linalg.LinAlgError:
            continue
        gap = min(shift * spread + slack, cost)
        break
    if gap <= tolerance * cost or cost <= 1e-20 * spread:
        return Certificate(True, cost, gap, -shift, tolerance, stationarity)
    eigenvalue, direction = _negative_curvature(A, D, held, shift)
    for finer in (1.1 * abs(eigenvalue), 2.0 * abs(eigenvalue)):
        if finer < shift:
            with contextlib.suppress(np.linalg.LinAlgError):
                A.factor(finer * D + held)
                gap = min(finer * spread + slack, cost)
                break
    return Certificate(False, cost, gap, eigenvalue, tolerance, stationarity, direction)


def dual_matrix(graph: PoseGraph, Y: Any, weights: Any = None) -> tuple[Any, Any, float]:
    """S, the multipliers (n, d, d) and the cost F of transposed frames and translations Y (n (d + 1), r)."""
    from scipy.sparse import bsr_array, csr_array

    n, d = graph.num_poses, graph.dimension
    kappa, tau = graph.isotropic_weights()
    if weights is not None:
        kappa, tau = kappa * weights, tau * weights
    A = residual_matrix(graph, kappa, tau)
    AY = A @ Y
    MY = A.T @ AY
    # (M Y)_i = Lambda_i Y_i at a critical point, and Y_i Y_i' = I
    frames = Y[: n * d].reshape(n, d, -1)
    multipliers = MY[: n * d].reshape(n, d, -1) @ frames.swapaxes(1, 2)
    multipliers = 0.5 * (multipliers + multipliers.swapaxes(1, 2))
    blocks = bsr_array((multipliers, np.arange(n), np.arange(n + 1)), shape=(n * d, n * d)).tocoo()
    size = n * (d + 1)
    S = (A.T @ A - csr_array((blocks.data, (blocks.row, blocks.col)), shape=(size, size))).tocsc()
    return S, multipliers, float(np.sum(AY * AY))


def _positive(x: Any) -> Any:
    """x with what is not positive replaced by the smallest number that is."""
    good = x[x > 0.0]
    return np.where(x > 0.0, x, good.min() if len(good) else 1.0)


def _negative_curvature(A: PoseMatrix, D: Any, held: Any, shift: float) -> tuple[float, Any]:
    """Smallest eigenvalue of S x = mu D x and its eigenvector, from a shift with S + shift D positive definite."""
    from scipy.sparse import dia_array
    from scipy.sparse.linalg import LinearOperator, eigsh

    S = A.matrix
    # translations have no weight in D; a little makes it definite
    E = np.where(D > 0.0, D, 1e-3 * _positive(S.diagonal()))
    while True:
        try:
            solve = A.factor(shift * E + held)
            break
        except np.linalg.LinAlgError:
            shift *= 10.0
    inverse = LinearOperator(S.shape, matvec=lambda b: solve(b.reshape(-1)), dtype=float)
    diagonal = lambda v: dia_array((v[None], [0]), shape=(len(v), len(v)))  # SciPy 1.11 has no diags_array
    grounded = (S + diagonal(held)).tocsc()
    start = np.random.default_rng(0).standard_normal(len(D))
    w, V = eigsh(grounded, 1, M=diagonal(E), sigma=-shift, OPinv=inverse, which="LM", v0=start, tol=1e-4)
    return float(w[0]), V[:, 0] / np.linalg.norm(V[:, 0])

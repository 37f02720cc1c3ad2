r"""Registration: the rotation, or the rigid motion, that takes one set of points closest to another.

    f(R) = 1/2 sum_i w_i |R a_i - b_i|^2,        f(R, t) = 1/2 sum_i w_i |R a_i + t - b_i|^2.

Both are least-squares problems whose Jacobian has a short formula: a vector of the Lie algebra with coordinates c moves
R by R sum_j c_j E_j, so the derivative of R a_i along the j-th basis vector is R (E_j a_i); the E_j a_i never change.
Both also have a closed-form answer, `kabsch`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..manifolds import Euclidean, ProductManifold, Rotations
from .weights import checked_weights


class RotationRegistration:
    """Least-squares problem of the rotation R with R a_i closest to b_i.

    Parameters
    ----------
    a, b : array_like of shape (N, n)
        Corresponding points, one a row.
    weights : array_like of shape (N,), optional
        Not negative; only ratios matter. Default: equal.

    Attributes
    ----------
    manifold : Rotations
        SO(n).

    Raises
    ------
    ValueError
        When shapes do not fit, a number is not finite, or weights are negative.
    """

    def __init__(self, a: Any, b: Any, weights: Any = None) -> None:
        self.a, self.b = _point_sets(a, b)
        self.weights = checked_weights(weights, len(self.a))
        n = self.a.shape[1]
        self.rotations = self.manifold = Rotations(n)
        self._root_weights = np.sqrt(self.weights)[:, None]
        basis = self.rotations.get_basis(np.eye(n))
        # Column j of the i-th matrix is sqrt(w_i) E_j a_i.
        self._moved = self._root_weights[:, None] * np.einsum("jkl,il->ikj", basis, self.a)

    def residual(self, R: Any) -> Any:
        """sqrt(w_i) (R a_i - b_i), all in one array of N n numbers."""
        return (self._root_weights * (self.a @ R.T - self.b)).reshape(-1)

    def jacobian(self, R: Any) -> Any:
        """Derivative of the residual in orthonormal coordinates, of shape (N n, dim)."""
        return (R @ self._moved).reshape(-1, self.rotations.dim)


class RigidRegistration:
    """Least-squares problem of the rotation R and translation t with R a_i + t closest to b_i.

    Parameters
    ----------
    a, b : array_like of shape (N, n)
        Corresponding points, one a row.
    weights : array_like of shape (N,), optional
        Not negative; only ratios matter. Default: equal.

    Attributes
    ----------
    manifold : ProductManifold
        SO(n) x R^n; ``R, t = problem.manifold.split(p)``.

    Raises
    ------
    ValueError
        When shapes do not fit, a number is not finite, or weights are negative.
    """

    def __init__(self, a: Any, b: Any, weights: Any = None) -> None:
        self._rotation = RotationRegistration(a, b, weights)
        self.a, self.b, self.weights = self._rotation.a, self._rotation.b, self._rotation.weights
        n = self.a.shape[1]
        self.manifold = ProductManifold(R=self._rotation.rotations, t=Euclidean(n))
        self._root_weights = np.sqrt(self.weights)[:, None]
        self._along_translation = np.kron(self._root_weights, np.eye(n))

    def residual(self, p: Any) -> Any:
        """sqrt(w_i) (R a_i + t - b_i), all in one array of N n numbers."""
        R, t = self.manifold.split(p)
        return (self._root_weights * (self.a @ R.T + t - self.b)).reshape(-1)

    def jacobian(self, p: Any) -> Any:
        """Derivative of the residual in orthonormal coordinates (rotation, translation), of shape (N n, dim)."""
        R, _ = self.manifold.split(p)
        return np.hstack([self._rotation.jacobian(R), self._along_translation])


def kabsch(a: Any, b: Any, weights: Any = None, *, translation: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Closed-form rigid motion that takes the points a closest to the points b.

    Parameters
    ----------
    a, b : array_like of shape (N, n)
        Corresponding points, one a row.
    weights : array_like of shape (N,), optional
        Not negative; only ratios matter. Default: equal.
    translation : bool, default True
        Whether a translation is looked for too.

    Returns
    -------
    R : ndarray of shape (n, n)
        A rotation: reflections are ruled out by the sign of the smallest singular value.
    t : ndarray of shape (n,)
        Zero without ``translation``.

    Raises
    ------
    ValueError
        When shapes do not fit, a number is not finite, or weights are negative.

    References
    ----------
    S. Umeyama, "Least-squares estimation of transformation parameters between two point patterns", IEEE Trans. PAMI 13
    (1991), the lemma and section III.
    """
    a, b = _point_sets(a, b)
    w = checked_weights(weights, len(a))
    mean_a, mean_b = (w @ a, w @ b) if translation else (np.zeros(a.shape[1]),) * 2
    U, _, Vt = np.linalg.svd((b - mean_b).T @ (w[:, None] * (a - mean_a)))
    signs = np.ones(len(U))
    signs[-1] = np.sign(np.linalg.det(U) * np.linalg.det(Vt))
    R = (U * signs) @ Vt
    return R, mean_b - R @ mean_a


def _point_sets(a: Any, b: Any) -> tuple[np.ndarray, np.ndarray]:
    """Two finite arrays of one shape (N, n), n >= 2."""
    a, b = np.array(a, dtype=float), np.array(b, dtype=float)
    if a.ndim != 2 or a.shape != b.shape or a.shape[0] < 1 or a.shape[1] < 2:
        raise ValueError(f"`a` and `b` must both have shape (N, n), one point a row, n >= 2; got {a.shape}, {b.shape}.")
    for name, x in (("a", a), ("b", b)):
        if not np.isfinite(x).all():
            raise ValueError(f"`{name}` must be finite; row {int(np.argmin(np.isfinite(x).all(axis=1)))} is not.")
    return a, b

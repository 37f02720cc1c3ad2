"""Symmetric positive definite matrices: one door to the geometries, each in a file of its own."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg.namespace import Array, namespace
from manifold_opt.manifolds.arrays import frobenius, scalar
from manifold_opt.manifolds.positive_definite import PositiveDefinite

__all__ = ["SymmetricPositiveDefinite"]

_CLASSES = {
    "affine-invariant": ("affine_invariant", "AffineInvariant"),
    "log-euclidean": ("log_euclidean", "LogEuclidean"),
    "log-cholesky": ("log_cholesky", "LogCholesky"),
    "bures-wasserstein": ("bures_wasserstein", "BuresWasserstein"),
}


@functools.cache
def _class_of(metric: str) -> type[SymmetricPositiveDefinite]:
    module, name = _CLASSES[metric]
    kind: type[SymmetricPositiveDefinite] = getattr(import_module(f"manifold_opt.manifolds.{module}"), name)
    return kind


@dataclass(frozen=True, repr=False)
class SymmetricPositiveDefinite(PositiveDefinite):
    """The symmetric positive definite matrices, with a choice of metrics.

    A point is a symmetric (n, n) matrix p with positive eigenvalues, a tangent vector any symmetric (n, n)
    matrix.

    Parameters
    ----------
    n : int
        Size of the matrices, at least 1.
    metric : {"affine-invariant", "log-euclidean", "log-cholesky", "bures-wasserstein"}
        ``"affine-invariant"``, ``tr(p^-1 X p^-1 Y)``: for every invertible A the map ``p -> A p A'`` is an isometry,
        and so is inversion; curvature between -1/2 and 0.

        ``"log-euclidean"``, ``<Dlog_p X, Dlog_p Y>``: the logarithm is an isometry to the symmetric matrices; flat;
        orthogonal congruences and inversion are isometries.

        ``"log-cholesky"``: the lower triangle of the Cholesky factor, with the logarithms of its diagonal, is an
        isometry to R^dim; flat, the cheapest; depends on the order of rows and columns.

        ``"bures-wasserstein"``, ``tr(S Y) / 2`` for the solution of ``p S + S p = X``: the distance of optimal
        transport between centered normal distributions; nonnegative curvature, and singular matrices at finite
        distance, so that geodesics end: see `max_step`.

    Raises
    ------
    ValueError
        If n is not a positive integer, or the metric is unknown.

    Notes
    -----
    Every operation is O(n^3). Each metric is a class of its own, a subclass of this one; manifolds with different
    metrics are different.

    References
    ----------
    R. Bhatia, Positive Definite Matrices, Princeton, 2007, chapter 6. V. Arsigny, P. Fillard, X. Pennec, N. Ayache,
    Geometric means in a novel vector space structure on symmetric positive-definite matrices, SIAM J. Matrix Anal.
    Appl. 29, 2007. Z. Lin, Riemannian geometry of symmetric positive definite matrices via Cholesky decomposition,
    SIAM J. Matrix Anal. Appl. 40, 2019. R. Bhatia, T. Jain, Y. Lim, On the Bures-Wasserstein distance between positive
    definite matrices, Expo. Math. 37, 2019.
    """

    n: int
    metric: str = "affine-invariant"

    isometric: ClassVar[bool] = False
    default_retraction = "exponential"
    default_inverse_retraction = "exponential"

    def __new__(cls, n: Any = None, metric: str = "affine-invariant") -> SymmetricPositiveDefinite:
        """An instance of the class of the metric."""
        if cls is SymmetricPositiveDefinite:
            if metric not in _CLASSES:
                listed = ", ".join(map(repr, _CLASSES))
                raise ValueError(f"metric must be one of {listed}, but it is {metric!r}")
            cls = _class_of(metric)
        return object.__new__(cls)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self, _class_of(self.metric)):
            raise ValueError(
                f"{type(self).__name__} does not have the metric {self.metric!r}; "
                f"call SymmetricPositiveDefinite(n, metric={self.metric!r}), or derive from the type of what it returns"
            )

    def __repr__(self) -> str:
        """As it is called."""
        metric = "" if self.metric == "affine-invariant" else f", metric={self.metric!r}"
        return f"SymmetricPositiveDefinite({self.n}{metric})"

    @property
    def injectivity_radius(self) -> float:
        """Infinite: one geodesic joins any two points."""
        return math.inf

    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """The product of the orthonormal coordinates."""
        x = self.get_coordinates(p, X)
        y = x if Y is X else self.get_coordinates(p, Y)
        if type(x) is np.ndarray and type(y) is np.ndarray and x.ndim == 1 == y.ndim:
            return float(x.dot(y))
        return scalar(frobenius(namespace(x, y), x, y, 1))

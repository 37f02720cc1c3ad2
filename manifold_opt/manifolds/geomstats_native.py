"""Which spaces of geomstats are manifolds of this package: same points, same metric.

Known by the names of their classes, so that nothing is imported. A class derived from one of these is another space.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from manifold_opt.manifolds.affine_invariant import HermitianPositiveDefinite
from manifold_opt.manifolds.base import Manifold
from manifold_opt.manifolds.euclidean import Euclidean
from manifold_opt.manifolds.half_space import HalfSpace
from manifold_opt.manifolds.hyperbolic import Hyperbolic
from manifold_opt.manifolds.kendall_shape import KendallShape
from manifold_opt.manifolds.linear_spaces import Hermitian, SkewSymmetric, Symmetric
from manifold_opt.manifolds.poincare_ball import PoincareBall
from manifold_opt.manifolds.positive import Positive
from manifold_opt.manifolds.power import PowerManifold
from manifold_opt.manifolds.pre_shape import PreShape
from manifold_opt.manifolds.probability_simplex import ProbabilitySimplex
from manifold_opt.manifolds.product import ProductManifold
from manifold_opt.manifolds.rotations import Rotations
from manifold_opt.manifolds.sphere import Sphere
from manifold_opt.manifolds.stiefel import Stiefel
from manifold_opt.manifolds.symmetric_positive_definite import SymmetricPositiveDefinite

__all__ = ["native_manifold"]


def native_manifold(space: Any) -> Manifold | None:
    """The manifold of this package with the points and the metric of a geomstats space, or None.

    Tangent vectors are stored as the manifold of this package stores them: those of rotations in the Lie algebra,
    where geomstats keeps ``p @ X``.
    """
    metric = getattr(space, "metric", None)
    make = _NATIVE.get((_name(space), _name(metric)))
    # spaces over complex numbers have a real part of the same name; coordinates on the sphere may be intrinsic
    return None if make is None else make(space)


def _name(x: Any) -> str:
    kind = type(x)
    return kind.__qualname__ if kind.__module__.partition(".")[0] == "geomstats" else ""


def _sphere(space: Any) -> Manifold | None:
    return None if space.intrinsic else Sphere(space.dim)


def _power(space: Any) -> Manifold | None:
    base = native_manifold(space.base_manifold)
    plain = getattr(space.metric, "scales", None) is None
    return PowerManifold(base, space.n_copies) if base is not None and plain else None


def _product(space: Any) -> Manifold | None:
    factors = [native_manifold(M) for M in space.factors]
    # with factors of one shape geomstats stacks the points instead of laying them flat
    if any(M is None or M.vector_shape != M.point_shape or M.field == "complex" for M in factors):
        return None
    product = ProductManifold(**{f"M{i}": M for i, M in enumerate(factors) if M is not None})
    return product if product.point_shape == tuple(space.shape) else None


_NATIVE: dict[tuple[str, str], Callable[[Any], Manifold | None]] = {
    ("Euclidean", "CanonicalEuclideanMetric"): lambda s: Euclidean(s.dim),
    ("Matrices", "MatricesMetric"): lambda s: Euclidean(*s.shape),
    ("SymmetricMatrices", "MatricesMetric"): lambda s: Symmetric(s.n),
    ("SkewSymmetricMatrices", "MatricesMetric"): lambda s: SkewSymmetric(s.n),
    ("HermitianMatrices", "ComplexMatricesMetric"): lambda s: Hermitian(s.n),
    ("Hypersphere", "HypersphereMetric"): _sphere,
    ("Hyperboloid", "HyperboloidMetric"): lambda s: Hyperbolic(s.dim),
    ("PoincareBall", "PoincareBallMetric"): lambda s: PoincareBall(s.dim),
    ("PoincareHalfSpace", "PoincareHalfSpaceMetric"): lambda s: HalfSpace(s.dim),
    ("PositiveReals", "PositiveRealsMetric"): lambda s: Positive(1),
    ("SPDMatrices", "SPDAffineMetric"): lambda s: SymmetricPositiveDefinite(s.n),
    ("SPDMatrices", "SPDLogEuclideanMetric"): lambda s: SymmetricPositiveDefinite(s.n, metric="log-euclidean"),
    ("SPDMatrices", "SPDBuresWassersteinMetric"): lambda s: SymmetricPositiveDefinite(s.n, metric="bures-wasserstein"),
    ("HPDMatrices", "HPDAffineMetric"): lambda s: HermitianPositiveDefinite(s.n),
    ("_SpecialOrthogonalMatrices", "BiInvariantMetric"): lambda s: Rotations(s.n),
    ("Stiefel", "StiefelCanonicalMetric"): lambda s: Stiefel(s.n, s.p, metric="canonical"),
    ("CategoricalDistributions", "CategoricalMetric"): lambda s: ProbabilitySimplex(s.dim),
    ("PreShapeSpace", "PreShapeMetric"): lambda s: PreShape(s.k_landmarks, s.ambient_dim),
    ("PreShapeSpace", "KendallShapeMetric"): lambda s: KendallShape(s.k_landmarks, s.ambient_dim),
    ("NFoldManifold", "NFoldMetric"): _power,
    ("ProductManifold", "ProductRiemannianMetric"): _product,
}

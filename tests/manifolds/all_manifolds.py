"""The one list of manifolds: whatever stands here passes every conformance check."""

from __future__ import annotations

import re
import sys
import types
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse

from manifold_opt.manifolds import (
    ArraySphere,
    Centered,
    Circle,
    ComplexCircle,
    Correlation,
    DoublyStochastic,
    Elliptope,
    Essential,
    Euclidean,
    FixedRank,
    FixedRankFactors,
    Flag,
    GeneralizedGrassmann,
    GeneralizedStiefel,
    Grassmann,
    HalfSpace,
    Hermitian,
    HermitianPositiveDefinite,
    Hyperbolic,
    Hyperrectangle,
    KendallShape,
    Manifold,
    MetricManifold,
    Multinomial,
    NotOnManifold,
    Oblique,
    Orthogonal,
    PoincareBall,
    Positive,
    PowerManifold,
    PreShape,
    ProbabilitySimplex,
    ProductManifold,
    ProjectiveSpace,
    PSDFixedRank,
    QuaternionPoses,
    Rotations,
    Scaled,
    Similarity,
    SkewSymmetric,
    SpecialEuclidean,
    SpecialPositiveDefinite,
    SpecialUnitary,
    Spectrahedron,
    Sphere,
    Stiefel,
    Symmetric,
    SymmetricPositiveDefinite,
    SymplecticStiefel,
    TangentBundle,
    TangentSpace,
    TensorTrain,
    Torus,
    Tucker,
    Unitary,
    UnitQuaternions,
    Validated,
)

PAGE = Path(__file__).parents[2] / "docs" / "manifolds" / "own_manifold.md"


def code_of_page() -> list[str]:
    """The blocks of Python code on the page about own manifolds."""
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


def run_page(blocks: int) -> types.ModuleType:
    """The first blocks of code of the page, run as a module so that what it defines can be pickled."""
    page = types.ModuleType(f"page_about_own_manifolds_{blocks}")
    sys.modules[page.__name__] = page
    for block in code_of_page()[:blocks]:
        exec(compile(block, str(PAGE), "exec"), page.__dict__)
    return page


Ellipsoid = run_page(1).Ellipsoid


@dataclass(frozen=True, repr=False)
class HalfPlane(Manifold):
    """The hyperbolic plane as (x, y) with y > 0 and metric (dx^2 + dy^2) / y^2: five methods, its own retraction."""

    scale: float = 1.0
    isometric = False
    dim = 2
    point_shape = (2,)

    def inner(self, p, X, Y):
        return self.scale * np.sum(X * Y, axis=-1) / p[..., 1] ** 2

    def project_vector(self, p, Z):
        return Z

    def retract(self, p, X, t=1.0, method=None, out=None):
        t = np.asarray(t, dtype=p.dtype)[..., None]
        x = p[..., :1] + t * X[..., :1]
        return np.concatenate([x, p[..., 1:] * np.exp(t * X[..., 1:] / p[..., 1:])], axis=-1)

    def random_point(self, rng=None, size=()):
        return np.array([0.0, 1.0]) * np.random.default_rng(rng).uniform(
            0.5, 2.0, (*size, 2)
        ) + np.random.default_rng(rng).uniform(0.0, 1.0, (*size, 1)) * np.array([1.0, 0.0])

    def check_point(self, p, atol=None):
        if p.shape[-1:] != (2,) or not np.all(np.isfinite(p)) or not np.all(p[..., 1] > 0):
            raise NotOnManifold(f"the second entry of p must be positive, but p is {p}")


def half_plane_matrix(p):
    """The metric of the half plane, as a matrix."""
    return (1.0 / p[..., -1] ** 2)[..., None, None] * np.eye(2, dtype=np.float32)


def bumpy_matrix(p):
    """A metric on the sphere with nothing special about it."""
    return np.diag([1.0, 2.0, 3.0]).astype(np.float32) + p[..., :, None] * p[..., None, :]


def banded(n: int) -> sparse.csc_matrix:
    """A sparse positive definite matrix."""
    return sparse.diags([np.full(n - 1, -0.5), np.linspace(1.5, 3.0, n), np.full(n - 1, -0.5)], [-1, 0, 1]).tocsc()


MANIFOLDS = [
    Euclidean(3),
    Euclidean(2, 3),
    Euclidean(2, field="complex"),
    Sphere(1),
    Sphere(2),
    Sphere(6),
    Ellipsoid((1.0, 2.0, 3.0)),
    HalfPlane(),
    PowerManifold(Sphere(2), 3),
    PowerManifold(Euclidean(2), (2, 2)),
    PowerManifold(Ellipsoid((1.0, 2.0, 3.0)), 2),
    ProductManifold(R=Sphere(2), t=Euclidean(2, 2)),
    ProductManifold(a=Sphere(2), z=Euclidean(2, field="complex")),
    ProductManifold(z=Euclidean(2, field="complex"), w=Euclidean(1, field="complex")),
    ProductManifold(a=PowerManifold(Sphere(2), 2), e=Ellipsoid((1.0, 2.0))),
    PowerManifold(ProductManifold(a=Sphere(2), b=Euclidean(1)), 2),
    TangentSpace(Sphere(2), Sphere(2).random_point(3)),
    TangentSpace(HalfPlane(), np.array([0.3, 0.7])),
    Rotations(2),
    Rotations(3),
    Rotations(3, metric_scale=1.0),
    Rotations(5),
    SymmetricPositiveDefinite(2),
    SymmetricPositiveDefinite(3),
    PowerManifold(Rotations(3), 3),
    PowerManifold(SymmetricPositiveDefinite(2), 2),
    ProductManifold(R=Rotations(3), t=Euclidean(3)),
    ProductManifold(R=PowerManifold(Rotations(3), 2), t=PowerManifold(Euclidean(3), 2)),
    TangentSpace(Rotations(3), Rotations(3).random_point(1)),
    TangentSpace(SymmetricPositiveDefinite(2), SymmetricPositiveDefinite(2).random_point(1)),
    SpecialEuclidean(2),
    SpecialEuclidean(3),
    SpecialEuclidean(3, metric_scale=1.0, translation_weight=0.25),
    SpecialEuclidean(4, metric_scale=1.0),
    PowerManifold(SpecialEuclidean(3), 2),
    Stiefel(5, 2),
    Stiefel(3, 3, metric="canonical"),
    Stiefel(4, 2, metric="canonical"),
    Stiefel(4, 2, field="complex"),
    Stiefel(3, 2, field="complex", metric="canonical"),
    Oblique(3, 2),
    Oblique(2, 2, field="complex"),
    ComplexCircle(),
    ComplexCircle(3),
    ArraySphere(2, 3),
    ArraySphere(2, field="complex"),
    PowerManifold(Oblique(2, 2), 2),
    ProductManifold(z=ComplexCircle(2), R=Rotations(2), a=Torus(2)),
    Circle(),
    Torus(3),
    Hyperbolic(1),
    Hyperbolic(2),
    Hyperbolic(5),
    PowerManifold(Hyperbolic(2), 2),
    Grassmann(5, 2),
    Grassmann(4, 1),
    Grassmann(4, 2, field="complex"),
    ProbabilitySimplex(1),
    ProbabilitySimplex(2),
    ProbabilitySimplex(4),
    Multinomial(2, 3),
    Symmetric(3),
    SkewSymmetric(3),
    SkewSymmetric(2, field="complex"),
    Hermitian(2),
    Centered(2, 3),
    Positive(3),
    Positive(2, 2),
    Hyperrectangle([-3.0, -np.inf, 0.0], [4.0, 2.0, np.inf]),
    Orthogonal(2),
    Orthogonal(3),
    Orthogonal(4, metric_scale=1.0),
    Unitary(1),
    Unitary(2),
    Unitary(4, metric_scale=0.5),
    SpecialUnitary(2),
    SpecialUnitary(3, metric_scale=0.5),
    ProductManifold(U=Unitary(2), t=Euclidean(2)),
    ProjectiveSpace(1),
    ProjectiveSpace(3),
    ProjectiveSpace(1, field="complex"),
    ProjectiveSpace(2, field="complex"),
    PoincareBall(1),
    PoincareBall(2),
    PoincareBall(4),
    HalfSpace(1),
    HalfSpace(2),
    HalfSpace(4),
    DoublyStochastic(5),
    DoublyStochastic(3, symmetric=True),
    UnitQuaternions(),
    QuaternionPoses(metric_scale=1.0, translation_weight=0.25),
    PreShape(4, 2),
    FixedRankFactors(5, 4, 2),
    Tucker((4, 3, 3), (2, 2, 2)),
    TensorTrain((3, 2, 3), (2, 2)),
    KendallShape(4, 2),
    KendallShape(5, 3),
    FixedRank(5, 4, 2),
    FixedRank(4, 3, 2, field="complex"),
    Similarity(2),
    Similarity(3, metric_scale=1.0, translation_weight=0.25, scale_weight=2.0),
    SymmetricPositiveDefinite(2, metric="log-euclidean"),
    SymmetricPositiveDefinite(3, metric="log-cholesky"),
    SymmetricPositiveDefinite(2, metric="bures-wasserstein"),
    HermitianPositiveDefinite(1),
    HermitianPositiveDefinite(2),
    Scaled(Rotations(3), 2.5),
    ProductManifold(R=Sphere(2), t=Euclidean(2), weights={"t": 0.25}),
    MetricManifold(HalfSpace(2), half_plane_matrix),
    MetricManifold(Sphere(2), bumpy_matrix),
    TangentBundle(Sphere(2)),
    TangentBundle(Rotations(3)),
    TangentBundle(SymmetricPositiveDefinite(2)),
    TangentBundle(ComplexCircle(2)),
    Validated(ProductManifold(R=Rotations(2), t=Sphere(1))),
    Essential(),
    SpecialPositiveDefinite(2),
    PSDFixedRank(3, 1),
    PSDFixedRank(5, 2),
    PSDFixedRank(3, 3),
    PSDFixedRank(4, 2, field="complex"),
    Elliptope(4, 2),
    Elliptope(5, 4),
    Elliptope(3, 2, field="complex"),
    Spectrahedron(3, 1),
    Spectrahedron(4, 3),
    Spectrahedron(3, 2, field="complex"),
    Correlation(2),
    Correlation(4),
    SpecialPositiveDefinite(3, determinant=2.0, field="complex"),
    GeneralizedStiefel(4, 2, np.diag([1.0, 2.0, 3.0, 1.5]) + 0.2),
    GeneralizedStiefel(3, 2, np.eye(3) + 0.3j * np.tri(3, 3, -1) - 0.3j * np.tri(3, 3, -1).T, field="complex"),
    GeneralizedGrassmann(4, 2, banded(4)),
    SymplecticStiefel(4, 2),
    SymplecticStiefel(4, 2, "euclidean"),
    Flag(5, (1, 3)),
    Flag(4, (1, 2), field="complex"),
]

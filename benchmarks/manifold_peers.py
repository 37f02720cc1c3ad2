"""Manifolds that geomstats or pymanopt have too, as contestants: their spaces, and our points in their storage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import manifold_opt as mo
from manifold_opt.manifolds import import_geomstats

from .harness import peer

Convert = Callable[[Any], Any]


@dataclass
class Contest:
    """One manifold and its peers.

    Attributes
    ----------
    ours : Manifold
    geomstats : callable, optional
        Makes the space.
    pymanopt : callable, optional
        Makes the manifold; it is given ``k`` where pymanopt has batches.
    batched : bool
        Whether pymanopt has batches of it, as a power with ``k`` copies.
    point, vector : callable, optional
        Our point, and our vector at a point, in the storage of geomstats; default: as embedded.
    own_points : bool
        Whether pymanopt stores points otherwise, and is timed on random ones of its own.
    """

    ours: Any
    geomstats: Callable[[], Any] | None = None
    pymanopt: Callable[..., Any] | None = None
    batched: bool = False
    point: Convert | None = None
    vector: Callable[[Any, Any], Any] | None = None
    own_points: bool = False

    def theirs(self) -> Any:
        """geomstats' space, or None."""
        return self.geomstats() if self.geomstats is not None and peer("geomstats") is not None else None

    def others(self, size: tuple[int, ...]) -> Any:
        """pymanopt's manifold for one point or a batch, or None."""
        if self.pymanopt is None or peer("pymanopt.manifolds") is None or (size and not self.batched):
            return None
        return self.pymanopt(k=size[0]) if size else self.pymanopt()

    def for_geomstats(self, p: Any) -> Any:
        return self.point(p) if self.point is not None else self.ours.embed_point(p)

    def vector_for_geomstats(self, p: Any, X: Any) -> Any:
        return self.vector(p, X) if self.vector is not None else self.ours.embed_vector(p, X)


def _geometry(name: str, module: str, *arguments: Any, metric: str | None = None, **keywords: Any) -> Callable[[], Any]:
    def make() -> Any:
        found = import_geomstats(f"geomstats.{module}")
        space = getattr(found, name)(*arguments, equip=metric is None, **keywords)
        return space if metric is None else space.equip_with_metric(getattr(found, metric))

    return make


def _pymanopt(name: str, *arguments: Any, **keywords: Any) -> Callable[..., Any]:
    return lambda **k: getattr(peer("pymanopt.manifolds"), name)(*arguments, **keywords, **k)


def _projector(p: Any) -> Any:
    return p @ p.swapaxes(-1, -2)


def _in_projectors(p: Any, X: Any) -> Any:
    Z = X @ p.swapaxes(-1, -2)
    return Z + Z.swapaxes(-1, -2)


def contests() -> list[Contest]:
    """All of them, small."""
    geometry, families = "geometry", "information_geometry"
    spd = ("SPDMatrices", f"{geometry}.spd_matrices", 3)
    motions = mo.SpecialEuclidean(3, metric_scale=1.0)
    listed = [
        Contest(mo.Euclidean(3), _geometry("Euclidean", f"{geometry}.euclidean", 3), _pymanopt("Euclidean", 3)),
        Contest(
            mo.Symmetric(3),
            _geometry("SymmetricMatrices", f"{geometry}.symmetric_matrices", 3),
            _pymanopt("Symmetric", 3),
            True,
        ),
        Contest(
            mo.SkewSymmetric(3),
            _geometry("SkewSymmetricMatrices", f"{geometry}.skew_symmetric_matrices", 3),
            _pymanopt("SkewSymmetric", 3),
            True,
        ),
        Contest(mo.Positive(3), None, _pymanopt("Positive", 1, 3)),
        Contest(mo.Sphere(2), _geometry("Hypersphere", f"{geometry}.hypersphere", 2), _pymanopt("Sphere", 3)),
        Contest(mo.Sphere(99), _geometry("Hypersphere", f"{geometry}.hypersphere", 99), _pymanopt("Sphere", 100)),
        Contest(mo.Oblique(3, 4), None, _pymanopt("Oblique", 3, 4)),
        Contest(mo.ComplexCircle(3), None, _pymanopt("ComplexCircle", 3)),
        Contest(mo.ProbabilitySimplex(3), _geometry("CategoricalDistributions", f"{families}.categorical", 3)),
        Contest(mo.Hyperbolic(2), _geometry("Hyperboloid", f"{geometry}.hyperboloid", 2)),
        Contest(
            mo.PoincareBall(2),
            _geometry("PoincareBall", f"{geometry}.poincare_ball", 2),
            _pymanopt("PoincareBall", 2),
            True,
        ),
        Contest(mo.HalfSpace(2), _geometry("PoincareHalfSpace", f"{geometry}.poincare_half_space", 2)),
        Contest(
            mo.Rotations(3),
            _geometry("SpecialOrthogonal", f"{geometry}.special_orthogonal", 3),
            _pymanopt("SpecialOrthogonalGroup", 3),
            True,
        ),
        Contest(mo.Unitary(2), None, _pymanopt("UnitaryGroup", 2), True),
        Contest(
            motions,
            _geometry("SpecialEuclidean", f"{geometry}.special_euclidean", 3),
            point=motions.to_matrix,
            vector=lambda p, X: _motion_vector(motions, p, X),
        ),
        Contest(mo.Stiefel(5, 2), None, _pymanopt("Stiefel", 5, 2, retraction="polar"), True),
        Contest(mo.Stiefel(5, 2, metric="canonical"), _geometry("Stiefel", f"{geometry}.stiefel", 5, 2)),
        Contest(
            mo.Grassmann(5, 2),
            _geometry("Grassmannian", f"{geometry}.grassmannian", 5, 2),
            _pymanopt("Grassmann", 5, 2),
            True,
            _projector,
            _in_projectors,
        ),
        Contest(mo.SymmetricPositiveDefinite(3), _geometry(*spd), _pymanopt("SymmetricPositiveDefinite", 3), True),
        Contest(
            mo.SymmetricPositiveDefinite(3, metric="log-euclidean"), _geometry(*spd, metric="SPDLogEuclideanMetric")
        ),
        Contest(
            mo.SymmetricPositiveDefinite(3, metric="bures-wasserstein"),
            _geometry(*spd, metric="SPDBuresWassersteinMetric"),
        ),
        Contest(
            mo.HermitianPositiveDefinite(2),
            _geometry("HPDMatrices", f"{geometry}.hpd_matrices", 2),
            _pymanopt("HermitianPositiveDefinite", 2),
            True,
        ),
        Contest(mo.Grassmann(5, 2, field="complex"), None, _pymanopt("ComplexGrassmann", 5, 2), True),
        Contest(mo.PreShape(4, 2), _geometry("PreShapeSpace", f"{geometry}.pre_shape", 4, 2)),
        Contest(mo.KendallShape(4, 2), _shapes),
        Contest(mo.FixedRank(5, 4, 2), None, _pymanopt("FixedRankEmbedded", 5, 4, 2), own_points=True),
        Contest(
            mo.SpecialPositiveDefinite(2, field="complex"), None, _pymanopt("SpecialHermitianPositiveDefinite", 2), True
        ),
        Contest(
            mo.Correlation(3),
            _geometry(
                "FullRankCorrelationMatrices",
                f"{geometry}.full_rank_correlation_matrices",
                3,
                metric="EuclideanCholeskyMetric",
            ),
        ),
        Contest(mo.PSDFixedRank(5, 2), None, _pymanopt("PSDFixedRank", 5, 2)),
        Contest(mo.Elliptope(5, 2), None, _pymanopt("Elliptope", 5, 2)),
        Contest(
            mo.PowerManifold(mo.Sphere(2), 3),
            lambda: import_geomstats("geomstats.geometry.nfold_manifold").NFoldManifold(
                _geometry("Hypersphere", f"{geometry}.hypersphere", 2)(), 3
            ),
        ),
        Contest(
            mo.ProductManifold(p=mo.Sphere(2), A=mo.SymmetricPositiveDefinite(2)),
            lambda: import_geomstats("geomstats.geometry.product_manifold").ProductManifold(
                [
                    _geometry("Hypersphere", f"{geometry}.hypersphere", 2)(),
                    _geometry("SPDMatrices", f"{geometry}.spd_matrices", 2)(),
                ]
            ),
        ),
    ]
    return listed


def _shapes() -> Any:
    space = import_geomstats("geomstats.geometry.pre_shape").PreShapeSpace(4, 2)
    space.equip_with_group_action("rotations")
    space.equip_with_quotient()
    return space.quotient


def _motion_vector(M: Any, p: Any, X: Any) -> Any:
    """A tangent vector of rigid motions as the derivative of their 4 x 4 matrices."""
    import numpy as np

    R, _ = M.split(p)
    W, v = M.split_vector(X)
    Z = np.zeros((*W.shape[:-2], 4, 4))
    Z[..., :3, :3], Z[..., :3, 3] = R @ W, np.einsum("...ij,...j->...i", R, v)
    return Z

"""Sets of landmarks without location and size: Kendall's pre-shapes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg.namespace import Array, namespace
from manifold_opt.manifolds.arrays import cleared, default_atol, written
from manifold_opt.manifolds.base import Manifold
from manifold_opt.manifolds.distance_rules import log_derivative
from manifold_opt.manifolds.errors import NotOnManifold, NotTangent
from manifold_opt.manifolds.parameters import positive_integers
from manifold_opt.manifolds.sphere import Sphere

__all__ = ["Landmarks", "PreShape"]


class Landmarks(Manifold):
    """Manifolds of centered (k, n) arrays of norm 1, landmarks in rows.

    The contrasts of an array are all rows but the last after the Householder reflection ``I - v v' / (1 + r)``,
    ``v = r 1
    + e_k``, ``r = 1 / sqrt(k)``, which takes ``(1, ..., 1) / sqrt(k)`` to ``-e_k``: O(k n). They are an isometry of
    centered arrays to all arrays of one row less, and serve coordinates.
    """

    k: int
    n: int

    def __getstate__(self) -> dict[str, Any]:
        """The parameters alone, without what is cached."""
        return {"k": self.k, "n": self.n}

    @property
    def point_shape(self) -> tuple[int, ...]:
        """Landmarks, coordinates of each."""
        return (self.k, self.n)

    def _contrasts(self, a: Array) -> Array:
        r = 1.0 / math.sqrt(self.k)
        along = r * namespace(a).sum(a, axis=-2)[..., None, :] + a[..., -1:, :]
        return a[..., :-1, :] - (r / (1.0 + r)) * along

    def _landmarks(self, y: Array) -> Array:
        xp = namespace(y)
        r = 1.0 / math.sqrt(self.k)
        along = r * xp.sum(y, axis=-2)[..., None, :]
        return xp.concatenate([y - (r / (1.0 + r)) * along, -along], axis=-2)

    @staticmethod
    def _centered(a: Array) -> Array:
        """The landmarks less their mean."""
        return a - namespace(a).mean(a, axis=-2)[..., None, :]

    def _checked(self, a: Any, name: str, atol: float | None, error: type[ValueError]) -> tuple[Array, float]:
        """The array and the tolerance, after the checks that it is real, finite and centered."""
        a = cleared(a, name, self.point_shape, error)
        if a.dtype.kind == "c":
            raise error(f"{name} must be real for {self!r}, but its dtype is {a.dtype}; take its real part")
        atol = (default_atol(a) if atol is None else atol) * max(1.0, float(np.max(np.abs(a), initial=0.0)))
        off = float(np.max(np.abs(np.mean(a, axis=-2)), initial=0.0))
        if not off <= atol:
            raise error(
                f"the landmarks of {name} must have mean zero on {self!r}, but their mean is off by {off:.3g} "
                f"(tolerance {atol:.3g}); project it"
            )
        return a, atol

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless p is real, finite, centered and of norm 1."""
        p, atol = self._checked(p, "p", atol, NotOnManifold)
        off = float(np.max(np.abs(np.linalg.norm(p, axis=(-2, -1)) - 1.0), initial=0.0))
        if not off <= atol:
            raise NotOnManifold(
                f"p must have norm 1 on {self!r}, but its norm is off by {off:.3g} (tolerance {atol:.3g}); project it "
                "with M.project_point(p)"
            )

    def check_vector(self, p: Array, X: Array, atol: float | None = None) -> None:
        """Raise unless X is real, finite, centered and tangent at p."""
        self._checked(X, "X", atol, NotTangent)
        super().check_vector(p, X, atol)


@dataclass(frozen=True, repr=False)
class PreShape(Landmarks):
    """Kendall's pre-shapes: k landmarks in R^n with mean zero and norm 1, a sphere of dimension n (k - 1) - 1.

    Parameters
    ----------
    k, n : int
        Number of landmarks, at least 2, and of coordinates of each.

    Raises
    ------
    ValueError
        If they are not positive integers or leave one real number.

    Notes
    -----
    A point is a (k, n) array, landmarks in rows, as in geomstats; Manifolds.jl has them in columns. All operations are
    those of the sphere.

    References
    ----------
    D. G. Kendall, Shape manifolds, Procrustean metrics, and complex projective spaces, Bull. London Math. Soc. 16,
    1984.
    """

    k: int
    n: int

    isometric: ClassVar[bool] = True
    operations: ClassVar[frozenset[str]] = frozenset(
        """
        inner distance squared_distance exp log parallel_transport_to parallel_transport_direction get_coordinates
        get_vector project_point project_vector tangentialize riemannian_gradient riemannian_hessian weingarten
        random_point check_point check_vector injectivity_radius sectional_curvature_bounds
        """.split()
    )
    retractions: ClassVar[Mapping[str, str]] = {"exponential": "exp", "projection": "_retract_projection"}
    inverse_retractions: ClassVar[Mapping[str, str]] = {
        "exponential": "log",
        "logarithmic": "log",
        "projection": "_inverse_retract_projection",
    }
    default_retraction = "exponential"
    default_inverse_retraction = "exponential"
    default_transport = "parallel"

    def __post_init__(self) -> None:
        k, n = positive_integers("k and n", (self.k, self.n), self)
        object.__setattr__(self, "k", k)
        object.__setattr__(self, "n", n)
        if (k - 1) * n < 2:
            raise ValueError(
                f"PreShape(k, n) of k landmarks in R^n needs n (k - 1) >= 2, but k = {k} and n = {n}; "
                "take more landmarks"
            )

    @cached_property
    def _sphere(self) -> Sphere:
        """The sphere of all entries, in which pre-shapes are a great sphere."""
        return Sphere(self.k * self.n - 1)

    @cached_property
    def _contrast_sphere(self) -> Sphere:
        return Sphere((self.k - 1) * self.n - 1)

    def _flat(self, a: Array) -> Array:
        return a.reshape((*a.shape[:-2], a.shape[-2] * a.shape[-1]))

    def _shaped(self, a: Array, out: Array | None = None) -> Array:
        return written(self._centered(a.reshape((*a.shape[:-1], self.k, self.n))), out)

    @property
    def dim(self) -> int:
        """``n (k - 1) - 1``."""
        return self.n * (self.k - 1) - 1

    @property
    def injectivity_radius(self) -> float:
        """That of the sphere: pi."""
        return math.pi

    @property
    def sectional_curvature_bounds(self) -> tuple[float, float]:
        """Those of the sphere: 1, on a circle 0."""
        return self._contrast_sphere.sectional_curvature_bounds

    # ---------------- the sphere

    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """``tr(X'Y)``."""
        return self._sphere.inner(self._flat(p), self._flat(X), self._flat(Y))

    @log_derivative
    def distance(self, p: Array, q: Array) -> Any:
        """The angle between p and q in radians: the length of the logarithm, in which no rounding of means is left."""
        return self.norm(p, self.log(p, q))

    @log_derivative
    def squared_distance(self, p: Array, q: Array) -> Any:
        """The square of the distance."""
        d = self.distance(p, q)
        return d * d

    def exp(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """That of the sphere, centered, since rounding of the mean would grow from step to step."""
        return self._shaped(self._sphere.exp(self._flat(p), self._flat(X), t), out)

    def log(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """The direction of q as seen from p times the angle between them; at the antipode a fixed direction."""
        X = self._shaped(self._sphere.log(self._flat(p), self._flat(q)))
        xp = namespace(p, q)
        antipodal = xp.sum(abs(p + q), axis=(-2, -1)) == 0
        if xp is not np or np.any(antipodal):
            y, z = self._flat(self._contrasts(p)), self._flat(self._contrasts(q))
            fixed = self._contrast_sphere.log(y, z)
            fixed = self._landmarks(fixed.reshape((*fixed.shape[:-1], self.k - 1, self.n)))
            X = xp.where(antipodal[..., None, None], fixed, X)
        return written(X, out)

    def _retract_projection(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``(p + t X) / |p + t X|``; second order."""
        return self._shaped(self._sphere._retract_projection(self._flat(p), self._flat(X), t), out)

    def _inverse_retract_projection(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """``q / <p, q> - p``."""
        return self._shaped(self._sphere._inverse_retract_projection(self._flat(p), self._flat(q)), out)

    def parallel_transport_to(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """That of the sphere."""
        arrays = (self._flat(a) for a in (p, X, q))
        return self._shaped(self._sphere.parallel_transport_to(*arrays), out)

    def parallel_transport_direction(self, p: Array, X: Array, d: Array, *, out: Array | None = None) -> Array:
        """That of the sphere."""
        arrays = (self._flat(a) for a in (p, X, d))
        return self._shaped(self._sphere.parallel_transport_direction(*arrays), out)

    # ---------------- coordinates and embedding

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """Those of the sphere of contrasts: O(k n)."""
        if basis is not None:
            return super().get_coordinates(p, X, basis, out=out)
        y, Y = self._flat(self._contrasts(p)), self._flat(self._contrasts(X))
        return self._contrast_sphere.get_coordinates(y, Y, out=out)

    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """The tangent vector with these coordinates."""
        if basis is not None:
            return super().get_vector(p, c, basis, out=out)
        Y = self._contrast_sphere.get_vector(self._flat(self._contrasts(p)), c)
        return written(self._landmarks(Y.reshape((*Y.shape[:-1], self.k - 1, self.n))), out)

    def project_point(self, z: Array) -> Array:
        """The landmarks less their mean, divided by their norm."""
        return self._sphere.project_point(self._flat(self._centered(z))).reshape(tuple(z.shape))

    def project_vector(self, p: Array, Z: Array) -> Array:
        """``Z`` less its mean and its part along p."""
        return self._shaped(self._sphere.project_vector(self._flat(p), self._flat(Z)))

    def tangentialize(self, p: Array, X: Array) -> Array:
        """As `project_vector`."""
        return self.project_vector(p, X)

    def riemannian_gradient(self, p: Array, G: Array) -> Array:
        """As `project_vector`."""
        return self.project_vector(p, G)

    def riemannian_hessian(self, p: Array, G: Array, H: Array, X: Array) -> Array:
        """``P H - <p, G> X``."""
        arrays = (self._flat(a) for a in (p, G, H, X))
        return self._shaped(self._sphere.riemannian_hessian(*arrays))

    def weingarten(self, p: Array, X: Array, V: Array) -> Array:
        """``-<p, V> X``."""
        return self._shaped(self._sphere.weingarten(*(self._flat(a) for a in (p, X, V))))

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """Uniform: independent normal landmarks, centered and scaled."""
        return self.project_point(np.random.default_rng(rng).standard_normal((*size, self.k, self.n)))

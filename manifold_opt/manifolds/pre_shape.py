"""Sets of landmarks without location and size: Kendall's pre-shapes."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from manifold_opt.linalg.namespace import Array, namespace
from manifold_opt.manifolds.arrays import default_atol, expanded, frobenius, scalar, written
from manifold_opt.manifolds.base import Manifold
from manifold_opt.manifolds.distance_rules import log_derivative
from manifold_opt.manifolds.errors import NotOnManifold, NotTangent
from manifold_opt.manifolds.identified import Identified
from manifold_opt.manifolds.parameters import positive_integers
from manifold_opt.manifolds.sphere import Sphere, angle_over_sine, fixed_direction, safe_atan2, sign

__all__ = ["Landmarks", "PreShape"]


class Landmarks(Identified):
    """Manifolds of centered (k, n) arrays; the model has the arrays of their k - 1 contrasts.

    The contrasts are all rows but the last after the Householder reflection ``I - v v' / (1 + r)``, ``v = r 1 + e_k``,
    ``r = 1 / sqrt(k)``, which takes ``(1, ..., 1) / sqrt(k)`` to ``-e_k``: O(k n).
    """

    k: int
    n: int

    @property
    @abstractmethod
    def model(self) -> Manifold:
        """The manifold of contrasts."""

    @property
    def point_shape(self) -> tuple[int, ...]:
        """Landmarks, coordinates of each."""
        return (self.k, self.n)

    def _to(self, a: Array) -> Array:
        r = 1.0 / math.sqrt(self.k)
        along = r * namespace(a).sum(a, axis=-2)[..., None, :] + a[..., -1:, :]
        return self._arranged(a[..., :-1, :] - (r / (1.0 + r)) * along)

    def _back(self, a: Array) -> Array:
        xp = namespace(a)
        y = a.reshape(tuple(a.shape[: a.ndim - len(self.model.point_shape)]) + (self.k - 1, self.n))
        r = 1.0 / math.sqrt(self.k)
        along = r * xp.sum(y, axis=-2)[..., None, :]
        return xp.concatenate([y - (r / (1.0 + r)) * along, -along], axis=-2)

    def _arranged(self, y: Array) -> Array:
        """Contrasts in the shape of points of the model."""
        return y

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless p is a centered point."""
        super().check_point(p, atol)
        self._check_centered(np.asarray(p), "p", atol, NotOnManifold)

    def check_vector(self, p: Array, X: Array, atol: float | None = None) -> None:
        """Raise unless X is a centered tangent vector at p."""
        super().check_vector(p, X, atol)
        self._check_centered(np.asarray(X), "X", atol, NotTangent)

    def _check_centered(self, a: Array, name: str, atol: float | None, error: type[ValueError]) -> None:
        atol = (default_atol(a) if atol is None else atol) * max(1.0, float(np.max(np.abs(a), initial=0.0)))
        off = float(np.max(np.abs(np.mean(a, axis=-2)), initial=0.0))
        if not off <= atol:
            raise error(
                f"the landmarks of {name} must have mean zero on {self!r}, but their mean is off by {off:.3g} "
                f"(tolerance {atol:.3g}); project it"
            )


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
    def model(self) -> Manifold:
        """The sphere of contrasts."""
        return Sphere((self.k - 1) * self.n - 1)

    def _seen(self, p: Array, q: Array) -> tuple[Array, Array, Array, Array]:
        """Contrasts of p, those of q normal to them, its squared length and ``<p, q>``.

        As on the sphere, but the difference (in the far half the sum) is taken before contrasts round it.
        """
        xp = namespace(p, q)
        c = frobenius(xp, p, q, 2)
        e, y = self._to(q - expanded(sign(xp, c), 2) * p), self._to(p)
        Y = e - expanded(frobenius(xp, y, e, 1), 1) * y
        return y, Y, frobenius(xp, Y, Y, 1), c

    @log_derivative
    def distance(self, p: Array, q: Array) -> Any:
        """The angle between p and q in radians."""
        _, Y, s2, c = self._seen(p, q)
        xp = namespace(Y)
        return scalar(np.arctan2(np.sqrt(s2), c)) if xp is np else safe_atan2(xp, s2, c)

    @log_derivative
    def squared_distance(self, p: Array, q: Array) -> Any:
        """The square of the distance."""
        d = self.distance(p, q)
        return d * d

    def log(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """The direction of q as seen from p times the angle between them; at the antipode a fixed direction."""
        y, Y, s2, c = self._seen(p, q)
        xp = namespace(Y)
        X = expanded(angle_over_sine(xp, s2, c), 1) * Y
        antipodal = (s2 == 0) & (c < 0)
        if xp is not np or np.any(antipodal):
            X = xp.where(antipodal[..., None], math.pi * fixed_direction(xp, y), X)
        return written(self._back(X), out)

    def _arranged(self, y: Array) -> Array:
        return y.reshape(tuple(y.shape[:-2]) + ((self.k - 1) * self.n,))

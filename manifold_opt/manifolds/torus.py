"""Angles: the circle and the flat torus."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg.namespace import Array, namespace
from manifold_opt.manifolds.arrays import cleared, default_atol, expanded, written
from manifold_opt.manifolds.distance_rules import log_derivative
from manifold_opt.manifolds.errors import NotOnManifold
from manifold_opt.manifolds.flat import FlatSpace
from manifold_opt.manifolds.parameters import positive_integers

__all__ = ["Circle", "Torus"]

_TURN = 2.0 * math.pi


@dataclass(frozen=True, repr=False)
class Torus(FlatSpace):
    """The flat torus of n angles in [-pi, pi), radians, with the metric of R^n.

    Parameters
    ----------
    n : int
        How many angles.

    Raises
    ------
    ValueError
        If n is not a positive integer.

    Notes
    -----
    A vector is the rate of change of the angles, and its coordinates are its entries. ``log`` takes each difference of
    angles to [-pi, pi); at opposite angles it is -pi. The derivative of the stored angles knows nothing of the jump at
    pi, so a cost should have period 2 pi.

    References
    ----------
    K. V. Mardia, P. E. Jupp, Directional Statistics, Wiley, 2000, chapter 2.
    """

    n: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", positive_integers("n", (self.n,), self)[0])

    @property
    def point_shape(self) -> tuple[int, ...]:
        """One axis of angles."""
        return (self.n,)

    @property
    def injectivity_radius(self) -> float:
        """Half a turn of one angle."""
        return math.pi

    @log_derivative
    def distance(self, p: Array, q: Array) -> Any:
        """The root of the sum of squared differences of angles."""
        return self.norm(p, self.log(p, q))

    @log_derivative
    def squared_distance(self, p: Array, q: Array) -> Any:
        """The sum of squared differences of angles."""
        X = self.log(p, q)
        return self.inner(p, X, X)

    def exp(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``p + t X``, wrapped to [-pi, pi)."""
        return written(wrapped(p + expanded(t, 1) * X), out)

    def log(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """``q - p``, wrapped to [-pi, pi)."""
        return written(wrapped(q - p), out)

    def mid_point(self, p: Array, q: Array) -> Array:
        """Half way along `log`."""
        return wrapped(p + 0.5 * self.log(p, q))

    def project_point(self, z: Array) -> Array:
        """The angles wrapped to [-pi, pi)."""
        return wrapped(z)

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """Uniform."""
        return np.random.default_rng(rng).uniform(-math.pi, math.pi, (*size, self.n))

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless p holds finite real angles between -pi and pi."""
        super().check_point(p, atol)
        p = cleared(p, "p", self.point_shape, NotOnManifold)
        # single precision has no number nearer to pi than one slightly above
        atol = default_atol(p) if atol is None else max(atol, float(np.finfo(p.dtype).eps) * math.pi)
        off = float(np.max(np.abs(p), initial=0.0)) - math.pi
        if not off <= atol:
            raise NotOnManifold(
                f"p must hold angles between -pi and pi to be a point of {self!r}, but one is beyond by {off:.3g}; "
                "wrap it with M.project_point(p)"
            )


@dataclass(frozen=True, repr=False)
class Circle(Torus):
    """The circle as one angle in [-pi, pi), radians; a point is an array of shape ``(1,)``.

    See `Torus` for what it does, and `ComplexCircle` for unit complex numbers.
    """

    n: ClassVar[int] = 1  # type: ignore[misc]  # no parameter here

    def __post_init__(self) -> None:
        """Nothing to check."""


def wrapped(x: Array) -> Array:
    """Angles taken to [-pi, pi) by whole turns; exact where that is none.

    The number of turns has no derivative.
    """
    xp = namespace(x)
    return x - _TURN * xp.floor((x + math.pi) / _TURN)

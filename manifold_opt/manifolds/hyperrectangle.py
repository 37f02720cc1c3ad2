"""A box: arrays between lower and upper bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg.namespace import Array, namespace
from manifold_opt.manifolds.arrays import default_atol, expanded, scalar, written
from manifold_opt.manifolds.errors import NotOnManifold
from manifold_opt.manifolds.flat import FlatSpace

__all__ = ["Hyperrectangle"]


@dataclass(frozen=True, init=False, repr=False, eq=False)
class Hyperrectangle(FlatSpace):
    """Arrays whose entries lie between bounds, with the Euclidean metric: a manifold with corners.

    Parameters
    ----------
    lower, upper : array_like
        Bounds of every entry, of one shape or shapes that broadcast; infinite where there is none. They are copied.

    Raises
    ------
    ValueError
        If a lower bound is not below its upper one, or a bound is NaN.

    Notes
    -----
    Vectors are all arrays, also at the boundary, as in Euclidean space. A geodesic ends at the boundary; beyond, for t
    above ``max_step``, ``exp`` clips each entry, and so does the retraction of either name. A gradient that points out
    of the box does not vanish at a solution on the boundary, so the solvers that know bounds take them as their
    argument ``bounds`` instead.

    References
    ----------
    D. P. Bertsekas, Projected Newton methods for optimization problems with simple constraints, SIAM J. Control Optim.
    20, 1982. D. Joyce, On manifolds with corners, 2009.
    """

    lower: np.ndarray
    upper: np.ndarray

    operations: ClassVar[frozenset[str]] = FlatSpace.operations | {"injectivity_radius_at", "max_step"}

    def __init__(self, lower: Any, upper: Any) -> None:
        low, high = np.broadcast_arrays(*(np.atleast_1d(np.asarray(b, dtype=float)) for b in (lower, upper)))
        if not np.all(low < high):
            raise ValueError(
                "lower must be below upper everywhere on a Hyperrectangle, but "
                f"{int(np.count_nonzero(~(low < high)))} of {low.size} bounds are not; leave fixed entries out"
            )
        for name, bound in (("lower", low.copy()), ("upper", high.copy())):
            bound.flags.writeable = False
            object.__setattr__(self, name, bound)

    def __repr__(self) -> str:
        """With the bounds as lists."""
        return f"Hyperrectangle({self.lower.tolist()}, {self.upper.tolist()})"

    def _key(self) -> tuple[Any, ...]:
        return self.point_shape, self.lower.tobytes(), self.upper.tobytes()

    def __eq__(self, other: object) -> bool:
        """Whether the bounds are equal."""
        return isinstance(other, Hyperrectangle) and self._key() == other._key()

    def __hash__(self) -> int:
        """Of the bounds."""
        return hash(self._key())

    @property
    def point_shape(self) -> tuple[int, ...]:
        """The shape of the bounds."""
        return self.lower.shape

    @property
    def injectivity_radius(self) -> float:
        """Zero: points may be arbitrarily close to the boundary."""
        return 0.0 if np.isfinite(self.lower).any() or np.isfinite(self.upper).any() else math.inf

    def injectivity_radius_at(self, p: Array, retraction: Any = None) -> float:
        """The distance to the boundary, the least in a batch."""
        return max(0.0, float(min(np.min(p - self.lower), np.min(self.upper - p))))

    def max_step(self, p: Array, X: Array) -> Any:
        """The largest t at which ``p + t X`` is still in the box."""
        with np.errstate(divide="ignore", invalid="ignore"):
            room = np.where(X > 0, (self.upper - p) / X, np.where(X < 0, (self.lower - p) / X, math.inf))
        return scalar(np.min(room, axis=tuple(range(-len(self.point_shape), 0))))

    def exp(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``p + t X``, clipped to the bounds."""
        return written(self.project_point(p + expanded(t, len(self.point_shape)) * X), out)

    def project_point(self, z: Array) -> Array:
        """The nearest array between the bounds."""
        xp = namespace(z)
        # copies, since PyTorch warns of read-only arrays
        low, high = (xp.asarray(b.copy(), dtype=z.dtype) for b in (self.lower, self.upper))
        return xp.minimum(xp.maximum(z, low), high)

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """Uniform between two bounds, exponential beyond one, normal without any."""
        rng = np.random.default_rng(rng)
        shape = (*size, *self.point_shape)
        u, e, z = rng.uniform(size=shape), rng.standard_exponential(shape), rng.standard_normal(shape)
        low, high = np.isfinite(self.lower), np.isfinite(self.upper)
        a, b = np.where(low, self.lower, 0.0), np.where(high, self.upper, 0.0)
        return np.select([low & high, low, high], [a + u * (b - a), a + e, b - e], z)

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless p is real, finite and between the bounds."""
        super().check_point(p, atol)
        p = np.asarray(p)
        atol = default_atol(p) if atol is None else atol
        off = float(max(np.max(self.lower - p), np.max(p - self.upper)))
        if not off <= atol:
            raise NotOnManifold(
                f"p must lie between the bounds of {self!r}, but an entry is outside by {off:.3g} (tolerance "
                f"{atol:.3g}); clip it with M.project_point(p)"
            )

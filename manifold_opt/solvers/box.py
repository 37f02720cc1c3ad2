"""Bounds on the flat coordinates of a point: those of real Euclidean spaces, alone, in powers and in products.

A flat coordinate is an entry of the stored point, and moving along it changes this entry alone. The coordinates of the
other factors are free: they have no order that a bound could refer to.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..manifolds import Euclidean, PowerManifold, ProductManifold


class Box:
    """Bounds of the coordinates of a tangent space.

    Parameters
    ----------
    lower, upper : array of shape (dim,)
        Infinite where there is none.
    coordinates, entries : array of int
        The flat coordinates, and the entry of the raveled point that each of them is.

    Attributes
    ----------
    fixed : array of bool, shape (dim,)
        Coordinates whose two bounds are equal.
    """

    __slots__ = ("coordinates", "entries", "fixed", "lower", "upper")

    def __init__(self, lower: Any, upper: Any, coordinates: Any, entries: Any) -> None:
        self.lower, self.upper = lower, upper
        self.coordinates, self.entries = coordinates, entries
        self.fixed = lower == upper

    def position(self, p: Any) -> Any:
        """Values of the coordinates, zero for those that are not flat; of shape (dim,)."""
        x = np.zeros(self.lower.shape)
        x[self.coordinates] = p.reshape(-1)[self.entries]
        return x

    def placed(self, p: Any, x: Any) -> Any:
        """A copy of p with its flat coordinates replaced."""
        q = np.array(p)
        q.reshape(-1)[self.entries] = x[self.coordinates]
        return q

    def clipped(self, p: Any) -> Any:
        """A copy of p with its flat coordinates inside the bounds."""
        return self.placed(p, np.clip(self.position(p), self.lower, self.upper))

    def blocked(self, p: Any, g: Any) -> Any:
        """Coordinates on a bound that minus the gradient (coordinates g) would leave."""
        x = self.position(p)
        return self.fixed | ((x <= self.lower) & (g > 0.0)) | ((x >= self.upper) & (g < 0.0))

    def active(self, p: Any) -> Any:
        """-1 or 1 for each coordinate on its lower or upper bound, else 0."""
        x = self.position(p)
        return (x >= self.upper).astype(int) - (x <= self.lower).astype(int)

    def check(self, p: Any) -> None:
        """Raise ValueError when the start point is outside."""
        x = self.position(p)
        outside = np.flatnonzero((x < self.lower) | (x > self.upper))
        if outside.size:
            i = outside[0]
            raise ValueError(
                f"`p0` is outside of `bounds`: its coordinate {i} is {x[i]!r}, the bounds are {self.lower[i]!r} and "
                f"{self.upper[i]!r} ({outside.size} such coordinates). Clip the start point first."
            )


def box_of(M: Any, bounds: Any) -> Box | None:
    """Bounds given by a user, as those of coordinates; None where there are none.

    Parameters
    ----------
    M : Manifold
    bounds : None, pair, dict or scipy.optimize.Bounds
        ``(lower, upper)``, numbers or arrays that broadcast to the shape of a point; or, on a product, a dict that
        gives such a pair for factors by name (the others are free).

    Raises
    ------
    ValueError
        When the shapes do not fit, a lower bound exceeds its upper one, or a bound is given for a coordinate that is
        not flat.
    """
    if bounds is None:
        return None
    lower, upper = _arrays(M, bounds)
    coordinates, entries = flat_coordinates(M)
    low, high = np.full(M.dim, -np.inf), np.full(M.dim, np.inf)
    low[coordinates], high[coordinates] = lower[entries], upper[entries]
    curved = np.ones(lower.size, bool)
    curved[entries] = False
    if np.isfinite(lower[curved]).any() or np.isfinite(upper[curved]).any():
        raise ValueError(
            f"`bounds` are given for entries of a point of {M!r} that are no flat coordinates: bound the Euclidean "
            "factors by name, bounds={name: (lower, upper)}, and leave the others out."
        )
    bad = np.flatnonzero(~(low <= high))
    if bad.size:
        i = bad[0]
        raise ValueError(
            f"`bounds` must have lower <= upper everywhere; coordinate {i} has {low[i]!r} and {high[i]!r}."
        )
    if not (np.isfinite(low).any() or np.isfinite(high).any()):
        return None
    return Box(low, high, coordinates, entries)


def _arrays(M: Any, bounds: Any) -> tuple[Any, Any]:
    """Lower and upper bounds of the entries of the raveled point."""
    if isinstance(bounds, dict):
        return _by_name(M, bounds)
    if hasattr(bounds, "lb") and hasattr(bounds, "ub"):
        bounds = bounds.lb, bounds.ub
    if not isinstance(bounds, tuple | list) or len(bounds) != 2:
        raise ValueError(
            f"`bounds` must be a pair (lower, upper), or a dict of such pairs by the names of factors; got {bounds!r}."
        )
    pair = []
    for value in bounds:
        array = np.asarray(value, float)
        try:
            pair.append(np.broadcast_to(array, M.point_shape).reshape(-1))
        except ValueError:
            raise ValueError(
                f"`bounds` must be numbers or arrays of the shape {tuple(M.point_shape)} of a point; got one of shape "
                f"{array.shape}."
            ) from None
    return pair[0], pair[1]


def _by_name(M: Any, bounds: dict[str, Any]) -> tuple[Any, Any]:
    if not isinstance(M, ProductManifold):
        raise ValueError(f"`bounds` by name need a ProductManifold of named factors; got {M!r}.")
    unknown = [name for name in bounds if name not in M.names]
    if unknown:
        raise ValueError(f"`bounds` name {unknown[0]!r}; the factors are {', '.join(map(repr, M.names))}.")
    parts = []
    for name in M.names:
        N = M[name]
        size = int(np.prod(N.point_shape)) * (2 if M.field == "real" and N.field == "complex" else 1)
        none = np.full(size, -np.inf), np.full(size, np.inf)
        parts.append(none if bounds.get(name) is None else _arrays(N, bounds[name]))
    return np.concatenate([low for low, _ in parts]), np.concatenate([high for _, high in parts])


def flat_coordinates(M: Any) -> tuple[Any, Any]:
    """Flat coordinates of M, and the entry of the raveled point that each of them is."""
    if isinstance(M, Euclidean) and M.field == "real":
        return np.arange(M.dim), np.arange(M.dim)
    if isinstance(M, PowerManifold):
        coordinates, entries = flat_coordinates(M.manifold)
        size = int(np.prod(M.manifold.point_shape))
        copies = np.arange(int(np.prod(M.copies)))[:, None]
        return (copies * M.manifold.dim + coordinates).reshape(-1), (copies * size + entries).reshape(-1)
    if isinstance(M, ProductManifold):
        parts, first, start = [], 0, 0
        for name in M.names:
            N = M[name]
            coordinates, entries = flat_coordinates(N)
            parts.append((first + coordinates, start + entries))
            first += N.dim
            start += int(np.prod(N.point_shape)) * (2 if M.field == "real" and N.field == "complex" else 1)
        return np.concatenate([c for c, _ in parts]), np.concatenate([e for _, e in parts])
    return np.empty(0, int), np.empty(0, int)

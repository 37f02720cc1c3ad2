r"""Proximal maps of distances and of total variation, in closed form.

The proximal map of f at x is the minimizer of f(y) + d(x, y)^2 / (2 lambda). For functions of distances it lies on the
geodesics between the points:

    f = d(., q)       moves x towards q by min(lambda, d),
    f = d(., q)^2/2   by d lambda / (1 + lambda),
    f = d(x, y)       moves both points towards each other by min(lambda, d / 2),
    f = d(x, y)^2/2   by d lambda / (1 + 2 lambda).

Total variation of an array of points is a sum of the last two over neighbours. Pairs that share no point are moved at
once: along each axis the even ones, then the odd ones.

References
----------
A. Weinmann, L. Demaret, M. Storath, "Total variation regularization for manifold-valued data", SIAM J. Imaging Sci. 7
(2014), propositions 1 and 2. M. Bacak, "Computing medians and means in Hadamard spaces", SIAM J. Optim. 24 (2014).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..manifolds import PowerManifold
from ..manifolds.arrays import expanded


def _checked(lam: float, exponent: int) -> float:
    if exponent not in (1, 2):
        raise ValueError(f"`exponent` must be 1, for distances, or 2, for half their squares; got {exponent!r}.")
    if not lam >= 0.0:
        raise ValueError(f"`lam`, the parameter of a proximal map, must not be negative; got {lam!r}.")
    return float(lam)


def prox_distance(M: Any, lam: float, q: Any, x: Any, exponent: int = 1) -> Any:
    """The proximal map of ``d(., q)``, or of half its square, at x.

    Parameters
    ----------
    M : Manifold
        Needs ``exp`` and ``log``.
    lam : float
        The parameter, not negative.
    q, x : array
        Points; batches broadcast.
    exponent : {1, 2}
        1 for the distance, 2 for half its square.

    Raises
    ------
    ValueError
        On a negative parameter or another exponent.

    Examples
    --------
    >>> import numpy as np
    >>> from manifold_opt import Euclidean, functions
    >>> functions.prox_distance(Euclidean(1), 0.5, np.array([3.0]), np.array([1.0]))
    array([1.5])
    """
    lam = _checked(lam, exponent)
    X = M.log(x, q)
    return M.exp(x, expanded(_share(M, x, X, lam, exponent, 1.0), len(M.vector_shape)) * X)


def prox_pair(M: Any, lam: float, x: Any, y: Any, exponent: int = 1) -> tuple[Any, Any]:
    """The proximal map of ``d(x, y)``, or of half its square, as a function of both points.

    Parameters
    ----------
    M, lam, exponent
        As for `prox_distance`.
    x, y : array
        Points; batches broadcast.

    Returns
    -------
    tuple of two arrays
        The points moved towards each other.
    """
    lam = _checked(lam, exponent)
    k = len(M.vector_shape)
    X, Y = M.log(x, y), M.log(y, x)
    t = expanded(_share(M, x, X, lam, exponent, 0.5), k)
    return M.exp(x, t * X), M.exp(y, t * Y)


def _share(M: Any, x: Any, X: Any, lam: float, exponent: int, most: float) -> Any:
    """The part of the way between two points to go: of a fixed length, at most all or half, or a fixed part."""
    if exponent == 2:
        return lam / (1.0 + lam / most)
    d = np.asarray(M.norm(x, X))
    return np.minimum(most, lam / np.where(d > 0, d, 1.0)).astype(d.dtype, copy=False)


class TotalVariation:
    r"""Total variation of an array of points: the sum over neighbours of their distances, or of half their squares.

    Parameters
    ----------
    M : PowerManifold
        Of a base with ``exp`` and ``log``; its copies may be an array of any number of axes.
    exponent : {1, 2}
        1 for distances, which keeps jumps, 2 for half their squares, which smooths.

    Raises
    ------
    TypeError, ValueError
        When M is no power manifold, or on another exponent.

    Notes
    -----
    ``f(x)`` is the value, ``f.gradient(x)`` the Riemannian gradient (with exponent 1 a subgradient, which leaves out
    neighbours that coincide), and ``f.proximal_maps()`` the maps for the cyclic proximal point algorithm, each of a
    part of f whose pairs share no point. Denoising adds the proximal map of the distances to the data.
    """

    def __init__(self, M: Any, exponent: int = 1) -> None:
        if not isinstance(M, PowerManifold):
            raise TypeError(f"`M` must be a PowerManifold, whose copies are the neighbours; got {M!r}.")
        _checked(0.0, exponent)
        self.manifold = M
        self.exponent = exponent

    def _neighbours(self, x: Any, axis: int, first: int | None = None) -> tuple[Any, Any]:
        """The first and the second points of all pairs along an axis, or of every other from `first` on."""
        at = x.ndim - len(self.manifold.point_shape) + axis
        n = self.manifold.copies[axis]
        start, step = (0, 1) if first is None else (first, 2)
        pick = lambda i: x[(slice(None),) * at + (slice(i, i + max(0, n - 1 - start), step),)]
        return pick(start), pick(start + 1)

    def __call__(self, x: Any) -> Any:
        """The sum over all neighbours."""
        M = self.manifold.manifold
        total = 0.0
        for axis in range(len(self.manifold.copies)):
            p, q = self._neighbours(x, axis)
            d = M.distance(p, q) if self.exponent == 1 else 0.5 * M.squared_distance(p, q)
            total = total + d.sum(axis=tuple(range(-len(self.manifold.copies), 0)))
        return float(total) if np.ndim(total) == 0 and isinstance(total, np.generic) else total

    def gradient(self, x: Any) -> Any:
        """Minus the sum of the vectors to the neighbours, as unit vectors with exponent 1."""
        M, k = self.manifold.manifold, len(self.manifold.manifold.vector_shape)
        G = self.manifold.zero_vector(x)
        for axis in range(len(self.manifold.copies)):
            p, q = self._neighbours(x, axis)
            for a, b, i in ((p, q, 0), (q, p, 1)):
                X = M.log(a, b)
                if self.exponent == 1:
                    d = np.asarray(M.norm(a, X))
                    near = d <= M.coincidence_tolerance(a, b)
                    X = np.where(expanded(near, k), 0.0, X / expanded(np.where(near, 1.0, d), k))
                self._neighbours_of_vectors(G, axis, i)[...] -= X
        return G

    def _neighbours_of_vectors(self, G: Any, axis: int, second: int) -> Any:
        at = G.ndim - len(self.manifold.vector_shape) + axis
        n = self.manifold.copies[axis]
        return G[(slice(None),) * at + (slice(second, second + n - 1),)]

    def proximal_maps(self) -> tuple[Callable[[float, Any], Any], ...]:
        """Functions ``prox(lam, x)``: along each axis one of the even and one of the odd pairs."""
        return tuple(
            partial(self._prox, axis, first)
            for axis, n in enumerate(self.manifold.copies)
            for first in (0, 1)
            if n - 1 - first > 0
        )

    def _prox(self, axis: int, first: int, lam: float, x: Any) -> Any:
        y = np.array(x)
        p, q = self._neighbours(y, axis, first)
        p[...], q[...] = prox_pair(self.manifold.manifold, lam, p, q, self.exponent)
        return y

"""The accuracy grid: logarithm, distance and exponential against values in 50 digits."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from manifold_opt.manifolds import Manifold
from manifold_opt.testing.samples import Array, ConformanceError, unit_vector

LENGTHS = (1e-12, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2, 0.1, 0.5, 0.9, 1.1, 1.5, 2.0, 2.5, 3.0)
"""Lengths of tangent vectors; those beyond 0.99 of the injectivity radius are replaced by 0.99 and 1 - 1e-7 of it.

Where the radius is not the same everywhere, and zero at worst, those beyond 0.99 of the one at p become that.
"""


def _grid(radius: float, single: bool) -> list[tuple[float, float]]:
    """Lengths and the relative error allowed at each."""
    if single:
        lengths = [x for x in LENGTHS if 1e-4 <= x <= 0.99 * radius]
        return [(x, 1e-5) for x in [*lengths, *([0.99 * radius] if math.isfinite(radius) else [])]]
    grid = [(x, 1e-13) for x in LENGTHS if x <= 0.99 * radius]
    return grid + ([(0.99 * radius, 1e-13), ((1 - 1e-7) * radius, 1e-7)] if math.isfinite(radius) else [])


def check_accuracy(
    M: Manifold,
    exact: Callable[[Array, Array], tuple[Array, Any]],
    rng: Any = 0,
    *,
    samples: int = 3,
    condition: Callable[[Array, Array], float] | None = None,
    dtype: Any = np.float64,
) -> float:
    """Compare ``log`` and ``distance`` with 50-digit values for the stored points.

    Parameters
    ----------
    M : Manifold
        The manifold.
    exact : callable
        ``exact(p, q)`` returns the stored logarithm (an object array of ``mpmath.mpf``) and the distance, for
        the points of the manifold nearest to the stored arrays.
    rng : int, optional
        Seed.
    samples : int, optional
        Random points per length, default 3.
    condition : callable, optional
        ``condition(p, q)``: beyond 1e3 the error may grow to 1e-15 times it.
    dtype
        ``float64`` (the default) or ``float32``.

    Returns
    -------
    float
        The worst error relative to what is allowed.

    Raises
    ------
    ConformanceError
        Where the error exceeds what is allowed.
    """
    rng = np.random.default_rng(rng)
    worst = 0.0
    single = np.dtype(dtype) == np.float32
    for length, allowed in _grid(M.injectivity_radius or math.inf, single):
        for _ in range(samples):
            p = M.random_point(rng)
            if M.injectivity_radius == 0.0:
                length = min(length, 0.99 * M.injectivity_radius_at(p))
            q = M.exp(p, length * unit_vector(M, p, rng))
            kind = np.result_type(dtype, np.complex64) if p.dtype.kind == "c" else dtype
            p, q = p.astype(kind), q.astype(kind)
            X, d = exact(p, q)
            if condition is not None:
                allowed = max(allowed, 1e-15 * condition(p, q))
            errors = {
                "log": _error(X, M.log(p, q)),
                "distance": float(abs(M.distance(p, q) - d) / d),
                "log of a batch": _error(X, M.log(p[None], q[None])[0]),
                "distance of a batch": float(abs(float(M.distance(p[None], q[None])[0]) - d) / d),
            }
            for name, error in errors.items():
                if not error <= allowed:
                    raise ConformanceError(
                        f"{M!r}.{name} in {np.dtype(dtype).name} at length {length:.12g}: relative error {error:.3g}, "
                        f"allowed {allowed:.3g}"
                    )
                worst = max(worst, error / allowed)
    return worst


def _error(exact: Array, value: Array) -> float:
    """The largest difference relative to the largest entry."""
    off = max(abs(x - float(y)) for x, y in zip(exact.flat, value.flat, strict=True))
    return float(off / max(abs(x) for x in exact.flat))


def check_exp_accuracy(
    M: Manifold,
    exact: Callable[[Array, Array], Array],
    rng: Any = 0,
    *,
    samples: int = 3,
    allowed: float = 2e-15,
) -> float:
    """Compare ``exp`` with 50-digit values: ``exact(p, X)`` returns the stored point for the stored p and X.

    The error is relative to the largest entry, and to ``1 + |X|`` beyond length 1.
    """
    rng = np.random.default_rng(rng)
    worst = 0.0
    for length in (*LENGTHS, 10.0):
        for _ in range(samples):
            p = M.random_point(rng)
            X = length * unit_vector(M, p, rng)
            q = exact(p, X)
            size = max(1, max(abs(x) for x in q.flat)) * (1 + length)
            error = float(max(abs(x - float(y)) for x, y in zip(q.flat, M.exp(p, X).flat)) / size)
            if not error <= allowed:
                raise ConformanceError(
                    f"{M!r}.exp at length {length:.12g}: relative error {error:.3g}, allowed {allowed:.3g}"
                )
            worst = max(worst, error / allowed)
    return worst

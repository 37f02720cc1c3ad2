"""The Fréchet mean, beside geomstats."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from manifold_opt import Sphere, SymmetricPositiveDefinite, functions, gradient_descent
from manifold_opt.datasets import connectomes

from .harness import Table, best_in_turns, peer

TOLERANCE = 1e-8


def data(rng: Any) -> Iterator[tuple[str, Any, Any, Any]]:
    """Name, manifold, points, start."""
    M = Sphere(2)
    center = M.random_point(rng)
    spread = M.exp(center, 0.5 * M.random_vector(np.broadcast_to(center, (100, 3)), rng))
    yield "100 points on Sphere(2)", M, spread, spread[0]
    N = SymmetricPositiveDefinite(3)
    points = N.random_point(rng, (100,))
    yield "100 matrices in SymmetricPositiveDefinite(3)", N, points, points[0]
    C = connectomes().matrices
    yield "86 connectomes in SymmetricPositiveDefinite(28)", SymmetricPositiveDefinite(28), C, C.mean(axis=0)


def stationarity(M: Any, points: Any, p: Any) -> float:
    """Norm of the mean of the logarithms: 0 at the mean."""
    return float(M.norm(p, M.log(p, points).mean(axis=0)))


def geomstats_mean(M: Any, points: Any, start: Any) -> Any:
    """A call of geomstats' FrechetMean to the same tolerance, or None."""
    if peer("geomstats.learning.frechet_mean") is None:
        return None
    from geomstats.geometry.hypersphere import Hypersphere
    from geomstats.geometry.spd_matrices import SPDMatrices
    from geomstats.learning.frechet_mean import FrechetMean

    space = Hypersphere(2) if isinstance(M, Sphere) else SPDMatrices(len(start))

    def run() -> Any:
        mean = FrechetMean(space)
        # geomstats compares the squared norm of the step with epsilon times the dimension
        mean.set(epsilon=TOLERANCE**2 / space.dim, max_iter=1000, init_point=start)
        return mean.fit(points).estimate_

    return run


def tables() -> Iterator[Table]:
    rows = []
    for name, M, points, start in data(np.random.default_rng(1)):
        f = functions.FrechetMean(M, points)

        def ours(M: Any = M, f: Any = f, start: Any = start) -> Any:
            return gradient_descent(M, f.fused, start, tolerance=TOLERANCE)

        calls = {"ours": ours}
        theirs = geomstats_mean(M, points, start)
        if theirs is not None:
            calls["geomstats"] = theirs
        ms = {who: 1e3 * t for who, t in best_in_turns(calls, 1.0, turns=3).items()}
        result = ours()
        other = math.nan if theirs is None else stationarity(M, points, np.asarray(theirs()))
        rows.append(
            [
                name,
                ms["ours"],
                result.iterations,
                stationarity(M, points, result.point),
                ms.get("geomstats"),
                other,
                ms.get("geomstats", math.nan) / ms["ours"],
            ]
        )
    yield Table(
        "Fréchet mean",
        "`gradient_descent` beside geomstats' `FrechetMean`, from the same start to the same stationarity "
        "of 1e-8. The norm of the mean of the logarithms at the answer says how good it is.",
        ["", "ours, ms", "iterations", "stationarity", "geomstats, ms", "stationarity", "ratio"],
        rows,
    )

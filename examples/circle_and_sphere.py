"""A circle and a sphere through points of which a third are anything, by geometric distances.

Centre and radius are found among the outliers, compared with a fit to the good points alone by SciPy, and the
standard errors are put to the test: over forty samples the errors divided by them are about one in size.
"""

import numpy as np
from scipy.optimize import least_squares

from manifold_opt import Euclidean, ProductManifold, graduated_non_convexity, levenberg_marquardt

rng = np.random.default_rng(0)
NOISE = 0.02


def problem(x):
    """Distances of the points x from the circle (sphere) with a centre and a radius."""
    M = ProductManifold(center=Euclidean(x.shape[1]), radius=Euclidean(1))
    return M, M.componentwise(lambda c, r: np.sqrt(((x - c) ** 2).sum(axis=1)) - r)


def points(dim, n, center, radius):
    """Noisy points of a circle or a sphere."""
    u = rng.standard_normal((n, dim))
    return center + radius * u / np.linalg.norm(u, axis=1, keepdims=True) + NOISE * rng.standard_normal((n, dim))


for dim in (2, 3):
    center, radius = np.arange(1.0, dim + 1), 1.5
    x = points(dim, 90, center, radius)
    x[::3] = center + rng.uniform(-4.0, 4.0, (30, dim))
    M, residual = problem(x)
    start = M.join(np.median(x, axis=0), np.ones(1))
    result = graduated_non_convexity(M, residual, start, scale=2.6 * NOISE)
    print(result.report())

    good = result.state.weights > 0.5
    distances = lambda v, x=x[good]: np.linalg.norm(x - v[:-1], axis=1) - v[-1]
    other = least_squares(distances, start, xtol=1e-14, ftol=1e-14)
    assert np.allclose(result.point, other.x, atol=1e-6)
    assert np.allclose(result.point, [*center, radius], atol=0.03)
    assert np.linalg.norm(levenberg_marquardt(M, residual, start).point - [*center, radius]) > 0.1  # without care

    scores = []
    for _ in range(40):
        M, residual = problem(points(dim, 30, center, radius))
        fit = levenberg_marquardt(M, residual, M.join(center, np.full(1, radius)))
        scores.append((fit.point - [*center, radius]) / fit.statistics().standard_errors)
    print(f"errors by standard errors, root mean square: {np.sqrt(np.mean(np.square(scores), axis=0)).round(2)}")
    assert 0.8 < np.sqrt(np.mean(np.square(scores))) < 1.25

    if dim == 2:
        try:
            from matplotlib.figure import Figure
        except ImportError:
            continue
        figure = Figure()
        axes = figure.subplots()
        angle = np.linspace(0.0, 2.0 * np.pi, 200)
        axes.plot(*x[good].T, "o", *x[~good].T, "x")
        axes.plot(result.point[0] + result.point[2] * np.cos(angle), result.point[1] + result.point[2] * np.sin(angle))
        axes.set_aspect("equal")
        figure.savefig("circle.png")

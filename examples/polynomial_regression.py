"""Geodesic and polynomial regression on the sphere, the rotations and the positive definite matrices.

Polynomials are Bezier curves: de Casteljau's construction with geodesics in place of lines. Degree one is geodesic
regression. Akaike's criterion tells which degree the data have. Independent: in a ball so small that the manifold is
flat, numpy's polynomials in normal coordinates; and the geodesic of `functions.GeodesicRegression`.
"""

from itertools import pairwise

import numpy as np

from manifold_opt import (
    PowerManifold,
    Rotations,
    Sphere,
    SymmetricPositiveDefinite,
    functions,
    levenberg_marquardt,
)

rng = np.random.default_rng(3)


def curve(M, controls, t):
    """Points of the Bezier curve with these control points at the times t."""
    level = [controls[i] for i in range(len(controls))]
    while len(level) > 1:
        level = [M.exp(p, M.log(p, q), t) for p, q in pairwise(level)]
    return level[0]


def fit(M, t, y, degree):
    """Least squares of the distances, from control points on the data."""
    P = PowerManifold(M, degree + 1)

    def residual(controls):
        return M.get_coordinates(y, M.log(y, curve(M, controls, t))).reshape(-1)

    return levenberg_marquardt(P, residual, y[np.linspace(0, len(t) - 1, degree + 1).round().astype(int)])


t = np.linspace(0.0, 1.0, 17)
for M in (Sphere(2), Rotations(3), SymmetricPositiveDefinite(2)):
    p = M.random_point(rng)
    truth = np.stack([M.exp(p, 0.5 * M.random_vector(p, rng)) for _ in range(3)])
    exact = curve(M, truth, t)
    y = M.exp(exact, 0.02 * M.random_vector(exact, rng))
    fits = [fit(M, t, y, degree) for degree in (1, 2, 3)]
    criteria = [f.statistics().aic for f in fits]
    error = np.sqrt(np.mean(M.distance(curve(M, fits[1].point, t), exact) ** 2))
    print(f"{M}: AIC of degrees 1, 2, 3: {np.round(criteria, 1)}; error of the curve {error:.4f}")
    assert all(f.converged for f in fits)
    assert criteria[1] < criteria[0] - 20.0 and criteria[1] < criteria[2] + 10.0
    assert error < 0.02
    assert abs(fits[1].statistics().sigma - 0.02) < 0.006

    geodesic = functions.GeodesicRegression(M, t, y)
    other = levenberg_marquardt(geodesic.manifold, geodesic.residual, geodesic.start())
    assert np.allclose(other.point, fits[0].point, atol=1e-6)

    # In a ball of radius 1e-4 curvature is 1e-8 of the distances.
    flat = np.column_stack([np.polyval(c, t) for c in rng.standard_normal((M.dim, 3))])
    flat = 1e-4 * (flat + 0.05 * rng.standard_normal(flat.shape))
    small = M.exp(p, M.get_vector(p, flat))
    fitted = M.get_coordinates(p, M.log(p, curve(M, fit(M, t, small, 2).point, t)))
    expected = np.column_stack([np.polyval(np.polyfit(t, column, 2), t) for column in flat.T])
    assert np.allclose(fitted, expected, atol=1e-9)

    # Errors of the curve grow in proportion to the noise.
    errors = []
    for noise in (0.01, 0.04):
        noisy = M.exp(exact, noise * M.random_vector(exact, rng))
        errors.append(np.sqrt(np.mean(M.distance(curve(M, fit(M, t, noisy, 2).point, t), exact) ** 2)))
    assert 1.5 < errors[1] / errors[0] < 10.0

    if M == Sphere(2):
        try:
            from matplotlib.figure import Figure
        except ImportError:
            continue
        figure = Figure()
        axes = figure.add_subplot(projection="3d")
        axes.plot(*y.T, "o")
        for f in fits[:2]:
            axes.plot(*curve(M, f.point, t).T)
        figure.savefig("polynomial_regression.png")

"""An ellipsoid through points of which a fifth are outliers: its shape is a positive definite matrix.

The ellipsoid is (x - c)'A(x - c) = 1 with A in the manifold of positive definite matrices, so that no step leads to
a hyperboloid. The residual is the distance to first order. Independent: the linear fit of a quadric to the good points.
"""

import numpy as np

from manifold_opt import (
    Euclidean,
    ProductManifold,
    SymmetricPositiveDefinite,
    iteratively_reweighted,
    levenberg_marquardt,
)

rng = np.random.default_rng(1)
Q = np.linalg.qr(rng.standard_normal((3, 3)))[0]
AXES, CENTER = np.array([3.0, 2.0, 1.0]), np.array([1.0, -2.0, 0.5])
M = ProductManifold(A=SymmetricPositiveDefinite(3), c=Euclidean(3))


def points(n, noise):
    """Noisy points of the ellipsoid."""
    u = rng.standard_normal((n, 3))
    on = CENTER + (u / np.linalg.norm(u, axis=1, keepdims=True) * AXES) @ Q.T
    return on + noise * rng.standard_normal((n, 3))


def residual(x):
    """Distances from an ellipsoid, to first order."""

    def distance(A, c):
        d = x - c
        g = d @ A
        q = (g * d).sum(axis=1)
        return (q - np.sqrt(q)) / np.sqrt((g * g).sum(axis=1))

    return M.componentwise(distance)


def semi_axes(p):
    """Semi-axes, the longest first."""
    return 1.0 / np.sqrt(np.linalg.eigvalsh(M.split(p)[0]))


def quadric(x):
    """Semi-axes and centre of the quadric closest to the points in the algebraic sense."""
    i, j = np.triu_indices(3)
    design = np.hstack([x[:, i] * x[:, j] * np.where(i == j, 1.0, 2.0), x])
    v = np.linalg.lstsq(design, np.ones(len(x)), rcond=None)[0]
    B = np.zeros((3, 3))
    B[i, j] = B[j, i] = v[:6]
    c = -0.5 * np.linalg.solve(B, v[6:])
    return 1.0 / np.sqrt(np.linalg.eigvalsh(B / (1.0 + c @ B @ c))), c


x = points(150, 0.02)
x[::5] += 1.5 * rng.standard_normal((30, 3))
start = M.join(np.linalg.inv(3.0 * np.cov(x.T)), np.median(x, axis=0))
result = iteratively_reweighted(M, residual(x), start, loss="tukey")
print(result.report(), "\nsemi-axes", semi_axes(result.point))
good = result.state.weights > 0.5
axes, center = quadric(x[good])
assert np.allclose(semi_axes(result.point), AXES, atol=0.05)
assert np.allclose(semi_axes(result.point), axes, atol=0.05) and np.allclose(
    M.split(result.point)[1], center, atol=0.05
)
assert np.linalg.norm(semi_axes(levenberg_marquardt(M, residual(x), start).point) - AXES) > 0.1  # without care

# Errors grow in proportion to the noise.
errors = []
for noise in (0.005, 0.01, 0.02, 0.04):
    samples = [levenberg_marquardt(M, residual(points(80, noise)), result.point).point for _ in range(5)]
    errors.append(np.sqrt(np.mean([(semi_axes(p) - AXES) ** 2 for p in samples])))
    print(f"noise {noise:5.3f}: error of the semi-axes {errors[-1]:.4f}")
assert 4.0 < errors[-1] / errors[0] < 16.0

try:
    from matplotlib.figure import Figure
except ImportError:
    pass
else:
    figure = Figure()
    plot = figure.subplots()
    plot.loglog((0.005, 0.01, 0.02, 0.04), errors, "o-")
    plot.set(xlabel="noise", ylabel="error of the semi-axes")
    figure.savefig("ellipsoid.png")

"""A cylinder through scattered points, a quarter of them outliers: its axis is a direction on the sphere.

Axis, a point on it and the radius are six numbers for five degrees of freedom: the point may slide along the axis. The
solver does not mind, and the statistics name the direction. Independent: the smallest principal axis of the normals.
"""

import numpy as np

from manifold_opt import Euclidean, ProductManifold, Sphere, graduated_non_convexity, levenberg_marquardt

rng = np.random.default_rng(2)
M = ProductManifold(axis=Sphere(2), point=Euclidean(3), radius=Euclidean(1))
AXIS = np.array([1.0, 2.0, 2.0]) / 3.0
U = np.linalg.svd(AXIS[None])[2][1:]  # two directions across


def points(n, noise):
    """Noisy points of the cylinder, and its normals there."""
    angle, height = rng.uniform(0.0, 2.0 * np.pi, n), rng.uniform(-2.0, 2.0, n)
    normals = np.column_stack([np.cos(angle), np.sin(angle)]) @ U
    return normals + height[:, None] * AXIS + noise * rng.standard_normal((n, 3)), normals


def residual(x):
    """Distances from a cylinder."""

    def distance(u, c, r):
        d = x - c
        across = d - (d @ u)[:, None] * u
        return np.sqrt((across**2).sum(axis=1)) - r

    return M.componentwise(distance)


def angle(p):
    """Between the axis found and the true one, which has no sign."""
    u = M.split(p)[0]
    return np.arctan2(np.linalg.norm(np.cross(u, AXIS)), abs(u @ AXIS))


x, normals = points(200, 0.02)
x[::4] = 1.5 * rng.standard_normal((50, 3))
start = M.join(np.array([0.0, 0.6, 0.8]), np.zeros(3), np.ones(1))
result = graduated_non_convexity(M, residual(x), start, scale=0.06)
fit = result.statistics()
print(fit.report())
assert angle(result.point) < 0.01 and abs(result.point[-1] - 1.0) < 0.01
(sliding,) = fit.null_directions
assert fit.rank == 5 and sliding.variables == ("point",)
along = M.split_vector(M.get_vector(result.point, sliding.coordinates))[1]
assert np.linalg.norm(np.cross(along, M.split(result.point)[0])) < 1e-6

normal_axis = np.linalg.svd(normals[result.state.weights > 0.5], full_matrices=False)[2][-1]
assert np.linalg.norm(np.cross(normal_axis, M.split(result.point)[0])) < 0.01

# Errors of the axis grow in proportion to the noise; the standard errors know how far.
for noise in (0.005, 0.02, 0.08):
    samples = [levenberg_marquardt(M, residual(points(100, noise)[0]), result.point) for _ in range(10)]
    found = np.sqrt(np.mean([angle(s.point) ** 2 for s in samples]))
    expected = np.sqrt(np.mean([np.trace(s.statistics().of_variable("axis")) for s in samples]))
    print(f"noise {noise:.3f}: angle {found:.5f}, expected {expected:.5f}")
    assert 0.5 < found / expected < 2.0

try:
    from matplotlib.figure import Figure
except ImportError:
    pass
else:
    figure = Figure()
    axes = figure.subplots()
    seen = x @ U.T
    axes.scatter(*seen.T, c=result.state.weights, cmap="coolwarm_r")
    axes.set(title="along the axis", aspect="equal")
    figure.savefig("cylinder.png")

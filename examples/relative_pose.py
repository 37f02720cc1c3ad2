"""Relative pose of two calibrated cameras from noisy correspondences, on the manifold of essential matrices.

The eight-point algorithm starts; Levenberg-Marquardt minimizes Sampson's approximation of the distance of the image
points from the epipolar constraint. Depths decide among the four poses of one essential matrix.
"""

import numpy as np

from manifold_opt import Essential, Rotations, levenberg_marquardt

rng = np.random.default_rng(7)
M, R3 = Essential(), Rotations(3)
noise = 1e-3  # of image coordinates, in units of the focal length


def views(n):
    """The pose of the second camera and image points (x, y, 1) of n points in front of both."""
    R = R3.exp(np.eye(3), R3.get_vector(np.eye(3), 0.3 * rng.standard_normal(3)))
    t = np.array([1.0, 0.2, 0.1]) + 0.1 * rng.standard_normal(3)
    second = rng.uniform([-2, -2, 4], [2, 2, 8], (n, 3))
    first = second @ R.T + t
    images = [x / x[:, 2:] for x in (first, second)]
    for x in images:
        x[:, :2] += noise * rng.standard_normal((n, 2))
    return R, t / np.linalg.norm(t), *images


def eight_points(first, second):
    """The null vector of the linear equations ``x1' E x2 = 0``."""
    A = (first[:, :, None] * second[:, None, :]).reshape(-1, 9)
    return np.linalg.svd(A)[2][-1].reshape(3, 3)


def sampson(first, second):
    """Residuals ``x1' E x2`` over the length of their gradient in the image coordinates, in units of the noise."""

    def residual(p):
        E = M.matrix(p)
        Ex, xE = second @ E.T, first @ E
        lengths = Ex[:, 0] ** 2 + Ex[:, 1] ** 2 + xE[:, 0] ** 2 + xE[:, 1] ** 2
        return (first * Ex).sum(axis=1) / (noise * lengths**0.5)

    return residual


def in_front(p, first, second):
    """The number of points with positive depth in both views: ``z1 x1 = z2 R x2 + t`` by least squares."""
    R, t = M.pose(p)
    count = 0
    for x, y in zip(first, second, strict=True):
        z = np.linalg.lstsq(np.stack([x, -R @ y], axis=1), t, rcond=None)[0]
        count += bool(np.all(z > 0))
    return count


ours, start = [], []
for _ in range(8):
    R, t, first, second = views(40)
    p0 = M.from_matrix(eight_points(first, second))
    result = levenberg_marquardt(M, sampson(first, second), p0)
    assert result.converged
    assert 10.0 < 2.0 * result.cost < 75.0  # chi-squared with 40 - 5 degrees of freedom

    true = M.from_pose(R, t)
    for p, errors in ((result.point, ours), (p0, start)):
        best = max(M.equivalents(p), key=lambda q: in_front(q, first, second))
        errors.append(M.distance(best, true))

ours, start = (np.sqrt(np.mean(np.square(e))) for e in (ours, start))
print(f"error of the pose {ours:.4f} rad, of the eight-point algorithm {start:.4f} rad")
assert ours < 0.02 and ours < 0.7 * start

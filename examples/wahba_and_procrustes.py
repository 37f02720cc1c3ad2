"""Wahba's problem and that of Procrustes: rotations from weighted directions, in space and in any dimension.

Both have closed forms, in SciPy, against which the answers are held; what the closed forms do not give is the error
of the attitude, and what they cannot do is a fit among outliers.
"""

import numpy as np
from scipy.linalg import orthogonal_procrustes
from scipy.spatial.transform import Rotation

from manifold_opt import Rotations, graduated_non_convexity, levenberg_marquardt

rng = np.random.default_rng(4)
M = Rotations(3)


def directions(n):
    """Unit vectors."""
    a = rng.standard_normal((n, 3))
    return a / np.linalg.norm(a, axis=1, keepdims=True)


def residual(a, b, sigma):
    """Differences of turned and seen directions, each in units of its noise."""
    return lambda R: ((a @ R.T - b) / sigma[:, None]).reshape(-1)


truth = M.random_point(rng)
a, sigma = directions(12), rng.uniform(0.001, 0.01, 12)
b = a @ truth.T + sigma[:, None] * rng.standard_normal((12, 3))
result = levenberg_marquardt(M, residual(a, b, sigma), np.eye(3))
print(result.report(absolute_sigma=True))
wahba = Rotation.align_vectors(b, a, weights=sigma**-2.0)[0].as_matrix()
assert np.allclose(result.point, wahba, atol=1e-9)

# The predicted covariance of the attitude is that of two hundred repetitions by the closed form.
errors = []
for _ in range(200):
    again = a @ truth.T + sigma[:, None] * rng.standard_normal((12, 3))
    R = Rotation.align_vectors(again, a, weights=sigma**-2.0)[0].as_matrix()
    errors.append(M.get_coordinates(truth, M.log(truth, R)))
predicted = np.diagonal(result.covariance(absolute_sigma=True))
print("variances in seconds of arc squared:", predicted * 206265**2, np.var(errors, axis=0) * 206265**2)
assert np.allclose(np.var(errors, axis=0), predicted, rtol=0.4)

# Half of the directions are confused with others.
a = directions(100)
b = a @ truth.T + 0.01 * rng.standard_normal((100, 3))
shares, found = (0.0, 0.2, 0.4, 0.5), []
for share in shares:
    n = round(share * 100)
    mixed = np.vstack([directions(n), b[n:]])
    fit = graduated_non_convexity(M, residual(a, mixed, np.ones(100)), np.eye(3), residual_size=3)
    plain = Rotation.align_vectors(mixed, a)[0].as_matrix()
    found.append((M.distance(truth, fit.point), M.distance(truth, plain)))
    print(f"{100 * share:3.0f} % outliers: error {found[-1][0]:.4f} rad, of the closed form {found[-1][1]:.4f} rad")
    assert found[-1][0] < 0.01

# Procrustes in six dimensions.
N = Rotations(6)
A = rng.standard_normal((30, 6))
B = A @ N.random_point(rng).T + 0.01 * rng.standard_normal((30, 6))
start = N.project_point(B.T @ A)
result = levenberg_marquardt(N, lambda R: (A @ R.T - B).reshape(-1), start)
assert np.allclose(result.point, orthogonal_procrustes(A, B)[0].T, atol=1e-8)

try:
    from matplotlib.figure import Figure
except ImportError:
    pass
else:
    figure = Figure()
    axes = figure.subplots()
    axes.semilogy(shares, found, "o-", label=["graduated", "closed form"])
    axes.set(xlabel="share of outliers", ylabel="error in radians")
    axes.legend()
    figure.savefig("wahba.png")

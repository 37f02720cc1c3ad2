"""The pose of a camera from points in space and their pictures, some of them matched wrongly.

The residual is the error in the picture, in pixels. Independent: the direct linear transformation, which needs no
start, and SciPy's solver over rotation vectors on the good points.
"""

import numpy as np
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from manifold_opt import Euclidean, ProductManifold, Rotations, graduated_non_convexity, levenberg_marquardt

rng = np.random.default_rng(6)
M = ProductManifold(R=Rotations(3), t=Euclidean(3))
FOCUS, CENTER = 800.0, np.array([320.0, 240.0])


def picture(X, R, t):
    """Pixels at which a camera with this pose sees points."""
    x = X @ R.T + t
    return FOCUS * x[..., :2] / x[..., 2:] + CENTER


def residual(X, seen):
    """Errors in the picture."""
    return M.componentwise(lambda R, t: (picture(X, R, t) - seen).reshape(-1))


def direct_linear(X, seen):
    """Pose from the null vector of the equations x cross (P X) = 0, without weights."""
    u = (seen - CENTER) / FOCUS
    H = np.hstack([X, np.ones((len(X), 1))])
    zero = np.zeros_like(H)
    rows = np.vstack([np.hstack([H, zero, -u[:, :1] * H]), np.hstack([zero, H, -u[:, 1:] * H])])
    P = np.linalg.svd(rows)[2][-1].reshape(3, 4)
    P *= np.sign(np.mean(H @ P[2]))
    U, w, Vt = np.linalg.svd(P[:, :3])
    return U @ np.diag([1.0, 1.0, np.linalg.det(U @ Vt)]) @ Vt, P[:, 3] / w.mean()


def angle(p):
    """Between the orientation found and the true one."""
    return M["R"].distance(R, M.split(p)[0])


R, t = M["R"].exp(np.eye(3), M["R"].get_vector(np.eye(3), np.array([0.3, -0.2, 0.1]))), np.array([0.2, -0.1, 6.0])
X = rng.uniform(-1.0, 1.0, (80, 3))
shares, errors = (0.0, 0.1, 0.3, 0.5), []
for share in shares:
    seen = picture(X, R, t) + 0.5 * rng.standard_normal((80, 2))
    n = round(80 * share)
    seen[:n] = rng.uniform([0.0, 0.0], 2.0 * CENTER, (n, 2))
    start = M.join(np.eye(3), np.array([0.0, 0.0, 5.0]))
    result = graduated_non_convexity(M, residual(X, seen), start, residual_size=2, scale=3.0 * 0.5)
    good = result.state.weights > 0.5
    assert good[n:].mean() > 0.95 and not good[:n].any()
    pnp = least_squares(
        lambda v, X=X[good], z=seen[good]: (picture(X, Rotation.from_rotvec(v[:3]).as_matrix(), v[3:]) - z).ravel(),
        np.array([0.3, -0.2, 0.1, 0.2, -0.1, 6.0]),
        x_scale="jac",
    )
    assert np.allclose(M.split(result.point)[0], Rotation.from_rotvec(pnp.x[:3]).as_matrix(), atol=1e-5)
    errors.append((angle(result.point), angle(M.join(*direct_linear(X, seen)))))
    print(f"{100 * share:3.0f} % outliers: error {errors[-1][0]:.5f} rad, of the linear method {errors[-1][1]:.5f} rad")
    assert errors[-1][0] < 0.005 and errors[-1][0] < errors[-1][1]
print(result.report())

# In proportion to the noise, and as large as the standard errors say.
for noise in (0.25, 1.0):
    scores = []
    for _ in range(20):
        z = picture(X, R, t) + noise * rng.standard_normal((80, 2))
        fit = levenberg_marquardt(M, residual(X, z), M.join(R, t))
        scores.append((M.split(fit.point)[1] - t) / fit.statistics().standard_errors[3:])
    assert 0.6 < np.sqrt(np.mean(np.square(scores))) < 1.5

try:
    from matplotlib.figure import Figure
except ImportError:
    pass
else:
    figure = Figure()
    axes = figure.subplots()
    axes.plot(*seen[good].T, "o", *seen[~good].T, "x", *picture(X, *M.split(result.point)).T, ".")
    axes.set(xlim=(0, 640), ylim=(480, 0), aspect="equal")
    figure.savefig("camera_resection.png")

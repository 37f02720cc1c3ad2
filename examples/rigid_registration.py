"""The rigid motion, rotation and translation, that best explains the poses of five cameras.

Two unknowns of different kinds are one point of a product manifold; `split` gives them back.
"""

import numpy as np

from manifold_opt import Euclidean, ProductManifold, Rotations, datasets, functions, levenberg_marquardt

poses = datasets.camera_poses()
corners = np.vstack([np.zeros(3), np.eye(3)])
seen = corners @ poses.rotations.transpose(0, 2, 1) + poses.translations[:, None]

M = ProductManifold(R=Rotations(3), t=Euclidean(3))


def residual(p):
    """Differences between the corners as the motion moves them and as each camera sees them."""
    R, t = M.split(p)
    return (corners @ R.T + t - seen).ravel()


result = levenberg_marquardt(M, residual, M.join(np.eye(3), np.zeros(3)))
print(result)

R, t = M.split(result.point)
R_kabsch, t_kabsch = functions.kabsch(np.tile(corners, (5, 1)), seen.reshape(-1, 3))
assert np.allclose(R, R_kabsch, rtol=0.0, atol=1e-8)
assert np.allclose(t, t_kabsch, rtol=0.0, atol=1e-8)

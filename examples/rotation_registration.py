"""The rotation that best explains how five cameras see the axes of an object, by Levenberg-Marquardt.

The residual is written down as it is; the answer is compared with the closed form of Kabsch.
"""

import numpy as np
from scipy.spatial.transform import Rotation

from manifold_opt import Rotations, datasets, levenberg_marquardt

rotations = datasets.camera_poses().rotations
axes = np.eye(3)


def residual(R):
    """Differences between the axes as R turns them and as each camera sees them."""
    return (axes @ R.T - axes @ rotations.transpose(0, 2, 1)).ravel()


result = levenberg_marquardt(Rotations(3), residual, np.eye(3))
print(result)

seen = (axes @ rotations.transpose(0, 2, 1)).reshape(-1, 3)
kabsch = Rotation.align_vectors(seen, np.tile(axes, (5, 1)))[0].as_matrix()
assert np.allclose(result.point, kabsch, rtol=0.0, atol=1e-8)

"""Checks of the demo's answers that use SciPy and textbook formulas, and nothing of this package.

Each returns a relative error: zero but for rounding where the answer is right.
"""

from __future__ import annotations

import numpy as np


def spd_stationarity(p: np.ndarray, points: np.ndarray) -> float:
    """Norm of the sum of log(p^-1/2 x p^-1/2) by SciPy's ``logm`` and ``sqrtm``, over the sum of the norms.

    At the Fréchet mean of positive definite matrices the logarithms add up to zero; there is no other such point.
    """
    from scipy.linalg import inv, logm, sqrtm

    root = inv(sqrtm(p).real)
    logs = np.array([logm(root @ x @ root).real for x in points])
    return float(np.linalg.norm(logs.sum(axis=0)) / np.linalg.norm(logs, axis=(1, 2)).sum())


def sphere_logarithms(p: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Tangent vectors at p to points (N, 3) on the sphere, their length the angle by ``arctan2``."""
    across = np.linalg.norm(np.cross(p, points), axis=1)
    along = points @ p
    directions = points - along[:, None] * p
    return np.arctan2(across, along)[:, None] * directions / across[:, None]


def sphere_stationarity(p: np.ndarray, points: np.ndarray) -> float:
    """Norm of the sum of the logarithms at p over the sum of their norms."""
    logs = sphere_logarithms(p, points)
    return float(np.linalg.norm(logs.sum(axis=0)) / np.linalg.norm(logs, axis=1).sum())


def regression_stationarity(p: np.ndarray, q: np.ndarray, t: np.ndarray, points: np.ndarray) -> float:
    """Relative size of the derivative of the summed squared distances to a geodesic on the sphere in R^3.

    The derivative comes from Jacobi fields: along a geodesic of speed s with normal n, a variation of its start moves
    the point at time t by 1 along the geodesic or cos(s t) across it, and one of its velocity by t or sin(s t) / s.
    (P. T. Fletcher, "Geodesic regression ...", IJCV 105, 2013, section 3.2.)
    """
    velocity = sphere_logarithms(p, q[None])[0]
    s = np.linalg.norm(velocity)
    e, n = velocity / s, np.cross(p, velocity / s)
    c, d = np.cos(s * t)[:, None], np.sin(s * t)[:, None]
    errors = np.array([sphere_logarithms(g, y[None])[0] for g, y in zip(c * p + d * e, points, strict=True)])
    along, across = (errors * (c * e - d * p)).sum(axis=1), errors @ n
    derivatives = [along, t * along, across * c[:, 0], across * d[:, 0] / s]
    scale = np.linalg.norm(errors, axis=1).sum()
    return float(max(abs(x.sum()) for x in derivatives) / scale)


def rigid_motion(a: np.ndarray, b: np.ndarray, translation: bool) -> tuple[np.ndarray, np.ndarray]:
    """Closed-form rotation and translation taking points a to b, by SciPy's ``Rotation.align_vectors``."""
    from scipy.spatial.transform import Rotation

    mean_a, mean_b = (a.mean(axis=0), b.mean(axis=0)) if translation else (np.zeros(3), np.zeros(3))
    R = Rotation.align_vectors(b - mean_b, a - mean_a)[0].as_matrix()
    return R, mean_b - R @ mean_a


def relative_difference(x: np.ndarray, reference: np.ndarray) -> float:
    """|x - reference| / |reference|."""
    return float(np.linalg.norm(x - reference) / np.linalg.norm(reference))

"""Unit quaternions (x, y, z, w), w the real part, and the rotation matrices that they stand for; NumPy arrays."""

from __future__ import annotations

import numpy as np


def rotation_of_quaternion(q: np.ndarray) -> np.ndarray:
    """Rotation matrices of quaternions of any nonzero length.

    Parameters
    ----------
    q : array, shape (*batch, 4)
        In the order x, y, z, w.

    Returns
    -------
    array, shape (*batch, 3, 3)
    """
    x, y, z, w = np.moveaxis(q / np.sqrt(np.sum(q * q, axis=-1, keepdims=True)), -1, 0)
    rows = (
        (1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - z * w), 2.0 * (x * z + y * w)),
        (2.0 * (x * y + z * w), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - x * w)),
        (2.0 * (x * z - y * w), 2.0 * (y * z + x * w), 1.0 - 2.0 * (x * x + y * y)),
    )
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def quaternion_of_rotation(R: np.ndarray) -> np.ndarray:
    """Unit quaternions of rotation matrices, with w >= 0.

    The symmetric matrix 4 q q' has entries that are sums of entries of R; its row of the largest diagonal entry is
    divided by the root of that entry, which is at least 1, so that nothing cancels.

    Parameters
    ----------
    R : array, shape (*batch, 3, 3)

    Returns
    -------
    array, shape (*batch, 4)
        In the order x, y, z, w.

    References
    ----------
    S. W. Shepperd, Quaternion from rotation matrix, J. Guidance and Control 1 (1978), 223-224.
    """
    a, b, c = R[..., 0, 0], R[..., 1, 1], R[..., 2, 2]
    p, q, r = R[..., 2, 1], R[..., 0, 2], R[..., 1, 0]
    u, v, w = R[..., 1, 2], R[..., 2, 0], R[..., 0, 1]
    rows = (
        (1.0 + a - b - c, r + w, q + v, p - u),
        (r + w, 1.0 - a + b - c, p + u, q - v),
        (q + v, p + u, 1.0 - a - b + c, r - w),
        (p - u, q - v, r - w, 1.0 + a + b + c),
    )
    Q = np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
    best = np.argmax(np.einsum("...ii->...i", Q), axis=-1)[..., None, None]
    row = np.take_along_axis(Q, best, axis=-2)[..., 0, :]
    row = row / np.sqrt(np.sum(row * row, axis=-1, keepdims=True))
    return np.where(row[..., 3:] < 0.0, -row, row)

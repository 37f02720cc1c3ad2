"""How far to go for a central difference.

The step along a unit vector E is ``eps^(1/3) * scale``, the balance of the rounding of f and its third derivative
(Nocedal and Wright, Numerical Optimization, 2nd ed., section 8.1), rounded to a power of two so that p + h E is
exact where it can be. The scale is the size of the entries of the stored point that move along E, per unit of their
motion: |p_i| for a coordinate of a Euclidean space, about 1 on a sphere or for positive definite matrices with the
affine-invariant metric, however large or small these matrices are.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..linalg import Array

__all__ = ["coordinate_scales", "power_of_two", "relative_step", "scale_along"]


LEAST = 1e-30  # smaller scales would make searches for the right step long


def relative_step(dtype: Any, power: float = 1.0 / 3.0) -> float:
    """Step for scale 1: ``eps ** power`` of the point's precision."""
    return float(np.finfo(dtype).eps) ** power


def power_of_two(h: float) -> float:
    """Nearest power of two, in ratio."""
    return 2.0 ** round(math.log2(h))


def scale_along(p: Array, V: Array) -> float:
    """Scale of motion along one direction; see `coordinate_scales`."""
    A = np.abs(V).reshape(-1)
    motion = float(A.dot(A))
    size = float(A.dot(np.abs(p).reshape(-1)))
    return max(size / motion, LEAST) if motion > 0.0 and 0.0 < size < math.inf else 1.0


def coordinate_scales(p: Array, V: Array) -> Array:
    """Scale of motion along each direction.

    Parameters
    ----------
    p : array of shape point_shape
        Stored point.
    V : array of shape (k, *point_shape)
        Derivatives of the stored point along k unit vectors.

    Returns
    -------
    array of shape (k,)
        Mean of |p| over the entries that move, weighted by their motion, per unit of motion; 1 where that is zero, and
        never below 1e-30, which keeps searches from there short.
    """
    A = np.abs(V).reshape(len(V), -1)
    motion = np.einsum("ij,ij->i", A, A)
    size = A @ np.abs(p).reshape(-1)
    ok = (size > 0.0) & (motion > 0.0) & np.isfinite(size)
    return np.where(ok, np.maximum(size / np.where(ok, motion, 1.0), LEAST), 1.0)

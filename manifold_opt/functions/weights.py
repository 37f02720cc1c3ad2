"""Checks shared by the functions of data."""

from __future__ import annotations

from typing import Any

import numpy as np


def checked_weights(weights: Any, n: int) -> np.ndarray:
    """Weights of n data points that add up to one; equal ones for None.

    Parameters
    ----------
    weights : array_like of shape (n,) or None
        Not negative, not all zero; only their ratios matter.
    n : int
        Number of data points.

    Returns
    -------
    ndarray of shape (n,)

    Raises
    ------
    ValueError
        On a wrong shape, a negative or non-finite weight, or all weights zero.
    """
    if weights is None:
        return np.full(n, 1.0 / n)
    w = np.array(weights, dtype=float)
    if w.shape != (n,):
        raise ValueError(f"`weights` must have one number for each of the {n} data points; got shape {w.shape}.")
    if not np.isfinite(w).all() or w.min() < 0.0 or w.sum() == 0.0:
        raise ValueError("`weights` must be finite, not negative and not all zero.")
    return w / w.sum()


def checked_points(M: Any, points: Any, name: str) -> np.ndarray:
    """Data points on M as a copy of shape (N, *point_shape).

    Raises
    ------
    ValueError
        When the shape does not fit, there are none, or a point is not on M (the message says which).
    """
    x = np.array(points, dtype=np.result_type(np.asarray(points).dtype, np.float32))
    if x.ndim != 1 + len(M.point_shape) or x.shape[1:] != tuple(M.point_shape) or len(x) == 0:
        raise ValueError(f"`{name}` must have shape (N, {', '.join(map(str, M.point_shape))}); got {x.shape}.")
    for i, p in enumerate(x):
        try:
            M.check_point(p)
        except ValueError as error:
            raise ValueError(f"`{name}[{i}]`: {error}") from None
    return x

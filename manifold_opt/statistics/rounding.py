"""Residuals that are little more than rounding, such as those of a model that fits its data to 13 digits.

Their size is the scale of all errors, and half of its digits are noise: the residual is a small difference of numbers
that were computed to 16 digits. Where NumPy's long double is longer than a double, as on most x86-64 machines, the
residual function is asked once more at the same point in that precision; most functions of NumPy's neither know nor
care.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["sharp_residuals"]

# the rounding of the point and of the function, relative to the residual, from which on it matters
_MATTERS = 1e-6


def sharp_residuals(e: Any, r: Any, J: Any) -> Any:
    """The residuals at an evaluation, once more in extended precision where rounding would blur their size.

    Parameters
    ----------
    e : LeastSquaresEvaluation
    r : array of shape (m,)
        Its residuals.
    J : array of shape (m, dim)
        Its Jacobian.

    Returns
    -------
    array of shape (m,)
        As given, where they are large enough, no longer precision is there, or the function cannot take it.
    """
    function, eps = e.functions.residual, np.finfo(np.float64).eps
    if function is None or r.dtype != np.float64 or e.point.dtype != np.float64:
        return r
    if np.finfo(np.longdouble).eps > 0.01 * eps or not _is_blurred(e, r, J, eps):
        return r
    e.counts["watched"] += 1
    try:
        sharp = np.asarray(function(e.point.astype(np.longdouble)))
    except Exception:  # a function may do anything to a kind of number it does not expect
        return r
    same = sharp.shape == r.shape and bool(np.linalg.norm((sharp - r).astype(float)) <= 0.1 * np.linalg.norm(r))
    return sharp.astype(np.float64) if same else r


def _is_blurred(e: Any, r: Any, J: Any, eps: float) -> bool:
    size = float(np.linalg.norm(J)) * float(np.linalg.norm(e.point))
    return 0.0 < _MATTERS * float(np.linalg.norm(r)) < eps * size

r"""Minimizers of small quadratic models with a bound or a cubic term, from the eigenvalues of the quadratic part.

Both x = argmin <c, x> + 1/2 sum w x^2 over |x| <= radius, and the one with sigma/3 |x|^3 added, are

    x(lam) = -c / (w + lam),    w + lam >= 0,

where lam is fixed by |x(lam)| = radius (or lam = 0 and |x| <= radius), resp. |x(lam)| = lam / sigma. The function
1/|x(lam)| is concave and increases, so Newton's method for ``1/|x| = 1/radius`` or ``1/|x| = sigma/lam`` runs to the
solution from the left without safeguards; a start on the left is the largest of the solutions with one term of |x|
alone.

References
----------
J. J. Moré, D. C. Sorensen, SIAM J. Sci. Stat. Comput. 4 (1983), 553-572.
C. Cartis, N. I. M. Gould, Ph. L. Toint, Math. Program. 127 (2011), 245-295, section 6.1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

# quadratic convergence; more are needed in the neighbourhood of the hard case only
_MAX_NEWTON = 100


def minimize_in_ball(w: Any, c: Any, radius: float) -> tuple[Any, float]:
    """Minimizer of ``<c, x> + 1/2 sum(w x^2)`` over ``|x| <= radius``, and its multiplier.

    Parameters
    ----------
    w : array
        Eigenvalues, ascending.
    c : array
        Linear part in the eigenvectors' coordinates.
    radius : float
        > 0, may be infinite where all of ``w`` is positive.

    Returns
    -------
    x : array
    lam : float
        0 where x lies inside the ball.
    """
    if w[0] > 0.0:
        x = -c / w
        if np.linalg.norm(x) <= radius:
            return x, 0.0
    low, gaps = float(w[0]), w - w[0]
    mu = max(float(np.max(np.abs(c) / radius - gaps)), low, 0.0)
    if mu == 0.0:
        x = _shifted(c, gaps, mu)
        missing = radius * radius - float(x @ x)
        if missing >= 0.0:
            return _filled(x, missing), max(-low, 0.0)
    x, mu = _newton(gaps, c, mu, lambda mu: (1.0 / radius, 0.0))
    return x, max(mu - low, 0.0)


def minimize_cubic(w: Any, c: Any, sigma: float) -> tuple[Any, float]:
    """Minimizer of ``<c, x> + 1/2 sum(w x^2) + sigma/3 |x|^3`` for ``sigma > 0``, and ``lam = sigma |x|``."""
    low, gaps = float(w[0]), w - w[0]
    # lam = sigma |c| / (w + lam) has the solution lam (for w > 0), lam + w (otherwise) = part / size
    part = 2.0 * sigma * np.abs(c)
    size = np.sqrt(w * w + 2.0 * part) + np.abs(w)
    lone = part / np.where(size > 0.0, size, 1.0)
    mu = max(float(np.max(lone + np.where(w > 0.0, low, -gaps))), low, 0.0)
    if mu == 0.0:
        x = _shifted(c, gaps, mu)
        missing = (low / sigma) ** 2 - float(x @ x)
        if missing >= 0.0:
            return _filled(x, missing), -low
    x, mu = _newton(gaps, c, mu, lambda mu: _cubic_target(sigma, mu - low))
    return x, max(mu - low, 0.0)


def _cubic_target(sigma: float, lam: float) -> tuple[float, float]:
    return (sigma / lam, -sigma / (lam * lam)) if lam > 0.0 else (math.inf, -math.inf)


def _shifted(c: Any, gaps: Any, mu: float) -> Any:
    """x at the multiplier mu, counted from the pole; a component without linear part stays zero at it."""
    return np.where(c == 0.0, 0.0, -c / np.where(c == 0.0, 1.0, gaps + mu))


def _filled(x: Any, missing: float) -> Any:
    """The hard case: an eigenvector of the least eigenvalue makes up what x lacks in squared length."""
    x[0] += math.sqrt(missing)
    return x


def _newton(gaps: Any, c: Any, mu: float, target: Callable[[float], tuple[float, float]]) -> tuple[Any, float]:
    """Solve for mu, the multiplier plus the least eigenvalue: with the gaps to it there is no cancellation."""
    x = _shifted(c, gaps, mu)
    for _ in range(_MAX_NEWTON):
        norm = float(np.linalg.norm(x))
        if not norm > 0.0:
            break
        slope = float(np.sum(np.where(x == 0.0, 0.0, x * x / np.where(x == 0.0, 1.0, gaps + mu)))) / norm**3
        wanted, wanted_slope = target(mu)
        step = (wanted - 1.0 / norm) / (slope - wanted_slope)
        if not step > 0.0 or mu + step == mu:
            break
        mu += step
        x = _shifted(c, gaps, mu)
        if step <= 4.0 * np.finfo(gaps.dtype).eps * mu:
            break
    return x, mu

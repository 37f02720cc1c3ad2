r"""Losses that are as convex as one likes, on the way to one that is not; and the scale of residuals with outliers.

For a parameter mu the graduated losses start as plain least squares and end as Geman-McClure or truncated squares. A
minimizer followed along mu passes over the bad local minima in which a robust fit from a poor start ends.

References
----------
.. [1] A. Blake, A. Zisserman, Visual Reconstruction, MIT Press 1987.
.. [2] M. J. Black, A. Rangarajan, On the unification of line processes, outlier rejection, and robust statistics, Int.
   J. Comput. Vis. 19 (1996), 57-91.
.. [3] H. Yang, P. Antonante, V. Tzoumas, L. Carlone, Graduated non-convexity for robust spatial perception, IEEE RA-L 5
   (2020), section III: the weights of both losses.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .losses import GemanMcClure, Loss, Truncated, Values


@dataclass(frozen=True)
class GraduatedLoss(Loss):
    """Base of the losses with a parameter mu.

    Parameters
    ----------
    mu : float
        Positive; how it changes on the way is said by `start` and `advanced`.
    """

    mu: float = 1.0
    final: ClassVar[type[Loss]]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 < self.mu < math.inf:
            raise ValueError(f"`mu` must be positive and finite; got {self.mu!r}.")

    @staticmethod
    def start(largest: float) -> float | None:
        """mu from which on the cost is convex where the largest s = |r|^2 / c^2 is this; None if it is at the end."""
        raise NotImplementedError

    @staticmethod
    def advanced(mu: float, factor: float) -> float | None:
        """The next mu; None after the last."""
        raise NotImplementedError


@dataclass(frozen=True)
class GraduatedGemanMcClure(GraduatedLoss):
    """rho(s) = mu s / (mu + s): squares for mu = infinity, Geman-McClure for mu = 1."""

    final: ClassVar[type[Loss]] = GemanMcClure

    def rho(self, s: Any) -> Values:
        """See `Loss.rho`."""
        t = self.mu / (self.mu + s)
        return s * t, t * t, -2.0 * t**3 / self.mu

    @staticmethod
    def start(largest: float) -> float | None:
        """See `GraduatedLoss.start`: the second derivative of rho(r^2) has the sign of mu - 3 s; [3] starts at 2 s."""
        return 3.0 * largest if 3.0 * largest > 1.0 else None

    @staticmethod
    def advanced(mu: float, factor: float) -> float | None:
        """See `GraduatedLoss.advanced`."""
        return mu / factor if mu / factor > 1.0 else None


@dataclass(frozen=True)
class GraduatedTruncated(GraduatedLoss):
    """Squares up to mu / (mu + 1), one from (mu + 1) / mu on, joined smoothly: truncated squares for mu = infinity."""

    final: ClassVar[type[Loss]] = Truncated

    def rho(self, s: Any) -> Values:
        """See `Loss.rho`."""
        mu = self.mu
        middle = (s > mu / (mu + 1.0)) & (s < (mu + 1.0) / mu)
        t = np.where(middle, s, 1.0)
        root = np.sqrt(mu * (mu + 1.0) / t)
        inside = s <= mu / (mu + 1.0)
        value = np.where(middle, 2.0 * t * root - mu * (1.0 + t), np.where(inside, s, 1.0))
        first = np.where(middle, root - mu, np.where(inside, 1.0, 0.0))
        return value, first, np.where(middle, -0.5 * root / t, 0.0)

    @staticmethod
    def start(largest: float) -> float | None:
        """See `GraduatedLoss.start`."""
        return 1.0 / (2.0 * largest - 1.0) if largest > 1.0 else None

    @staticmethod
    def advanced(mu: float, factor: float) -> float | None:
        """See `GraduatedLoss.advanced`; beyond 1000 the joint is one thousandth of c wide."""
        return mu * factor if mu * factor < 1e3 else None


def chi_quantile(probability: float, size: int) -> float:
    """Quantile of the norm of ``size`` independent standard normal numbers."""
    from scipy.special import gammaincinv

    return math.sqrt(2.0 * float(gammaincinv(0.5 * size, probability)))


def robust_scale(norms: Any, sizes: Any = 1, weights: Any = None) -> float:
    r"""Standard deviation of each residual from the median of the norms of groups of them.

    For single residuals this is the median absolute deviation, 1.4826 med |r|; half of them may be outliers, and more
    where weights already tell who is one.

    Parameters
    ----------
    norms : array of shape (n,)
        |r| of each group.
    sizes : int or array of int, shape (n,)
        Residuals per group; a norm is measured by the median of the chi distribution.
    weights : array of shape (n,), optional
        Of a weighted median; default equal.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        When no weight is positive.
    """
    sizes = np.broadcast_to(sizes, norms.shape)
    medians = {int(d): chi_quantile(0.5, int(d)) for d in np.unique(sizes)}
    x = norms / np.array([medians[int(d)] for d in sizes])
    w = np.ones(len(x)) if weights is None else np.asarray(weights, dtype=float)
    if not w.sum() > 0.0:
        raise ValueError("the scale of residuals that all have weight zero is not defined.")
    order = np.argsort(x)
    x, total = x[order], np.cumsum(w[order])
    # where the weight before and that after are equal the median is the middle
    low, high = np.searchsorted(total, 0.5 * total[-1] * np.array([1.0 - 1e-12, 1.0 + 1e-12]))
    return 0.5 * float(x[low] + x[min(high, len(x) - 1)])

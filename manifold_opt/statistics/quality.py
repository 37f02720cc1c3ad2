"""How good a fit is, in the numbers that every least-squares problem has."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

# A group whose weight is below this counts as an outlier in the report.
_OUTLIER = 0.5


class FitQuality:
    """Numbers that follow from the cost, the number of residuals and the rank.

    Attributes
    ----------
    cost : float
    num_residuals : int
    rank : int
    weights : array
    absolute_sigma : bool
    """

    cost: float
    num_residuals: int
    rank: int
    weights: Any
    absolute_sigma: bool

    @property
    def outliers(self) -> Any:
        """Numbers of the groups of residuals whose weight is below one half."""
        return np.flatnonzero(self.weights < _OUTLIER)

    @property
    def degrees_of_freedom(self) -> int:
        """Number of residuals less the rank."""
        return self.num_residuals - self.rank

    @property
    def chi_square(self) -> float:
        """Sum of squares of the residuals, or of their losses: twice the cost."""
        return 2.0 * self.cost

    @property
    def reduced_chi_square(self) -> float:
        """Chi-square by degrees of freedom: about 1 if the residuals are in units of their standard deviations."""
        return self.chi_square / self.degrees_of_freedom if self.degrees_of_freedom > 0 else math.inf

    @property
    def aic(self) -> float:
        """Akaike's criterion m log(chi^2 / m) + 2 rank (chi^2 + 2 rank with absolute sigma): smaller is better."""
        return self._deviance + 2.0 * self.rank

    @property
    def bic(self) -> float:
        """Bayes' criterion, with rank log m in place of 2 rank."""
        return self._deviance + self.rank * math.log(self.num_residuals)

    @property
    def _deviance(self) -> float:
        """-2 log likelihood of normal errors but for a constant, sigma being known or at its best."""
        m, chi = self.num_residuals, self.chi_square
        if self.absolute_sigma:
            return chi
        return m * math.log(chi / m) if chi > 0.0 else -math.inf

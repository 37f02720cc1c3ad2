"""Certified standard errors of NIST's nonlinear regression problems."""

from __future__ import annotations

import numpy as np
import pytest
from nist import FOLDER, MODELS, read

from manifold_opt import Euclidean, fit_statistics, least_squares

pytestmark = [pytest.mark.data, pytest.mark.skipif(FOLDER is None, reason="MANIFOLD_OPT_DATA is not set")]

# The residuals of Lanczos1 are 1e-13, those of numbers near 1 whose rounding to float64 is 1e-16: no program that
# reads its data into float64 can know their size to more than about three digits.
DIGITS = {"Lanczos1": 3}


@pytest.mark.parametrize("name", sorted(MODELS))
@pytest.mark.parametrize("start", [0, 1])
def test_standard_errors_are_certified(name, start):
    problem = read(name)
    start = problem.starts[start]
    with np.errstate(all="ignore"):  # trial points outside the domain of the model
        result = least_squares(Euclidean(len(start)), problem.residual, start)
    fit = fit_statistics(result)
    assert fit.rank == len(start)
    digits = -np.log10(np.abs(fit.standard_errors / problem.errors - 1.0).max())
    assert digits >= DIGITS.get(name, 6)
    assert np.isclose(fit.sigma, problem.sigma, rtol=10.0 ** -DIGITS.get(name, 6), atol=0.0)

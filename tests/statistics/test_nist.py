"""Certified standard errors of NIST's nonlinear regression problems."""

from __future__ import annotations

from pathlib import Path

import mpmath
import numpy as np
import pytest
from nist import FOLDER, MODELS, read

from manifold_opt import Euclidean, fit_statistics, least_squares

pytestmark = [pytest.mark.data, pytest.mark.skipif(FOLDER is None, reason="MANIFOLD_OPT_DATA is not set")]

# The residuals of Lanczos1 are 1e-13, those of numbers near 1 whose rounding to float64 is 1e-16: no program that
# reads its data into float64 can know their size to more than 3.4 digits, see the test below; computing them in float64
# costs half a digit more.
EXTENDED = np.finfo(np.longdouble).eps < 1e-18
DIGITS = {"Lanczos1": 3.3 if EXTENDED else 2.8}


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


@pytest.mark.parametrize("number, least, most", [(float, 3.3, 3.4), (str, 10.0, 12.0)], ids=["float64", "decimal"])
def test_what_the_data_of_lanczos1_leave_of_its_errors_in_50_digits(number, least, most):
    """Gauss-Newton in 50 digits: rounding the data to float64 costs all but 3.4 of the certified digits."""
    problem = read("Lanczos1")
    text = (Path(FOLDER) / "nist" / "Lanczos1.dat").read_text(encoding="utf-8")
    rows = [line.split() for line in text[text.rindex("Data:") :].splitlines()[1:] if line.strip()]
    with mpmath.workdps(50):
        data = [[mpmath.mpf(number(entry)) for entry in row] for row in rows]
        b = mpmath.matrix([mpmath.mpf(str(v)) for v in problem.parameters])
        for _ in range(6):
            J, r = mpmath.matrix(len(data), 6), mpmath.matrix(len(data), 1)
            for i, (y, x) in enumerate(data):
                e = [mpmath.exp(-b[k] * x) for k in (1, 3, 5)]
                J[i, :] = mpmath.matrix([[f for k in range(3) for f in (e[k], -b[2 * k] * x * e[k])]])
                r[i] = sum(b[2 * k] * e[k] for k in range(3)) - y
            N = (J.T * J) ** -1
            b -= N * (J.T * r)
        variance = (r.T * r)[0] / (len(data) - 6)
        ratios = [mpmath.sqrt(variance * N[k, k]) / mpmath.mpf(str(problem.errors[k])) for k in range(6)]
        digits = min(float(-mpmath.log10(abs(q - 1))) for q in ratios)
    assert least <= digits <= most


@pytest.mark.skipif(not EXTENDED, reason="long doubles are doubles here")
def test_residuals_that_are_rounding_are_evaluated_in_extended_precision():
    problem = read("Lanczos1")
    result = least_squares(Euclidean(6), problem.residual, problem.starts[1])
    sharp = problem.residual(result.point.astype(np.longdouble))
    assert fit_statistics(result).sigma == pytest.approx(float(np.sqrt(sharp @ sharp / 18)), rel=1e-12)


def test_a_residual_that_takes_no_long_doubles_is_left_as_it_is():
    problem = read("Lanczos1")

    def residual(b):
        if getattr(b, "dtype", None) == np.longdouble:
            raise TypeError("no")
        return problem.residual(b)

    result = least_squares(Euclidean(6), residual, problem.starts[1])
    assert fit_statistics(result).sigma == pytest.approx(np.sqrt(2.0 * result.cost / 18), rel=1e-12)

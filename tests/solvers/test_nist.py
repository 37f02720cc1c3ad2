"""`least_squares` with its defaults on the certified problems of NIST, from both starts."""

from __future__ import annotations

import functools

import nist
import numpy as np
import pytest

from manifold_opt.manifolds import Euclidean
from manifold_opt.solvers import least_squares

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not nist.FOLDER, reason="MANIFOLD_OPT_DATA, the folder of problems, is not set"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),  # overflow at rejected trials
]

RUNS = [(name, start) for name in nist.MODELS for start in (1, 2)]


@functools.cache
def fitted(name, start):
    problem = nist.read(name)
    b0 = problem.starts[start - 1]
    return problem, least_squares(Euclidean(len(b0)), problem.residual, b0, autodiff="autograd")


def digits(found, certified):
    """Correct digits of the worst parameter, at most the 11 that are certified."""
    error = float(np.max(np.abs(found - certified) / np.abs(certified)))
    return 11.0 if error == 0.0 else float(np.clip(-np.log10(error), 0.0, 11.0))


@pytest.mark.parametrize("name", nist.MODELS)
def test_the_certified_parameters_have_the_certified_sum_of_squares(name):
    problem = nist.read(name)
    total = np.sum(problem.residual(problem.parameters) ** 2)
    # 11 certified digits leave an error of the residual of below 1e-10, which is all of it in Lanczos1
    assert np.sqrt(total) == pytest.approx(np.sqrt(problem.sum_of_squares), rel=1e-9, abs=1e-10)


@pytest.mark.parametrize("name, start", RUNS)
def test_every_run_is_right_and_says_so(name, start):
    problem, result = fitted(name, start)
    assert result.converged, result
    # seven and a half of ENSO's and Lanczos' are what double precision leaves of them
    assert digits(result.point, problem.parameters) >= 7.5
    assert 2.0 * result.cost <= problem.sum_of_squares * (1.0 + 1e-9)


def test_digits_over_all_runs():
    """SciPy's best method and settings reach 6 digits in all 54 runs, and 8 in 47; 54, 54 and 32 were seen here."""
    found = np.array([digits(fitted(*run)[1].point, fitted(*run)[0].parameters) for run in RUNS])
    for k, least in ((6, 54), (8, 48), (10, 26)):
        assert (found >= k).sum() >= least

"""The 53 problems of Moré and Wild with the defaults of `least_squares`."""

from __future__ import annotations

import more_wild
import numpy as np
import pytest

from manifold_opt import Euclidean, least_squares

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # overflow at rejected trials


@pytest.mark.parametrize("row", more_wild.ROWS, ids=lambda row: "-".join(map(str, row)))
def test_the_best_known_sum_of_squares(row):
    residual, start, least = more_wild.problem(*row)
    assert residual(start).shape == (row[2],)
    result = least_squares(Euclidean(row[1]), residual, start)
    assert np.isfinite(result.cost)
    assert 2.0 * result.cost <= least * (1.0 + 1e-6) + 1e-9


def test_a_minimum_of_large_bent_residuals_is_recognized():
    """Freudenstein and Roth's: Gauss-Newton's model promises a decrease where there is none."""
    residual, start, _ = more_wild.problem(7, 2, 2, 0)
    result = least_squares(Euclidean(2), residual, start)
    assert result.converged and result.evaluations["check"] > 2
    np.testing.assert_allclose(result.point, [11.412779, -0.896805], rtol=1e-6)

"""The door for SciPy's vocabulary: each of its words, against SciPy where it has an answer."""

from __future__ import annotations

import autograd.numpy as anp
import numpy as np
import pytest
import scipy.optimize

from manifold_opt import CostObjective, Fused, Nielsen, NonlinearLeastSquaresObjective, Status, least_squares
from manifold_opt.manifolds import Euclidean, Rotations

M = Euclidean(2)
X = np.linspace(0.0, 3.0, 15)
Y = 2.0 * np.exp(-1.5 * X) + 0.01 * np.cos(20.0 * X)
P0 = np.array([1.0, 1.0])


def residual(p, x=X, y=Y):
    return p[0] * anp.exp(-p[1] * x) - y


def jacobian(p, x=X, y=Y):
    e = np.exp(-p[1] * x)
    return np.stack([e, -p[0] * x * e], axis=1)


BEST = scipy.optimize.least_squares(residual, P0, jacobian, xtol=1e-15, ftol=1e-15, gtol=1e-15)


@pytest.mark.parametrize("method", [None, "lm", "trf", "dogbox", "gauss-newton"])
@pytest.mark.parametrize("jac", [None, jacobian, "2-point", "3-point", "cs"])
def test_methods_and_derivatives(method, jac):
    result = least_squares(M, residual, P0, jac=jac, method=method)
    assert result.converged
    np.testing.assert_allclose(result.point, BEST.x, rtol=1e-7)
    assert result.cost == pytest.approx(BEST.cost, rel=1e-10)


@pytest.mark.parametrize("loss", ["linear", "soft_l1", "huber", "cauchy", "arctan"])
@pytest.mark.parametrize("f_scale", [None, 0.05])
def test_losses_and_their_scale(loss, f_scale):
    y = Y.copy()
    y[3] += 1.0
    r = lambda p: residual(p, X, y)
    result = least_squares(M, r, P0, loss=loss, f_scale=f_scale)
    other = scipy.optimize.least_squares(
        r, result.point, loss=loss, f_scale=f_scale or 1.0, xtol=1e-15, ftol=1e-15, gtol=1e-14
    )
    assert result.converged
    assert result.cost == pytest.approx(other.cost, rel=1e-8)
    np.testing.assert_allclose(result.point, other.x, rtol=1e-5)


def test_more_arguments_reach_residual_and_jacobian():
    result = least_squares(M, residual, P0, jac=jacobian, args=(X,), kwargs={"y": Y})
    np.testing.assert_allclose(result.point, BEST.x, rtol=1e-7)
    with pytest.raises(ValueError, match="args"):
        least_squares(M, Fused(lambda p: (residual(p), jacobian(p))), P0, args=(X,))


@pytest.mark.parametrize("tolerance", ["ftol", "xtol", "gtol"])
@pytest.mark.parametrize("method", ["lm", "trf"])
def test_each_tolerance_alone_stops(tolerance, method):
    result = least_squares(M, residual, P0, method=method, **{tolerance: 1e-6})
    assert result.converged and tolerance in result.message
    tight = least_squares(M, residual, P0, method=method, **{tolerance: 1e-10})
    assert tight.iterations >= result.iterations
    np.testing.assert_allclose(tight.point, BEST.x, rtol=1e-6)


def test_max_nfev_counts_the_residual():
    result = least_squares(M, residual, P0, max_nfev=3)
    assert result.status is Status.EVALUATION_LIMIT and result.evaluations["residual"] == 3
    assert result.state.remaining["evaluations"] == 0
    result = least_squares(M, residual, P0, max_nfev=3, ftol=1e-12)
    assert result.status is Status.EVALUATION_LIMIT


def test_diff_step_is_the_step_of_differences():
    trials = []

    def r(p):
        trials.append(p[0])
        return residual(p)

    least_squares(M, r, P0, diff_step=2.0**-10, max_iterations=0)
    assert {1.0 + 2.0**-10, 1.0 - 2.0**-10} <= set(trials)


@pytest.mark.parametrize("x_scale", [0.5, [1.0, 2.0], "jac"])
def test_x_scale(x_scale):
    result = least_squares(M, residual, P0, x_scale=x_scale)
    np.testing.assert_allclose(result.point, BEST.x, rtol=1e-7)


def test_bounds_as_scipy_has_them():
    box = scipy.optimize.Bounds([0.0, 0.0], [1.5, 5.0])
    other = scipy.optimize.least_squares(residual, P0, jacobian, bounds=box, xtol=1e-15, ftol=1e-15, gtol=1e-15)
    for method in ("lm", "trf"):
        result = least_squares(M, residual, P0, jac=jacobian, bounds=box, method=method)
        assert result.converged and result.cost <= other.cost * (1.0 + 1e-12)
        np.testing.assert_allclose(result.point, other.x, rtol=1e-6)


def test_a_list_from_the_residual_and_an_objective():
    result = least_squares(M, lambda p: list(residual(p)), P0, jac="3-point")
    np.testing.assert_allclose(result.point, BEST.x, rtol=1e-7)
    result = least_squares(M, NonlinearLeastSquaresObjective(residual), P0)
    np.testing.assert_allclose(result.point, BEST.x, rtol=1e-7)


def test_on_a_manifold_with_partial_derivatives():
    S = Rotations(3)
    rng = np.random.default_rng(0)
    a, R0 = rng.standard_normal((6, 3)), S.random_point(rng)
    b = a @ R0.T
    r = lambda R: (a @ R.T - b).reshape(-1)
    jac = lambda R: np.einsum("ij,nk->nijk", np.eye(3), a).reshape(18, 3, 3)
    result = least_squares(S, r, S.retract(R0, S.random_vector(R0, rng)), jac=jac)
    assert result.converged
    np.testing.assert_allclose(result.point, R0, atol=1e-12)


@pytest.mark.parametrize(
    "keywords, message",
    [
        ({"method": "newton"}, "`method`"),
        ({"method": "lm", "x_scale": 2.0}, "x_scale"),
        ({"method": "trf", "damping": Nielsen()}, "damping"),
        ({"method": "gauss-newton", "bounds": (0.0, 5.0)}, "bounds"),
        ({"jac": "4-point"}, "`jac`"),
        ({"jac": jacobian, "diff_step": 1e-3}, "diff_step"),
        ({"ftol": 1e-3, "tolerance": 1e-3}, "ftol"),
        ({"max_nfev": 3, "max_evaluations": 3}, "max_nfev"),
        ({"ftol": -1.0}, "tolerance"),
    ],
)
def test_words_that_do_not_go_together(keywords, message):
    with pytest.raises(ValueError, match=message):
        least_squares(M, residual, P0, **keywords)


def test_an_unknown_word_is_named():
    with pytest.raises(TypeError, match="max_iteration"):
        least_squares(M, residual, P0, max_iteration=3)
    with pytest.raises((TypeError, ValueError)):
        least_squares(M, CostObjective(lambda p: p @ p), P0, f_scale=2.0)

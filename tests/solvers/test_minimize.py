"""The front door chooses a solver, takes SciPy's words, and says what it does not know."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
from solvers.problems import RAYLEIGH, mixed, rosenbrock

import manifold_opt as mo
from manifold_opt import (
    CostObjective,
    Euclidean,
    Fused,
    NonlinearLeastSquaresObjective,
    PowerManifold,
    Sphere,
    minimize,
)
from manifold_opt.solvers.minimize import _METHODS

M, P0, SMALLEST = Sphere(3), np.array([0.5, 0.5, -0.5, 0.5]), np.linalg.eigvalsh(RAYLEIGH)[0]


def f(p):
    return p @ (RAYLEIGH @ p)


def gradient(p):
    return 2.0 * RAYLEIGH @ p


def hessian(p, X):
    return 2.0 * RAYLEIGH @ X


def solver_of(result):
    return type(result.state).__name__


@pytest.mark.parametrize("name", [name for name in _METHODS if name not in ("LM", "levenberg_marquardt")])
def test_every_name_finds_the_minimizer(name):
    result = minimize(M, f, P0, method=name)
    assert result.converged
    assert np.isclose(result.cost, SMALLEST, rtol=1e-12)


def test_mixed_problem_on_a_product():
    problem, p0, cost = mixed()
    result = minimize(problem.manifold, problem.objective, p0)
    assert result.converged and result.cost <= cost + 0.1


@pytest.mark.parametrize(
    ("keywords", "state"),
    [
        ({}, "QuasiNewtonState"),
        ({"gradient": gradient, "objective_type": "euclidean"}, "QuasiNewtonState"),
        ({"gradient": gradient, "hessian": hessian, "objective_type": "euclidean"}, "TrustRegionsState"),
        ({"coefficient": mo.PolakRibiereCoefficient()}, "ConjugateGradientDescentState"),
        ({"direction": mo.MomentumGradient(0.1)}, "GradientDescentState"),
        ({"stepsize": mo.ArmijoLinesearch()}, "QuasiNewtonState"),
        ({"trust_region_radius": 0.5}, "TrustRegionsState"),
        ({"method": "Steepest Descent"}, "GradientDescentState"),
        ({"method": mo.conjugate_gradient_descent}, "ConjugateGradientDescentState"),
        ({"method": "BFGS"}, "QuasiNewtonState"),
    ],
)
def test_choice_by_what_is_given(keywords, state):
    result = minimize(M, f, P0, **keywords)
    assert solver_of(result) == state
    assert result.converged


def test_choice_by_dimension():
    p0 = np.zeros(8_000_000)
    result = minimize(Euclidean(p0.size), Fused(lambda p: (float(p @ p), 2.0 * p)), p0, max_iterations=1)
    assert solver_of(result) == "ConjugateGradientDescentState"


def test_residuals_go_to_levenberg_marquardt():
    r = NonlinearLeastSquaresObjective(lambda x: np.array([10.0, 1.0]) * [x[1] - x[0] ** 2, 1.0 - x[0]])
    result = minimize(Euclidean(2), r, np.array([-1.2, 1.0]))
    assert solver_of(result) == "LevenbergMarquardtState"
    assert np.allclose(result.point, 1.0)


def test_full_memory_is_what_bfgs_means():
    assert minimize(M, f, P0, "BFGS").state.memory is None
    assert minimize(M, f, P0, "L-BFGS").state.memory == 10
    assert minimize(M, f, P0, "L-BFGS", memory=3).state.memory == 3


@pytest.mark.parametrize("method", [None, "L-BFGS-B", "Newton-CG", "trust-exact", "cg"])
def test_call_of_scipy_with_the_manifold_added(method):
    """Same words, same answer; jac and hess are Euclidean."""
    de = scipy.optimize.rosen_der, scipy.optimize.rosen_hess
    x0 = np.array([1.3, 0.7, 0.8])
    result = minimize(
        Euclidean(3),
        scipy.optimize.rosen,
        x0,
        method,
        jac=de[0],
        hess=de[1],
        tol=1e-9,
        options={"maxiter": 500},
    )
    assert result.converged
    assert np.allclose(result.point, 1.0, atol=1e-8)


@pytest.mark.parametrize("jac", [True, "2-point", "3-point", None, False])
def test_kinds_of_jac_and_args(jac):
    def cost(p, A, factor):
        value = factor * (p @ (A @ p))
        return (value, 2.0 * factor * (A @ p)) if jac is True else value

    result = minimize(M, cost, P0, jac=jac, args=(RAYLEIGH, 2.0), tol=1e-6)
    assert result.converged and np.isclose(result.cost, 2.0 * SMALLEST, rtol=1e-9)


def test_hess_of_a_matrix_shape_and_hessp_agree():
    N, p0 = PowerManifold(Sphere(2), 2), np.array([[2.0, 2.0, 1.0], [1.0, 2.0, -2.0]]) / 3.0
    Q = np.diag(np.arange(1.0, 7.0))
    cost = lambda p: p.reshape(-1) @ (Q @ p.reshape(-1))
    jac = lambda p: (2.0 * Q @ p.reshape(-1)).reshape(p.shape)
    one = minimize(N, cost, p0, jac=jac, hess=lambda p: 2.0 * Q.reshape(2, 3, 2, 3))
    two = minimize(N, cost, p0, jac=jac, hessp=lambda p, X: (2.0 * Q @ X.reshape(-1)).reshape(p.shape))
    assert one.evaluations["hessian"] == two.evaluations["hessian"] > 0
    assert np.array_equal(one.point, two.point) and np.isclose(one.cost, 5.0, rtol=1e-12)


@pytest.mark.parametrize(
    ("keywords", "kind", "message"),
    [
        ({"method": "L-BFSG"}, ValueError, "did you mean 'L-BFGS'"),
        ({"method": "trust_region"}, ValueError, "did you mean 'trust_regions'"),
        ({"method": "Nelder-Mead"}, ValueError, "no derivatives"),
        ({"method": "qqqqq"}, ValueError, "known ones are"),
        ({"method": 3}, TypeError, "name of a method"),
        ({"bounds": [(0, 1)] * 4}, ValueError, "takes no `bounds`"),
        ({"jac": gradient, "gradient": gradient}, ValueError, "not both"),
        ({"jac": "4-point"}, ValueError, "'4-point'"),
        ({"hess": "2-point"}, TypeError, "must be a function"),
        ({"hess": hessian, "hessp": hessian}, ValueError, "not both"),
        ({"tol": 1e-3, "tolerance": 1e-4}, ValueError, "given twice"),
        ({"options": {"maxitre": 3}}, TypeError, "maxitre"),
        ({"memroy": 3}, TypeError, "did you mean 'memory'"),
    ],
)
def test_mistakes_are_named(keywords, kind, message):
    with pytest.raises(kind, match=message):
        minimize(M, f, P0, **keywords)


def test_an_objective_has_its_derivatives():
    objective = CostObjective(f)
    with pytest.raises(ValueError, match="objective already"):
        minimize(M, objective, P0, gradient=gradient)
    with pytest.raises(ValueError, match="objective already"):
        minimize(M, objective, P0, jac=gradient)
    with pytest.raises(ValueError, match="`args`"):
        minimize(M, objective, P0, args=(1,))


def test_rosenbrock_without_derivatives():
    result = minimize(Euclidean(4), rosenbrock, np.array([-1.2, 1.0, -1.2, 1.0]))
    assert result.converged and result.cost < 4.0

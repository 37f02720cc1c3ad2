"""Manopt.jl's LevenbergMarquardt, row by row: the two slopes of its own tests, and what each keyword is called here."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest

from manifold_opt import (
    AdachiOkunoTakeda,
    Fused,
    InPlace,
    NonlinearLeastSquaresObjective,
    Problem,
    StopAfterIteration,
    StopWhenGradientNormLess,
    StopWhenStepNormLess,
    WarnIfCostIncreases,
    levenberg_marquardt,
    solve,
)
from manifold_opt.linalg.solvers import DenseQR, NormalEquations
from manifold_opt.manifolds import Euclidean, Rotations, Sphere
from manifold_opt.solvers import LevenbergMarquardtState
from manifold_opt.solvers.least_squares_state import Trial

M = Euclidean(2)
T = np.array([1.0, 2.0, 2.4, 3.1, 4.3, 5.1, 5.7, 6.2])
X = np.array(
    [
        *(1.7926888218350978, 4.080701652578803, 4.510454784478316, 6.44163899446108),
        *(8.779266091173081, 9.99046003643165, 11.383567405022262, 12.661526739028028),
    ]
)
Y = np.array(
    [
        *(-2.89981608417956, -6.062187792164395, -7.217187782362094, -9.204644225025552),
        *(-13.026122239508274, -15.15659923171402, -17.076511907478242, -18.475183785109927),
    ]
)
BEST = np.array([T @ X, T @ Y]) / (T @ T)
ZERO = np.zeros(2)


def residual(p):
    return np.concatenate([T * p[0] - X, T * p[1] - Y])


def jacobian(p):
    J = np.zeros((16, 2))
    J[:8, 0] = J[8:, 1] = T
    return J


def solved(result):
    assert result.converged or result.cost <= 0.5 * np.sum(residual(BEST) ** 2) * (1.0 + 1e-6)
    np.testing.assert_allclose(result.point, BEST, atol=1e-3)
    return result


def test_row_signatures():
    """(M, f, jac, p), (M, vgf, p), (M, nlso, p), in place, p optional: one door, with `jacobian=`, `Fused`, an
    objective, `out=`, and a random start.
    """
    solved(levenberg_marquardt(M, residual, ZERO, jacobian=jacobian))
    solved(levenberg_marquardt(M, Fused(lambda p: (residual(p), jacobian(p))), ZERO))
    solved(levenberg_marquardt(M, NonlinearLeastSquaresObjective(residual, jacobian), ZERO))
    out = np.zeros(2)
    assert levenberg_marquardt(M, residual, out, jacobian=jacobian, out=out).point is out
    solved(levenberg_marquardt(M, residual, jacobian=jacobian, rng=0))


def test_row_f():
    """f, one function or a vector of functions: the same, a sequence of functions."""
    functions = [lambda p, i=i: residual(p)[i] for i in range(16)]
    solved(levenberg_marquardt(M, functions, ZERO, jacobian=jacobian))


def test_row_jacobian_f():
    """jacobian_f with jacobian_type and jacobian_tangent_basis: `jacobian_type` "gradients" (one function or one
    each) or "coordinates" with `jacobian_basis`, which is honoured everywhere.
    """
    rows = [lambda p, i=i: jacobian(p)[i] for i in range(16)]
    E = np.array([[2.0, 0.0], [1.0, 0.5]])
    for keywords in (
        {"jacobian": jacobian, "jacobian_type": "gradients"},
        {"jacobian": rows, "jacobian_type": "gradients"},
        {"jacobian": lambda p: jacobian(p) @ E.T, "jacobian_basis": lambda p: E},
    ):
        solved(levenberg_marquardt(M, residual, ZERO, **keywords))


def test_row_num_components():
    """num_components: `num_residuals`, found by the first call, and needed for a residual in place only."""
    fill = InPlace(lambda p, r: np.copyto(r, residual(p)))
    with pytest.raises(ValueError, match="num_residuals"):
        levenberg_marquardt(M, fill, ZERO, jacobian=jacobian)
    result = solved(levenberg_marquardt(M, fill, ZERO, jacobian=jacobian, num_residuals=16))
    assert result.evaluations["residual"] == result.iterations + 1  # no extra call


def test_row_evaluation():
    """evaluation, allocating or in place: `InPlace(f)`, `InPlace(jacobian)`."""
    fill, fill_jacobian = (
        InPlace(lambda p, r: np.copyto(r, residual(p))),
        InPlace(lambda p, J: np.copyto(J, jacobian(p))),
    )
    solved(levenberg_marquardt(M, fill, ZERO, jacobian=fill_jacobian, num_residuals=16))


def test_row_eta():
    """η = 0.2 in (0, 1): `eta`, of `AdachiOkunoTakeda`."""
    assert AdachiOkunoTakeda().eta == 0.2
    bound = AdachiOkunoTakeda(eta=0.5).bind(None, None)
    assert bound.judge(Trial(0.5, 1.0, 1.0)) and not bound.judge(Trial(0.49, 1.0, 1.0))


def test_row_damping_term_min():
    """damping_term_min = 0.1, also the start: `damping_min`."""
    state = LevenbergMarquardtState(ZERO, damping_min=0.3)
    problem = Problem(M, NonlinearLeastSquaresObjective(residual, jacobian))
    state.begin(problem)
    assert AdachiOkunoTakeda().damping_min == 0.1 and state.damping == 0.3


def test_row_beta():
    """β = 5: `beta`, the factor after a bad step."""
    bound = AdachiOkunoTakeda().bind(None, None)
    bound.judge(Trial(-1.0, 1.0, 1.0))
    assert bound.value == pytest.approx(0.5)


def test_row_expect_zero_residual():
    """expect_zero_residual: the same name; the damping falls after success only then."""
    for expected in (False, True):
        bound = AdachiOkunoTakeda(expect_zero_residual=expected).bind(None, None)
        bound.value = 1.0
        bound.judge(Trial(1.0, 1.0, 1.0))
        assert bound.value == (0.2 if expected else 1.0)


def test_row_initial_residual_values_and_jacobian():
    """initial_residual_values, initial_jacobian_f: `initial_residuals`, `initial_jacobian`, sparse ones, too."""
    fill, fill_jacobian = (
        InPlace(lambda p, r: np.copyto(r, residual(p))),
        InPlace(lambda p, J: np.copyto(J, jacobian(p))),
    )
    r, J = np.full(16, np.nan), np.full((16, 2), np.nan)
    solved(levenberg_marquardt(M, fill, ZERO, jacobian=fill_jacobian, initial_residuals=r, initial_jacobian=J))
    assert np.isfinite(r).all() and np.isfinite(J).all()


def test_row_linear_subsolver():
    """linear_subsolver!, Cholesky with a symmetric fallback: `NormalEquations(solve)`; the default factorizes J
    itself, and a singular system is a status.
    """
    calls = []

    def solve_system(A, b):
        calls.append(A)
        return np.linalg.solve(A, b)

    solved(levenberg_marquardt(M, residual, ZERO, jacobian=jacobian, linear_solver=NormalEquations(solve_system)))
    assert calls and isinstance(LevenbergMarquardtState(ZERO).linear_solver.choose(jacobian(ZERO)), DenseQR)


def test_row_retraction_method():
    """retraction_method: `retraction`, by name or function."""
    S = Sphere(2)
    r = lambda p: p - np.array([0.0, 0.6, 0.8])
    p = np.array([1.0, 0.0, 0.0])
    for retraction in ("projection", "exponential", lambda M, p, X, t=1.0, out=None: M.exp(p, X, t, out=out)):
        result = levenberg_marquardt(S, r, p, retraction=retraction)
        np.testing.assert_allclose(result.point, [0.0, 0.6, 0.8], atol=1e-9)


def test_row_stop():
    """200 iterations, |grad| < 1e-12 or step < 1e-12: any criterion by `stopping`; the default is free of scales."""
    stopping = StopAfterIteration(200) | StopWhenGradientNormLess(1e-12) | StopWhenStepNormLess(1e-12)
    solved(levenberg_marquardt(M, residual, ZERO, jacobian=jacobian, eta=0.2, stopping=stopping))


def test_row_debug():
    """DebugWarnIfCostIncreases: `WarnIfCostIncreases`, not on by default, since no step can increase the cost."""
    costs = []
    levenberg_marquardt(
        M,
        residual,
        ZERO,
        jacobian=jacobian,
        debug=[WarnIfCostIncreases()],
        callback=lambda problem, state: costs.append(state.evaluation.cost),
    )
    assert costs == sorted(costs, reverse=True)


def test_row_state_fields():
    """p, residuals, Jacobian, gradient, step, η, damping, β, flags: fields of `LevenbergMarquardtState` and its
    policy.
    """
    state = levenberg_marquardt(M, residual, ZERO, jacobian=jacobian, eta=0.2, max_iterations=2).state
    np.testing.assert_array_equal(state.residuals, residual(state.point))
    np.testing.assert_array_equal(state.jacobian, jacobian(state.point))
    np.testing.assert_allclose(state.evaluation.gradient, jacobian(ZERO).T @ residual(state.point), atol=1e-9)
    rule = state.damping_rule
    assert (rule.eta, rule.beta, rule.damping_min, rule.expect_zero_residual) == (0.2, 5.0, 0.1, False)
    assert state.damping >= 0.1 and state.step_norm > 0.0 and state.last_step_successful in (True, False)


def test_row_return():
    """minimizer, or the state with return_state: always a `Result` with both."""
    result = levenberg_marquardt(M, residual, ZERO, jacobian=jacobian)
    assert isinstance(result.state, LevenbergMarquardtState) and result.point is result.state.point


def test_row_errors():
    """ArgumentError for η, damping_term_min, β: a ValueError that names argument, rule and value, before the first
    step.
    """
    for name, value in (("eta", 0.0), ("eta", 1.0), ("damping_min", 0.0), ("beta", 1.0)):
        with pytest.raises(ValueError, match=f"`{name}` must be"):
            levenberg_marquardt(M, residual, ZERO, jacobian=jacobian, **{name: value})


def test_row_manifold_needs():
    """retract, norm or inner, copy: a retraction and coordinates; points are arrays."""
    R = Rotations(3)
    rng = np.random.default_rng(0)
    a, Q = rng.standard_normal((5, 3)), R.random_point(rng)
    result = levenberg_marquardt(R, lambda p: (a @ p.T - a @ Q.T).reshape(-1), np.eye(3))
    np.testing.assert_allclose(result.point, Q, atol=1e-9)


def test_row_algorithm():
    """λ = μ|F|², (J'J + λI)s = -J'F, ρ with the regularized model, J anew after acceptance only:
    `AdachiOkunoTakeda`, step by step.
    """
    state = LevenbergMarquardtState(ZERO, eta=0.2, linear_solver=NormalEquations())
    problem = Problem(M, NonlinearLeastSquaresObjective(residual, jacobian))
    state.begin(problem)
    F, J = residual(ZERO), jacobian(ZERO)
    s = -np.linalg.solve(J.T @ J + 0.1 * (F @ F) * np.eye(2), J.T @ F)
    state.step(problem)
    np.testing.assert_allclose(state.point, s, rtol=1e-12)
    assert state.evaluations["jacobian"] <= 2


def test_row_its_tests():
    """its own tests, gradient at (4, 2) and an unsymmetric or NaN system: the same numbers, and a status instead of
    an exception.
    """
    p = np.array([4.0, 2.0])
    np.testing.assert_allclose(jacobian(p).T @ residual(p), [270.3617451389837, 677.6730784956912], rtol=1e-12)
    result = levenberg_marquardt(
        M, residual, ZERO, jacobian=jacobian, linear_solver=NormalEquations(lambda A, b: np.full(2, np.nan))
    )
    assert not result.converged and (result.point == ZERO).all()


def test_row_version_0_6():
    """robust losses, thresholds, factors and limits of the damping in 0.6: `loss`, and the fields of
    `AdachiOkunoTakeda` with `cost_factor=1`.
    """
    policy = AdachiOkunoTakeda(
        eta=0.1,
        initial_damping=1.0,
        damping_max=50.0,
        increase_threshold=0.25,
        reduction_threshold=0.75,
        reduction_factor=0.1,
        cost_factor=1.0,
    )
    bound = policy.bind(None, None)
    assert bound.lam(3.0) == 3.0
    assert bound.judge(Trial(0.5, 0.5, 0.5)) and bound.value == pytest.approx(0.1)  # ratio 1
    bound.value = 20.0
    assert bound.judge(Trial(0.1, 0.5, 0.5)) and bound.value == 50.0  # ratio 0.2: taken, yet damped more
    assert bound.judge(Trial(0.25, 0.5, 0.5)) and bound.value == 50.0  # ratio 0.5
    r = lambda p: residual(p) + np.where(np.arange(16) == 3, 40.0, 0.0)
    result = levenberg_marquardt(M, r, ZERO, jacobian=jacobian, loss="huber", damping=policy, max_iterations=2000)
    assert np.max(np.abs(result.point - BEST)) < 0.2
    assert "damping" in inspect.signature(levenberg_marquardt).parameters and math.isinf(
        AdachiOkunoTakeda().damping_max
    )
    state = LevenbergMarquardtState(ZERO, damping=policy, stopping=StopAfterIteration(3))
    assert solve(Problem(M, NonlinearLeastSquaresObjective(r, jacobian)), state).iteration == 3

"""Conjugate gradients: coefficients, restarts, reference cases 10 to 14 of Manopt.jl, safety."""

from __future__ import annotations

import pickle
from dataclasses import dataclass

import numpy as np
import pytest
from problems import problem, rayleigh, rosenbrock, rosenbrock_gradient, unit, with_spheres

from manifold_opt import (
    ArmijoLinesearch,
    ConjugateDescentCoefficient,
    ConjugateGradientBealeRestart,
    ConjugateGradientDescentState,
    CostObjective,
    CubicBracketingLinesearch,
    DaiYuanCoefficient,
    Euclidean,
    FletcherReevesCoefficient,
    HagerZhangCoefficient,
    HagerZhangLinesearch,
    HestenesStiefelCoefficient,
    HybridCoefficient,
    LiuStoreyCoefficient,
    NeverRestart,
    PolakRibiereCoefficient,
    PowerManifold,
    RestartOnNonDescent,
    RestartOnNonSufficientDescent,
    Rotations,
    Sphere,
    Status,
    SteepestDescentCoefficient,
    StepSize,
    StopAfterIteration,
    StrongWolfeLinesearch,
    conjugate_gradient_descent,
    solve,
)
from manifold_opt.directions.conjugate_gradient import Pair
from manifold_opt.stepsizes import BoundStepSize

COEFFICIENTS = [
    SteepestDescentCoefficient(),
    FletcherReevesCoefficient(),
    PolakRibiereCoefficient(),
    HestenesStiefelCoefficient(),
    LiuStoreyCoefficient(),
    DaiYuanCoefficient(),
    ConjugateDescentCoefficient(),
    HagerZhangCoefficient(),
    HagerZhangCoefficient(mu=1.0),
    HybridCoefficient(PolakRibiereCoefficient(), FletcherReevesCoefficient()),
    HybridCoefficient(HestenesStiefelCoefficient(), DaiYuanCoefficient()),
    ConjugateGradientBealeRestart(PolakRibiereCoefficient()),
]
named = lambda rule: repr(rule).replace("Coefficient", "")[:50]


@dataclass(frozen=True)
class ExactStep(StepSize):
    """Minimizer along the direction of the quadratic p'Ap."""

    weights: tuple[float, ...]

    def bind(self, problem, state, previous=None):
        return _Exact(self)


class _Exact(BoundStepSize):
    __slots__ = ()

    def search(self, problem, state, X, slope, length):
        self.stepsize = t = -slope / (2.0 * float(X @ (np.array(self.rule.weights) * X)))
        return problem.evaluate(state.retract(state.evaluation.point, X, t), state.evaluations)


# Case 10: gradients (1, 1) and (1, 1.5) in the plane, old direction (0, 2)


def case_10(rule, direction=(0.0, 2.0)):
    M, p = Euclidean(2), np.zeros(2)
    g_old, g, X = np.array([1.0, 1.0]), np.array([1.0, 1.5]), np.array(direction)
    old = (p, g_old, g_old, X, 2.0, float(g_old @ X))
    return rule(Pair(M, M.get_transport(), p, g, g, float(g @ g), old))


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (SteepestDescentCoefficient(), 0.0),
        (DaiYuanCoefficient(), 3.25),
        (FletcherReevesCoefficient(), 1.625),
        (HagerZhangCoefficient(), -0.75),
        (HestenesStiefelCoefficient(), 0.75),
        (LiuStoreyCoefficient(), -0.375),
        (PolakRibiereCoefficient(), 0.375),
        (HybridCoefficient(PolakRibiereCoefficient(), FletcherReevesCoefficient()), 0.375),
        (ConjugateGradientBealeRestart(FletcherReevesCoefficient()), 0.0),
        (ConjugateGradientBealeRestart(FletcherReevesCoefficient(), threshold=1.0), 1.625),
    ],
    ids=named,
)
def test_case_10_coefficients(rule, expected):
    assert case_10(rule) == pytest.approx(expected, rel=1e-14)


def test_case_10_conjugate_descent():
    """The reference value is for the direction (0.5, 2)."""
    assert case_10(ConjugateDescentCoefficient(), (0.5, 2.0)) == pytest.approx(-1.3, rel=1e-14)


# Case 11


def diagonal(d):
    d = np.asarray(d, dtype=float)
    return (lambda p: float(p @ (d * p))), (lambda p: 2.0 * d * p)


@pytest.mark.parametrize("rule", COEFFICIENTS[1:9], ids=named)
def test_case_11_two_exact_steps_solve_a_quadratic_in_the_plane(rule):
    f, gradient = diagonal([1.0, 0.1])
    state = ConjugateGradientDescentState(np.array([0.1, 1.0]), coefficient=rule, stepsize=ExactStep((1.0, 0.1)),
                                          stopping=StopAfterIteration(2))  # fmt: skip
    solve(problem(Euclidean(2), f, gradient), state)
    assert np.linalg.norm(state.point) < 6e-16


def test_case_11_cubic_bracketing_is_nearly_exact():
    f, gradient = diagonal([1.0, 0.1])
    result = conjugate_gradient_descent(
        Euclidean(2), f, np.array([0.1, 1.0]), gradient=gradient, max_iterations=2,
        coefficient=ConjugateDescentCoefficient(), stepsize=CubicBracketingLinesearch(curvature=1e-4),
    )  # fmt: skip
    assert np.linalg.norm(result.point) < 5e-8


# Cases 12 to 14


def test_case_12_fletcher_reeves_with_armijo():
    M, f, gradient = rayleigh(np.diag([2.0, 1.1, 1.0]))
    result = conjugate_gradient_descent(
        M, f, np.array([2.0, 0.0, 2.0]) / np.sqrt(8.0), gradient=gradient, max_iterations=15,
        coefficient=FletcherReevesCoefficient(), stepsize=ArmijoLinesearch(),
    )  # fmt: skip
    assert result.cost == pytest.approx(1.0, abs=2e-2)
    assert min(np.linalg.norm(result.point - e) for e in ([0, 0, 1.0], [0, 0, -1.0])) < 0.3


def test_case_13_restarts_help_an_inexact_search():
    M, f, gradient = rayleigh(np.diag([1.0, 2.0, 3.0, 4.0]))
    costs = []
    for restart in (RestartOnNonSufficientDescent(0.5), RestartOnNonDescent(), NeverRestart()):
        result = conjugate_gradient_descent(
            M, f, np.full(4, 0.5), gradient=gradient, max_iterations=30, restart=restart,
            coefficient=FletcherReevesCoefficient(), stepsize=ArmijoLinesearch(initial_guess="last"),
        )  # fmt: skip
        costs.append(result.cost)
    assert costs[0] == pytest.approx(1.0, abs=1e-3)
    assert costs[0] <= costs[1] <= costs[2]


@pytest.mark.parametrize(
    ("stepsize", "rtol"), [(CubicBracketingLinesearch(), 1e-8), (ArmijoLinesearch(), 1e-7)], ids=["cubic", "armijo"]
)
def test_case_14_hybrid_with_projections(stepsize, rtol):
    M, f, gradient = rayleigh(np.diag([1.0, 2.0, 3.0]))
    result = conjugate_gradient_descent(
        M, f, np.full(3, 3**-0.5), gradient=gradient, retraction="projection", transport="projection",
        coefficient=HybridCoefficient(FletcherReevesCoefficient(), PolakRibiereCoefficient()), stepsize=stepsize,
        max_iterations=300, tolerance=1e-10,
    )  # fmt: skip
    np.testing.assert_allclose(np.abs(result.point), [1.0, 0.0, 0.0], rtol=rtol, atol=10 * rtol)


# All of them


def exact_enough(rule, stepsize=None):
    """The step size given, or for a coefficient whose theory asks for it a search that is rather exact."""
    return StrongWolfeLinesearch(curvature=0.1) if isinstance(rule, ConjugateDescentCoefficient) else stepsize


@pytest.mark.parametrize("rule", COEFFICIENTS, ids=named)
@pytest.mark.parametrize(
    "stepsize",
    [None, ArmijoLinesearch(), HagerZhangLinesearch(), StrongWolfeLinesearch(curvature=0.1)],
    ids=["default", "armijo", "hager-zhang", "strong wolfe"],
)
def test_every_coefficient_finds_the_smallest_eigenvalue(rule, stepsize):
    stepsize = exact_enough(rule, stepsize)
    rng = np.random.default_rng(5)
    A = rng.standard_normal((10, 10))
    M, f, gradient = rayleigh(A + A.T)
    result = conjugate_gradient_descent(
        M, f, M.random_point(rng), gradient=gradient, coefficient=rule, stepsize=stepsize, tolerance=1e-7
    )
    assert result.converged, result
    assert result.cost == pytest.approx(np.linalg.eigvalsh(A + A.T)[0], rel=1e-12)


@pytest.mark.parametrize("rule", COEFFICIENTS[2:], ids=named)
def test_rosenbrock_coupled_to_spheres(rule):
    M, f, gradient, start, a = with_spheres(rosenbrock, rosenbrock_gradient, 2)
    result = conjugate_gradient_descent(
        M,
        f,
        start([-1.2, 1.0]),
        gradient=gradient,
        coefficient=rule,
        stepsize=exact_enough(rule),
        tolerance=1e-7,
        max_iterations=3000,
    )
    assert result.converged, result
    s, x = M.split(result.point)
    np.testing.assert_allclose(s, a, atol=1e-6)
    np.testing.assert_allclose(x, 1.0, atol=1e-5)


def test_fewer_iterations_than_gradient_descent():
    rng = np.random.default_rng(1)
    A = rng.standard_normal((100, 100))
    M, f, gradient = rayleigh(A + A.T)
    p0 = M.random_point(rng)
    conjugate = conjugate_gradient_descent(M, f, p0, gradient=gradient, tolerance=1e-6)
    steepest = conjugate_gradient_descent(
        M, f, p0, gradient=gradient, tolerance=1e-6, coefficient=SteepestDescentCoefficient(), max_iterations=3000
    )
    assert conjugate.converged
    assert conjugate.iterations < 0.7 * steepest.iterations


def test_the_preconditioner_solves_a_quadratic_at_once():
    d = np.array([1.0, 1e2, 1e4])
    objective = CostObjective(lambda x: 0.5 * float(x @ (d * x)), lambda x: d * x, preconditioner=lambda x, X: X / d)
    result = conjugate_gradient_descent(Euclidean(3), objective, np.ones(3))
    assert result.converged
    assert result.iterations <= 2
    assert result.evaluations["preconditioner"] >= 1


def test_a_preconditioner_that_is_not_positive_is_passed_over():
    d = np.array([1.0, 3.0])
    result = conjugate_gradient_descent(
        Euclidean(2), lambda x: 0.5 * float(x @ (d * x)), np.ones(2), gradient=lambda x: d * x,
        preconditioner=lambda x, X: -X,
    )  # fmt: skip
    assert result.converged


# Peers 2.5 #11: pymanopt evaluates the accepted cost twice


def test_nothing_is_evaluated_twice():
    seen = []
    M, f, gradient = rayleigh(np.diag([1.0, 2.0, 3.0, 7.0]))
    conjugate_gradient_descent(
        M, lambda p: (seen.append(p.tobytes()), f(p))[1], unit([1.0, 1.0, 1.0, 1.0]), gradient=gradient
    )
    assert len(seen) == len(set(seen))


def test_a_rotation_average_needs_few_evaluations():
    """Reference problem (d) of the peers, small: pymanopt's 133 costs and 52 gradients for 100 rotations."""
    M = PowerManifold(Rotations(3), 20)
    rng = np.random.default_rng(0)
    truth, p0 = M.random_point(rng), M.random_point(rng)
    pairs = [(i, (i + 1) % 20) for i in range(20)] + [tuple(rng.choice(20, 2, replace=False)) for _ in range(60)]
    I, J = np.array(pairs).T
    Z = truth[I] @ np.swapaxes(truth[J], 1, 2)

    def gradient(R):
        G, E = np.zeros_like(R), R[I] - Z @ R[J]
        np.add.at(G, I, E)
        np.add.at(G, J, -np.swapaxes(Z, 1, 2) @ E)
        return G

    result = conjugate_gradient_descent(
        M, lambda R: 0.5 * float(np.sum((R[I] - Z @ R[J]) ** 2)), p0, gradient=gradient, objective_type="euclidean",
        tolerance=1e-6,
    )  # fmt: skip
    assert result.converged
    assert result.evaluations["cost"] <= 133


def test_resuming_a_pickle_gives_the_same_run():
    M, f, gradient = rayleigh(np.diag(np.arange(1.0, 9.0)))
    pr, p0 = problem(M, f, gradient), unit(np.ones(8))
    whole = solve(pr, ConjugateGradientDescentState(p0, stopping=StopAfterIteration(12)))
    part = solve(pr, ConjugateGradientDescentState(p0, stopping=StopAfterIteration(6)))
    part = pickle.loads(pickle.dumps(part))
    part.stopping = StopAfterIteration(12)
    np.testing.assert_array_equal(solve(pr, part).point, whole.point)


def test_a_cost_that_is_nan_from_the_first_step_on_returns_the_start():
    p0 = unit([1.0, 1.0, 1.0])
    M = Sphere(2)
    result = conjugate_gradient_descent(
        M, lambda p: 1.0 if np.array_equal(p, p0) else float("nan"), p0,
        gradient=lambda p: M.project_vector(p, np.array([1.0, 0.0, 0.0])),
    )  # fmt: skip
    assert result.status is Status.BAD_FUNCTION
    np.testing.assert_array_equal(result.point, p0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: HagerZhangCoefficient(mu=0.2),
        lambda: HybridCoefficient(PolakRibiereCoefficient()),
        lambda: HybridCoefficient(PolakRibiereCoefficient(), 3),
        lambda: ConjugateGradientBealeRestart("PR"),
        lambda: RestartOnNonSufficientDescent(1.0),
        lambda: ConjugateGradientDescentState(np.ones(2), coefficient="PR"),
        lambda: ConjugateGradientDescentState(np.ones(2), restart="never"),
        lambda: ConjugateGradientDescentState(np.ones(2), preconditioner=1),
    ],
)
def test_wrong_values_raise(make):
    with pytest.raises((ValueError, TypeError)):
        make()


@pytest.mark.parametrize("rule", COEFFICIENTS, ids=named)
def test_a_coefficient_is_a_value(rule):
    assert pickle.loads(pickle.dumps(rule)) == rule
    assert hash(pickle.loads(pickle.dumps(rule))) == hash(rule)

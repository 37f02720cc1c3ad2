"""TensorFlow Probability's lbfgs_minimize: every argument, result and case of its own tests; counts are exact."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import special_ortho_group

from manifold_opt import (
    Euclidean,
    Fused,
    HagerZhangLinesearch,
    LBfgsOptimizerResults,
    Problem,
    QuasiNewtonState,
    Sphere,
    Status,
    StopAfterIteration,
    StopWhenGradientNormLess,
    StrongWolfeLinesearch,
    converged_all,
    converged_any,
    lbfgs_minimize,
    quasi_newton,
    solve,
)
from manifold_opt.objectives import BatchedCostObjective
from manifold_opt.solvers.batched_quasi_newton import Tolerances
from manifold_opt.solvers.lbfgs_minimize import StopWhenMembers


def bowl(scales, minimum):
    scales, minimum = np.asarray(scales, dtype=float), np.asarray(minimum, dtype=float)
    return lambda x: (np.sum(scales * (x - minimum) ** 2, axis=-1), 2.0 * scales * (x - minimum))


def himmelblau(z):
    x, y = z[..., 0], z[..., 1]
    a, b = x * x + y - 11.0, x + y * y - 7.0
    return a * a + b * b, np.stack([4.0 * x * a + 2.0 * b, 2.0 * a + 4.0 * y * b], axis=-1)


def rosenbrock(z):
    x, y = z[..., 0], z[..., 1]
    d = y - x * x
    return (1 - x) ** 2 + 100 * d * d, np.stack([2 * (x - 1) - 400 * x * d, 200 * d], axis=-1)


STARTS = np.array([[1.0, 1.0], [-2.0, 2.0], [-1.0, -1.0], [1.0, -2.0]])
MINIMA = np.array([[3, 2], [-2.805118, 3.131312], [-3.779310, -3.283186], [3.584428, -1.848126]])


def solved(result, minimum, tolerance=1e-8):
    assert np.all(result.converged)
    assert not np.any(result.failed)
    assert np.max(np.abs(result.objective_gradient)) <= tolerance
    np.testing.assert_allclose(result.position, minimum, atol=1e-5)


# Quadratics


def test_bowl_2d():
    solved(lbfgs_minimize(bowl([2, 3], [1, 1]), np.array([0.6, 0.8])), 1.0)


def test_bowl_3d_absolute_tolerance():
    f, start = bowl([2, 3, 4], [1, 1, 1]), np.array([0.1, 0.8, 0.9])
    loose = lbfgs_minimize(f, start, max_iterations=50, f_absolute_tolerance=1.0)
    tight = lbfgs_minimize(f, start, max_iterations=50)
    assert loose.converged
    assert tight.converged
    assert loose.num_iterations < tight.num_iterations


def test_bowl_100d_takes_one_iteration():
    result = lbfgs_minimize(bowl(np.ones(100), np.ones(100)), np.zeros(100))
    solved(result, 1.0)
    assert result.num_iterations == 1


def test_bowl_40d():
    rng = np.random.RandomState(14159)
    minimum = rng.randn(40)
    solved(lbfgs_minimize(bowl(np.exp(rng.randn(40)), minimum), np.ones(40)), minimum)


def skewed(seed, eigenvalues, dim):
    rng = np.random.RandomState(seed)
    minimum = rng.randn(dim)
    d = np.diag(np.exp(rng.randn(dim))) if eigenvalues is None else np.diag(eigenvalues)
    Q = special_ortho_group.rvs(dim, random_state=rng)
    H = Q.T @ d @ Q
    return (lambda x: (0.5 * (x - minimum) @ H @ (x - minimum), H @ (x - minimum))), minimum


def test_skewed_quadratic_50d():
    f, minimum = skewed(26535, None, 50)
    solved(lbfgs_minimize(f, np.ones(50)), minimum)


def test_strongly_skewed_quadratic_3d():
    f, minimum = skewed(89793, [0.1, 2.0, 50.0], 3)
    solved(lbfgs_minimize(f, np.ones(3)), minimum)


# Rosenbrock and Himmelblau


def test_rosenbrock():
    solved(lbfgs_minimize(rosenbrock, np.array([-1.2, 1.0]), tolerance=1e-5), 1.0, 1e-5)


@pytest.mark.parametrize(
    ("start", "minimum", "evaluations"), [((1.0, 1.0), (3.0, 2.0), 31), ((-2.0, 2.0), (-2.805118, 3.131312), 17)]
)
def test_himmelblau(start, minimum, evaluations):
    result = lbfgs_minimize(himmelblau, np.array(start), tolerance=1e-8)
    solved(result, minimum)
    assert result.num_objective_evaluations == evaluations


@pytest.mark.parametrize(("start", "evaluations", "ours"), [((1.0, 1.0), 31, 12), ((-2.0, 2.0), 17, 9)])
def test_himmelblau_by_quasi_newton(start, evaluations, ours):
    """The compatible search makes the same calls there; our own needs fewer."""

    def both(z):
        value, gradient = himmelblau(z)
        return float(value), gradient

    result = quasi_newton(
        Euclidean(2), Fused(both), np.array(start), stepsize=HagerZhangLinesearch(compatible="tfp"),
        stopping=StopAfterIteration(50) | StopWhenGradientNormLess(1e-8, norm=np.inf),
    )  # fmt: skip
    assert result.converged
    assert result.evaluations["cost"] == evaluations
    assert quasi_newton(Euclidean(2), Fused(both), np.array(start)).evaluations["cost"] <= ours


def test_himmelblau_batch_all_of_two_axes():
    result = lbfgs_minimize(himmelblau, STARTS.reshape(2, 2, 2), stopping_condition=converged_all)
    solved(result, MINIMA.reshape(2, 2, 2))
    assert result.converged.shape == (2, 2)
    assert result.num_objective_evaluations == 36


def test_himmelblau_batch_any():
    result = lbfgs_minimize(himmelblau, STARTS, stopping_condition=converged_any)
    assert not result.failed.any()
    assert result.converged.any()
    assert not result.converged.all()
    np.testing.assert_allclose(result.position[result.converged], MINIMA[result.converged], atol=1e-5)
    assert result.num_objective_evaluations == 28


def test_himmelblau_batch_any_resumed_for_all():
    part = lbfgs_minimize(himmelblau, STARTS, stopping_condition=converged_any)
    assert part.num_objective_evaluations == 28
    result = lbfgs_minimize(himmelblau, previous_optimizer_results=part, stopping_condition=converged_all)
    solved(result, MINIMA)
    assert result.num_objective_evaluations == 36


def test_a_resumed_run_is_the_run_that_never_stopped():
    whole = lbfgs_minimize(himmelblau, STARTS)
    part = lbfgs_minimize(himmelblau, STARTS, max_iterations=3)
    part = pickle.loads(pickle.dumps(part))
    result = lbfgs_minimize(himmelblau, previous_optimizer_results=part)
    for a, b in zip(result, whole, strict=True):
        np.testing.assert_array_equal(a, b)


def test_any_callable_may_be_the_condition():
    two = lambda converged, failed: np.count_nonzero(converged) >= 2
    result = lbfgs_minimize(himmelblau, STARTS, stopping_condition=two)
    assert 2 <= np.count_nonzero(result.converged) < 4


# A batch is its members


def test_members_of_a_batch_end_where_they_end_alone():
    batch = lbfgs_minimize(himmelblau, STARTS)
    alone = [lbfgs_minimize(himmelblau, start) for start in STARTS]
    np.testing.assert_allclose(batch.position, [one.position for one in alone], atol=1e-9)
    assert batch.num_objective_evaluations < sum(one.num_objective_evaluations for one in alone)


def test_finished_members_do_not_move():
    part = lbfgs_minimize(himmelblau, STARTS, stopping_condition=converged_any)
    result = lbfgs_minimize(himmelblau, previous_optimizer_results=part)
    done = part.converged
    np.testing.assert_array_equal(result.position[done], part.position[done])
    np.testing.assert_array_equal(result.position_deltas[:, done], part.position_deltas[:, done])
    np.testing.assert_array_equal(result.objective_value[done], part.objective_value[done])


def test_the_counter_is_the_number_of_calls():
    calls = []
    result = lbfgs_minimize(lambda x: (calls.append(1), himmelblau(x))[1], STARTS)
    assert len(calls) == result.num_objective_evaluations


# Arguments


def test_exactly_one_start():
    f = bowl([2, 3], [1, 1])
    with pytest.raises(ValueError, match="exactly one"):
        lbfgs_minimize(f)
    result = lbfgs_minimize(f, np.array([0.6, 0.8]))
    with pytest.raises(ValueError, match="exactly one"):
        lbfgs_minimize(f, np.array([0.6, 0.8]), previous_optimizer_results=result)


def test_an_initial_inverse_hessian_is_not_implemented():
    with pytest.raises(NotImplementedError, match="initial_inverse_hessian_estimate"):
        lbfgs_minimize(bowl([2, 3], [1, 1]), np.zeros(2), initial_inverse_hessian_estimate=np.eye(2))


def test_the_iteration_limit_is_neither_success_nor_failure():
    result = lbfgs_minimize(rosenbrock, np.array([-1.2, 1.0]), max_iterations=3)
    assert not result.converged
    assert not result.failed
    assert result.num_iterations == 3


def test_the_limit_of_the_line_search_is_a_failure():
    result = lbfgs_minimize(rosenbrock, np.array([-1.2, 1.0]), max_line_search_iterations=1)
    assert result.failed
    assert np.isfinite(result.position).all()


def test_graph_arguments_are_accepted():
    assert lbfgs_minimize(bowl([1], [0]), np.ones(1), parallel_iterations=4, name="bowl").converged


def test_the_position_tolerance():
    loose = lbfgs_minimize(rosenbrock, np.array([-1.2, 1.0]), x_tolerance=0.5)
    assert loose.converged
    assert np.max(np.abs(loose.objective_gradient)) > 1e-8


def test_the_relative_tolerance_never_fires_at_negative_values():
    start = np.array([-1.2, 1.0])
    shifted = lambda c: lambda x: (rosenbrock(x)[0] + c, rosenbrock(x)[1])
    positive = lbfgs_minimize(shifted(1e3), start, f_relative_tolerance=1e-2)
    negative = lbfgs_minimize(shifted(-1e3), start, f_relative_tolerance=1e-2)
    assert positive.num_iterations < negative.num_iterations


def test_a_start_with_a_gradient_of_the_tolerance_exactly_is_not_converged_yet():
    f = lambda x: (np.sum(x, axis=-1) * 1e-8, np.full(x.shape, 1e-8))
    assert lbfgs_minimize(f, np.ones(1), max_iterations=0).converged == np.False_
    assert lbfgs_minimize(f, np.ones(1), max_iterations=0, tolerance=1.1e-8).converged == np.True_


def test_the_gradient_tolerance_is_on_its_largest_entry():
    result = lbfgs_minimize(bowl(np.ones(100), np.ones(100)), np.zeros(100), tolerance=2.0 + 1e-9)
    assert result.converged
    assert result.num_iterations == 0


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match="values of shape"):
        lbfgs_minimize(lambda x: (np.sum(x * x), 2 * x), STARTS)
    with pytest.raises(ValueError, match="gradients of shape"):
        lbfgs_minimize(lambda x: (np.sum(x * x, axis=-1), 2 * x[..., :1]), STARTS)
    with pytest.raises(TypeError, match="values and gradients"):
        lbfgs_minimize(lambda x: np.sum(x * x, axis=-1), STARTS)
    with pytest.raises(ValueError, match="array of one"):
        lbfgs_minimize(lambda x: (x * x, 2 * x), 3.0)


# Results


def test_the_result_fields():
    result = lbfgs_minimize(rosenbrock, np.array([-1.2, 1.0]), num_correction_pairs=4, max_iterations=7)
    assert LBfgsOptimizerResults._fields == (
        "converged", "failed", "num_iterations", "num_objective_evaluations", "position", "objective_value",
        "objective_gradient", "position_deltas", "gradient_deltas",
    )  # fmt: skip
    assert result.position_deltas.shape == result.gradient_deltas.shape == (4, 2)
    f, g = rosenbrock(result.position)
    assert float(result.objective_value) == f
    np.testing.assert_array_equal(result.objective_gradient, g)
    before = lbfgs_minimize(rosenbrock, np.array([-1.2, 1.0]), num_correction_pairs=4, max_iterations=6)
    np.testing.assert_allclose(result.position_deltas[-1], result.position - before.position, rtol=1e-13)
    np.testing.assert_allclose(
        result.gradient_deltas[-1], result.objective_gradient - before.objective_gradient, rtol=1e-13
    )


def test_pairs_not_learned_yet_are_zero():
    result = lbfgs_minimize(rosenbrock, np.array([-1.2, 1.0]), max_iterations=2)
    assert not result.position_deltas[:8].any()
    assert result.position_deltas[8:].all()


def test_data_fitting():
    """Maximum likelihood of a geometric model with a normal prior."""
    n, dim = 100, 30
    rng = np.random.RandomState(234095)
    x = rng.choice([0, 1], size=[dim, n])
    y = rng.geometric(1.0 / (1.0 + np.exp(-0.01 * x.sum(axis=0))))

    def likelihood(b):
        eta = b @ x
        value = np.logaddexp(0.0, eta) @ y + 0.5 * b @ b - eta.sum()
        return value, x @ (expit(eta) * y) + b - x.sum(axis=1)

    result = lbfgs_minimize(likelihood, np.ones(dim), tolerance=1e-6)
    assert result.converged


def test_determinism():
    """Of sixty random starts two fail, where a pair of negative curvature turns the direction upwards, as there."""
    start = np.random.default_rng(1).uniform(-5.12, 5.12, 25)

    def rastrigin(x):
        angle = 2 * np.pi * x
        return np.sum(x**2 - 10.0 * np.cos(angle), axis=-1) + 250.0, 2 * x + 20 * np.pi * np.sin(angle)

    one, two = (lbfgs_minimize(rastrigin, start, tolerance=1e-5) for _ in range(2))
    assert one.converged
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)


def test_single_precision_survives():
    result = lbfgs_minimize(
        lambda x: (np.sum((x - 1) ** 2, axis=-1), 2 * (x - 1)), np.zeros(3, np.float32), tolerance=1e-4
    )
    assert result.converged
    assert result.position.dtype == result.position_deltas.dtype == np.float32


# Values that are not finite


def holed(value):
    quadratic = bowl([2, 3], [1, 1])

    def f(x):
        inside = np.all((x > 0.7) & (x < 1.3), axis=-1)
        value_there, gradient = quadratic(x)
        return np.where(inside, value, value_there), gradient

    return f


HOLES = [np.array([0.8, 0.8]), np.array([0.0, 0.0]), np.array([[0.8, 0.8], [0.0, 0.0]])]


@pytest.mark.parametrize("start", HOLES, ids=["from the start", "on the way", "both"])
def test_minus_infinity_is_success(start):
    result = lbfgs_minimize(holed(-np.inf), start)
    assert np.all(result.converged)
    assert not np.any(result.failed)
    assert np.all(result.objective_value == -np.inf)
    assert np.isfinite(result.position).all()
    assert np.all(holed(-np.inf)(result.position)[0] == -np.inf)


@pytest.mark.parametrize("start", HOLES, ids=["from the start", "on the way", "both"])
@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_other_values_that_are_not_finite_are_failure(start, value):
    result = lbfgs_minimize(holed(value), start)
    assert not np.any(result.converged)
    assert np.all(result.failed)
    assert np.isfinite(result.position).all()


def test_a_gradient_that_is_not_finite_is_failure():
    result = lbfgs_minimize(lambda x: (np.sum(x * x, axis=-1), np.full(x.shape, np.nan)), np.ones(2))
    assert result.failed
    assert not result.converged


# Behind the door: the same state on a manifold


def test_a_batch_on_the_sphere():
    A = np.diag([1.0, 2.0, 5.0, 9.0])
    M = Sphere(3)

    def both(p):
        G = 2.0 * p @ A
        return np.sum(p * (p @ A), axis=-1), M.project_vector(p, G)

    state = QuasiNewtonState(
        M.random_point(np.random.default_rng(0), size=(5,)),
        batched=True,
        tolerances=Tolerances(1e-7),
        stepsize=HagerZhangLinesearch(compatible="tfp"),
        stopping=StopAfterIteration(100) | StopWhenMembers(converged_all),
    )
    solve(Problem(M, BatchedCostObjective(both)), state)
    assert state.status is Status.CONVERGED
    assert state.converged.all()
    np.testing.assert_allclose(state.evaluation.cost, 1.0, atol=1e-12)
    M.check_point(state.point)


def test_a_batched_state_pickles_and_goes_on():
    problem = Problem(Sphere(2), BatchedCostObjective(_height))
    starts = Sphere(2).random_point(np.random.default_rng(1), size=(3,))
    make = lambda n: QuasiNewtonState(
        starts, batched=True, tolerances=Tolerances(), stepsize=HagerZhangLinesearch(compatible="tfp"),
        stopping=StopAfterIteration(n) | StopWhenMembers(converged_all),
    )  # fmt: skip
    whole, part = solve(problem, make(6)), solve(problem, make(2))
    part = pickle.loads(pickle.dumps(part))
    part.stopping = make(6).stopping
    np.testing.assert_array_equal(solve(problem, part).point, whole.point)


def _height(p):
    return p[..., 2] + 0.3 * p[..., 0] ** 2, Sphere(2).project_vector(
        p, np.stack([0.6 * p[..., 0], 0 * p[..., 0], 0 * p[..., 0] + 1.0], axis=-1)
    )


def test_a_batch_takes_no_other_search():
    with pytest.raises(ValueError, match="tfp"):
        QuasiNewtonState(STARTS, batched=True, stepsize=StrongWolfeLinesearch())
    with pytest.raises(ValueError, match="limited memory"):
        QuasiNewtonState(STARTS, batched=True, memory=None, stepsize=HagerZhangLinesearch(compatible="tfp"))

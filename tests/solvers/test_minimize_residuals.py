"""TensorFlow Graphics' ``minimize``: every row of its behaviour and every case of its tests, by name."""

from __future__ import annotations

from itertools import pairwise

import autograd.numpy as anp
import numpy as np
import pytest

from manifold_opt.solvers import minimize_residuals

identity = lambda x: x


def plain(residual, jacobian, x, iterations, lam, factor):
    """The algorithm as published: normal equations, a step taken if and only if the objective decreases."""
    f = lambda x: 0.5 * np.sum(residual(x) ** 2)
    path = []
    for _ in range(iterations):
        J, r = jacobian(x), residual(x)
        y = x - np.linalg.solve(J.T @ J + lam * np.eye(len(x)), J.T @ r)
        if f(y) < f(x):
            x = y
        else:
            lam *= factor
        path.append(f(x))
    return x, path


# behaviour, row by row


def test_residuals_one_callable_or_a_list_or_a_tuple():
    """`residuals`, one callable or a list or tuple of them: the same."""
    for residuals in (identity, [identity], (identity,)):
        objective, (x,) = minimize_residuals(residuals, [np.ones(3)], 1)
        assert objective == 0.0
        np.testing.assert_array_equal(x, np.zeros(3))


def test_residuals_take_all_variables_and_return_any_shape():
    """each residual takes all variables and returns any shape: the same; raveled, one after the other."""
    shapes = []

    def r(x, y, z):
        shapes.append((np.shape(x), np.shape(y), np.shape(z)))
        return anp.reshape(anp.concatenate([x, anp.ravel(y), anp.ravel(z)]), (3, 1, 3)) - 2.0

    objective, variables = minimize_residuals(
        [r, lambda x, y, z: x[0] - 2.0], [np.ones(2), np.ones((2, 3)), np.ones((1, 1))], 3
    )
    assert set(shapes) == {((2,), (2, 3), (1, 1))}
    assert objective == pytest.approx(0.0, abs=1e-24)
    for v, shape in zip(variables, [(2,), (2, 3), (1, 1)], strict=True):
        assert v.shape == shape
        np.testing.assert_allclose(v, 2.0)


def test_variables_one_array_or_a_list_or_a_tuple():
    """`variables`, one tensor or a list or tuple of them: the same, of arrays; one is wrapped into a list."""
    for variables in (np.ones(2), [np.ones(2)], (np.ones(2),), [[1.0, 1.0]]):
        objective, found = minimize_residuals(identity, variables, 1)
        assert type(found) is list and len(found) == 1 and objective == 0.0


def test_variables_keep_their_dtypes_and_are_not_changed():
    """variables are converted, their first dtype rules: each comes back in its own dtype, none is changed."""
    x, y = np.ones(2, np.float32), np.ones(2)
    _, found = minimize_residuals(lambda x, y: anp.concatenate([x - 0.1, y - 0.1]), [x, y], 4)
    assert [v.dtype for v in found] == [np.float32, np.float64]
    np.testing.assert_array_equal(x, 1.0)
    np.testing.assert_array_equal(y, 1.0)
    np.testing.assert_allclose(found[1], 0.1, atol=1e-12)
    _, (single,) = minimize_residuals(lambda x: x - 0.1, x, 4)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, 0.1, rtol=1e-6)


@pytest.mark.parametrize("value", [0, -1, -100])
def test_max_iterations_below_one_is_an_error_that_says_at_least_1(value):
    """`max_iterations` <= 0, a `ValueError` that says at least 1: the same."""
    with pytest.raises(ValueError, match=r"max_iterations.*at least 1"):
        minimize_residuals(identity, np.ones(1), value)


@pytest.mark.parametrize("value", [1.0, "3", None])
def test_max_iterations_must_be_an_integer(value):
    """`max_iterations`, required, an integer: checked."""
    with pytest.raises(ValueError, match=r"max_iterations.*integer"):
        minimize_residuals(identity, np.ones(1), value)


def test_regularizer_is_the_plain_damping_of_the_step():
    """`regularizer`, lambda I added to J'J: `FixedDamping(regularizer=)`, by a factorization of J with lambda below."""
    lam = 0.7
    _, (x,) = minimize_residuals(lambda x: 3.0 * x, np.ones(2), 1, regularizer=lam)
    np.testing.assert_allclose(x, 1.0 - 9.0 / (9.0 + lam), rtol=1e-14)


def test_regularizer_defaults():
    """defaults 1e-20 and 10.0, and the order of arguments: the same, without `name`, which only labels a graph."""
    import inspect

    parameters = inspect.signature(minimize_residuals).parameters
    assert (parameters["regularizer"].default, parameters["regularizer_multiplier"].default) == (1e-20, 10.0)
    assert list(parameters) == [
        "residuals",
        "variables",
        "max_iterations",
        "regularizer",
        "regularizer_multiplier",
        "callback",
    ]


@pytest.mark.parametrize("lam, factor", [(1e-20, 10.0), (1e-3, 10.0), (1e-6, 3.0), (10.0, 2.0)])
def test_steps_acceptance_and_growing_regularizer_follow_the_published_algorithm(lam, factor):
    """the iteration, x - Delta with J Delta about r: 40 objectives agree, on Rosenbrock's function."""
    r = lambda x: anp.array([10.0 * (x[1] - x[0] ** 2), 1.0 - x[0]])
    J = lambda x: np.array([[-20.0 * x[0], 10.0], [-1.0, 0.0]])
    x0 = np.array([-1.2, 1.0])
    _, path = plain(r, J, x0, 40, lam, factor)
    seen = []
    minimize_residuals(r, x0, 40, lam, factor, callback=lambda k, f, v: seen.append(f))
    # the normal equations of the model code lose digits that a factorization of J keeps
    np.testing.assert_allclose(seen, path, rtol=1e-6, atol=1e-20)
    assert any(a == b for a, b in pairwise(path)) or lam >= 1e-3  # some step was rejected


def test_a_step_that_does_not_decrease_is_rejected_and_the_regularizer_only_grows():
    """`regularizer_multiplier`, and no decrease of lambda ever: on atan(x) from 3 it grows until a step helps."""
    r, J = lambda x: anp.arctan(x), lambda x: np.diag(1.0 / (1.0 + x**2))
    x, path = plain(r, J, np.array([3.0]), 60, 1e-6, 10.0)
    objective, (y,) = minimize_residuals(r, np.array([3.0]), 60, 1e-6)
    np.testing.assert_allclose(y, x, rtol=1e-8, atol=1e-12)
    assert objective == pytest.approx(path[-1], abs=1e-20)
    assert all(b <= a for a, b in pairwise(path))


def test_callback_is_called_after_each_iteration_with_accepted_values():
    """`callback(iteration, objective_value, variables)` after each iteration, counted from 1: the same."""
    calls = []
    r = lambda x, y: anp.concatenate([x**2 - 2.0, x * y - 1.0])
    objective, variables = minimize_residuals(
        r, [np.ones(1), np.zeros(1)], 6, callback=lambda k, f, v: calls.append((k, f, v))
    )
    assert [k for k, _, _ in calls] == [1, 2, 3, 4, 5, 6]
    for _, f, v in calls:
        assert type(f) is float and type(v) is list
        assert f == pytest.approx(0.5 * np.sum(r(*v) ** 2), rel=1e-12, abs=1e-30)
    assert calls[-1][1] == objective
    np.testing.assert_array_equal(calls[-1][2], variables)


def test_what_a_callback_returns_is_ignored():
    """what a callback returns, None or operations of a graph: ignored."""
    for value in (None, True, [1, 2], "stop"):
        calls = []
        minimize_residuals(identity, np.ones(1), 4, callback=lambda k, f, v, c=calls, value=value: c.append(k) or value)
        assert calls == [1, 2, 3, 4]


def test_what_a_callback_writes_changes_nothing():
    """variables in a callback: copies."""
    def meddle(k, f, v):
        v[0][:] = 1e9

    assert minimize_residuals(lambda x: x - 1.0, np.zeros(2), 3, callback=meddle)[0] < 1e-30


def test_objective_is_half_the_sum_of_squares_over_all_residuals():
    """the objective, half the sum of squares of all residuals: the same."""
    objective, _ = minimize_residuals([lambda x: 0.0 * x + 3.0, lambda x: 0.0 * x[0] + 4.0], np.ones(2), 1)
    assert objective == pytest.approx(0.5 * (2 * 9.0 + 16.0))


def test_a_variable_without_residuals_stays():
    """a variable that no residual knows, columns of zeros: it stays."""
    objective, (_, y) = minimize_residuals([lambda x, y: x - 1.0], [np.zeros(2), np.full(3, 7.0)], 2)
    assert objective == pytest.approx(0.0, abs=1e-30)
    np.testing.assert_array_equal(y, 7.0)


def test_nan_rejects_a_step():
    """NaN is not smaller, so it rejects a step: the same, on log x from 10."""
    with np.errstate(invalid="ignore"):
        objective, (x,) = minimize_residuals(lambda x: anp.log(x), np.array([10.0]), 60)
    assert objective == pytest.approx(0.0, abs=1e-20) and x == pytest.approx(1.0)


def test_only_the_iteration_count_stops_also_at_the_optimum_and_far_beyond_it():
    """the iteration count alone stops, also at the optimum: the same."""
    calls = []
    objective, _ = minimize_residuals(identity, np.ones(2), 400, callback=lambda k, f, v: calls.append(k))
    assert calls == list(range(1, 401)) and objective == 0.0
    calls.clear()
    minimize_residuals(lambda x: x**2 + 1.0, np.ones(1), 400, callback=lambda k, f, v: calls.append(k))
    assert len(calls) == 400


def test_returns_a_pair_of_objective_and_list():
    """returns (objective, list of variables): the same."""
    value = minimize_residuals(identity, np.ones(2), 1)
    assert type(value) is tuple and len(value) == 2 and type(value[0]) is float and type(value[1]) is list


def test_a_singular_system_without_regularizer_is_survived():
    """a failed Cholesky is caught, or escapes from a graph: a singular system is solved in the least norm."""
    objective, variables = minimize_residuals(lambda x: x[:1] + x[1:], np.ones(2), 5, regularizer=0.0)
    assert objective == pytest.approx(0.0, abs=1e-28)
    assert np.isfinite(variables[0]).all()


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: minimize_residuals([], np.ones(1), 1), ValueError, "`residuals` is empty"),
        (lambda: minimize_residuals(3.0, np.ones(1), 1), TypeError, "residual 0 must be a function"),
        (lambda: minimize_residuals([identity, 3.0], np.ones(1), 1), TypeError, "residual 1 must be a function"),
        (lambda: minimize_residuals(identity, [], 1), ValueError, "`variables` is empty"),
        (lambda: minimize_residuals(identity, [np.zeros(0)], 1), ValueError, "variable 0 must be a non-empty array"),
        (lambda: minimize_residuals(identity, [np.array(["a"])], 1), ValueError, "variable 0 must be"),
        (lambda: minimize_residuals(identity, np.ones(1), 1, regularizer=-1.0), ValueError, "`regularizer`"),
        (lambda: minimize_residuals(identity, np.ones(1), 1, 1.0, 0.5), ValueError, "`multiplier`"),
    ],
)
def test_errors_name_what_is_wrong(call, error, message):
    """other errors, from deep inside: before the first iteration, naming the argument."""
    with pytest.raises(error, match=message):
        call()


# cases of TensorFlow Graphics' own tests


@pytest.mark.parametrize("iterations, shape", [(4, (1,)), (3, (1, 1)), (2, (2,)), (1, (2, 2))])
def test_case_shapes_accepted(iterations, shape):
    """case, shapes accepted: no exception."""
    minimize_residuals(
        identity, np.random.default_rng(1).uniform(size=shape), iterations, callback=lambda k, f, v: None
    )


@pytest.mark.parametrize("iterations", [-1, 0])
def test_case_bad_max_iterations(iterations):
    """case, bad `max_iterations`: `ValueError`, at least 1."""
    with pytest.raises(ValueError, match="'?max_iterations'?.* at least 1"):
        minimize_residuals(identity, np.ones((1,)), iterations)


@pytest.mark.parametrize("kind", [list, tuple])
def test_case_presets_one_variable(kind):
    """case, preset of one variable: objective 0, x = [0]."""
    objective, variables = minimize_residuals(kind([identity]), kind([np.array([1.0])]), 1)
    assert objective == 0.0 and variables[0] == [0.0]


@pytest.mark.parametrize("kind", [list, tuple])
def test_case_presets_two_variables(kind):
    """case, preset of two variables: objective 0, both [0]."""
    residuals = kind([lambda x, y: x, lambda x, y: y])
    objective, (x, y) = minimize_residuals(residuals, kind([np.array([1.0]), np.array([1.0])]), 1)
    assert objective == 0.0 and x == [0.0] and y == [0.0]


def test_case_callback():
    """case, callback: the last objective is the returned one, 5 calls."""
    saved = []
    x = np.random.default_rng(2).uniform(-1.0, 1.0, 1)
    objective, _ = minimize_residuals(identity, x, 5, callback=lambda k, f, v: saved.append((k, f)))
    assert saved[-1] == (5, objective) and len(saved) == 5


def test_case_ill_conditioned():
    """case, ill-conditioned residuals 1e4 xy and 1e-4 xy: no exception."""
    residuals = [lambda x, y: 1e4 * x * y, lambda x, y: 1e-4 * x * y]
    objective, _ = minimize_residuals(residuals, [np.array([1.0]), np.array([1.0])], 1, regularizer=1e-20)
    assert objective < 0.5 * 1e8


@pytest.mark.filterwarnings("ignore:Each Jacobian of this residual")  # up to 81 variables
@pytest.mark.parametrize("seed", range(10))
def test_case_random_linear(seed):
    """case, random linear: objective and variables 0."""
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 10, size=rng.integers(1, 3)))
    objective, (x,) = minimize_residuals(identity, rng.uniform(-1.0, 1.0, shape), 1)
    assert objective == pytest.approx(0.0, abs=1e-6)
    np.testing.assert_allclose(x, np.zeros(shape), atol=1e-6)


def test_what_it_lacks():
    """no bounds, losses, weights, status, counters, covariance, decrease of lambda: `least_squares` has all."""
    import inspect

    from manifold_opt import Result, least_squares

    assert {"bounds", "loss", "f_scale", "damping", "fixed"} <= set(inspect.signature(least_squares).parameters)
    assert {"status", "evaluations", "covariance", "report"} <= set(dir(Result)) | set(Result.__annotations__)

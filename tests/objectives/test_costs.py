"""Costs: every convention of a user's function gives the same cost, gradient and Hessian, each evaluated once."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from solver_problems import MANIFOLDS, Calls, Quadratic, start, vector

from manifold_opt.autodiff import CannotDifferentiate, DerivativeWarning, LostDerivative
from manifold_opt.core import Problem
from manifold_opt.manifolds import Euclidean, Sphere
from manifold_opt.objectives import CostObjective, Counts, Fused, InPlace, watched

GIVEN = {
    "riemannian": lambda f: CostObjective(f, f.gradient),
    "euclidean": lambda f: CostObjective(f, f.euclidean_gradient, f.euclidean_hessian, objective_type="euclidean"),
    "in place": lambda f: CostObjective(f, InPlace(lambda p, out: np.copyto(out, f.gradient(p)))),
    "euclidean in place": lambda f: CostObjective(
        f,
        InPlace(lambda p, out: np.copyto(out, f.euclidean_gradient(p))),
        InPlace(lambda p, X, out: np.copyto(out, f.euclidean_hessian(p, X))),
        objective_type="euclidean",
    ),
    "fused": lambda f: CostObjective(Fused(lambda p: (f(p), f.gradient(p)))),
    "fused list": lambda f: CostObjective(Fused(lambda p: [f(p), f.gradient(p).tolist()])),
    "fused euclidean": lambda f: CostObjective(
        Fused(lambda p: (f(p), f.euclidean_gradient(p))), objective_type="euclidean"
    ),
    "fused in place": lambda f: CostObjective(Fused(InPlace(lambda p, out: (np.copyto(out, f.gradient(p)), f(p))[1]))),
    "in place fused": lambda f: CostObjective(InPlace(Fused(lambda p, out: (np.copyto(out, f.gradient(p)), f(p))[1]))),
    "autograd": lambda f: CostObjective(f, autodiff="autograd"),
    "auto": lambda f: CostObjective(f),
    "differences": lambda f: CostObjective(f, autodiff="finite-differences"),
}


@pytest.mark.parametrize("M", MANIFOLDS, ids=repr)
@pytest.mark.parametrize("convention", GIVEN)
def test_conventions_agree(M, convention):
    f = Quadratic(M)
    problem, p = Problem(M, GIVEN[convention](f)), start(M)
    e = problem.evaluate(p)
    assert type(e.cost) is float and e.cost == pytest.approx(float(f(p)), rel=1e-14)
    # central differences keep about two thirds of the digits
    atol = 1e-7 if convention == "differences" else 1e-12
    np.testing.assert_allclose(e.gradient, f.gradient(p), atol=atol * max(1.0, np.abs(f.gradient(p)).max()))
    assert e.gradient_norm == pytest.approx(M.norm(p, f.gradient(p)), rel=max(atol, 1e-12))
    assert problem.cost(p) == e.cost


@pytest.mark.parametrize("M", MANIFOLDS, ids=repr)
@pytest.mark.parametrize("convention", GIVEN)
def test_hessian_products_agree_with_differences_of_the_gradient_along_a_geodesic(M, convention):
    f = Quadratic(M)
    problem, p = Problem(M, GIVEN[convention](f)), start(M)
    X, Y = vector(M, p, 1), vector(M, p, 2)
    e = problem.evaluate(p)
    HX = e.hessian(X)
    h = 1e-5

    def slope(t):  # of t -> <grad f, transported Y>, whose derivative at 0 is <Hess f [X], Y>
        q = M.exp(p, X, t)
        return M.inner(q, f.gradient(q), M.parallel_transport_to(p, Y, q))

    expected = (slope(h) - slope(-h)) / (2.0 * h)
    # forward differences of gradients have an error of about 1e-8, differences of differences of 1e-6
    tolerance = 1e-4 if convention == "differences" else 1e-6
    assert M.inner(p, HX, Y) == pytest.approx(expected, rel=tolerance, abs=tolerance)
    assert M.is_vector(p, HX)
    np.testing.assert_allclose(problem.hessian(p, X), HX, atol=1e-12 * np.abs(HX).max())


@pytest.mark.parametrize("M", MANIFOLDS, ids=repr)
def test_hessian_is_symmetric_and_zero_at_zero(M):
    f = Quadratic(M)
    for convention in ("riemannian", "euclidean", "autograd"):
        e = Problem(M, GIVEN[convention](f)).evaluate(start(M))
        X, Y = vector(M, e.point, 1), vector(M, e.point, 2)
        left, right = M.inner(e.point, e.hessian(X), Y), M.inner(e.point, X, e.hessian(Y))
        assert left == pytest.approx(right, rel=1e-6, abs=1e-6)
        np.testing.assert_array_equal(e.hessian(M.zero_vector(e.point)), M.zero_vector(e.point))


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e8, 1e12])
def test_differences_of_gradients_take_steps_of_the_size_of_the_point(scale):
    """The cost and the point in other units: sum of (x / scale)^4."""
    M, x = Euclidean(3), np.array([1.0, -2.0, 0.5])
    f = CostObjective(lambda p: np.sum((p / scale) ** 4), lambda p: 4.0 * (p / scale) ** 3 / scale)
    HX = Problem(M, f).hessian(x * scale, np.ones(3))
    np.testing.assert_allclose(HX * scale**2, 12.0 * x**2, rtol=1e-5)


SCALARS = [
    float,
    np.float64,
    np.float32,
    np.float16,
    np.longdouble,
    np.asarray,
    lambda x: np.array([x]),
    lambda x: np.array([[x]]),
    lambda x: [x],
    lambda x: np.matrix([[x]]),
]


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("kind", SCALARS)
@pytest.mark.parametrize("fused", [False, True])
def test_every_kind_of_scalar_is_a_cost(kind, fused):
    M, p = Euclidean(2), np.array([1.0, 2.0])
    f, g = lambda p: kind(2.5), lambda p: 0.0 * p
    e = Problem(M, CostObjective(Fused(lambda p: (f(p), g(p)))) if fused else CostObjective(f, g)).evaluate(p)
    assert type(e.cost) is float and e.cost == 2.5


def test_integers_and_booleans_are_costs():
    for value in (3, np.int8(3), np.array(3), True, np.True_):
        e = Problem(Euclidean(1), CostObjective(lambda p, v=value: v, lambda p: p)).evaluate(np.ones(1))
        assert type(e.cost) is float and e.cost == float(value)


BAD_COSTS = [
    None,
    "1.0",
    b"1",
    1.0 + 2.0j,
    np.complex128(1.0),
    np.array([1.0, 2.0]),
    np.zeros(0),
    np.array([1j]),
    np.array(None),
    pytest.param(object(), id="object"),  # not its address, which differs between workers
    [[1.0], [2.0, 3.0]],
    {"cost": 1.0},
]


@pytest.mark.parametrize("value", BAD_COSTS, ids=repr)
@pytest.mark.parametrize("fused", [False, True])
def test_what_is_not_one_real_number_is_refused_by_name(value, fused):
    cost = Fused(lambda p: (value, p)) if fused else lambda p: value
    e = Problem(Euclidean(2), CostObjective(cost, None if fused else (lambda p: p))).evaluate(np.ones(2))
    with pytest.raises(TypeError, match="`f` must return one real number; it returned .*Sum over"):
        _ = e.cost


BAD_GRADIENTS = [
    (np.zeros(3), ValueError, r"`gradient` must return an array of shape \(2,\); it returned shape \(3,\)"),
    (np.zeros((2, 1)), ValueError, r"shape \(2,\); it returned shape \(2, 1\)"),
    (1.0, ValueError, r"shape \(2,\); it returned shape \(\)"),
    (None, TypeError, "`gradient` must return numbers; it returned NoneType"),
    ("ab", TypeError, "`gradient` must return numbers"),
    (np.array([1.0, None]), TypeError, "`gradient` must return numbers"),
    (np.ones(2) * 1j, TypeError, "`gradient` must be real.*Take the real part"),
]


@pytest.mark.parametrize("value, error, message", BAD_GRADIENTS, ids=lambda x: repr(x)[:25])
@pytest.mark.parametrize("fused", [False, True])
def test_wrong_gradients_are_refused_by_name(value, error, message, fused):
    objective = CostObjective(Fused(lambda p: (1.0, value))) if fused else CostObjective(lambda p: 1.0, lambda p: value)
    with pytest.raises(error, match=message):
        _ = Problem(Euclidean(2), objective).evaluate(np.ones(2)).gradient


def test_wrong_hessians_are_refused_by_name():
    p = np.ones(2)
    e = Problem(Euclidean(2), CostObjective(lambda p: p @ p, lambda p: 2 * p, lambda p, X: np.eye(2))).evaluate(p)
    with pytest.raises(ValueError, match=r"`hessian` must return an array of shape \(2,\); it returned shape \(2, 2\)"):
        e.hessian(p)


def test_lists_and_integers_are_gradients():
    for value in ([1, 2], (1.0, 2), np.array([1, 2])):
        e = Problem(Euclidean(2), CostObjective(lambda p: 1.0, lambda p, v=value: v)).evaluate(np.ones(2))
        np.testing.assert_array_equal(e.gradient, [1.0, 2.0])
        assert e.gradient.dtype == float


def test_a_fused_function_must_return_a_pair():
    for value in (1.0, (1.0,), (1.0, 2.0, 3.0), np.zeros(2)):
        with pytest.raises(TypeError, match=r"`f` is Fused and must return \(cost, gradient\)"):
            _ = Problem(Euclidean(2), CostObjective(Fused(lambda p, v=value: v))).evaluate(np.ones(2)).cost


@pytest.mark.parametrize(
    "build, error, message",
    [
        (lambda f: CostObjective(None), TypeError, "`f`, the cost, is missing"),
        (lambda f: CostObjective(3.0), TypeError, "`f` must be a function, got float: 3.0"),
        (lambda f: CostObjective(f, 3.0), TypeError, "`gradient` must be a function"),
        (lambda f: CostObjective(f, f, np.eye(2)), TypeError, "`hessian` must be a function"),
        (lambda f: CostObjective(f, preconditioner=np.eye(2)), TypeError, "`preconditioner` must be a function"),
        (lambda f: CostObjective(f, f, objective_type="Euclid"), ValueError, "`objective_type` must be one of"),
        (lambda f: CostObjective(Fused(f), f), ValueError, "leave out `gradient=`"),
        (lambda f: CostObjective(InPlace(f)), ValueError, "only inside Fused"),
        (lambda f: CostObjective(InPlace(3.0)), TypeError, "marks a function; 3.0 is not callable"),
        (lambda f: CostObjective(Fused(None)), TypeError, "marks a function; None is not callable"),
        (lambda f: CostObjective(f, autodiff="autgrad"), ValueError, "Did you mean 'autograd'"),
    ],
)
def test_mistakes_are_named(build, error, message):
    with pytest.raises(error, match=message):
        _ = Problem(Euclidean(2), build(lambda p: p @ p)).evaluate(np.ones(2)).gradient


# memory


def test_a_gradient_in_reused_memory_is_an_error():
    buffer = np.empty(2)
    problem = Problem(Euclidean(2), CostObjective(lambda p: p @ p, lambda p: np.multiply(2.0, p, out=buffer)))
    _ = problem.evaluate(np.ones(2)).gradient
    with pytest.raises(ValueError, match="`gradient` returned memory that it returned before.*InPlace"):
        _ = problem.evaluate(np.zeros(2)).gradient


@pytest.mark.parametrize("view", [lambda b: b[:2], lambda b: b[1:3], lambda b: b.reshape(2, 2)[:, 0]])
def test_views_of_one_buffer_are_noticed(view):
    buffer = np.empty(4)

    def gradient(p):
        buffer[:] = p[0]
        return view(buffer)

    problem = Problem(Euclidean(2), CostObjective(lambda p: p @ p, gradient))
    _ = problem.evaluate(np.ones(2)).gradient
    with pytest.raises(ValueError, match="memory that it returned before"):
        _ = problem.evaluate(np.zeros(2)).gradient


def test_rows_of_one_table_are_not_reused_memory():
    table = np.arange(8.0).reshape(4, 2)
    rows = iter(table)
    problem = Problem(Euclidean(2), CostObjective(lambda p: 0.0, lambda p: next(rows)))
    for row in table:
        np.testing.assert_array_equal(problem.evaluate(np.ones(2)).gradient, row)


def test_a_constant_gradient_may_be_one_array():
    c = np.array([1.0, 2.0])
    problem = Problem(Euclidean(2), CostObjective(lambda p: c @ p, lambda p: c))
    for k in range(3):
        np.testing.assert_array_equal(problem.evaluate(np.full(2, float(k))).gradient, c)


def test_the_point_itself_may_be_the_gradient():
    problem = Problem(Euclidean(2), CostObjective(lambda p: 0.5 * p @ p, lambda p: p))
    for k in range(3):
        np.testing.assert_array_equal(problem.evaluate(np.full(2, float(k))).gradient, np.full(2, float(k)))


def test_a_function_that_remembers_its_last_value_may_be_asked_there_again():
    memory = {}

    def gradient(p):
        return memory.setdefault(p.tobytes(), 2.0 * p)

    problem = Problem(Euclidean(2), CostObjective(lambda p: p @ p, gradient))
    for p in (np.ones(2), np.zeros(2), np.zeros(2), np.ones(2), np.ones(2)):
        np.testing.assert_array_equal(problem.evaluate(p).gradient, 2.0 * p)


def test_a_user_that_keeps_the_buffer_of_an_in_place_function_does_no_harm_to_results():
    problem = Problem(Euclidean(2), CostObjective(lambda p: p @ p, InPlace(lambda p, out: np.copyto(out, 2 * p))))
    first = problem.evaluate(np.ones(2))
    gradient = first.gradient
    _ = problem.evaluate(np.zeros(2)).gradient
    np.testing.assert_array_equal(gradient, [2.0, 2.0])


@pytest.mark.parametrize("wrap", [InPlace, lambda f: Fused(InPlace(f))])
def test_an_in_place_function_that_returns_instead_of_filling_is_an_error(wrap):
    given = wrap(lambda p, out: 2.0)
    fused = isinstance(given, Fused)
    e = Problem(Euclidean(2), CostObjective(given) if fused else CostObjective(lambda p: p @ p, given)).evaluate(
        np.ones(2)
    )
    with pytest.raises(ValueError, match="`gradient` is InPlace, but did not write 2 of the 2 entries"):
        _ = e.gradient


def test_an_in_place_function_that_relies_on_zeros_is_an_error():
    def gradient(p, out):
        out[1] = 3.0

    with pytest.raises(ValueError, match=r"did not write 1 of the 2 entries of its buffer, the first at \(0,\)"):
        Problem(Euclidean(2), CostObjective(lambda p: 3.0 * p[1], InPlace(gradient))).gradient(np.ones(2))


def test_precision_of_buffers_follows_the_point():
    f = InPlace(lambda p, out: np.copyto(out, p / 3.0))
    problem = Problem(Euclidean(2), CostObjective(lambda p: p @ p / 6.0, f))
    assert problem.gradient(np.ones(2, np.float32)).dtype == np.float32
    np.testing.assert_array_equal(problem.gradient(np.ones(2)), np.ones(2) / 3.0)


# counting


def counted(convention, f):
    """The objective with every user function counted, and the counters."""
    cost, gradient, hessian = Calls(f), Calls(f.gradient), Calls(lambda p, X: 0.0 * X)
    both = Calls(lambda p: (f(p), f.gradient(p)))
    objective = {
        "given": lambda: CostObjective(cost, gradient, hessian),
        "fused": lambda: CostObjective(Fused(both), hessian=hessian),
        "autograd": lambda: CostObjective(cost, hessian=hessian, autodiff="autograd"),
        "differences": lambda: CostObjective(cost, hessian=hessian, autodiff="finite-differences"),
    }[convention]()
    return objective, cost, gradient, hessian, both


@pytest.mark.parametrize("convention", ["given", "fused", "autograd", "differences"])
@pytest.mark.parametrize("order", [("cost", "gradient"), ("gradient", "cost")], ids=" then ".join)
def test_nothing_is_evaluated_twice_and_every_call_is_counted(convention, order):
    M = Sphere(2)
    objective, cost, gradient, hessian, both = counted(convention, Quadratic(M))
    problem, counts, p = Problem(M, objective), Counts(), start(M)
    problem.functions(p, counts)
    checks = counts["check"]
    for _ in range(3):
        e = problem.evaluate(p, counts)
        for _ in range(2):
            for name in order:
                getattr(e, name)
            _ = e.gradient_norm
    e.hessian(e.gradient)
    e.hessian(e.gradient)
    assert hessian.n == counts["hessian"] == 2
    assert counts["gradient"] == 3
    if convention == "given":
        assert (cost.n, gradient.n, counts["cost"], checks) == (3, 3, 3, 0)
    elif convention == "fused":
        assert both.n == 3 and counts["cost"] == 3
    elif convention == "autograd":
        # a gradient runs f inside its trace and brings the cost along where none is known
        known = order[0] == "cost"
        assert counts["cost"] == (3 if known else 0)
        assert cost.n == counts["cost"] + counts["gradient"] + checks  # the gradient that was checked is the first one
    else:
        assert counts["cost"] == 3 + 3 * 2 * M.dim
        assert cost.n == counts["cost"] + checks


def test_what_is_known_costs_nothing():
    M = Sphere(2)
    e = Problem(M, CostObjective(Quadratic(M))).evaluate(start(M))
    assert not e.known("cost") and not e.known("gradient") and not e.known("no such thing")
    _ = e.gradient
    assert e.known("cost") and e.known("gradient") and not e.known("gradient_norm")
    assert "cost, gradient" in repr(e)


def test_watching_counts_apart_and_never_repeats():
    M = Sphere(2)
    f = Quadratic(M)
    cost, gradient = Calls(f), Calls(f.gradient)
    counts = Counts()
    e = Problem(M, CostObjective(cost, gradient)).evaluate(start(M), counts)
    assert watched(e, "cost") == e.cost == watched(e, "cost")
    assert dict(counts) == {"watched": 1} and cost.n == 1
    _ = e.gradient
    assert watched(e, "gradient_norm") == e.gradient_norm
    assert dict(counts) == {"watched": 1, "gradient": 1} and gradient.n == 1


def test_watching_a_gradient_by_differences_counts_all_its_calls():
    M = Sphere(2)
    counts = Counts()
    problem = Problem(M, CostObjective(Quadratic(M), autodiff="finite-differences"))
    problem.functions(start(M))
    watched(problem.evaluate(start(M), counts), "gradient")
    assert counts == {"watched": 1 + 2 * M.dim}


def test_watching_that_fails_leaves_the_counters_in_place():
    def fails(p):
        raise ZeroDivisionError

    counts = Counts()
    e = Problem(Euclidean(1), CostObjective(fails, lambda p: p)).evaluate(np.ones(1), counts)
    with pytest.raises(ZeroDivisionError):
        watched(e, "cost")
    assert e.counts is counts


def test_counts_read_zero_for_what_never_happened():
    counts = Counts()
    assert counts["hessian"] == 0 and "hessian" not in counts


# pickling


def test_an_evaluation_pickles_what_it_knows_and_takes_up_its_functions_again():
    M = Sphere(2)
    problem, p = Problem(M, CostObjective(Quadratic(M))), start(M)
    e = problem.evaluate(p)
    X = vector(M, p)
    _, _, HX = e.cost, e.gradient, e.hessian(X)
    again = pickle.loads(pickle.dumps(e))
    assert again.cost == e.cost
    np.testing.assert_array_equal(again.gradient, e.gradient)
    np.testing.assert_array_equal(again.point, p)
    assert not again.known("hessian_operator")  # a differentiation tape is no data
    again.attach(problem.functions(p), counts := Counts())
    np.testing.assert_allclose(again.hessian(X), HX, atol=1e-14)
    assert counts == {"hessian": 1}


# derivatives that get lost


def test_a_derivative_lost_in_a_number_is_an_error():
    def f(p):
        return float(p[0]._value if hasattr(p[0], "_value") else p[0]) ** 2 + 0.0 * np.sum(p)

    with pytest.raises((LostDerivative, CannotDifferentiate)):
        _ = Problem(Euclidean(2), CostObjective(f, autodiff="autograd")).evaluate(np.ones(2)).gradient


def test_a_constant_cost_is_no_lost_derivative():
    e = Problem(Euclidean(2), CostObjective(lambda p: 3.0, autodiff="autograd")).evaluate(np.ones(2))
    np.testing.assert_array_equal(e.gradient, [0.0, 0.0])


def test_a_cost_that_cannot_be_traced_warns_once_and_is_differenced():
    import math

    f = lambda p: math.exp(p[0]) + p[1] ** 2
    problem = Problem(Euclidean(2), CostObjective(f))
    with pytest.warns(DerivativeWarning, match="finite differences") as caught:
        gradients = [problem.evaluate(np.array([0.0, k])).gradient for k in (1.0, 2.0)]
    assert len(caught) == 1
    np.testing.assert_allclose(gradients, [[1.0, 2.0], [1.0, 4.0]], rtol=1e-8)
    with pytest.raises(CannotDifferentiate, match="autograd"):
        _ = Problem(Euclidean(2), CostObjective(f, autodiff="autograd")).evaluate(np.ones(2)).gradient


# the objective is a value


def test_one_objective_serves_any_number_of_problems():
    objective = CostObjective(lambda p: np.sum(p**2), InPlace(lambda p, out: np.copyto(out, 2 * p)))
    for n in (2, 3, 5):
        np.testing.assert_array_equal(Problem(Euclidean(n), objective).gradient(np.ones(n)), 2.0 * np.ones(n))
    with pytest.raises(AttributeError):
        objective.cost = None
    assert objective == CostObjective(objective.cost, objective.gradient)


def test_an_in_place_preconditioner_is_filled():
    objective = CostObjective(
        lambda p: 0.0, lambda p: p, preconditioner=InPlace(lambda p, X, out: np.multiply(2, X, out=out))
    )
    functions = Problem(Euclidean(2), objective).functions(np.ones(2))
    np.testing.assert_array_equal(functions.preconditioner(np.ones(2), np.ones(2)), [2.0, 2.0])

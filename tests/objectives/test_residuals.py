"""Residuals: every convention and every kind of Jacobian gives the same J, once; wrong ones are refused by name."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.sparse.linalg import LinearOperator, aslinearoperator
from solver_problems import MANIFOLDS, Calls, Residual, start

from manifold_opt.autodiff import CannotDifferentiate, DerivativeWarning
from manifold_opt.core import Problem
from manifold_opt.linalg.solvers import dense
from manifold_opt.manifolds import Euclidean, Sphere
from manifold_opt.objectives import Counts, Fused, InPlace, watched
from manifold_opt.objectives import NonlinearLeastSquaresObjective as LeastSquares


def skewed_basis(M):
    """A basis that is neither orthogonal nor of unit length, and its Jacobian."""
    T = np.eye(M.dim) + 0.3 * np.random.default_rng(9).standard_normal((M.dim, M.dim))
    return lambda p: np.stack([M.get_vector(p, c) for c in T]), T


def fill(f, *more):
    def in_place(p, *outs):
        for out, g in zip(outs, (f, *more), strict=True):
            np.copyto(out, g(p))

    return InPlace(in_place)


def rows(f, M):
    return [lambda p, i=i: f.gradients(p)[i] for i in range(f.m)]


KINDS = {
    "coordinates": lambda f, M: LeastSquares(f, f.jacobian),
    "sparse": lambda f, M: LeastSquares(f, lambda p: sp.csr_matrix(f.jacobian(p))),
    "sparse array": lambda f, M: LeastSquares(f, lambda p: sp.coo_array(f.jacobian(p))),
    "gradients": lambda f, M: LeastSquares(f, f.gradients, jacobian_type="gradients"),
    "list of gradients": lambda f, M: LeastSquares(f, rows(f, M), jacobian_type="gradients"),
    "euclidean": lambda f, M: LeastSquares(f, f.partial, jacobian_type="euclidean"),
    "list euclidean": lambda f, M: LeastSquares(
        f, [lambda p, i=i: f.partial(p)[i] for i in range(f.m)], jacobian_type="euclidean"
    ),
    "operator": lambda f, M: LeastSquares(f, lambda p: aslinearoperator(f.jacobian(p)), jacobian_type="operator"),
    "matrix as operator": lambda f, M: LeastSquares(f, f.jacobian, jacobian_type="operator"),
    "basis": lambda f, M: LeastSquares(
        f, lambda p: f.jacobian(p) @ skewed_basis(M)[1].T, jacobian_basis=skewed_basis(M)[0]
    ),
    "sparse in a basis": lambda f, M: LeastSquares(
        f, lambda p: sp.csc_matrix(f.jacobian(p) @ skewed_basis(M)[1].T), jacobian_basis=skewed_basis(M)[0]
    ),
    "in place": lambda f, M: LeastSquares(fill(f), fill(f.jacobian), num_residuals=f.m),
    "residual in place": lambda f, M: LeastSquares(fill(f), f.jacobian, num_residuals=f.m),
    "jacobian in place": lambda f, M: LeastSquares(f, fill(f.jacobian)),
    "gradients in place": lambda f, M: LeastSquares(f, fill(f.gradients), jacobian_type="gradients"),
    "euclidean in place": lambda f, M: LeastSquares(f, fill(f.partial), jacobian_type="euclidean"),
    "basis in place": lambda f, M: LeastSquares(
        f, fill(lambda p: f.jacobian(p) @ skewed_basis(M)[1].T), jacobian_basis=skewed_basis(M)[0]
    ),
    "fused": lambda f, M: LeastSquares(Fused(lambda p: (f(p), f.jacobian(p)))),
    "fused lists": lambda f, M: LeastSquares(Fused(lambda p: [f(p).tolist(), f.jacobian(p).tolist()])),
    "fused gradients": lambda f, M: LeastSquares(Fused(lambda p: (f(p), f.gradients(p))), jacobian_type="gradients"),
    "fused sparse": lambda f, M: LeastSquares(Fused(lambda p: (f(p), sp.csr_matrix(f.jacobian(p))))),
    "fused in place": lambda f, M: LeastSquares(Fused(fill(f, f.jacobian)), num_residuals=f.m),
    "in place fused euclidean": lambda f, M: LeastSquares(
        InPlace(Fused(fill(f, f.partial).function)), jacobian_type="euclidean", num_residuals=f.m
    ),
    "autograd": lambda f, M: LeastSquares(f, autodiff="autograd"),
    "auto": lambda f, M: LeastSquares(f),
    "differences": lambda f, M: LeastSquares(f, autodiff="finite-differences"),
    "list of residuals": lambda f, M: LeastSquares([lambda p, i=i: f(p)[i] for i in range(f.m)]),
    "list of arrays": lambda f, M: LeastSquares([lambda p: f(p)[:1], lambda p: f(p)[1], lambda p: f(p)[2:]]),
    "of lists of arrays": lambda f, M: LeastSquares(lambda p: [f(p)[:1], f(p)[1], f(p)[2:]], f.jacobian),
    "of a matrix": lambda f, M: LeastSquares(lambda p: f(p)[None, :], f.jacobian),
}


@pytest.mark.parametrize("M", MANIFOLDS, ids=repr)
@pytest.mark.parametrize("kind", KINDS)
def test_kinds_agree(M, kind):
    f = Residual(M)
    problem = Problem(M, KINDS[kind](f, M))
    for seed in (0, 1, 2):  # several points, for the buffers
        p = start(M, seed)
        e = problem.evaluate(p)
        r, J = f(p), f.jacobian(p)
        np.testing.assert_allclose(e.residuals, r, atol=1e-13)
        assert e.cost == pytest.approx(0.5 * r @ r, rel=1e-13)
        atol = 1e-7 if kind == "differences" else 1e-11
        np.testing.assert_allclose(dense(e.jacobian), J, atol=atol * np.abs(J).max())
        np.testing.assert_allclose(e.gradient_coordinates, J.T @ r, atol=atol * np.abs(J).max() * np.linalg.norm(r))
        assert e.gradient_norm == pytest.approx(np.linalg.norm(J.T @ r), rel=1e-6)
        expected = M.get_vector(p, J.T @ r)
        np.testing.assert_allclose(e.gradient, expected, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("M", MANIFOLDS, ids=repr)
def test_the_test_jacobian_is_the_derivative(M):
    f, p = Residual(M), start(M)
    h = 1e-6
    for c, column in zip(np.eye(M.dim), f.jacobian(p).T, strict=True):
        X = M.get_vector(p, c)
        difference = (f(M.exp(p, X, h)) - f(M.exp(p, X, -h))) / (2.0 * h)
        np.testing.assert_allclose(column, difference, atol=1e-8 * max(1.0, np.abs(column).max()))


@pytest.mark.parametrize("M", [Euclidean(3), Sphere(2)], ids=repr)
@pytest.mark.parametrize("m", [1, 2])
def test_fewer_residuals_than_dimensions(M, m):
    f, p = Residual(M, m), start(M)
    for kind in ("auto", "coordinates", "gradients", "euclidean", "differences"):
        e = Problem(M, KINDS[kind](f, M)).evaluate(p)
        np.testing.assert_allclose(e.jacobian, f.jacobian(p), atol=1e-7)
        assert e.jacobian.shape == (m, M.dim)


def test_single_precision_stays():
    M = Sphere(2)
    f = Residual(M)
    f.A, f.B, f.c = (x.astype(np.float32) for x in (f.A, f.B, f.c))
    p = start(M, dtype=np.float32)
    for kind in ("coordinates", "auto", "in place", "euclidean", "fused in place", "differences"):
        single = lambda p: f.jacobian(p).astype(np.float32)
        objective = KINDS[kind](f, M) if kind != "coordinates" else LeastSquares(f, single)
        e = Problem(M, objective).evaluate(p)
        assert e.residuals.dtype == e.jacobian.dtype == e.gradient.dtype == np.float32, kind
        assert type(e.cost) is float and type(e.gradient_norm) is float


def test_precision_of_buffers_follows_the_point():
    M = Euclidean(3)
    f = Residual(M)
    problem = Problem(M, KINDS["in place"](f, M))
    assert problem.evaluate(np.ones(3, np.float32)).jacobian.dtype == np.float32
    np.testing.assert_array_equal(problem.evaluate(np.ones(3)).jacobian, f.jacobian(np.ones(3)))


# mistakes

P = np.ones(2)
J = np.ones((3, 2))
SERIES = (sp.csr_matrix((3, 3)), aslinearoperator(np.ones((2, 2))), np.ones(2), 1.0, None, [[1.0, 2.0]])


@pytest.mark.parametrize("kind", ["coordinates", "operator"])
@pytest.mark.parametrize("value", SERIES, ids=lambda x: type(x).__name__)
def test_matrices_of_wrong_shape_or_kind_are_refused_by_name(kind, value):
    e = Problem(Euclidean(2), LeastSquares(lambda p: np.ones(3), lambda p: value, jacobian_type=kind)).evaluate(P)
    assert e.cost == 1.5
    with pytest.raises((ValueError, TypeError), match="`jacobian` must return"):
        _ = e.jacobian


@pytest.mark.parametrize("kind", ["gradients", "euclidean"])
@pytest.mark.parametrize("shape", [(3, 2), (3, 3, 1), (2, 3), (3,)], ids=str)
def test_stacks_of_gradients_of_wrong_shape_are_refused_by_name(kind, shape):
    problem = Problem(Sphere(2), LeastSquares(lambda p: np.ones(3), lambda p: np.ones(shape), jacobian_type=kind))
    e = problem.evaluate(start(Sphere(2)))
    _ = e.cost
    with pytest.raises(ValueError, match=r"`jacobian` must return an array of shape \(3, 3\)"):
        _ = e.jacobian


def test_a_row_of_wrong_shape_in_a_list_is_named():
    functions = [lambda p: np.ones(2), lambda p: np.ones(3)]
    e = Problem(Euclidean(2), LeastSquares(lambda p: np.ones(2), functions, jacobian_type="gradients")).evaluate(P)
    with pytest.raises(ValueError, match=r"`jacobian\[1\]` must return an array of shape \(2,\)"):
        _ = e.jacobian


@pytest.mark.parametrize(
    "value, error, message",
    [
        (None, TypeError, "`residual` must return numbers"),
        ("abc", TypeError, "`residual` must return numbers"),
        (np.array([1.0, None]), TypeError, "`residual` must return numbers"),
        (np.array([1.0, 2.0j]), TypeError, "`residual` must be real.*real and imaginary parts one after the other"),
        (np.zeros(0), ValueError, "`residual` returned an empty array"),
        ([], ValueError, "`residual` returned an empty array"),
    ],
)
@pytest.mark.parametrize("fused", [False, True])
def test_wrong_residuals_are_refused_by_name(value, error, message, fused):
    objective = LeastSquares(Fused(lambda p: (value, J))) if fused else LeastSquares(lambda p: value, lambda p: J)
    with pytest.raises(error, match=message):
        _ = Problem(Euclidean(2), objective).evaluate(P).residuals


def test_the_number_of_residuals_must_not_change():
    problem = Problem(Euclidean(2), LeastSquares(lambda p: np.ones(int(p[0])), lambda p: J))
    assert problem.evaluate(np.array([3.0, 0.0])).cost == 1.5
    with pytest.raises(ValueError, match=r"`residual` must return an array of shape \(3,\); it returned shape \(4,\)"):
        _ = problem.evaluate(np.array([4.0, 0.0])).residuals


def test_num_residuals_is_checked():
    with pytest.raises(ValueError, match="`residual` returned 3 numbers; num_residuals=4 was given"):
        _ = Problem(Euclidean(2), LeastSquares(lambda p: np.ones(3), num_residuals=4)).evaluate(P).residuals


f = Residual(Euclidean(2))


@pytest.mark.parametrize(
    "build, error, message",
    [
        (lambda: LeastSquares(None), TypeError, "`residual` is missing"),
        (lambda: LeastSquares([]), ValueError, "`residual` is an empty sequence"),
        (lambda: LeastSquares(3.0), TypeError, "`residual` must be a function"),
        (lambda: LeastSquares([f, 3.0]), TypeError, "`residual` must be a function"),
        (lambda: LeastSquares(f, 3.0), TypeError, "`jacobian` must be a function"),
        (lambda: LeastSquares(f, f, jacobian_type="sparse"), ValueError, "`jacobian_type` must be one of"),
        (lambda: LeastSquares(f, [f]), ValueError, "a sequence of Jacobian functions gives one gradient each"),
        (lambda: LeastSquares(Fused(f), f), ValueError, "leave out `jacobian=`"),
        (lambda: LeastSquares([Fused(f)]), ValueError, "a sequence of residuals takes plain functions"),
        (lambda: LeastSquares(InPlace(f)), ValueError, "give num_residuals=m"),
        (lambda: LeastSquares(f, num_residuals=0), ValueError, "`num_residuals` must be a positive integer; got 0"),
        (lambda: LeastSquares(f, num_residuals=2.0), ValueError, "positive integer; got 2.0"),
        (lambda: LeastSquares(f, num_residuals=True), ValueError, "positive integer; got True"),
        (lambda: LeastSquares(f, f, jacobian_type="euclidean", jacobian_basis=f), ValueError, "belongs to"),
    ],
)
def test_mistakes_are_named_before_anything_is_evaluated(build, error, message):
    with pytest.raises(error, match=message):
        build()


def test_an_in_place_jacobian_needs_the_number_of_residuals_or_the_residuals_first():
    problem = Problem(Euclidean(2), LeastSquares(f, fill(f.jacobian)))
    with pytest.raises(ValueError, match="give num_residuals=m"):
        _ = problem.evaluate(P).jacobian
    e = problem.evaluate(P)
    _ = e.residuals
    np.testing.assert_allclose(e.jacobian, f.jacobian(P))


@pytest.mark.parametrize("what", ["residual", "jacobian"])
def test_in_place_functions_that_fill_nothing_are_an_error(what):
    residual = InPlace(lambda p, out: f(p)) if what == "residual" else fill(f)
    jacobian = InPlace(lambda p, out: f.jacobian(p)) if what == "jacobian" else fill(f.jacobian)
    e = Problem(Euclidean(2), LeastSquares(residual, jacobian, num_residuals=f.m)).evaluate(P)
    with pytest.raises(ValueError, match=f"`{what}` is InPlace, but did not write"):
        _ = e.residuals, e.jacobian


def test_a_jacobian_in_reused_memory_is_an_error_and_a_constant_one_is_not():
    buffer = np.empty((f.m, 2))
    problem = Problem(Euclidean(2), LeastSquares(f, lambda p: np.copyto(buffer, f.jacobian(p)) or buffer))
    _ = problem.evaluate(P).jacobian
    with pytest.raises(ValueError, match="`jacobian` returned memory that it returned before.*InPlace"):
        _ = problem.evaluate(2.0 * P).jacobian
    A = np.ones((3, 2))
    problem = Problem(Euclidean(2), LeastSquares(lambda p: A @ p, lambda p: A))
    for k in range(3):
        np.testing.assert_array_equal(problem.evaluate(k * P).jacobian, A)


def test_residuals_in_reused_memory_are_an_error():
    buffer = np.empty(f.m)
    problem = Problem(Euclidean(2), LeastSquares(lambda p: np.copyto(buffer, f(p)) or buffer, f.jacobian))
    _ = problem.evaluate(P).residuals
    with pytest.raises(ValueError, match="`residual` returned memory that it returned before"):
        _ = problem.evaluate(2.0 * P).residuals


def test_an_in_place_residual_is_differenced_with_a_warning_and_not_by_a_named_back_end():
    with pytest.warns(DerivativeWarning, match="finite differences"):
        e = Problem(Euclidean(2), LeastSquares(fill(f), num_residuals=f.m)).evaluate(P)
    np.testing.assert_allclose(e.jacobian, f.jacobian(P), rtol=1e-7)
    with pytest.raises(CannotDifferentiate):
        _ = Problem(Euclidean(2), LeastSquares(fill(f), num_residuals=f.m, autodiff="autograd")).evaluate(P).jacobian


# counting


@pytest.mark.parametrize("kind", ["given", "fused", "in place", "autograd", "differences"])
@pytest.mark.parametrize("order", [("cost", "gradient"), ("jacobian", "residuals")], ids=" then ".join)
def test_nothing_is_evaluated_twice_and_every_call_is_counted(kind, order):
    M = Sphere(2)
    f = Residual(M)
    r, J = Calls(f), Calls(f.jacobian)
    both = Calls(lambda p: (f(p), f.jacobian(p)))
    objective = {
        "given": lambda: LeastSquares(r, J),
        "fused": lambda: LeastSquares(Fused(both)),
        "in place": lambda: LeastSquares(fill(r), fill(J), num_residuals=f.m),
        "autograd": lambda: LeastSquares(r, autodiff="autograd"),
        "differences": lambda: LeastSquares(r, autodiff="finite-differences"),
    }[kind]()
    problem, counts, p = Problem(M, objective), Counts(), start(M)
    problem.functions(p, counts)
    checks = counts["check"]
    for _ in range(3):
        e = problem.evaluate(p, counts)
        for name in (*order, *order, "gradient_norm", "gradient_coordinates", "residuals", "jacobian", "cost"):
            getattr(e, name)
    assert counts["jacobian"] == 3
    if kind == "fused":
        assert both.n == counts["residual"] == 3
    elif kind in ("given", "in place"):
        assert (r.n, J.n, counts["residual"], checks) == (3, 3, 3, 0)
    elif kind == "autograd":
        assert counts["residual"] == (3 if order[0] == "cost" else 0)
        # each Jacobian takes one run of r, and the first is the one that was checked
        assert r.n == counts["residual"] + 3 + checks
    else:
        assert counts["residual"] == (3 if order[0] == "cost" else 0) + 3 * (2 * M.dim + 1)
        assert r.n == counts["residual"] + checks


def test_watching_counts_apart():
    M = Sphere(2)
    f = Residual(M)
    counts = Counts()
    e = Problem(M, LeastSquares(f, f.jacobian)).evaluate(start(M), counts)
    assert watched(e, "cost") == e.cost
    assert watched(e, "gradient_norm") == e.gradient_norm
    assert counts == {"watched": 2}


# pickling


def test_an_evaluation_pickles_what_it_knows():
    M = Sphere(2)
    f, p = Residual(M), start(M)
    for kind in ("coordinates", "sparse", "auto"):
        e = Problem(M, KINDS[kind](f, M)).evaluate(p)
        _ = e.cost, e.gradient_norm
        again = pickle.loads(pickle.dumps(e))
        assert again.cost == e.cost and again.gradient_norm == e.gradient_norm
        np.testing.assert_array_equal(dense(again.jacobian), dense(e.jacobian))


def test_an_operator_is_made_again_after_pickling():
    M = Sphere(2)
    f, p = Residual(M), start(M)

    def operator(p):
        A = f.jacobian(p)
        return LinearOperator(A.shape, matvec=lambda x: A @ x, rmatvec=lambda y: A.T @ y, dtype=float)

    problem = Problem(M, LeastSquares(f, operator, jacobian_type="operator"))
    e = problem.evaluate(p)
    gradient = e.gradient
    again = pickle.loads(pickle.dumps(e))
    again.attach(problem.functions(p), Counts())
    np.testing.assert_array_equal(again.gradient, gradient)
    np.testing.assert_allclose(dense(again.jacobian), f.jacobian(p))


# reference cases


def test_reference_case_2_gradient():
    t = np.array([1, 2, 2.4, 3.1, 4.3, 5.1, 5.7, 6.2])
    x = [1.7926888218350978, 4.080701652578803, 4.510454784478316, 6.44163899446108]
    x += [8.779266091173081, 9.99046003643165, 11.383567405022262, 12.661526739028028]
    y = [-2.89981608417956, -6.062187792164395, -7.217187782362094, -9.204644225025552]
    y += [-13.026122239508274, -15.15659923171402, -17.076511907478242, -18.475183785109927]
    residual = lambda p: np.concatenate([t * p[0] - x, t * p[1] - y])
    jacobian = lambda p: np.kron(np.eye(2), t[:, None])
    gradient = Problem(Euclidean(2), LeastSquares(residual, jacobian)).gradient(np.array([4.0, 2.0]))
    np.testing.assert_allclose(gradient, [270.3617451389837, 677.6730784956912], rtol=1e-14)


CENTRES = np.eye(2)


@pytest.mark.parametrize("residual", ["function", "components"])
@pytest.mark.parametrize("jacobian", ["coordinates", "gradients", "list of gradients"])
@pytest.mark.parametrize("in_place", [False, True])
def test_reference_case_7_all_vectorial_formats(residual, jacobian, in_place):
    """r = (|x - (1, 0)|, |x - (0, 1)|) at (0.5, 0.5), in the formats of Manopt.jl's vectorial functions."""
    p = np.array([0.5, 0.5])
    distances = [lambda p, c=c: np.linalg.norm(p - c) for c in CENTRES]
    gradients = [lambda p, c=c: (p - c) / np.linalg.norm(p - c) for c in CENTRES]
    r = distances if residual == "components" else lambda p: np.array([d(p) for d in distances])
    J = gradients if jacobian == "list of gradients" else lambda p: np.stack([g(p) for g in gradients])
    if in_place and residual == "function":
        r = fill(r)
    if in_place and not isinstance(J, list):
        J = fill(J)
    kind = "coordinates" if jacobian == "coordinates" else "gradients"
    e = Problem(Euclidean(2), LeastSquares(r, J, jacobian_type=kind, num_residuals=2)).evaluate(p)
    np.testing.assert_allclose(e.residuals, np.ones(2) / np.sqrt(2), rtol=1e-15)
    assert e.cost == pytest.approx(0.5, rel=1e-15)
    np.testing.assert_allclose(e.jacobian, np.array([[-1, 1], [1, -1]]) / np.sqrt(2), rtol=1e-15)

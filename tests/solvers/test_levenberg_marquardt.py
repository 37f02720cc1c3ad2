"""Levenberg-Marquardt: minimizers on every manifold, all dampings, units, ranks, buffers, and Manopt.jl's cases."""

from __future__ import annotations

import autograd.numpy as anp
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from solver_problems import MANIFOLDS, Calls, Residual, start

from manifold_opt.core import Problem, Status, solve
from manifold_opt.linalg.solvers import DenseQR, NormalEquations
from manifold_opt.manifolds import Euclidean, Rotations, Sphere
from manifold_opt.objectives import Fused, InPlace, NonlinearLeastSquaresObjective
from manifold_opt.solvers import (
    AdachiOkunoTakeda,
    FixedDamping,
    LevenbergMarquardtState,
    Nielsen,
    levenberg_marquardt,
)
from manifold_opt.stopping import StopAfterIteration, StopWhenGradientNormLess, StopWhenStepNormLess

DAMPINGS = [
    Nielsen(),
    Nielsen(scaling=None),
    AdachiOkunoTakeda(),
    AdachiOkunoTakeda(expect_zero_residual=True),
    FixedDamping(regularizer=1e-3),
]
LINEAR_SOLVERS = [DenseQR(), NormalEquations()]


def reachable(M, seed=0):
    """A residual that is zero at a known point, and a start in its neighbourhood."""
    f = Residual(M, seed=seed)
    solution = start(M, seed + 10)
    f.c = f.c + f(solution)
    X = M.random_vector(solution, np.random.default_rng(seed))
    return f, solution, M.retract(solution, X, 0.2 / M.norm(solution, X))


@pytest.mark.parametrize("M", MANIFOLDS, ids=repr)
@pytest.mark.parametrize("damping", DAMPINGS, ids=repr)
@pytest.mark.parametrize("linear_solver", LINEAR_SOLVERS, ids=repr)
def test_a_perfect_fit_is_found(M, damping, linear_solver):
    f, solution, p0 = reachable(M)
    result = levenberg_marquardt(M, f, p0, damping=damping, linear_solver=linear_solver, jacobian=f.jacobian)
    assert result.converged
    np.testing.assert_allclose(result.point, solution, atol=1e-7)
    assert result.cost < 1e-14
    assert M.is_point(result.point)


@pytest.mark.parametrize("M", MANIFOLDS, ids=repr)
@pytest.mark.parametrize("damping", DAMPINGS[:3], ids=repr)
def test_the_gradient_vanishes_where_a_fit_with_residuals_converges(M, damping):
    f, _, p0 = reachable(M)
    f.c = f.c + 0.03 * np.random.default_rng(8).standard_normal(f.m)
    result = levenberg_marquardt(M, f, p0, damping=damping, jacobian=f.jacobian, max_iterations=2000)
    assert result.converged
    r, J = f(result.point), f.jacobian(result.point)
    # the scale-free test: the part of r in the range of J
    offset = np.linalg.norm(np.linalg.qr(J)[0].T @ r) / np.linalg.norm(r)
    assert offset <= 1e-7
    assert result.cost <= 0.5 * f(p0) @ f(p0)


@pytest.mark.parametrize("M", MANIFOLDS, ids=repr)
def test_one_jacobian_per_accepted_point_and_one_residual_per_trial(M):
    f = Residual(M)
    r, J = Calls(f), Calls(f.jacobian)
    result = levenberg_marquardt(M, r, start(M), jacobian=J, stopping=StopAfterIteration(8))
    accepted = len({id(p) for p in seen(M, f)})
    assert r.n == result.evaluations["residual"] == 1 + result.iterations
    assert J.n == result.evaluations["jacobian"] <= 1 + result.iterations
    assert accepted >= 2


def seen(M, f):
    points = []
    levenberg_marquardt(
        M,
        f,
        start(M),
        jacobian=f.jacobian,
        max_iterations=8,
        callback=lambda problem, state: points.append(state.point),
    )
    return points


def test_a_rejected_step_costs_no_jacobian():
    """Powell's badly behaved start: r = (x, 10 x / (x + 0.1) + 2 y^2) rejects its first steps."""
    r = lambda p: np.array([p[0], 10.0 * p[0] / (p[0] + 0.1) + 2.0 * p[1] ** 2])
    J = Calls(lambda p: np.array([[1.0, 0.0], [1.0 / (p[0] + 0.1) ** 2, 4.0 * p[1]]]))
    taken = []
    result = levenberg_marquardt(
        Euclidean(2),
        r,
        np.array([3.0, 1.0]),
        jacobian=J,
        callback=lambda problem, state: taken.append(state.last_step_successful),
        max_iterations=30,
    )
    assert not all(taken)
    # a step that the cost cannot judge any more is judged by a Jacobian of its own
    assert result.evaluations["jacobian"] <= 1 + sum(taken) + sum(not t for t in taken[-3:])


def test_the_stopping_criterion_sees_the_gradient_of_the_current_point():
    f, asked = Residual(Sphere(2)), []

    def watch(problem, state):
        p = state.point
        asked.append((state.evaluation.gradient_norm, np.linalg.norm(f.jacobian(p).T @ f(p))))

    levenberg_marquardt(Sphere(2), f, start(Sphere(2)), jacobian=f.jacobian, callback=watch)
    for known, true in asked:
        assert known == pytest.approx(true, rel=1e-9, abs=1e-14)


# ranks


def test_fewer_residuals_than_dimensions():
    M = Euclidean(4)
    A = np.random.default_rng(0).standard_normal((2, 4))
    for J in (A, np.outer([1.0, 2.0], A[0])):  # of full and of deficient rank
        r = lambda p, J=J: J @ p + J @ np.ones(4)
        result = levenberg_marquardt(M, r, np.zeros(4), jacobian=lambda p, J=J: J)
        assert result.converged and result.cost < 1e-25
        # the shortest way from the start, in units in which the columns of J have length one
        D = np.linalg.norm(J, axis=0)
        np.testing.assert_allclose(result.point, -np.linalg.pinv(J / D) @ J @ np.ones(4) / D, atol=1e-6)


def test_inconsistent_residuals_of_deficient_rank():
    J = np.array([[1.0, 1.0], [2.0, 2.0]])
    y = np.array([1.0, 0.0])
    result = levenberg_marquardt(Euclidean(2), lambda p: J @ p - y, np.array([3.0, 0.0]), jacobian=lambda p: J)
    assert result.converged
    assert result.cost == pytest.approx(0.5 * np.linalg.norm(J @ np.linalg.pinv(J) @ y - y) ** 2)


@pytest.mark.parametrize("damping", DAMPINGS, ids=repr)
def test_a_variable_that_does_not_matter_stays(damping):
    r = lambda p: np.array([p[0] - 1.0, 2.0 * p[0] - 2.5])
    J = lambda p: np.array([[1.0, 0.0], [2.0, 0.0]])
    result = levenberg_marquardt(Euclidean(2), r, np.array([5.0, 7.0]), jacobian=J, damping=damping)
    assert result.converged and result.point[1] == 7.0
    assert result.point[0] == pytest.approx(1.2, rel=1e-7)


def test_a_jacobian_that_vanishes_at_the_solution():
    """r = x^2: a double root, to which convergence is linear."""
    result = levenberg_marquardt(Euclidean(1), lambda p: p**2, np.ones(1), jacobian=lambda p: np.diag(2 * p))
    assert result.converged and abs(result.point[0]) < 1e-3


# units


T = np.linspace(0.0, 1.0, 12)
Y = 2.0 * np.exp(-3.0 * T) + 0.1 * np.sin(40.0 * T)


def decay(p):
    return p[0] * np.exp(p[1] * T) - Y


def decay_jacobian(p):
    e = np.exp(p[1] * T)
    return np.stack([e, p[0] * T * e], axis=1)


@given(power=st.integers(-100, 100))
@settings(max_examples=15, deadline=None)
def test_units_of_the_residual_do_not_matter(power):
    c = 2.0**power  # a power of two, so that every number is the same up to its exponent
    p0 = np.array([1.0, -1.0])
    plain = levenberg_marquardt(Euclidean(2), decay, p0, jacobian=decay_jacobian)
    scaled = levenberg_marquardt(Euclidean(2), lambda p: c * decay(p), p0, jacobian=lambda p: c * decay_jacobian(p))
    assert plain.converged and scaled.status is plain.status
    assert scaled.iterations == plain.iterations
    np.testing.assert_allclose(scaled.point, plain.point, rtol=1e-12)


@given(powers=st.tuples(st.integers(-40, 40), st.integers(-40, 40)))
@settings(max_examples=15, deadline=None)
def test_units_of_the_variables_do_not_matter(powers):
    D = 2.0 ** np.array(powers)
    p0 = np.array([1.0, -1.0])
    plain = levenberg_marquardt(Euclidean(2), decay, p0, jacobian=decay_jacobian)
    jacobian = lambda p: decay_jacobian(p / D) / D
    scaled = levenberg_marquardt(Euclidean(2), lambda p: decay(p / D), p0 * D, jacobian=jacobian)
    assert scaled.status is plain.status and abs(scaled.iterations - plain.iterations) <= 1
    np.testing.assert_allclose(scaled.point / D, plain.point, rtol=1e-7)


def test_a_small_variable_beside_a_large_one_is_fitted_too():
    """What a perfect fit, and a step too short to matter, are is judged variable by variable."""
    D = np.array([1e8, 1e-8])
    r = lambda p: anp.concatenate([p / D - 1.0, anp.array([p[0] * p[1] - 3.0])])
    result = levenberg_marquardt(Euclidean(2), r, 2.0 * D)
    assert result.converged
    np.testing.assert_allclose(result.point / D, (1.0 + np.sqrt(5.0)) / 2.0, rtol=1e-8)  # x - 1 + x (x^2 - 3) = 0


@pytest.mark.parametrize("M", [Euclidean(3), Sphere(2), Rotations(3)], ids=repr)
def test_single_precision(M):
    f, solution, p0 = reachable(M)
    f.A, f.B, f.c = (x.astype(np.float32) for x in (f.A, f.B, f.c))
    result = levenberg_marquardt(M, f, p0.astype(np.float32))
    assert result.converged and result.point.dtype == np.float32
    np.testing.assert_allclose(result.point, solution, atol=2e-5)
    assert M.is_point(result.point)


# buffers


def addresses(kind):
    """Where the arrays lie that an in-place residual and Jacobian are given in 30 iterations."""
    M, seen = Sphere(2), {"residual": [], "jacobian": []}
    f = Residual(M)

    def fill(name, function):
        def filled(p, out):
            seen[name].append(out.__array_interface__["data"][0])
            np.copyto(out, function(p))

        return filled

    r, J = fill("residual", f), fill("jacobian", f.partial if kind == "euclidean" else f.jacobian)

    def both(p, r_out, J_out):
        r(p, r_out)
        J(p, J_out)

    keywords = {"num_residuals": f.m, "jacobian_type": "euclidean" if kind == "euclidean" else "coordinates"}
    if kind == "given":
        keywords |= {"initial_residuals": np.empty(f.m), "initial_jacobian": np.empty((f.m, 2))}
        seen["given"] = [
            keywords[name].__array_interface__["data"][0] for name in ("initial_residuals", "initial_jacobian")
        ]
    stop = StopAfterIteration(30)
    if kind == "fused":
        result = levenberg_marquardt(M, Fused(InPlace(both)), start(M), stopping=stop, **keywords)
    else:
        result = levenberg_marquardt(M, InPlace(r), start(M), jacobian=InPlace(J), stopping=stop, **keywords)
    expected = levenberg_marquardt(M, f, start(M), jacobian=f.jacobian, stopping=stop)
    np.testing.assert_allclose(result.point, expected.point, atol=1e-12)
    np.testing.assert_allclose(result.state.residuals, f(result.point), atol=1e-13)
    np.testing.assert_allclose(result.state.jacobian, f.jacobian(result.point), atol=1e-12)
    return seen


@pytest.mark.parametrize("kind", ["coordinates", "euclidean", "fused", "given"])
def test_buffers_circulate(kind):
    seen = addresses(kind)
    for name in ("residual", "jacobian"):
        assert len(seen[name]) >= 4
        # the current one, the candidate's, and one that was in use when a step was judged by its gradient
        assert len(set(seen[name])) <= 3 < len(seen[name])
    if kind == "given":
        assert [seen["residual"][0], seen["jacobian"][0]] == seen["given"]


def test_a_sparse_buffer_stays_sparse_and_keeps_its_pattern():
    M = Euclidean(3)
    kinds = []

    def jacobian(p, J):
        kinds.append(type(J))
        J.data[:] = [1.0, 2.0 * p[1], 3.0 * p[2] ** 2]

    pattern = sp.csr_matrix(np.eye(3))
    residual = InPlace(lambda p, r: np.copyto(r, [p[0] - 1.0, p[1] ** 2 - 4.0, p[2] ** 3 - 27.0]))
    result = levenberg_marquardt(
        M,
        residual,
        np.ones(3),
        jacobian=InPlace(jacobian),
        initial_residuals=np.zeros(3),
        initial_jacobian=pattern,
    )
    assert result.converged and set(kinds) == {sp.csr_matrix}
    np.testing.assert_allclose(result.point, [1.0, 2.0, 3.0], rtol=1e-9)


@pytest.mark.parametrize("shape, dtype", [((3, 3), float), ((4, 2), float), ((4, 3), int)])
def test_buffers_of_wrong_shape_or_kind_are_refused(shape, dtype):
    r, J = InPlace(lambda p, out: out.fill(1.0)), InPlace(lambda p, out: out.fill(1.0))
    with pytest.raises(ValueError, match=r"buffer given .*`jacobian`.*floats of shape \(4, 3\)"):
        levenberg_marquardt(
            Euclidean(3), r, np.ones(3), jacobian=J, num_residuals=4, initial_jacobian=np.zeros(shape, dtype)
        )


def test_buffers_survive_a_reset():
    f = Residual(Sphere(2))
    fill = lambda g: InPlace(lambda p, out: np.copyto(out, g(p)))
    problem = Problem(Sphere(2), NonlinearLeastSquaresObjective(fill(f), fill(f.jacobian), num_residuals=f.m))
    state = LevenbergMarquardtState(start(Sphere(2)), residuals=np.empty(f.m), jacobian=np.empty((f.m, 2)))
    first = solve(problem, state).point.copy()
    for _ in range(2):
        np.testing.assert_array_equal(solve(problem, state.reset()).point, first)
        np.testing.assert_allclose(state.residuals, f(first), atol=1e-14)


# Manopt.jl 0.5


def plain_adachi(r, J, retract, p, stop, eta=0.2, beta=5.0, mu_min=0.1, zero=False, iterations=200):
    """The method of Manopt.jl 0.5, written down from its description: normal equations, gain of the damped model."""
    mu, path = mu_min, [p]
    for _ in range(iterations):
        lam = mu * r(p) @ r(p)
        g = J(p).T @ r(p)
        s = -np.linalg.solve(J(p).T @ J(p) + lam * np.eye(len(g)), g)
        q = retract(p, s)
        gain = (r(p) @ r(p) - r(q) @ r(q)) / (-2.0 * g @ s - (J(p) @ s) @ (J(p) @ s) - lam * s @ s)
        if gain >= eta:
            p = q
            if zero:
                mu = max(mu_min, mu / beta)
        else:
            mu *= beta
        path.append(p)
        if stop(g, s):
            break
    return path


@pytest.mark.parametrize("M", MANIFOLDS, ids=repr)
@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("eta, beta, mu", [(0.2, 5.0, 0.1), (0.9, 2.0, 1e-4), (0.01, 10.0, 3.0)])
def test_adachi_okuno_takeda_step_by_step(M, zero, eta, beta, mu):
    f, p0 = Residual(M), start(M)
    if zero:
        f, _, p0 = reachable(M)
    path = plain_adachi(
        f, f.jacobian, lambda p, s: M.retract(p, M.get_vector(p, s)), p0, lambda g, s: False, eta, beta, mu, zero, 8
    )
    points = [p0]
    levenberg_marquardt(
        M,
        f,
        p0,
        jacobian=f.jacobian,
        damping=AdachiOkunoTakeda(eta=eta, beta=beta, damping_min=mu, expect_zero_residual=zero),
        stopping=StopAfterIteration(8),
        callback=lambda problem, state: points.append(state.point) if state.iteration else None,
    )
    r = [np.linalg.norm(f(p)) for p in path]
    for k, (p, q) in enumerate(zip(path, points, strict=False)):
        if r[k] <= 1e-6 * r[0]:  # near a perfect fit gain ratios are of rounding errors
            break
        np.testing.assert_allclose(q, p, atol=1e-7)
    assert k >= 2


SLOPES_T = np.array([1, 2, 2.4, 3.1, 4.3, 5.1, 5.7, 6.2])
SLOPES_X = np.array(
    [1.7926888218350978, 4.080701652578803, 4.510454784478316, 6.44163899446108]
    + [8.779266091173081, 9.99046003643165, 11.383567405022262, 12.661526739028028]
)
SLOPES_Y = np.array(
    [-2.89981608417956, -6.062187792164395, -7.217187782362094, -9.204644225025552]
    + [-13.026122239508274, -15.15659923171402, -17.076511907478242, -18.475183785109927]
)
MANOPT_STOP = StopAfterIteration(200) | StopWhenGradientNormLess(1e-12) | StopWhenStepNormLess(1e-12)


def slopes(x=SLOPES_X, y=SLOPES_Y):
    J = np.kron(np.eye(2), SLOPES_T[:, None])
    return lambda p: np.concatenate([SLOPES_T * p[0] - x, SLOPES_T * p[1] - y]), lambda p: J


@pytest.mark.parametrize("damping", DAMPINGS[:3], ids=repr)
def test_reference_case_1_two_slopes(damping):
    r, J = slopes()
    result = levenberg_marquardt(Euclidean(2), r, np.zeros(2), jacobian=J, damping=damping)
    np.testing.assert_allclose(result.point, [2.0, -3.0], atol=1.5e-2)
    np.testing.assert_allclose(result.point, [2.009118224307926, -2.990228854901997], rtol=1e-7)
    assert result.cost == pytest.approx(0.19403177082633, rel=1e-12)


def test_reference_case_1_iterations_of_the_published_method():
    r, J = slopes()
    result = levenberg_marquardt(Euclidean(2), r, np.zeros(2), jacobian=J, eta=0.2, stopping=MANOPT_STOP)
    # a transcription takes 6 steps, and ends by a rejected one, which this criterion does not look at
    assert 6 <= result.evaluations["jacobian"] <= 8
    np.testing.assert_allclose(result.point, [2.009118224307926, -2.990228854901997], rtol=1e-10)


def test_reference_case_3_zero_residual():
    r, J = slopes(2.0 * SLOPES_T, -3.0 * SLOPES_T)
    result = levenberg_marquardt(
        Euclidean(2), r, np.zeros(2), jacobian=J, expect_zero_residual=True, stopping=MANOPT_STOP
    )
    np.testing.assert_allclose(result.point, [2.0, -3.0], rtol=1e-12)
    assert result.iterations <= 7


SOURCE = np.array([(1, 2, -1), (0.2, 1, 0), (1, -1, 0.3), (0.4, 0, -0.2), (2.4, 1, -0.2)]).T
TARGET = np.array(
    [
        (1.5747534054082786, -0.4084272005242818, -1.847396743433755),
        (0.613147933039177, -0.6041141589589345, -0.5550994802446793),
        (-1.3027520893952775, 0.4460538942260599, -0.4912051771949371),
        (-0.049873207038674865, 0.19161082134842558, -0.4108425833860989),
        (-0.1844917133708744, -0.31006162766339573, -2.5887967299906682),
    ]
).T


@pytest.mark.parametrize("damping", [Nielsen(), AdachiOkunoTakeda()], ids=repr)
@pytest.mark.parametrize("metric_scale", [0.5, 1.0])
def test_reference_case_4_registration(damping, metric_scale):
    M = Rotations(3, metric_scale=metric_scale)
    result = levenberg_marquardt(M, lambda R: anp.ravel(R @ SOURCE - TARGET), np.eye(3), damping=damping)
    U, _, V = np.linalg.svd(TARGET @ SOURCE.T)  # Kabsch
    closed = U @ np.diag([1.0, 1.0, np.linalg.det(U @ V)]) @ V
    np.testing.assert_allclose(result.point, closed, atol=1e-8)
    expected = [
        (-0.414382953496, 0.695913974451, -0.586507040040),
        (0.063060489995, -0.620936682113, -0.781320044161),
        (-0.907915272728, -0.360751128856, 0.213420900045),
    ]
    np.testing.assert_allclose(result.point, expected, atol=2e-8)
    assert result.cost == pytest.approx(4.892332362864e-4, rel=1e-9)
    assert result.converged


@pytest.mark.parametrize(
    "keywords, name",
    [
        ({"eta": 0.0}, "eta"),
        ({"eta": 1.0}, "eta"),
        ({"eta": -1.0}, "eta"),
        ({"eta": 2.0}, "eta"),
        ({"damping_min": 0.0}, "damping_min"),
        ({"damping_min": -1.0}, "damping_min"),
        ({"beta": 1.0}, "beta"),
        ({"beta": 0.5}, "beta"),
        ({"eta": np.nan}, "eta"),
        ({"beta": np.inf}, "beta"),
    ],
)
def test_reference_case_5_parameters(keywords, name):
    r, J = slopes()
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        levenberg_marquardt(Euclidean(2), r, np.zeros(2), jacobian=J, **keywords)
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        LevenbergMarquardtState(np.zeros(2), **keywords)


def test_reference_case_5_in_place_without_the_number_of_residuals():
    with pytest.raises(ValueError, match="give num_residuals=m"):
        levenberg_marquardt(Euclidean(2), InPlace(lambda p, r: None), np.zeros(2), jacobian=InPlace(lambda p, J: None))


def test_other_parameters_are_checked_too():
    for build, name in (
        (lambda: Nielsen(tau=0.0), "tau"),
        (lambda: Nielsen(acceptance=1.0), "acceptance"),
        (lambda: Nielsen(scaling="rows"), "scaling"),
        (lambda: FixedDamping(regularizer=-1.0), "regularizer"),
        (lambda: FixedDamping(multiplier=0.5), "multiplier"),
    ):
        with pytest.raises(ValueError, match=f"`{name}` must be"):
            build()
    with pytest.raises(ValueError, match="eta belong to AdachiOkunoTakeda"):
        LevenbergMarquardtState(np.zeros(2), damping=Nielsen(), eta=0.1)
    with pytest.raises(TypeError, match="`damping` must be a damping policy"):
        LevenbergMarquardtState(np.zeros(2), damping=0.1)


# Manopt.jl's features, row by row


def test_row_random_start():
    r, J = slopes()
    result = levenberg_marquardt(Euclidean(2), r, jacobian=J, rng=1)
    np.testing.assert_allclose(result.point, [2.009118224307926, -2.990228854901997], rtol=1e-7)


def test_row_defaults_of_the_published_method():
    assert AdachiOkunoTakeda() == AdachiOkunoTakeda(eta=0.2, beta=5.0, damping_min=0.1, expect_zero_residual=False)
    assert LevenbergMarquardtState(np.zeros(2), beta=3.0).damping_rule == AdachiOkunoTakeda(beta=3.0)


@pytest.mark.parametrize("zero", [False, True])
def test_row_damping_falls_only_where_a_zero_residual_is_expected(zero):
    f, _, p0 = reachable(Sphere(2))
    values = []
    levenberg_marquardt(
        Sphere(2),
        f,
        p0,
        jacobian=f.jacobian,
        expect_zero_residual=zero,
        damping_min=1e-3,
        stopping=StopAfterIteration(5),
        callback=lambda problem, state: values.append(state.damping),
    )
    assert values[0] == 1e-3 and min(values) >= 1e-3
    if not zero:
        assert values == sorted(values)


def test_row_linear_subsolver_of_the_users_own():
    calls = []

    def by_qr(A, b):
        calls.append(np.array_equal(A, A.T))
        return np.linalg.lstsq(A, b, rcond=None)[0]

    r, J = slopes()
    result = levenberg_marquardt(Euclidean(2), r, np.zeros(2), jacobian=J, linear_solver=NormalEquations(by_qr))
    np.testing.assert_allclose(result.point, [2.009118224307926, -2.990228854901997], rtol=1e-7)
    assert calls and all(calls)


def test_row_a_subsolver_that_always_fails_ends_the_run():
    def fails(A, b):
        raise np.linalg.LinAlgError("mine")

    r, J = slopes()
    result = levenberg_marquardt(Euclidean(2), r, np.zeros(2), jacobian=J, linear_solver=NormalEquations(fails))
    assert result.status is Status.LINEAR_SOLVE_FAILED and "mine" in result.message
    np.testing.assert_array_equal(result.point, [0.0, 0.0])


def test_row_state_fields():
    r, J = slopes()
    state = levenberg_marquardt(Euclidean(2), r, np.zeros(2), jacobian=J, eta=0.2, max_iterations=2).state
    np.testing.assert_allclose(state.residuals, r(state.point))
    np.testing.assert_array_equal(state.jacobian, J(state.point))
    np.testing.assert_allclose(state.evaluation.gradient, J(state.point).T @ r(state.point))
    assert state.last_step_successful and state.damping == 0.1 and state.step_norm > 0.0


@pytest.mark.parametrize("kind", ["projected basis", "functions", "in place"])
def test_row_forms_of_the_two_slopes(kind):
    r, J = slopes()
    T = np.array([[2.0, 0.0], [1.0, 0.5]])  # rows: a basis that is not orthonormal
    keywords = {
        "projected basis": {"jacobian": lambda p: J(p) @ T.T, "jacobian_basis": lambda p: T},
        "functions": {"jacobian": [lambda p, i=i: J(p)[i] for i in range(16)], "jacobian_type": "gradients"},
        "in place": {"jacobian": InPlace(lambda p, out: np.copyto(out, J(p))), "num_residuals": 16},
    }[kind]
    residual = {
        "functions": [lambda p, i=i: r(p)[i] for i in range(16)],
        "in place": InPlace(lambda p, out: np.copyto(out, r(p))),
    }.get(kind, r)
    result = levenberg_marquardt(Euclidean(2), residual, np.zeros(2), **keywords)
    np.testing.assert_allclose(result.point, [2.009118224307926, -2.990228854901997], rtol=1e-7)

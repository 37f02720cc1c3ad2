"""Trust regions: reference cases, defects of the peers, counts, and what can go wrong."""

from __future__ import annotations

import io
import math
import pickle

import numpy as np
import pytest
from solvers.problems import RAYLEIGH, TRIDIAGONAL, mixed, quadratic, rayleigh, rosenbrock

from manifold_opt import (
    BFGSHessian,
    CostObjective,
    Euclidean,
    ExactModelState,
    FiniteDifferenceHessian,
    GaussNewtonHessian,
    Grassmann,
    LanczosState,
    NonlinearLeastSquaresObjective,
    PowerManifold,
    Problem,
    Rotations,
    Sphere,
    Status,
    Stiefel,
    StopAfterIteration,
    StopWhenGradientNormLess,
    SymmetricPositiveDefinite,
    SymmetricRankOneHessian,
    TruncatedConjugateGradientState,
    TrustRegionsState,
    Unitary,
    adaptive_regularization_with_cubics,
    solve,
    trust_regions,
)
from manifold_opt.decorators import decorate

SUBSOLVERS = {"tCG": TruncatedConjugateGradientState, "Lanczos": LanczosState, "exact": ExactModelState}
HESSIANS = {
    "given": None,
    "differences": FiniteDifferenceHessian(),
    "SR1": SymmetricRankOneHessian(nu=np.finfo(float).eps ** 2),
    "BFGS": BFGSHessian(),
}


# reference cases


@pytest.mark.parametrize("hessian", HESSIANS)
@pytest.mark.parametrize("subsolver", SUBSOLVERS)
def test_reference_case_20_eigenvector_on_the_3_sphere(subsolver, hessian):
    result = trust_regions(
        Sphere(3),
        rayleigh(TRIDIAGONAL),
        np.array([1.0, 0, 0, 0]),
        subsolver=SUBSOLVERS[subsolver](),
        hessian_approximation=HESSIANS[hessian],
    )
    assert result.converged
    assert math.isclose(result.cost, -2.223613732679, rel_tol=1e-12)
    v = np.linalg.eigh(TRIDIAGONAL)[1][:, 0]
    assert abs(abs(result.point @ v) - 1.0) <= 1e-14


def test_reference_case_16_rayleigh_quotient():
    result = trust_regions(Sphere(3), rayleigh(RAYLEIGH), np.array([0.0, 0, 0, 1]))
    v = np.array([0.123607368885, 0.773706244920, -0.458428606093, -0.419455692588])
    assert math.isclose(result.cost, -1.920970385625, rel_tol=1e-12)
    assert abs(abs(result.point @ v) - 1.0) <= 1e-12


def test_reference_case_21_radii():
    p0 = np.array([1.0, 0, 0])
    for keywords in (
        {"trust_region_radius": -0.1},
        {"max_trust_region_radius": -0.1},
        {"trust_region_radius": 0.11, "max_trust_region_radius": 0.1},
    ):
        with pytest.raises(ValueError, match="trust_region_radius"):
            trust_regions(Sphere(2), lambda p: p[0], p0, **keywords)


def test_reference_case_47_derivatives_of_the_rayleigh_quotient():
    A = np.array([[2.0, 0, 0], [0, 3, 4], [0, 4, 9]])
    p = np.array([0.0, -2, 1]) / math.sqrt(5)
    problem = Problem(Sphere(2), CostObjective(lambda p: p @ A @ p))
    assert math.isclose(problem.cost(p), 1.0, rel_tol=1e-15)
    assert np.linalg.norm(problem.gradient(p)) <= 1e-15
    e1 = np.array([1.0, 0, 0])
    np.testing.assert_allclose(problem.hessian(p, e1), 2 * e1, atol=1e-15)


@pytest.mark.parametrize(
    "keywords",
    [{}, {"hessian_approximation": FiniteDifferenceHessian()}, {"randomize": True, "rng": 1}],
    ids=["Hessian", "differences", "randomized"],
)
@pytest.mark.parametrize("subsolver", SUBSOLVERS)
def test_reference_case_19_two_subspaces(subsolver, keywords):
    A = np.arange(1.0, 10.0).reshape(3, 3)
    p0 = np.stack([np.eye(3)[:, :2], np.eye(3)[:, 1:]])
    result = trust_regions(
        PowerManifold(Grassmann(3, 2), 2),
        lambda p: -0.5 * ((p[0].T @ A @ p[1]) ** 2).sum(),
        p0,
        max_trust_region_radius=8.0,
        subsolver=SUBSOLVERS[subsolver](),
        **keywords,
    )
    assert result.converged
    assert math.isclose(result.cost, -142.5, rel_tol=1e-13)


@pytest.mark.parametrize("hessian", HESSIANS)
@pytest.mark.parametrize("subsolver", SUBSOLVERS)
def test_a_product_of_spheres_and_a_vector_space(subsolver, hessian):
    problem, p0, _ = mixed()
    result = trust_regions(
        problem.manifold,
        problem.objective,
        p0,
        subsolver=SUBSOLVERS[subsolver](),
        hessian_approximation=HESSIANS[hessian],
        tolerance=1e-7,
    )
    assert result.converged
    _, x = problem.manifold.split(result.point)
    assert math.isclose(result.cost, 3.5, rel_tol=1e-9)
    np.testing.assert_allclose(x, [0.3, -0.2], atol=1e-6)


# defects of the peers


def test_manopt_1_5_1_the_predicted_decrease_has_curvature():
    """A Newton step on a quadratic has the ratio 1, not 1/2."""
    problem = Problem(Euclidean(2), quadratic([[2.0, 0.5], [0.5, 1.0]], [1.0, 1.0]))
    state = TrustRegionsState(np.array([3.0, -2.0]), trust_region_radius=100.0, subsolver=ExactModelState())
    state.begin(problem)
    state.step(problem)
    assert math.isclose(state.ratio, 1.0, rel_tol=1e-12)
    assert state.evaluation.gradient_norm <= 1e-14


def test_manopt_1_5_1_the_radius_grows_on_a_quadratic():
    problem = Problem(Euclidean(2), quadratic(np.eye(2), [1.0, 1.0]))
    state = TrustRegionsState(np.array([100.0, 50.0]), trust_region_radius=1.0)
    state.begin(problem)
    radii = [state.trust_region_radius]
    for _ in range(4):
        state.step(problem)
        radii.append(state.trust_region_radius)
    assert radii == [1.0, 2.0, 4.0, 8.0, 16.0]


def test_manopt_1_5_12_the_criterion_sees_the_current_gradient():
    """One Newton step solves a quadratic, and one iteration is what it takes."""
    result = trust_regions(Euclidean(2), quadratic(np.eye(2), [1.0, 1.0]), np.zeros(2), trust_region_radius=10.0)
    assert result.iterations == 1


def test_pymanopt_2_5_1_one_gradient_per_accepted_point():
    """The dominant eigenvector on the 1000-sphere: 14 gradients, where pymanopt takes 213."""
    n = 1000
    A = np.random.default_rng(20240229).standard_normal((n, n))
    A = 0.5 * (A + A.T)
    p0 = np.random.default_rng(7).standard_normal(n)
    result = trust_regions(Sphere(n - 1), rayleigh(A, -1.0), p0 / np.linalg.norm(p0), tolerance=1e-6)
    assert result.converged
    assert math.isclose(result.cost, -44.1515166, rel_tol=1e-8)
    assert result.evaluations["gradient"] <= 14
    assert result.evaluations["hessian"] <= 199
    assert result.evaluations["cost"] <= 14


def test_pymanopt_2_5_1_on_frames():
    """The dominant subspace of 500 x 5: 12 costs and gradients and 50 products in pymanopt."""
    rng = np.random.default_rng(20240229)
    Q, _ = np.linalg.qr(rng.standard_normal((500, 500)))
    A = (Q * np.concatenate([np.linspace(10.0, 6.0, 5), np.linspace(5.0, 0.01, 495)])) @ Q.T
    p0, _ = np.linalg.qr(np.random.default_rng(7).standard_normal((500, 5)))
    cost = CostObjective(
        lambda p: -float(np.sum(p * (A @ p))), lambda p: -2 * A @ p, lambda p, X: -2 * A @ X, objective_type="euclidean"
    )
    result = trust_regions(Stiefel(500, 5), cost, p0, tolerance=1e-6)
    assert result.converged
    assert math.isclose(result.cost, -40.0, rel_tol=1e-12)
    assert result.evaluations["cost"] <= 12 and result.evaluations["hessian"] <= 50


def test_pymanopt_2_5_2_works_without_a_hessian():
    """The Karcher mean of positive definite matrices, from Riemannian gradients alone."""
    rng = np.random.default_rng(4)
    M = SymmetricPositiveDefinite(4)
    data = M.random_point(rng, (12,))
    result = trust_regions(
        M,
        lambda p: 0.5 * float(np.sum(M.squared_distance(p, data))),
        data.mean(axis=0),
        gradient=lambda p: -M.log(p, data).sum(axis=0),
    )
    assert result.converged
    assert np.linalg.norm(M.log(result.point, data).sum(axis=0)) <= 1e-6
    assert result.iterations <= 8


def test_pymanopt_2_5_4_and_6_limits_and_records_work():
    result = trust_regions(
        Sphere(3), rayleigh(TRIDIAGONAL), np.array([1.0, 0, 0, 0]), max_evaluations=3, record=["cost", "ratio"]
    )
    assert result.status is Status.EVALUATION_LIMIT
    assert result.evaluations["cost"] == 3
    assert len(result.record["cost"]) == result.iterations + 1


# counts


def counted(A):
    calls = {"cost": 0, "gradient": 0, "hessian": 0}

    def count(name, value):
        calls[name] += 1
        return value

    return calls, CostObjective(
        lambda p: count("cost", float(p @ A @ p)),
        lambda p: count("gradient", 2 * A @ p),
        lambda p, X: count("hessian", 2 * A @ X),
        objective_type="euclidean",
    )


@pytest.mark.parametrize("subsolver", SUBSOLVERS)
def test_counts_are_those_of_the_calls(subsolver):
    calls, objective = counted(TRIDIAGONAL)
    result = trust_regions(
        Sphere(3), objective, np.array([1.0, 0, 0, 0]), trust_region_radius=3.0, subsolver=SUBSOLVERS[subsolver]()
    )
    assert {name: result.evaluations[name] for name in calls} == calls


@pytest.mark.parametrize("subsolver", SUBSOLVERS)
def test_a_refused_step_costs_one_cost_and_nothing_else(subsolver):
    state = TrustRegionsState(np.array([-1.2, 1.0]), trust_region_radius=50.0, subsolver=SUBSOLVERS[subsolver]())
    problem = Problem(Euclidean(2), CostObjective(rosenbrock))
    state.begin(problem)
    refused = 0
    while not state.should_stop(problem):
        before = dict(state.evaluations)
        again = state._same_point
        state.step(problem)
        after = state.evaluations
        accepted = state.last_step_successful
        refused += not accepted
        assert after["cost"] == before["cost"] + 1
        assert after["gradient"] == before["gradient"] + accepted
        if again:
            assert after["hessian"] == before["hessian"]
    assert refused >= 3
    assert state.status is Status.CONVERGED
    np.testing.assert_allclose(state.point, 1.0, rtol=1e-8)


def test_costs_decrease_on_rosenbrock():
    result = trust_regions(Euclidean(10), rosenbrock, np.tile([-1.2, 1.0], 5), record=["cost"])
    assert result.converged and result.iterations <= 40
    assert np.all(np.diff(result.record["cost"]) <= 0.0)


# saddles


@pytest.mark.parametrize("subsolver", SUBSOLVERS)
def test_randomized_it_leaves_a_saddle(subsolver):
    saddle = np.linalg.eigh(TRIDIAGONAL)[1][:, 2]
    arguments = Sphere(3), rayleigh(TRIDIAGONAL), saddle
    assert trust_regions(*arguments).iterations == 0
    for seed in range(3):
        result = trust_regions(*arguments, randomize=True, subsolver=SUBSOLVERS[subsolver](), rng=seed)
        assert result.converged
        assert math.isclose(result.cost, -2.223613732679, rel_tol=1e-10)


def test_randomized_runs_repeat_with_their_seed():
    arguments = Sphere(3), rayleigh(TRIDIAGONAL), np.array([1.0, 0, 0, 0])
    one, two = (trust_regions(*arguments, randomize=True, rng=8) for _ in range(2))
    assert np.array_equal(one.point, two.point)


# what can go wrong


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_trials_that_are_not_finite_shrink_the_radius(bad):
    def f(x):
        return float(x[0] - math.log(x[0])) if x[0] > 0 else bad

    result = trust_regions(
        Euclidean(1),
        f,
        np.array([5.0]),
        gradient=lambda x: 1.0 - 1.0 / x,
        hessian=lambda x, X: X / x**2,
        trust_region_radius=100.0,
    )
    assert result.converged
    assert math.isclose(result.point[0], 1.0, rel_tol=1e-8)


def test_thirty_bad_trials_end_the_run_at_the_start():
    p0 = np.array([1.0, 2.0])
    result = trust_regions(
        Euclidean(2), lambda x: 1.0 if np.array_equal(x, p0) else math.nan, p0, gradient=lambda x: np.ones(2)
    )
    assert result.status is Status.BAD_FUNCTION
    assert np.array_equal(result.point, p0)
    assert 20 <= result.evaluations["cost"] <= 31


def test_minus_infinity_is_divergence():
    result = trust_regions(
        Euclidean(1),
        lambda x: float(-math.inf if x[0] > 10 else -x[0]),
        np.array([0.0]),
        gradient=lambda x: -np.ones(1),
        hessian=lambda x, X: 0.0 * X,
    )
    assert result.status is Status.DIVERGED
    assert np.all(np.isfinite(result.point)) and result.cost == -math.inf


def test_a_start_of_minus_infinity_is_divergence():
    result = trust_regions(Euclidean(1), lambda x: -math.inf, np.array([1.0]), gradient=lambda x: x)
    assert result.status is Status.DIVERGED


def test_a_bad_start_is_returned():
    result = trust_regions(Euclidean(1), lambda x: math.nan, np.array([1.0]), gradient=lambda x: x)
    assert result.status is Status.BAD_FUNCTION
    assert result.point[0] == 1.0


def test_a_gradient_that_is_not_finite_at_a_finite_cost_ends_the_run():
    result = trust_regions(
        Euclidean(1),
        lambda x: float(x[0] ** 2),
        np.array([1.0]),
        gradient=lambda x: 2 * x if x[0] > 0.9 else math.nan * x,
        hessian=lambda x, X: 2 * X,
    )
    assert result.status is Status.BAD_FUNCTION
    assert result.point[0] > 0.9


@pytest.mark.parametrize("subsolver", SUBSOLVERS)
def test_a_hessian_that_is_not_finite_ends_the_run(subsolver):
    result = trust_regions(
        Euclidean(2),
        lambda x: float(x @ x),
        np.ones(2),
        gradient=lambda x: 2 * x,
        hessian=lambda x, X: math.nan * X,
        subsolver=SUBSOLVERS[subsolver](),
    )
    assert result.status is Status.BAD_FUNCTION
    assert "Hessian" in result.message


def test_a_wrong_gradient_is_named():
    with pytest.raises(ValueError, match="gradient"):
        trust_regions(
            Euclidean(2),
            lambda x: float(x @ x),
            np.array([3.0, 1.0]),
            gradient=lambda x: -2 * x,
            hessian=lambda x, X: X,
        )


@pytest.mark.parametrize("subsolver", SUBSOLVERS)
def test_the_last_digits_end_by_rounding(subsolver):
    for cost in (rayleigh(TRIDIAGONAL), rayleigh(TRIDIAGONAL, 1e-8), rayleigh(TRIDIAGONAL, 1e8)):
        result = trust_regions(
            Sphere(3), cost, np.array([1.0, 0, 0, 0]), subsolver=SUBSOLVERS[subsolver](), tolerance=0.0
        )
        assert result.status in (Status.ROUND_OFF, Status.STALLED, Status.CONVERGED)
        assert result.gradient_norm <= 1e-14 * abs(result.cost) * 10
        assert result.iterations <= 15


def test_a_large_constant_does_not_hide_the_minimum():
    """The decrease near the solution is far below the rounding of the cost; the gradient is not."""
    f = lambda x: 1e8 + (x[0] - 1.0) ** 2 + 3.0 * (x[1] + 2.0) ** 2 + (x[0] * x[1] + 2.0) ** 4
    result = trust_regions(Euclidean(2), f, np.array([3.0, 3.0]), tolerance=1e-9)
    assert result.converged
    np.testing.assert_allclose(result.point, [1.0, -2.0], atol=1e-8)


@pytest.mark.parametrize(
    "name, value",
    [
        ("acceptance_rate", 0.3),
        ("acceptance_rate", -0.1),
        ("reduction_factor", 1.0),
        ("reduction_factor", 0.0),
        ("augmentation_factor", 1.0),
        ("augmentation_threshold", 0.05),
        ("rho_regularization", -1.0),
    ],
)
def test_parameters_outside_their_interval(name, value):
    with pytest.raises(ValueError, match=name):
        TrustRegionsState(np.ones(2), **{name: value})


def test_parts_of_another_kind():
    with pytest.raises(TypeError, match="subsolver"):
        TrustRegionsState(np.ones(2), subsolver="exact")
    with pytest.raises(TypeError, match="hessian_approximation"):
        TrustRegionsState(np.ones(2), hessian_approximation=lambda p: p)
    with pytest.raises(ValueError, match="step"):
        FiniteDifferenceHessian(0.0)


# states


@pytest.mark.parametrize("subsolver", SUBSOLVERS)
@pytest.mark.parametrize("hessian", HESSIANS)
def test_interrupted_anywhere_and_unpickled_it_continues_identically(subsolver, hessian):
    problem = Problem(Euclidean(4), CostObjective(rosenbrock))
    keywords = {"trust_region_radius": 50.0, "hessian_approximation": HESSIANS[hessian]}
    p0 = np.array([-1.2, 1.0, -1.2, 1.0])
    whole = solve(problem, TrustRegionsState(p0, subsolver=SUBSOLVERS[subsolver](), **keywords))
    state = TrustRegionsState(p0, subsolver=SUBSOLVERS[subsolver](), **keywords)
    for n in (1, 2, 3, 5, 8, 1000):
        state.stopping = StopAfterIteration(n) | StopWhenGradientNormLess(1e-8)
        state = pickle.loads(pickle.dumps(solve(problem, state)))
    assert np.array_equal(state.point, whole.point)
    assert state.iteration == whole.iteration


def test_checkpoint(tmp_path):
    path = tmp_path / "run.npz"
    arguments = Euclidean(4), rosenbrock, np.array([-1.2, 1.0, -1.2, 1.0])
    for keywords in ({}, {"hessian_approximation": SymmetricRankOneHessian()}, {"randomize": True, "rng": 3}):
        path.unlink(missing_ok=True)
        whole = trust_regions(*arguments, **keywords)
        trust_regions(*arguments, **keywords, checkpoint=path, max_iterations=7)
        rest = trust_regions(*arguments, **keywords, checkpoint=path)
        assert np.array_equal(rest.point, whole.point)
        assert rest.iterations == whole.iterations


def test_the_same_subsolver_given_twice_shares_nothing():
    sub = TruncatedConjugateGradientState()
    one = TrustRegionsState(np.ones(3), subsolver=sub)
    assert one.subsolver is not sub
    solve(Problem(Euclidean(3), quadratic(np.eye(3), np.zeros(3))), one)
    assert sub.iteration == 0 and not sub.evaluations


def test_a_watched_subsolver_prints():
    problem = Problem(Sphere(3), rayleigh(TRIDIAGONAL))
    out = io.StringIO()
    sub = decorate(TruncatedConjugateGradientState(), problem, debug="inner {iteration}", file=out)
    plain = solve(problem, TrustRegionsState(np.array([1.0, 0, 0, 0])))
    state = solve(problem, TrustRegionsState(np.array([1.0, 0, 0, 0]), subsolver=sub))
    assert np.array_equal(state.point, plain.point)
    assert state.evaluations == plain.evaluations
    assert out.getvalue().count("inner") >= state.iteration


def test_rotations_store_their_vectors_otherwise():
    """The nearest rotation to a matrix, against the singular value decomposition."""
    B = np.random.default_rng(2).standard_normal((3, 3))
    U, _, Vt = np.linalg.svd(B)
    nearest = U @ np.diag([1.0, 1.0, np.linalg.det(U @ Vt)]) @ Vt
    for hessian in (None, FiniteDifferenceHessian(), SymmetricRankOneHessian()):
        result = trust_regions(
            Rotations(3),
            lambda p: 0.5 * ((p - B) ** 2).sum(),
            np.eye(3),
            randomize=True,
            hessian_approximation=hessian,
            rng=0,
        )
        assert result.converged
        np.testing.assert_allclose(result.point, nearest, atol=1e-7)


def test_a_preconditioner_saves_products():
    d = np.logspace(0, 4, 60)
    objective = lambda **keywords: CostObjective(
        lambda x: 0.5 * float(x @ (d * x)) + float(np.sum(x**4)),
        lambda x: d * x + 4 * x**3,
        lambda x, X: d * X + 12 * x**2 * X,
        **keywords,
    )
    plain = trust_regions(Euclidean(60), objective(), np.ones(60))
    helped = trust_regions(Euclidean(60), objective(preconditioner=lambda p, X: X / d), np.ones(60))
    assert plain.converged and helped.converged
    assert helped.evaluations["hessian"] < 0.5 * plain.evaluations["hessian"]


def test_a_huge_cost_at_a_trial_is_no_rounding():
    """With a radius of 1e9 the first trials have costs of 1e36, whose last digit exceeds any decrease."""
    result = trust_regions(Euclidean(4), rosenbrock, np.array([-0.6, 0.4, 0.2, 0.0]), trust_region_radius=1e9)
    assert result.converged


@pytest.mark.parametrize("subsolver", SUBSOLVERS)
def test_gauss_newton_on_least_squares(subsolver):
    objective = NonlinearLeastSquaresObjective(lambda x: np.array([10.0 * (x[1] - x[0] ** 2), 1.0 - x[0]]))
    arguments = Euclidean(2), objective, np.array([-1.2, 1.0])
    result = trust_regions(
        *arguments, hessian_approximation=GaussNewtonHessian(), subsolver=SUBSOLVERS[subsolver](), tolerance=1e-9
    )
    assert result.converged
    # the smallest eigenvalue of the Hessian there is 0.4
    np.testing.assert_allclose(result.point, 1.0, rtol=1e-8)
    with pytest.raises(TypeError, match="GaussNewtonHessian"):
        trust_regions(*arguments)
    with pytest.raises(TypeError, match="least-squares"):
        trust_regions(Euclidean(2), rosenbrock, np.ones(2) / 2, hessian_approximation=GaussNewtonHessian())


@pytest.mark.parametrize("subsolver", SUBSOLVERS)
@pytest.mark.parametrize("hessian", HESSIANS)
def test_single_precision_survives(subsolver, hessian):
    result = trust_regions(
        Sphere(3),
        rayleigh(TRIDIAGONAL.astype(np.float32)),
        np.eye(4, dtype=np.float32)[0],
        subsolver=SUBSOLVERS[subsolver](),
        hessian_approximation=HESSIANS[hessian],
        tolerance=1e-4,
    )
    assert result.converged
    assert result.point.dtype == np.float32
    assert math.isclose(result.cost, -2.2236137, rel_tol=1e-6)


# the default transport of rotations is the left translation, which belongs to a connection with torsion


@pytest.mark.parametrize("solver", [trust_regions, adaptive_regularization_with_cubics], ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    "approximation", [SymmetricRankOneHessian(), BFGSHessian(), FiniteDifferenceHessian()], ids=repr
)
def test_hessian_approximations_take_gradients_along_by_the_metrics_connection(solver, approximation):
    M, rng = Rotations(4), np.random.default_rng(0)
    A, B, C = rng.standard_normal((3, 4, 4)) + np.array([2.0, 2.0, 0.0])[:, None, None] * np.eye(4)
    f = lambda R: 0.5 * float(np.sum((A @ R @ B - C) ** 2))
    gradient = lambda R: A.T @ (A @ R @ B - C) @ B.T
    keywords = dict(gradient=gradient, objective_type="euclidean", hessian_approximation=approximation)
    default, parallel = (solver(M, f, M.random_point(3), transport=t, **keywords) for t in (None, "parallel"))
    assert default.converged and default.iterations == parallel.iterations
    np.testing.assert_array_equal(default.point, parallel.point)


@pytest.mark.parametrize("M", [Rotations(4), Unitary(3), PowerManifold(Rotations(3), 3)], ids=str)
def test_differences_of_the_gradient_make_a_symmetric_hessian_on_groups(M):
    rng = np.random.default_rng(1)
    A = rng.standard_normal(M.embedding_shape) + (
        1j * rng.standard_normal(M.embedding_shape) if M.field == "complex" else 0
    )
    f = lambda p: float(np.sum(np.abs(p - A) ** 2)) + float(np.sum(np.abs(p @ p - A) ** 2)) / 5.0
    adjoint = lambda X: np.conj(np.swapaxes(X, -1, -2))
    gradient = lambda p: 2.0 * (p - A) + 0.4 * ((p @ p - A) @ adjoint(p) + adjoint(p) @ (p @ p - A))
    problem = Problem(M, CostObjective(f, gradient, objective_type="euclidean"))
    p = M.random_point(rng)
    bound = FiniteDifferenceHessian(1e-5).bind(problem, None)
    H = bound.operator(problem, problem.evaluate(p))
    X, Y = M.random_vector(p, rng), M.random_vector(p, rng)
    a, b = M.inner(p, H(X), Y), M.inner(p, X, H(Y))
    assert abs(a - b) <= 1e-4 * abs(a)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_singular_hessian_does_not_ask_for_what_rounding_forbids(seed):
    """A MaxCut relaxation: rotating all points changes nothing, so the Hessian is singular at the solution."""
    rng = np.random.default_rng(seed)
    n, r = 60, 8
    A = np.triu((rng.random((n, n)) < 0.1).astype(float), 1)
    L = np.diag((A + A.T).sum(axis=1)) - A - A.T
    M = PowerManifold(Sphere(r - 1), n)
    result = trust_regions(
        M,
        lambda Y: -0.25 * float(np.sum(Y * (L @ Y))),
        M.random_point(1),
        gradient=lambda Y: -0.5 * (L @ Y),
        hessian=lambda Y, X: -0.5 * (L @ X),
        objective_type="euclidean",
        tolerance=1e-9,
    )
    # without the bound: 203 products, and an end by rounding after 406
    assert result.converged and result.evaluations["hessian"] <= 170

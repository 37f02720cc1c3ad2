"""The slope checks tell right derivatives from wrong ones."""

import importlib.util

import numpy as np
import pytest

from manifold_opt.checks import check_differential, check_gradient, check_hessian, check_jacobian
from manifold_opt.checks.slopes import fit_slope, steps
from manifold_opt.manifolds import (
    Euclidean,
    PowerManifold,
    ProductManifold,
    Rotations,
    Sphere,
    SymmetricPositiveDefinite,
)
from manifold_opt.objectives import CostObjective, Fused, InPlace, NonlinearLeastSquaresObjective

R2 = Euclidean(2)
A = np.array([[2.0, 1.0], [1.0, 2.0]])
S = Sphere(2)
D = np.diag([1.0, 2.0, 3.0])

quadratic = lambda p: 0.5 * p @ A @ p
rayleigh = lambda p: p @ D @ p
gradient = lambda p: 2 * (D @ p - (p @ D @ p) * p)
hessian = lambda p, X: 2 * (S.project_vector(p, D @ X) - (p @ D @ p) * X)
MANIFOLDS = [
    R2,
    S,
    Sphere(5),
    Rotations(3),
    Rotations(4),
    SymmetricPositiveDefinite(3),
    PowerManifold(S, 3),
    ProductManifold(x=R2, u=S),
]


# case 51 of the reference results: half the squared distance on S^10, and quadratic forms on R^2


def test_squared_distance_on_the_sphere_of_dimension_ten():
    M = Sphere(10)
    q = M.random_point(100)
    f, log = (lambda p: 0.5 * M.squared_distance(p, q)), (lambda p: -M.log(p, q))
    for seed in range(10):
        assert check_gradient(M, f, log, rng=seed)
        assert not check_gradient(M, f, lambda p: 0.5 * log(p), rng=seed)


@pytest.mark.parametrize(
    "wrong, right",
    [
        (lambda p, X: A @ X, True),
        (lambda p, X: X**2, False),
        (lambda p, X: np.array([[2.0, 1.0], [0.0, 2.0]]) @ X, False),
    ],
    ids=["right", "squares", "not symmetric"],
)
def test_hessians_of_a_quadratic_form(wrong, right):
    for seed in range(10):
        assert bool(check_hessian(R2, quadratic, lambda p: A @ p, wrong, rng=seed)) is right


def test_a_quadratic_with_its_hessian_is_exact():
    result = check_hessian(R2, quadratic, lambda p: A @ p, lambda p, X: A @ X, rng=0)
    assert result.exact and "exact" in repr(result)
    assert result.figures["asymmetry"] < 1e-14 and result.figures["nonlinearity"] < 1e-14


@pytest.mark.parametrize("seed", range(20))
def test_right_and_wrong_derivatives_on_the_sphere(seed):
    assert check_gradient(S, rayleigh, gradient, rng=seed).slope == pytest.approx(2, abs=0.15)
    assert not check_gradient(S, rayleigh, lambda p: 1.001 * gradient(p), rng=seed)
    assert check_hessian(S, rayleigh, gradient, hessian, rng=seed)
    wrong = lambda p, X: 2 * S.project_vector(p, D @ X)  # without the curvature of the sphere
    assert not check_hessian(S, rayleigh, gradient, wrong, rng=seed)
    assert check_hessian(S, rayleigh, lambda p: 2 * D @ p, lambda p, X: 2 * D @ X, objective_type="euclidean", rng=seed)
    assert check_differential(S, rayleigh, lambda p, X: 2 * p @ D @ X, rng=seed)
    assert not check_differential(S, rayleigh, lambda p, X: p @ D @ X, rng=seed)


@pytest.mark.parametrize("M", MANIFOLDS, ids=str)
def test_automatic_derivatives_pass(M):
    f = lambda p: (p * p * p).sum() + p.sum() ** 2
    assert check_gradient(M, f, rng=0)
    assert check_hessian(M, f, rng=0)
    assert check_jacobian(M, lambda p: p.reshape(-1) ** 2, rng=0)


def test_a_euclidean_gradient_is_not_tangent():
    result = check_gradient(S, rayleigh, lambda p: 2 * D @ p, rng=0)
    assert not result and "objective_type='euclidean'" in repr(result)


def test_a_missing_factor_is_stated():
    assert "a factor 2 is missing" in repr(check_gradient(S, rayleigh, lambda p: 0.5 * gradient(p), rng=0))
    r, J = (lambda p: p**2), (lambda p: 4 * np.diag(p))
    result = check_jacobian(R2, r, J, rng=0)
    assert not result and "a factor 1/2 is missing" in repr(result)


@pytest.mark.parametrize("kind", ["coordinates", "euclidean"])
def test_jacobians_of_any_type(kind):
    r = lambda p: np.concatenate([D @ p, p**2])
    euclidean = lambda p: np.vstack([D, 2 * np.diag(p)])
    jacobian = euclidean if kind == "euclidean" else lambda p: euclidean(p) @ S.get_basis(p).T
    assert check_jacobian(S, r, jacobian, jacobian_type=kind, rng=0)
    wrong = lambda p: jacobian(p) * np.array([1, 1, 1, 1, 1, 1.01])[:, None]
    assert not check_jacobian(S, r, wrong, jacobian_type=kind, rng=0)


def test_functions_come_as_solvers_take_them():
    fused = Fused(lambda p: (quadratic(p), A @ p))
    assert check_gradient(R2, fused, rng=0)
    assert check_gradient(R2, quadratic, InPlace(lambda p, out: np.dot(A, p, out=out)), rng=0)
    assert check_gradient(R2, CostObjective(quadratic, lambda p: A @ p), rng=0)
    inplace = InPlace(lambda p, out: np.multiply(p, p, out=out))
    assert check_jacobian(R2, inplace, lambda p: 2 * np.diag(p), num_residuals=2, rng=0)
    assert check_jacobian(R2, NonlinearLeastSquaresObjective(lambda p: p**2), rng=0)
    with pytest.raises(ValueError, match="leave out"):
        check_gradient(R2, CostObjective(quadratic), lambda p: A @ p)


def test_single_precision():
    p = np.array([1.0, 2.0], dtype=np.float32)
    f = lambda p: np.sum(p**3)
    assert check_gradient(R2, f, lambda p: 3 * p**2, p, rng=0)
    assert not check_gradient(R2, f, lambda p: 2 * p**2, p, rng=0)


@pytest.mark.parametrize("s", [1e-8, 1e6])
def test_the_scale_of_the_function_may_be_given(s):
    f, g = (lambda p: np.sum(np.sin(p / s))), (lambda p: np.cos(p / s) / s)
    p = s * np.array([1.0, 2.0])
    assert check_gradient(R2, f, g, p, scale=s, rng=0)
    assert not check_gradient(R2, f, lambda p: 1.1 * g(p), p, scale=s, rng=0)


def test_zero_gradient_at_a_critical_point():
    assert check_gradient(R2, quadratic, lambda p: A @ p, np.zeros(2), rng=0)
    assert check_gradient(R2, lambda p: 1.0, lambda p: 0 * p, np.zeros(2), rng=0)


def test_points_and_directions_are_checked():
    with pytest.raises(ValueError, match="norm|length|sphere"):
        check_gradient(S, rayleigh, gradient, 2 * np.ones(3))
    with pytest.raises(ValueError, match="must not be zero"):
        check_gradient(R2, quadratic, None, np.ones(2), np.zeros(2))
    with pytest.raises(ValueError, match="`scale`"):
        check_gradient(R2, quadratic, scale=0.0)


def test_a_function_that_is_not_finite_fails_with_advice():
    result = check_gradient(R2, lambda p: np.nan, lambda p: 0 * p, rng=0)
    assert not result and "scale" in repr(result)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("constant", [1e-3, 1.0, 1e3])
def test_the_slope_of_a_power_with_rounding_is_its_exponent(order, constant):
    t = steps()
    noise = 1e-15 * np.random.default_rng(0).standard_normal(len(t))
    errors = np.abs(constant * t**order + t ** (order + 2) + noise)
    slope, (first, last) = fit_slope(t, errors, 1e-14)
    assert slope == pytest.approx(order, abs=0.1) and first < last


@pytest.mark.parametrize("wrong", [1e-6, 1e-3, 1.0])
@pytest.mark.parametrize("noise", [1e-18, 1e-15, 1e-13])
def test_the_lowest_power_decides_however_small_and_noisy(wrong, noise):
    t = steps()
    rounding = noise * np.random.default_rng(1).standard_normal(len(t))
    slope, _ = fit_slope(t, np.abs(wrong * t + 10.0 * t**2 + rounding), 1e-15)
    if noise < 1e-2 * wrong * wrong:  # else the line of slope 1 ends below rounding
        assert slope < 1.9
    slope, _ = fit_slope(t, np.abs(10.0 * t**2 + rounding), 1e-15)
    assert slope == pytest.approx(2.0, abs=0.1)


def test_plots_use_matplotlib_only_on_request():
    if importlib.util.find_spec("matplotlib") is None:
        pytest.skip("matplotlib is not installed")
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    result = check_gradient(S, rayleigh, gradient, rng=0, plot=True)
    ax = result.plot()
    assert "slope" in ax.get_legend().get_texts()[1].get_text()
    check_hessian(R2, quadratic, lambda p: A @ p, lambda p, X: A @ X, rng=0).plot(ax)
    pyplot.close("all")

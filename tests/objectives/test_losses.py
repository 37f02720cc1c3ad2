"""Robust losses and the plain model that stands for a robust cost."""

import autograd.numpy as anp
import numpy as np
import pytest
from scipy.optimize import least_squares

from manifold_opt import (
    Arctan,
    Cauchy,
    ComposedLoss,
    Euclidean,
    GemanMcClure,
    Huber,
    NonlinearLeastSquaresObjective,
    Problem,
    ScaledLoss,
    ScaledObjective,
    SoftL1,
    Sphere,
    Status,
    Tolerant,
    Truncated,
    Tukey,
    UserLoss,
    Welsch,
    levenberg_marquardt,
)
from manifold_opt.objectives.corrections import Groups, Robust
from manifold_opt.objectives.losses import LOSSES, LinearLoss, as_loss


def corrected(r, J, loss, size, correction):
    robust = Robust((Groups(None, size, loss),), correction)
    return robust.corrected(r, J, robust.evaluate(r))


SMOOTH = [
    LinearLoss(),
    Huber(),
    Huber(scale=0.3),
    SoftL1(),
    Cauchy(scale=2.0),
    Arctan(),
    Tukey(),
    Welsch(),
    GemanMcClure(),
    Truncated(),
    Tolerant(a=2.0, b=0.3),
    ScaledLoss(Cauchy(), 3.0, scale=0.7),
    ComposedLoss(SoftL1(), Cauchy(scale=0.5)),
    UserLoss(lambda s: (np.log1p(s), 1 / (1 + s), -1 / (1 + s) ** 2), scale=0.4),
]
NAMES = [repr(loss)[:40] for loss in SMOOTH]


@pytest.mark.parametrize("loss", SMOOTH, ids=NAMES)
def test_derivatives_agree_with_differences(loss):
    # off the kinks at scale^2; step 1e-6 leaves 1e-9 relative
    z = np.array([0.0131, 0.217, 0.78, 1.9, 4.3, 57.0])
    h = 1e-6 * np.maximum(z, 0.1)
    _, first, second = loss.evaluate(z)
    up, down = loss.evaluate(z + h), loss.evaluate(z - h)
    np.testing.assert_allclose((up[0] - down[0]) / (2 * h), first, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose((up[1] - down[1]) / (2 * h), second, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    "loss",
    [loss for loss in SMOOTH if not isinstance(loss, Tolerant | ScaledLoss)],
    ids=lambda loss: type(loss).__name__,
)
def test_small_residuals_count_in_full(loss):
    z = np.array([0.0, 1e-12])
    value, first, _ = loss.evaluate(z)
    np.testing.assert_allclose(value, z, rtol=1e-9, atol=0)
    np.testing.assert_allclose(first, 1.0, rtol=1e-9)


@pytest.mark.parametrize("loss", SMOOTH, ids=NAMES)
def test_huge_residuals_stay_finite(loss):
    assert all(np.isfinite(v).all() for v in loss.evaluate(np.array([1e12, 1e30])))


def test_huber_has_negative_curvature_beyond_its_scale():
    # stored versions of Manopt.jl 0.6 return it with the wrong sign
    assert Huber().rho(np.array([4.0]))[2][0] == -0.5 / 8.0


def test_tukey_is_flat_beyond_its_scale_without_dividing_by_zero():
    _, first, second = Tukey().rho(np.array([1.0, 2.0]))
    assert not first.any() and not second.any()
    r, J = corrected(np.array([3.0, 0.1]), np.ones((2, 1)), Tukey(), 1, "triggs")
    assert np.isfinite(r).all() and np.isfinite(J).all() and r[0] == J[0, 0] == 0.0


@pytest.mark.parametrize("correction", ["triggs", "irls"])
@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("loss", SMOOTH, ids=NAMES)
def test_model_has_the_gradient_of_the_cost(loss, size, correction):
    rng = np.random.default_rng(5)
    r, J = rng.standard_normal(12) * 2.0, rng.standard_normal((12, 4))
    z = (r.reshape(-1, size) ** 2).sum(1)
    losses = loss.evaluate(z)
    rc, Jc = corrected(r, J, loss, size, correction)
    np.testing.assert_allclose(Jc.T @ rc, J.T @ (np.repeat(losses[1], size) * r), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("size", [1, 3])
def test_triggs_model_has_the_curvature_of_the_cost_near_inliers(size):
    # for a linear residual the Hessian of 1/2 rho(|r|^2) is J'(rho' I + 2 rho'' r r') J
    rng = np.random.default_rng(6)
    r, J = 0.2 * rng.standard_normal(12), rng.standard_normal((12, 4))
    z = (r.reshape(-1, size) ** 2).sum(1)
    losses = Cauchy().evaluate(z)
    _, Jc = corrected(r, J, Cauchy(), size, "triggs")
    H = sum(
        g.T @ (losses[1][i] * np.eye(size) + 2 * losses[2][i] * np.outer(s, s)) @ g
        for i, (g, s) in enumerate(zip(J.reshape(-1, size, 4), r.reshape(-1, size), strict=True))
    )
    np.testing.assert_allclose(Jc.T @ Jc, H, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [1, 3])
def test_sparse_model_equals_the_dense_one(size):
    from scipy.sparse import csr_array

    rng = np.random.default_rng(7)
    r, J = rng.standard_normal(12), rng.standard_normal((12, 4))
    dense = corrected(r, J, Cauchy(), size, "triggs")
    sparse = corrected(r, csr_array(J), Cauchy(), size, "triggs")
    np.testing.assert_allclose(sparse[0], dense[0])
    np.testing.assert_allclose(sparse[1].toarray(), dense[1], atol=1e-15)


def _decay():
    rng = np.random.default_rng(1)
    t = np.linspace(0, 3, 60)
    y = 2.5 * np.exp(-1.3 * t) + 0.5 + 0.02 * rng.standard_normal(60)
    y[rng.choice(60, 12, replace=False)] += rng.uniform(1, 4, 12)
    return lambda p: p[0] * anp.exp(p[1] * t) + p[2] - y


@pytest.mark.parametrize("correction", ["triggs", "irls"])
@pytest.mark.parametrize("name", ["huber", "soft_l1", "cauchy", "arctan"])
def test_robust_fit_agrees_with_scipy(name, correction):
    residual, start = _decay(), np.array([1.0, -1.0, 0.0])
    objective = NonlinearLeastSquaresObjective(residual, loss=as_loss(name, 0.1), correction=correction)
    result = levenberg_marquardt(Euclidean(3), objective, start)
    theirs = least_squares(residual, start, loss=name, f_scale=0.1, xtol=1e-12, ftol=1e-14, gtol=1e-12)
    assert result.converged
    assert result.cost <= theirs.cost * (1 + 1e-12)
    np.testing.assert_allclose(result.point, theirs.x, rtol=1e-6)
    assert result.evaluations["residual"] <= theirs.nfev


def test_outliers_do_not_move_a_robust_direction():
    rng = np.random.default_rng(3)
    x = np.array([0.0, 0.6, 0.8])
    data = x + 0.01 * rng.standard_normal((40, 3))
    data[:8] = [1.0, 0.0, 0.0]
    result = levenberg_marquardt(
        Sphere(2),
        lambda p: (p - data).ravel(),
        np.array([0.0, 0.0, 1.0]),
        loss=GemanMcClure(scale=0.1),
        residual_size=3,
    )
    assert result.converged
    # noise 0.01 / sqrt(32)
    assert Sphere(2).distance(result.point, x) < 0.01
    assert result.state.evaluation.weights[:8].max() < 1e-3 < 0.5 < result.state.evaluation.weights[8:].min()


def test_start_where_all_are_outliers_is_not_called_a_solution():
    result = levenberg_marquardt(Euclidean(1), lambda p: p - 5.0, np.zeros(1), loss=Tukey())
    assert result.status is Status.FALSE_CONVERGENCE
    assert "outlier" in result.message


def test_gradient_is_the_derivative_of_the_robust_cost():
    M = Sphere(2)
    rng = np.random.default_rng(4)
    A = rng.standard_normal((9, 3))
    problem = Problem(M, NonlinearLeastSquaresObjective(lambda p: A @ p - 0.3, loss="cauchy", residual_size=3))
    p, X, h = M.random_point(rng), None, 1e-5
    X = M.random_vector(p, rng)
    slope = (problem.cost(M.exp(p, X, h)) - problem.cost(M.exp(p, X, -h))) / (2 * h)
    assert M.inner(p, problem.gradient(p), X) == pytest.approx(slope, rel=1e-8)


def test_scaled_robust_objective():
    residual = _decay()
    objective = NonlinearLeastSquaresObjective(residual, loss="cauchy")
    p = np.array([1.0, -1.0, 0.2])
    M = Euclidean(3)
    plain, scaled = Problem(M, objective), Problem(M, ScaledObjective(objective, 3.0))
    assert scaled.cost(p) == pytest.approx(3.0 * plain.cost(p), rel=1e-14)
    np.testing.assert_allclose(scaled.gradient(p), 3.0 * plain.gradient(p), rtol=1e-13)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Huber(scale=0.0), "scale"),
        (lambda: ScaledLoss(Huber(), -1.0), "factor"),
        (lambda: Tolerant(a=-1.0), "Tolerant"),
        (lambda: as_loss("hubert"), "'huber'"),
        (lambda: as_loss(Huber(), 2.0), "scale"),
        (lambda: NonlinearLeastSquaresObjective(lambda p: p, residual_size=0), "residual_size"),
        (lambda: NonlinearLeastSquaresObjective(lambda p: p, correction="none"), "correction"),
        (lambda: levenberg_marquardt(Euclidean(3), lambda p: p, np.ones(3), residual_size=2), "residual_size"),
        (lambda: levenberg_marquardt(Euclidean(3), lambda p: p, np.ones(3), loss=lambda s: (s, s)), "rho"),
    ],
)
def test_mistakes_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_names_make_losses():
    assert all(isinstance(as_loss(name, 0.5), kind) for name, kind in LOSSES.items() if name != "linear")
    assert as_loss("linear") is None is as_loss(None) is as_loss(LinearLoss())
    with pytest.raises(TypeError, match="loss"):
        as_loss(3)

"""curve_fit against scipy.optimize.curve_fit, and on manifolds."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize

from manifold_opt import Euclidean, ProductManifold, Rotations, Sphere, curve_fit

rng = np.random.default_rng(8)
X = np.linspace(0.0, 4.0, 50)
SIGMA = 0.02 * (1.0 + X)
Y = 2.5 * np.exp(-1.3 * X) + 0.5 + SIGMA * rng.standard_normal(50)
COVARIANCE = np.diag(SIGMA**2) + 1e-4 * np.exp(-np.abs(X[:, None] - X))


def model(x, a, b, c):
    return a * np.exp(-b * x) + c


def jac(x, a, b, c):
    e = np.exp(-b * x)
    return np.stack([e, -a * x * e, np.ones_like(x)], axis=1)


@pytest.mark.parametrize("sigma", [None, SIGMA, COVARIANCE], ids=["none", "deviations", "covariance"])
@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("derivative", [None, jac], ids=["autodiff", "jac"])
def test_same_as_scipy(sigma, absolute, derivative):
    ours = curve_fit(Euclidean(3), model, X, Y, sigma=sigma, absolute_sigma=absolute, jac=derivative, unpack=True)
    popt, pcov = scipy.optimize.curve_fit(
        model, X, Y, sigma=sigma, absolute_sigma=absolute, jac=jac, ftol=1e-14, xtol=1e-14, gtol=1e-14
    )
    assert ours.converged
    assert np.allclose(ours.point, popt, rtol=1e-7)
    assert np.allclose(ours.covariance(), pcov, rtol=1e-6)
    assert np.allclose(ours.statistics().standard_errors, np.sqrt(np.diagonal(pcov)), rtol=1e-6)


def test_absolute_sigma_is_remembered():
    result = curve_fit(Euclidean(3), model, X, Y, sigma=SIGMA, absolute_sigma=True, unpack=True)
    assert result.statistics().sigma == 1.0
    assert result.statistics(absolute_sigma=False).sigma != 1.0
    assert "1 (given)" in result.report()
    assert 0.6 < result.statistics().reduced_chi_square < 1.5


def test_robust_as_scipy():
    y = Y.copy()
    y[::7] += 2.0
    ours = curve_fit(Euclidean(3), model, X, y, sigma=SIGMA, loss="soft_l1", f_scale=1.5, unpack=True)
    popt, _ = scipy.optimize.curve_fit(
        model, X, y, sigma=SIGMA, method="trf", loss="soft_l1", f_scale=1.5, jac=jac, xtol=1e-14, ftol=1e-14, gtol=1e-12
    )
    assert np.allclose(ours.point, popt, rtol=1e-6)
    assert set(range(0, 50, 7)) <= set(ours.statistics().outliers)


def test_bounds_as_scipy():
    """An amplitude held at 2 by its bound: the others are as SciPy finds them, and the statistics say so."""
    bounds = (np.array([0.0, 0.0, 0.0]), np.array([2.0, 5.0, 5.0]))
    start = np.array([1.0, 1.0, 1.0])
    popt, _ = scipy.optimize.curve_fit(
        model, X, Y, start, sigma=SIGMA, bounds=bounds, jac=jac, xtol=1e-14, ftol=1e-14, gtol=1e-14
    )
    for method in ("lm", "trf"):
        ours = curve_fit(
            Euclidean(3), model, X, Y, start, sigma=SIGMA, bounds=bounds, jac=jac, unpack=True, method=method
        )
        assert np.allclose(ours.point, popt, atol=1e-5)
        assert any("p[0]" in note and "bound" in note for note in ours.statistics().notes)


def test_parameters_on_a_product():
    """A rotated and shifted curve: the parts of the point are arguments of the model."""
    M = ProductManifold(R=Rotations(3), t=Euclidean(3))
    curve = np.stack([X, np.sin(X), np.cos(2.0 * X)], axis=1)
    R = M["R"].random_point(rng)
    y = curve @ R.T + [1.0, 2.0, 3.0] + 0.01 * rng.standard_normal((50, 3))
    result = curve_fit(M, lambda x, R, t: x @ R.T + t, curve, y, M.join(np.eye(3), np.zeros(3)))
    errors = result.statistics().standard_errors
    assert M["R"].distance(M.split(result.point)[0], R) < 5.0 * np.linalg.norm(errors[:3])
    assert np.all(np.abs(M.split(result.point)[1] - [1.0, 2.0, 3.0]) < 5.0 * errors[3:])


def test_responses_on_a_sphere():
    """A great circle through noisy directions; residuals are geodesic, so that the cost is half the distances."""
    S = Sphere(2)
    M = ProductManifold(R=Rotations(3), speed=Euclidean(1))
    R = M["R"].random_point(rng)
    circle = lambda x, R, v: R[:, 0] * np.cos(v * x)[:, None] + R[:, 1] * np.sin(v * x)[:, None]
    truth = circle(X, R, 0.7)
    y = S.exp(truth, 0.05 * S.random_vector(truth, rng))
    result = curve_fit(M, circle, X, y, M.join(R, np.array([0.6])), response=S)
    fitted = circle(X, *M.split(result.point))
    assert np.isclose(result.cost, 0.5 * np.sum(S.distance(y, fitted) ** 2), rtol=1e-10)
    fit = result.statistics()
    assert fit.rank == 4 and abs(result.point[-1] - 0.7) < 5.0 * fit.standard_errors[-1]
    weighted = curve_fit(M, circle, X, y, result.point, response=S, sigma=np.full(50, 0.05), absolute_sigma=True)
    assert np.allclose(weighted.point, result.point, atol=1e-8)
    assert 0.5 < weighted.statistics().reduced_chi_square < 2.0


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"y": Y[:-1]}, "shape of `y`"),
        ({"y": np.where(X > 3.0, np.nan, Y)}, "not finite"),
        ({"x": np.where(X > 3.0, np.inf, X)}, "`x` contains"),
        ({"sigma": np.zeros(50)}, "positive"),
        ({"sigma": np.ones(49)}, "broadcasts"),
        ({"sigma": -np.eye(50)}, "positive definite"),
        ({"y": []}, "empty"),
        ({"y": np.ones((50, 3)), "response": Sphere(2)}, "points of"),
    ],
)
def test_mistakes_are_named(keywords, message):
    with pytest.raises(ValueError, match=message):
        curve_fit(**{"M": Euclidean(3), "model": model, "x": X, "y": Y, "unpack": True, **keywords})


def test_an_unknown_keyword_is_an_error():
    with pytest.raises(TypeError, match="max_iteration"):
        curve_fit(Euclidean(3), model, X, Y, unpack=True, max_iteration=3)
    with pytest.raises(TypeError, match="`model`"):
        curve_fit(Euclidean(3), X, X, Y)

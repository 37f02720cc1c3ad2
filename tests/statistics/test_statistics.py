"""Errors, intervals and null directions against closed forms, simulations and SciPy."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import f as f_distribution
from scipy.stats import t as student

from manifold_opt import (
    BlockObjective,
    Euclidean,
    Huber,
    NonlinearLeastSquaresObjective,
    PowerManifold,
    ProductManifold,
    ResidualBlock,
    Rotations,
    Sphere,
    SymmetricPositiveDefinite,
    fit_statistics,
    gradient_descent,
    levenberg_marquardt,
)
from manifold_opt.statistics import variables

rng = np.random.default_rng(5)
X = np.column_stack([np.ones(40), rng.standard_normal((40, 2)) * [1.0, 1e-3]])
Y = X @ [1.0, 2.0, 300.0] + 0.1 * rng.standard_normal(40)


def linear_fit(**keywords):
    return levenberg_marquardt(Euclidean(3), lambda b: X @ b - Y, np.zeros(3), **keywords)


def rotation_and_shifts():
    """A rigid motion whose translation is written twice: the difference of both is undetermined."""
    M = ProductManifold(R=Rotations(3), s=Euclidean(3), t=Euclidean(3))
    a = rng.standard_normal((30, 3))
    b = a @ Rotations(3).random_point(rng).T + 0.01 * rng.standard_normal((30, 3)) + [1.0, 2.0, 3.0]

    def residual(p):
        R, s, t = M.split(p)
        return (a @ R.T + s + t - b).reshape(-1)

    return M, levenberg_marquardt(M, residual, M.join(np.eye(3), np.zeros(3), np.zeros(3)))


class TestLinearRegression:
    """Everything has a closed form."""

    fit = fit_statistics(linear_fit())
    inverse = np.linalg.inv(X.T @ X)
    rss = float(np.sum((Y - X @ (inverse @ X.T @ Y)) ** 2))

    def test_covariance(self):
        assert np.allclose(self.fit.covariance, self.rss / 37 * self.inverse, rtol=1e-9)
        assert self.fit.degrees_of_freedom == 37
        assert math.isclose(self.fit.chi_square, self.rss, rel_tol=1e-12)
        assert math.isclose(self.fit.reduced_chi_square, self.rss / 37, rel_tol=1e-12)

    def test_correlations(self):
        s = np.sqrt(np.diagonal(self.inverse))
        assert np.allclose(self.fit.correlations, self.inverse / np.outer(s, s), atol=1e-10)

    def test_intervals_are_those_of_student(self):
        margin = student.ppf(0.95, 37) * np.sqrt(self.rss / 37 * np.diagonal(self.inverse))
        intervals = self.fit.confidence_intervals(0.9)
        assert np.allclose(intervals[:, 1] - self.fit.point, margin, rtol=1e-9)
        assert np.allclose(self.fit.margins(0.9), margin, rtol=1e-9)

    @pytest.mark.parametrize("which", [0, "p[2]", lambda b: b[0] - 0.01 * b[2]])
    def test_the_profile_of_a_linear_function_is_walds(self, which):
        low, high = self.fit.confidence_interval(which)
        assert np.allclose((low, high), self.fit.confidence_interval(which, method="wald"), rtol=1e-5)

    def test_information_criteria(self):
        assert math.isclose(self.fit.aic, 40 * math.log(self.rss / 40) + 6.0, rel_tol=1e-12)
        assert math.isclose(self.fit.bic, 40 * math.log(self.rss / 40) + 3 * math.log(40), rel_tol=1e-12)

    def test_absolute_sigma(self):
        fit = fit_statistics(linear_fit(), absolute_sigma=True)
        assert np.allclose(fit.covariance, self.inverse, rtol=1e-9)
        low, high = fit.confidence_interval(1, 0.6826894921370859)
        assert math.isclose(high - low, 2.0 * fit.standard_errors[1], rel_tol=1e-5)

    def test_leverages_are_the_diagonal_of_the_hat_matrix(self):
        assert np.allclose(self.fit.leverages, np.diagonal(X @ self.inverse @ X.T), atol=1e-12)

    def test_propagation(self):
        value, C = self.fit.propagate(lambda b: b[0] * b[1:])
        G = np.array([[self.fit.point[1], self.fit.point[0], 0.0], [self.fit.point[2], 0.0, self.fit.point[0]]])
        assert np.allclose(value, self.fit.point[0] * self.fit.point[1:])
        assert np.allclose(C, G @ self.fit.covariance @ G.T, rtol=1e-8)


def test_profile_of_an_exponential_by_brute_force():
    """The rate of a saturating curve: for each rate the amplitude has a closed form, the profile is a function of one
    variable, and its interval is far from symmetric."""
    x = np.array([1.0, 2.0, 3.0, 5.0, 7.0, 10.0])
    y = np.array([109.0, 149.0, 149.0, 191.0, 213.0, 224.0])  # NIST's BoxBOD

    def rss(rate):
        g = 1.0 - np.exp(-rate * x)
        return float(np.sum((y - g * (g @ y) / (g @ g)) ** 2))

    result = levenberg_marquardt(Euclidean(2), lambda b: b[0] * (1.0 - np.exp(-b[1] * x)) - y, np.array([200.0, 0.5]))
    fit = fit_statistics(result)
    least, level = 2.0 * result.cost, 0.9
    excess = least / 4 * f_distribution.ppf(level, 1, 4)
    low = brentq(lambda k: rss(k) - least - excess, 0.05, result.point[1])
    high = brentq(lambda k: rss(k) - least - excess, result.point[1], 5.0)
    assert np.allclose(fit.confidence_interval("p[1]", level), (low, high), rtol=1e-4)
    assert high - result.point[1] > 1.3 * (result.point[1] - low)
    # at 99.99 % a rate of infinity, a constant, is among the possible ones: the interval has no end
    assert fit.confidence_interval("p[1]", 0.9999)[1] == math.inf


def test_profile_on_a_sphere_covers():
    """The third coordinate of a mean direction: 95 % intervals contain the truth in about 95 % of 40 samples."""
    M, truth = Sphere(2), np.array([0.6, 0.0, 0.8])
    generator, inside = np.random.default_rng(1), 0
    for _ in range(40):
        z = truth + 0.1 * generator.standard_normal((6, 3))
        result = levenberg_marquardt(
            M,
            lambda p, z=z: (p - z).reshape(-1),
            z.mean(axis=0) / np.linalg.norm(z.mean(axis=0)),
            jacobian=lambda p: np.tile(np.eye(3), (6, 1)),
            jacobian_type="euclidean",
        )
        low, high = fit_statistics(result).confidence_interval(lambda p: p[2])
        inside += low <= 0.8 <= high
    assert 34 <= inside <= 40


def test_standard_errors_of_a_rotation_are_those_of_a_simulation():
    """Angles of 200 estimates about the truth have the covariance that one fit predicts."""
    M, generator = Rotations(3), np.random.default_rng(2)
    a = generator.standard_normal((12, 3)) * [3.0, 1.0, 0.3]
    truth = M.random_point(generator)
    moved = np.einsum("jkl,il->ikj", M.get_basis(truth), a)
    jacobian = lambda R: (R @ moved).reshape(-1, 3)
    deviations, predicted = [], 0.0
    for _ in range(200):
        b = a @ truth.T + 0.05 * generator.standard_normal(a.shape)
        result = levenberg_marquardt(M, lambda R, b=b: (a @ R.T - b).reshape(-1), truth, jacobian=jacobian)
        deviations.append(M.get_coordinates(truth, M.log(truth, result.point)))
        predicted = predicted + fit_statistics(result).covariance / 200
    found = np.cov(np.array(deviations).T)
    # a sample variance of 200 has a standard deviation of 10 %
    assert np.allclose(np.diagonal(found), np.diagonal(predicted), rtol=0.3)


def test_embedded_errors_of_a_direction():
    """On a sphere the error along the point itself is zero, across it isotropic."""
    p = np.array([0.0, 0.6, 0.8])
    z = p + 0.1 * np.random.default_rng(3).standard_normal((50, 3))
    result = levenberg_marquardt(Sphere(2), lambda q: (q - z).reshape(-1), p)
    fit = fit_statistics(result)
    C = fit.embedded_covariance()
    assert np.allclose(C @ result.point, 0.0, atol=1e-12)
    P = np.eye(3) - np.outer(result.point, result.point)
    assert np.allclose(C, fit.sigma**2 / 50 * P, rtol=1e-6, atol=1e-12)
    assert np.allclose(fit.embedded_standard_errors(), np.sqrt(np.diagonal(C)))


class TestUndetermined:
    M, result = rotation_and_shifts()
    fit = fit_statistics(result)

    def test_rank_and_names(self):
        assert self.fit.rank == 6
        assert [n.variables for n in self.fit.null_directions] == [("s", "t")] * 3
        assert [n.labels for n in self.fit.null_directions] == [(f"s[{i}]", f"t[{i}]") for i in range(3)]
        assert self.fit.singular_variables == {}
        assert any("3 directions undetermined" in note for note in self.fit.notes)

    def test_what_is_moved_has_infinite_errors(self):
        assert np.isfinite(self.fit.standard_errors[:3]).all()
        assert np.isinf(self.fit.standard_errors[3:]).all()
        embedded = self.fit.embedded_standard_errors()
        assert np.isfinite(embedded[:9]).all() and np.isinf(embedded[9:]).all()
        assert self.fit.confidence_interval("s[0]") == (-math.inf, math.inf)

    def test_what_is_not_moved_has_finite_ones(self):
        total = lambda p: sum(self.M.split(p)[1:])
        _, C = self.fit.propagate(total)
        assert np.allclose(np.sqrt(np.diagonal(C)), self.fit.sigma / math.sqrt(30), rtol=0.1)
        low, high = self.fit.confidence_interval(lambda p: total(p)[0])
        assert 0.0 < high - low < 0.02

    def test_the_covariance_is_the_pseudo_inverse(self):
        J = self.result.state.jacobian
        assert np.allclose(self.fit.covariance, self.fit.sigma**2 * np.linalg.pinv(J.T @ J), atol=1e-12)

    def test_by_differences(self):
        residual = self.result.problem.objective.residual
        result = levenberg_marquardt(self.M, residual, self.result.point, autodiff="finite-differences")
        assert fit_statistics(result).rank == 6

    def test_the_report_says_so(self):
        text = self.result.report()
        for words in ("undetermined directions: 3", "s[1]", "(of s, t)", "CONVERGED", "in the jacobian", "AIC, BIC"):
            assert words in text


def test_a_variable_that_is_not_used_is_named():
    M = ProductManifold(poses=PowerManifold(Sphere(2), 3), b=Euclidean(2))
    z = Sphere(2).random_point(rng, (2,)) * 1.1

    def residual(p):
        poses, b = M.split(p)
        return (poses[:2] + b[0] - z).reshape(-1)

    start = M.join(z[[0, 1, 1]] / 1.1, np.zeros(2))
    result = levenberg_marquardt(M, residual, start)
    fit = fit_statistics(result)
    assert fit.singular_variables == {"poses[2]": 0, "b": 1}
    assert {n.labels for n in fit.null_directions} == {("poses[2].0",), ("poses[2].1",), ("b[1]",)}
    assert "poses[2] by itself has rank 0 of 2" in fit.report()


def test_no_degrees_of_freedom():
    result = levenberg_marquardt(Euclidean(2), lambda p: p - [1.0, 2.0], np.zeros(2))
    fit = fit_statistics(result)
    assert np.isinf(fit.standard_errors).all()
    assert "absolute_sigma=True" in fit.notes[0]
    assert np.allclose(result.covariance(absolute_sigma=True), np.eye(2))


def test_a_run_that_did_not_converge_says_so():
    result = linear_fit(max_iterations=1, stopping=None)
    result.converged = False
    assert "did not converge" in result.report()


def test_what_is_no_fit_is_an_error():
    result = gradient_descent(Sphere(2), lambda p: p[0], max_iterations=2)
    for door in (result.statistics, result.covariance, result.report):
        with pytest.raises(TypeError, match="least-squares"):
            door()
    with pytest.raises(TypeError, match="least-squares"):
        fit_statistics(None)


def test_other_solvers_of_the_same_problem():
    objective = NonlinearLeastSquaresObjective(lambda b: X[:, :2] @ b - Y)
    result = gradient_descent(Euclidean(2), objective, np.zeros(2), tolerance=1e-10)
    other = levenberg_marquardt(Euclidean(2), objective, np.zeros(2))
    assert np.allclose(result.covariance(), other.covariance(), rtol=1e-8)


def test_blocks_and_a_pickled_result():
    M = ProductManifold(b=Euclidean(3))
    blocks = [ResidualBlock(lambda b: X @ b - Y, "b", covariance=0.01 * np.eye(40))]
    result = levenberg_marquardt(M, BlockObjective(blocks), np.zeros(3))
    fit = fit_statistics(result, absolute_sigma=True)
    assert np.allclose(fit.covariance, 0.01 * np.linalg.inv(X.T @ X), rtol=1e-9)
    assert np.allclose(fit.of_variable("b"), fit.covariance)
    with pytest.raises(KeyError, match="there are b"):
        fit.of_variable("c")
    state = pickle.loads(pickle.dumps(result.state))
    result.state = state
    assert np.allclose(fit_statistics(result, absolute_sigma=True).covariance, fit.covariance)


def test_a_robust_fit_has_hubers_variance():
    """z-scores of the slope over 150 samples with 15 % outliers have unit variance; those of plain fits need not."""
    generator, scores = np.random.default_rng(4), []
    x = np.linspace(-1.0, 1.0, 60)
    A = np.column_stack([np.ones(60), x])
    for _ in range(150):
        noise = 0.1 * generator.standard_normal(60)
        noise += np.where(generator.random(60) < 0.15, 2.0 * generator.standard_normal(60), 0.0)
        y = 1.0 + 2.0 * x + noise
        result = levenberg_marquardt(
            Euclidean(2), lambda b, y=y: A @ b - y, np.array([1.0, 2.0]), jacobian=lambda b: A, loss=Huber(scale=0.15)
        )
        fit = fit_statistics(result)
        scores.append((result.point[1] - 2.0) / fit.standard_errors[1])
    assert 0.83 < np.std(scores) < 1.17
    assert len(fit.outliers) >= 1 and "outliers" in fit.report()


def test_robust_profiles_are_about_walds():
    x = np.linspace(-1.0, 1.0, 60)
    A = np.column_stack([np.ones(60), x])
    y = A @ [1.0, 2.0] + 0.1 * np.random.default_rng(6).standard_normal(60)
    y[::9] += 3.0
    for size, loss in ((1, Huber(scale=0.15)), (2, Huber(scale=0.2))):
        result = levenberg_marquardt(Euclidean(2), lambda b: A @ b - y, np.zeros(2), loss=loss, residual_size=size)
        fit = fit_statistics(result)
        profile, wald = fit.confidence_interval(1), fit.confidence_interval(1, method="wald")
        assert np.allclose(profile, wald, atol=0.15 * (wald[1] - wald[0]))


def test_labels():
    M = ProductManifold(
        A=Euclidean(2, 2),
        z=Euclidean(1, field="complex"),
        q=PowerManifold(Rotations(3), 2),
        S=SymmetricPositiveDefinite(2),
    )
    pieces = variables(M, M.random_point(0))
    assert [v.name for v in pieces] == ["A", "z", "q[0]", "q[1]", "S"]
    assert [v.columns.start for v in pieces] == [0, 4, 6, 9, 12]
    labels = [label for v in pieces for label in v.labels]
    assert labels[:7] == ["A[0,0]", "A[0,1]", "A[1,0]", "A[1,1]", "z[0].real", "z[0].imag", "q[0].0"]
    assert len(labels) == M.dim
    inner = ProductManifold(M=ProductManifold(a=Euclidean(1)), c=Euclidean(1))
    assert [v.name for v in variables(inner, np.zeros(2))] == ["M.a", "c"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda fit: fit.confidence_interval(0, 1.5), "`level`"),
        (lambda fit: fit.confidence_interval("q"), "no coordinate 'q'"),
        (lambda fit: fit.confidence_interval(0, method="bootstrap"), "`method`"),
        (lambda fit: fit.confidence_interval(lambda b: b), "one number"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(fit_statistics(linear_fit()))

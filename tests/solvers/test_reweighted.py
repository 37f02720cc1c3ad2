"""Reweighted and graduated fits: the losses, known minima, and outlier studies in numbers."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from scipy.integrate import quad

from manifold_opt import (
    BlockObjective,
    Euclidean,
    GemanMcClure,
    GraduatedGemanMcClure,
    GraduatedTruncated,
    Huber,
    NonlinearLeastSquaresObjective,
    PowerManifold,
    ProductManifold,
    ResidualBlock,
    Rotations,
    Status,
    Truncated,
    graduated_non_convexity,
    iteratively_reweighted,
    levenberg_marquardt,
)
from manifold_opt.objectives.graduated import chi_quantile, robust_scale

S = np.concatenate([np.linspace(0.0, 5.0, 200), [30.0, 1e4]])


@pytest.mark.parametrize("kind", [GraduatedGemanMcClure, GraduatedTruncated])
@pytest.mark.parametrize("mu", [0.1, 1.0, 7.0])
def test_derivatives_of_graduated_losses(kind, mu):
    """The values are integrals of the weights, the weights those of Yang et al."""
    loss = kind(mu=mu)
    value, first, second = loss.rho(S)
    for i in (20, 60, 120, 199):
        kinks = [x for x in (mu / (mu + 1.0), (mu + 1.0) / mu) if x < S[i]]
        assert math.isclose(
            quad(lambda s: loss.rho(np.array([s]))[1][0], 0.0, S[i], points=kinks)[0], value[i], rel_tol=1e-7
        )
    h = 1e-6
    smooth = np.abs(loss.rho(S + h)[2] - loss.rho(np.maximum(S - h, 0.0))[2]) < 1e-2
    slopes = (loss.rho(S + h)[1] - loss.rho(S - h)[1]) / (2 * h)
    assert np.allclose(slopes[1:][smooth[1:]], second[1:][smooth[1:]], atol=1e-6)
    r = np.sqrt(S)
    if kind is GraduatedGemanMcClure:
        expected = (mu / (S + mu)) ** 2
    else:
        with np.errstate(divide="ignore"):
            middle = np.sqrt(mu * (mu + 1.0)) / r - mu
        expected = np.where(S <= mu / (mu + 1), 1.0, np.where(S >= (mu + 1) / mu, 0.0, middle))
    assert np.allclose(first, expected)


def test_they_end_as_what_they_graduate_to():
    assert np.allclose(GraduatedGemanMcClure(mu=1.0).rho(S), GemanMcClure().rho(S))
    far = np.abs(S - 1.0) > 0.01
    assert np.allclose(GraduatedTruncated(mu=1e4).rho(S[far])[:2], Truncated().rho(S[far])[:2], atol=1e-3)


@pytest.mark.parametrize("kind", [GraduatedGemanMcClure, GraduatedTruncated])
def test_they_start_convex(kind):
    """The second derivative of rho(r^2), 2 rho' + 4 r^2 rho'', is not negative up to the largest residual; that
    of truncated squares is -mu in between, here half a percent of what it is at zero."""
    mu = kind.start(100.0)
    s = np.linspace(0.0, 100.0, 1001)
    _, first, second = kind(mu=mu).rho(s)
    assert (first + 2.0 * s * second).min() > -1e-9 - 1e-2 * (kind is GraduatedTruncated)
    assert kind.start(1e-3) is None


@pytest.mark.parametrize("size", [1, 2, 3])
def test_scale(size):
    """Of normal numbers it is their standard deviation; a third of outliers changes it by less than one half."""
    r = 0.3 * np.random.default_rng(0).standard_normal((20001, size))
    norms = np.linalg.norm(r, axis=1)
    assert math.isclose(robust_scale(norms, size), 0.3, rel_tol=0.02)
    norms[:6000] += 100.0
    assert 0.3 < robust_scale(norms, size) < 0.5
    weights = np.where(norms > 50.0, 0.0, 1.0)
    assert math.isclose(robust_scale(norms, size, weights), 0.3, rel_tol=0.02)
    assert math.isclose(chi_quantile(0.5, 1) * 1.482602, 1.0, rel_tol=1e-6)


def line(share, seed, n=60):
    generator = np.random.default_rng(seed)
    x = np.linspace(-1.0, 1.0, n)
    y = 1.0 + 2.0 * x + 0.05 * generator.standard_normal(n)
    bad = generator.permutation(n)[: round(share * n)]
    y[bad] = generator.uniform(-10.0, 10.0, len(bad))
    return np.column_stack([np.ones(n), x]), y, bad


@pytest.mark.parametrize("loss", ["huber", "cauchy", "welsch", "tukey", "soft_l1"])
def test_reweighting_finds_the_minimum_of_the_robust_cost(loss):
    """Another road: the same cost by Levenberg-Marquardt with the curvature of the loss."""
    A, y, _ = line(0.2, 1)
    p0 = np.array([1.0, 2.0])
    result = iteratively_reweighted(Euclidean(2), lambda p: A @ p - y, p0, loss=loss, scale=0.2)
    kind = type(result.state.loss)
    other = levenberg_marquardt(Euclidean(2), lambda p: A @ p - y, p0, loss=kind(scale=0.2))
    assert result.converged and np.allclose(result.point, other.point, atol=1e-6)
    assert math.isclose(result.cost, other.cost, rel_tol=1e-9)
    assert np.allclose(result.covariance(), other.covariance(), rtol=0.5)


def test_the_scale_is_found():
    A, y, bad = line(0.2, 2)
    result = iteratively_reweighted(Euclidean(2), lambda p: A @ p - y, np.zeros(2))
    assert result.converged
    assert 0.04 * 1.345 < result.state.scale < 0.09 * 1.345
    assert set(bad) <= set(result.statistics().outliers) | set(np.flatnonzero(np.abs(A @ [1.0, 2.0] - y) < 0.3))
    assert np.allclose(result.point, [1.0, 2.0], atol=0.1)


@pytest.mark.parametrize("loss", ["truncated", "geman_mcclure"])
@pytest.mark.parametrize("share", [0.0, 0.2, 0.4, 0.6])
def test_lines_among_outliers(loss, share):
    A, y, _ = line(share, 3)
    result = graduated_non_convexity(Euclidean(2), lambda p: A @ p - y, np.zeros(2), loss=loss, scale=0.15)
    assert result.converged
    assert np.allclose(result.point, [1.0, 2.0], atol=0.06)
    if loss == "truncated":
        inside = np.abs(A @ result.point - y) < 0.15
        assert np.array_equal(result.state.weights > 0.5, inside)
        exact = np.linalg.lstsq(A[inside], y[inside], rcond=None)[0]
        assert np.allclose(result.point, exact, atol=1e-8)


def registration(share, seed, n=100, sigma=0.01):
    """Points under a rigid motion; a share of the partners is anywhere."""
    generator = np.random.default_rng(seed)
    M = ProductManifold(R=Rotations(3), t=Euclidean(3))
    a = generator.standard_normal((n, 3))
    R, t = M["R"].random_point(generator), generator.standard_normal(3)
    b = a @ R.T + t + sigma * generator.standard_normal((n, 3))
    bad = generator.permutation(n)[: round(share * n)]
    b[bad] = 3.0 * generator.standard_normal((len(bad), 3))

    def residual(p):
        R, t = M.split(p)
        return (a @ R.T + t - b).reshape(-1)

    moved = np.einsum("jkl,il->ikj", M["R"].get_basis(np.eye(3)), a)

    def jacobian(p):
        return np.hstack([(M.split(p)[0] @ moved).reshape(-1, 3), np.tile(np.eye(3), (n, 1))])

    def error(p):
        return M["R"].distance(R, M.split(p)[0])

    objective = NonlinearLeastSquaresObjective(residual, jacobian, residual_size=3)
    return M, objective, M.join(np.eye(3), np.zeros(3)), error, bad


@pytest.mark.parametrize(
    ("scale", "share"),
    [*[(0.034, s) for s in (0.0, 0.2, 0.4, 0.6, 0.7, 0.8)], *[("mad", s) for s in (0.0, 0.2, 0.4, 0.5)]],
)
def test_registration_among_outliers(share, scale):
    """Errors of the rotation are at the level of the noise, below 0.01: up to 80 % of outliers where that is known, up
    to one half, where the median breaks down, where it is not."""
    for seed in range(3):
        M, residual, p0, error, bad = registration(share, seed)
        result = graduated_non_convexity(M, residual, p0, residual_size=3, scale=scale)
        assert result.converged
        assert error(result.point) < 0.01
        found = np.flatnonzero(result.state.weights < 0.5)
        assert set(bad) <= set(found) and len(found) <= len(bad) + 6


def test_what_graduation_is_for():
    """At 60 % of outliers the same loss, minimized from the same start, is right in half of eight sets only."""
    plain = graduated = 0
    for seed in range(8):
        M, objective, p0, error, _ = registration(0.6, seed, n=60)
        robust = NonlinearLeastSquaresObjective(
            objective.residual, objective.jacobian, residual_size=3, loss=GemanMcClure(scale=0.034)
        )
        plain += error(levenberg_marquardt(M, robust, p0).point) < 0.01
        graduated += error(graduated_non_convexity(M, objective, p0, residual_size=3, scale=0.034).point) < 0.01
    assert graduated == 8 and plain <= 5


def test_blocks_with_a_loss_take_part():
    """Rotation averaging: every second measured rotation is wrong; the anchor has no loss and is believed."""
    generator = np.random.default_rng(5)
    R3 = Rotations(3)
    n, m = 8, 60
    truth = R3.random_point(generator, (n,))
    i = generator.integers(0, n, m)
    j = (i + generator.integers(1, n, m)) % n
    seen = R3.exp(
        truth[j] @ truth[i].transpose(0, 2, 1), 0.02 * generator.standard_normal((m, 1, 1)) * R3.get_basis(np.eye(3))[0]
    )
    bad = generator.permutation(m)[: m // 3]
    seen[bad] = R3.random_point(generator, (len(bad),))
    M = ProductManifold(R=PowerManifold(R3, n))
    blocks = [
        ResidualBlock(lambda Ri, Rj: (Rj - seen @ Ri).reshape(m, 9), ("R", "R"), indices=(i, j), loss=Huber()),
        ResidualBlock(lambda R: 10.0 * (R - truth[:1]).reshape(1, 9), "R", indices=(np.array([0]),)),
    ]
    start = R3.exp(truth, 0.3 * R3.random_vector(truth, generator))
    result = graduated_non_convexity(M, blocks, start.reshape(-1), scale=0.2)
    assert result.converged
    assert R3.distance(truth, result.point.reshape(n, 3, 3)).max() < 0.05
    assert set(np.flatnonzero(result.state.weights < 0.5)) >= set(bad)
    assert result.state.weights[-1] == 1.0
    plain = graduated_non_convexity(M, [blocks[1]], start.reshape(-1), scale=0.2)
    assert R3.distance(truth[0], plain.point[:9].reshape(3, 3)) < 1e-6


def test_it_goes_on_from_a_pickle():
    A, y, _ = line(0.4, 3)
    objective = NonlinearLeastSquaresObjective(lambda p: A @ p - y)
    first = graduated_non_convexity(Euclidean(2), objective, np.zeros(2), scale=0.15, max_iterations=4)
    assert first.status is Status.ITERATION_LIMIT
    state = pickle.loads(pickle.dumps(first.state))
    state.stopping = type(state).default_stopping()
    from manifold_opt import solve

    solve(first.problem, state)
    whole = graduated_non_convexity(Euclidean(2), objective, np.zeros(2), scale=0.15)
    assert state.status is Status.CONVERGED and np.allclose(state.point, whole.point, atol=1e-10)
    assert state.iteration == whole.iterations


@pytest.mark.parametrize("solver", [graduated_non_convexity, iteratively_reweighted])
def test_it_goes_on_from_a_file(solver, tmp_path):
    A, y, _ = line(0.4, 3)
    call = lambda **keywords: solver(Euclidean(2), lambda p: A @ p - y, np.zeros(2), **keywords)
    path = tmp_path / "run.npz"
    assert call(max_iterations=4, checkpoint=path).iterations == 4
    whole, again = call(), call(checkpoint=path)
    assert again.iterations == whole.iterations and np.allclose(again.point, whole.point, atol=1e-12)


def test_data_without_noise_are_fitted():
    A, y, _ = line(0.0, 4)
    y = A @ [1.0, 2.0]
    y[::5] = 7.0
    result = graduated_non_convexity(Euclidean(2), lambda p: A @ p - y, np.zeros(2))
    assert np.allclose(result.point, [1.0, 2.0], atol=1e-8)


def test_record_and_counts():
    A, y, _ = line(0.4, 3)
    calls = []

    def residual(p):
        calls.append(1)
        return A @ p - y

    result = graduated_non_convexity(
        Euclidean(2), residual, np.zeros(2), scale=0.15, record=["cost"], jacobian=lambda p: A
    )
    assert len(result.record["cost"]) == result.iterations + 1
    assert result.evaluations["residual"] + result.evaluations["check"] == len(calls)


@pytest.mark.parametrize(
    ("solver", "keywords", "message"),
    [
        (graduated_non_convexity, {"loss": "huber"}, "graduated for"),
        (graduated_non_convexity, {"factor": 1.0}, "`factor`"),
        (graduated_non_convexity, {"scale": -1.0}, "`scale`"),
        (iteratively_reweighted, {"scale": "sd"}, "`scale`"),
        (iteratively_reweighted, {"loss": "hubert"}, "`loss`"),
    ],
)
def test_mistakes_are_named(solver, keywords, message):
    with pytest.raises(ValueError, match=message):
        solver(Euclidean(2), lambda p: p, np.zeros(2), **keywords)


def test_an_objective_of_blocks_and_a_far_scale():
    M = ProductManifold(x=Euclidean(1))
    objective = BlockObjective([ResidualBlock(lambda x: x - np.arange(5.0)[:, None], "x", indices=None)])
    result = graduated_non_convexity(M, objective, np.zeros(1), scale=100.0)
    assert np.allclose(result.point, 2.0)

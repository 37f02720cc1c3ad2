"""Statistics of sparse fits: the same numbers as the dense ones, and undetermined directions by name."""

from __future__ import annotations

import autograd.numpy as anp
import numpy as np
import pytest

from manifold_opt import (
    BlockObjective,
    Cauchy,
    Euclidean,
    PowerManifold,
    ProductManifold,
    ResidualBlock,
    Rotations,
    bundle_adjust,
    fit_statistics,
    fix,
    levenberg_marquardt,
)
from manifold_opt.datasets import bundle_scene
from manifold_opt.linalg.automatic import Automatic
from manifold_opt.statistics import SparseStatistics, fit

N = 90
M = ProductManifold(x=PowerManifold(Euclidean(2), N), b=Euclidean(3), R=PowerManifold(Rotations(3), 10))


def step(x, y, z):
    return y - x - z + 0.05 * anp.sin(y)


def offset(x, b, z):
    return x * b[:, :2] + b[:, 2:] - z


def turned(R, S, z):
    return anp.reshape(anp.matmul(anp.swapaxes(R, 1, 2), S) - z, (-1, 9))


def blocks(loss=None, anchored=True, components=1):
    rng = np.random.default_rng(0)
    i = np.arange(N - 1)
    i = i[(i + 1) % (N // components) != 0]
    j = i + 1
    found = [
        ResidualBlock(step, ("x", "x"), indices=(i, j), data=(rng.standard_normal((len(i), 2)),), loss=loss),
        ResidualBlock(
            turned,
            ("R", "R"),
            indices=(np.arange(9), np.arange(1, 10)),
            data=(Rotations(3).random_point(rng, (9,)),),
        ),
        ResidualBlock(lambda R: 2.0 * anp.reshape(R - anp.eye(3), (-1, 9)), "R", indices=(np.array([0, 5]),)),
        ResidualBlock(lambda b: b - anp.array([1.0, 1.0, 0.5]), "b"),
    ]
    if anchored:
        k = rng.integers(0, N, 60)
        z = rng.standard_normal((60, 2))
        found.append(ResidualBlock(offset, ("x", "b"), indices=(k, None), data=(z,), loss=loss))
    return found


def solved(monkeypatch, dense, residuals, fixed=None):
    """The statistics of one problem, by the dense or the sparse road."""
    start = M.join(np.zeros((N, 2)), np.ones(3), np.broadcast_to(np.eye(3), (10, 3, 3)))
    problem = fix(M, BlockObjective(residuals), start, fixed)
    result = levenberg_marquardt(problem.manifold, problem.objective, problem.p0)
    if dense:
        monkeypatch.setattr(fit, "Automatic", lambda: Automatic(dense_columns=10**6))
    return result


@pytest.mark.parametrize("loss", [None, Cauchy(scale=0.5)], ids=["plain", "robust"])
@pytest.mark.parametrize("fixed", [None, {"x": [0, 7], "R": [3]}], ids=["free", "fixed"])
def test_the_sparse_road_gives_the_dense_numbers(monkeypatch, loss, fixed):
    result = solved(monkeypatch, False, blocks(loss), fixed)
    sparse = result.statistics()
    assert isinstance(sparse, SparseStatistics)
    monkeypatch.setattr(fit, "Automatic", lambda: Automatic(dense_columns=10**6))
    dense = fit_statistics(result)
    assert (sparse.rank, sparse.num_residuals) == (dense.rank, dense.num_residuals)
    assert sparse.sigma == pytest.approx(dense.sigma, rel=1e-9)
    assert (sparse.aic, sparse.bic, sparse.chi_square) == pytest.approx((dense.aic, dense.bic, dense.chi_square))
    np.testing.assert_allclose(sparse.standard_errors, dense.standard_errors, rtol=1e-8)
    for chosen in ("b", ["b", "R"], {"x": [80, 3], "b": None}, {"x": 7}):
        expected = dense.covariance_of(chosen)
        np.testing.assert_allclose(sparse.covariance_of(chosen), expected, atol=1e-9 * np.abs(dense.covariance).max())
    for name, width in (("x", 2), ("R", 3), ("b", 3)):
        all_of = dense.covariance_of(name)
        n = len(all_of) // width
        expected = np.stack([all_of[width * i : width * (i + 1), width * i : width * (i + 1)] for i in range(n)])
        np.testing.assert_allclose(sparse.covariance_blocks(name), expected, atol=1e-10)
    # an estimate from below
    assert 0.3 * dense.condition < sparse.condition <= 1.01 * dense.condition
    assert "std. errors" in sparse.report()


def test_a_result_hands_out_covariances(monkeypatch):
    result = solved(monkeypatch, False, blocks())
    np.testing.assert_array_equal(result.covariance("b"), result.statistics().covariance_of("b"))
    with pytest.raises(ValueError, match="covariance_blocks"):
        result.covariance()
    with pytest.raises(KeyError, match="no variable 'y'"):
        result.covariance("y")
    with pytest.raises(ValueError, match=r"0\.\.89"):
        result.covariance({"x": [90]})


def test_what_is_undetermined_is_named_and_fixed(monkeypatch):
    """Three chains of differences and 3 rotations that are held: each chain can be shifted in two directions."""
    residuals = [
        ResidualBlock(lambda x, y, z: y - x - z, block.variables, indices=block.indices, data=block.data)
        if block.residual is step
        else block
        for block in blocks(anchored=False, components=3)
    ]
    result = solved(monkeypatch, False, residuals)
    found = result.statistics()
    assert found.rank == M.dim - 6
    assert [(u.directions, u.fix) for u in found.undetermined] == [(2, {"x": [k]}) for k in (0, 30, 60)]
    assert [u.variables["x"].tolist() for u in found.undetermined] == [list(range(k, k + 30)) for k in (0, 30, 60)]
    assert "2 undetermined directions shared by x 30..59" in str(found.undetermined[1])
    assert np.isinf(found.standard_errors[: 2 * N]).all() and np.isfinite(found.standard_errors[2 * N :]).all()
    assert np.isfinite(found.covariance_of("R")).all()
    with pytest.raises(ValueError, match="has no covariance"):
        found.covariance_blocks("x")
    suggested = {"x": [k for u in found.undetermined for k in u.fix["x"]]}
    again = solved(monkeypatch, False, residuals, suggested).statistics()
    assert again.undetermined == [] and np.isfinite(again.standard_errors).all()


def test_a_variable_that_nothing_depends_on_is_named(monkeypatch):
    residuals = [block for block in blocks() if "R" not in block.variables]
    found = solved(monkeypatch, False, residuals).statistics()
    assert sum(u.directions for u in found.undetermined) == 30
    assert {tuple(u.fix) for u in found.undetermined} == {("R",)}
    assert sorted(k for u in found.undetermined for k in u.fix["R"]) == list(range(10))


def test_numpy_fronts_give_the_same(monkeypatch):
    result = solved(monkeypatch, False, blocks())
    expected = result.statistics().standard_errors
    monkeypatch.setattr("manifold_opt.statistics.sparse.is_installed", lambda name: False)
    np.testing.assert_allclose(result.statistics().standard_errors, expected, rtol=1e-10)


def test_bundles_have_sparse_statistics_and_the_dense_numbers():
    problem = bundle_scene(8, 100, 700, layout="street", rng=1).problem
    result = bundle_adjust(problem, fixed={"cameras": [0, 7]})
    fit = result.statistics()
    assert isinstance(fit, SparseStatistics) and not fit.undetermined
    J = result.state.evaluation.model_jacobian.toarray()
    inverse = np.linalg.inv(J.T @ J)
    points = fit.covariance_blocks("points")
    dense = fit.sigma**2 * inverse[-300:, -300:].reshape(100, 3, 100, 3)[range(100), :, range(100)]
    np.testing.assert_allclose(points, dense, rtol=1e-6, atol=1e-9 * np.abs(dense).max())
    free = bundle_adjust(problem).statistics()
    assert sum(entry.directions for entry in free.undetermined) == 7, "what no picture shows"

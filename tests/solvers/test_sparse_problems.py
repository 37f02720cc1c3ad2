"""Large sparse problems through the solvers: no dense matrix, one analysis of the pattern, bounds, SciPy Jacobians."""

from __future__ import annotations

import autograd.numpy as anp
import numpy as np
import pytest
import scipy.sparse as sp

from manifold_opt import (
    BlockObjective,
    Cauchy,
    Euclidean,
    PowerManifold,
    ProductManifold,
    ResidualBlock,
    dogleg,
    gauss_newton,
    least_squares,
    levenberg_marquardt,
)
from manifold_opt.linalg.sparse_solvers import SparseCholesky
from manifold_opt.solvers.damping import Nielsen
from manifold_opt.solvers.trust_region_steps import More, PowellDogleg

N = 150
M = ProductManifold(x=PowerManifold(Euclidean(2), N))
I, J = np.arange(N - 1), np.arange(1, N)
Z = np.random.default_rng(0).standard_normal((N - 1, 2))
K = np.arange(0, N, 10)


def difference(x, y, z):
    return y - x + 0.2 * anp.sin(y) - z


def anchor(x):
    return 0.5 * x


BLOCKS = [
    ResidualBlock(difference, ("x", "x"), indices=(I, J), data=(Z,)),
    ResidualBlock(anchor, "x", indices=(K,)),
]
START = np.zeros(2 * N)


def plain(p):
    x = anp.reshape(p, (N, 2))
    return anp.concatenate([anp.reshape(difference(x[I], x[J], Z), (-1,)), anp.reshape(anchor(x[K]), (-1,))])


def jacobian(p):
    x = p.reshape(N, 2)
    rows = np.arange(2 * (N - 1))
    left = np.full(2 * (N - 1), -1.0), (rows, (2 * I[:, None] + [0, 1]).reshape(-1))
    right = (1.0 + 0.2 * np.cos(x[J])).reshape(-1), (rows, (2 * J[:, None] + [0, 1]).reshape(-1))
    below = np.full(2 * len(K), 0.5), (2 * (N - 1) + np.arange(2 * len(K)), (2 * K[:, None] + [0, 1]).reshape(-1))
    values, places = zip(left, right, below)
    row, column = (np.concatenate(index) for index in zip(*places))
    return sp.csr_array((np.concatenate(values), (row, column)), shape=(2 * (N - 1) + 2 * len(K), 2 * N))


@pytest.fixture(autouse=True)
def nothing_dense(monkeypatch):
    """Nothing here may write a matrix out."""

    def refused(J):
        raise AssertionError("a sparse matrix was written out")

    for name in ("manifold_opt.linalg.solvers.dense", "manifold_opt.objectives.least_squares.dense"):
        monkeypatch.setattr(name, refused)
    monkeypatch.setattr("manifold_opt.linalg.block_matrix.BlockMatrix.toarray", refused)


@pytest.fixture(scope="module")
def solution():
    return levenberg_marquardt(M, BLOCKS, START).point


@pytest.mark.parametrize(
    "solve",
    [
        levenberg_marquardt,
        lambda *a, **k: levenberg_marquardt(*a, damping=Nielsen(), **k),
        lambda *a, **k: levenberg_marquardt(*a, damping=More(), **k),
        lambda *a, **k: levenberg_marquardt(*a, geodesic_acceleration=0.75, **k),
        lambda *a, **k: levenberg_marquardt(*a, linear_solver=SparseCholesky("numpy"), **k),
        gauss_newton,
        dogleg,
        lambda *a, **k: dogleg(*a, subspace=True, **k),
        lambda *a, **k: least_squares(*a, method="trf", **k),
    ],
    ids=["default", "nielsen", "more", "accelerated", "numpy", "gauss-newton", "powell", "subspace", "trf"],
)
@pytest.mark.parametrize("kind", ["blocks", "sparse"])
def test_every_solver_finds_the_solution(solve, kind, solution):
    M_, f, extra = (M, BLOCKS, {}) if kind == "blocks" else (Euclidean(2 * N), plain, {"jacobian": jacobian})
    if kind == "sparse" and solve.__name__ == "<lambda>" and "trf" in (solve.__code__.co_consts or ()):
        extra = {"jac": jacobian, "jacobian_type": "coordinates"}
    result = solve(M_, f, START, **extra)
    assert result.converged, result.message
    np.testing.assert_allclose(result.point, solution, atol=1e-6)


def test_the_default_steps_along_a_dogleg_and_factorizes_once_per_point():
    result = levenberg_marquardt(M, BLOCKS, START)
    assert isinstance(result.state.damping_rule, PowellDogleg)
    # one per Jacobian: the test of convergence and the step share it
    assert result.state._solver.factorizations <= result.evaluations["jacobian"]


def test_a_rejected_step_costs_no_jacobian_and_one_factorization():
    result = levenberg_marquardt(M, BLOCKS, START + 4.0, damping=Nielsen(tau=1e-9))
    rejected = result.evaluations["residual"] - result.evaluations["jacobian"]
    assert rejected > 0
    # and some without damping when convergence is near, where steps are judged by the gradient
    assert result.state._solver.factorizations <= 1.3 * result.evaluations["residual"]


@pytest.mark.parametrize("method", ["lm", "trf", "dogbox"])
def test_bounds_on_a_sparse_problem(method):
    lower, upper = np.full(2 * N, -0.8), np.full(2 * N, 0.9)
    result = least_squares(M, BLOCKS, START, method=method, bounds=(lower, upper), max_iterations=500)
    p, g = result.point, result.state.evaluation.gradient_coordinates
    assert ((p >= lower) & (p <= upper)).all() and result.converged
    free = (p > lower + 1e-4) & (p < upper - 1e-4)
    assert 0 < free.sum() < 2 * N
    assert np.abs(g[free]).max() < 1e-5
    assert (g[p <= lower] >= -1e-8).all() and (g[p >= upper] <= 1e-8).all()


def test_robust_losses_keep_the_pattern(monkeypatch):
    made = []
    init = SparseCholesky.bind

    def bind(self):
        bound = init(self)
        made.append(bound)
        return bound

    monkeypatch.setattr(SparseCholesky, "bind", bind)
    robust = [
        ResidualBlock(difference, ("x", "x"), indices=(I, J), data=(Z,), loss=Cauchy(scale=0.3)),
        ResidualBlock(anchor, "x", indices=(K,)),
    ]
    first = levenberg_marquardt(M, BLOCKS, START)
    second = levenberg_marquardt(M, BlockObjective(robust), first.point)
    assert second.converged and made[0]._pattern is made[1]._pattern

"""Residual blocks and families over named variables."""

import autograd.numpy as anp
import numpy as np
import pytest

from manifold_opt import (
    BlockObjective,
    Cauchy,
    Euclidean,
    PowerManifold,
    Problem,
    ProductManifold,
    ResidualBlock,
    Rotations,
    Sphere,
    levenberg_marquardt,
)

RNG = np.random.default_rng(11)
M = ProductManifold(u=PowerManifold(Sphere(2), 6), R=PowerManifold(Rotations(3), 4), b=Euclidean(3))
I, J, K = np.array([0, 1, 2, 3, 4, 5, 0]), np.array([1, 2, 3, 4, 5, 0, 3]), np.array([0, 1, 2, 3, 0, 1, 2])
Z = RNG.standard_normal((7, 3))


def rotated(u, R, b, z):
    return anp.einsum("nij,nj->ni", R, u) + b - z


def angles(u, v):
    return anp.sum(u * v, axis=1)


def prior(b):
    return b - 1.0


BLOCKS = [
    ResidualBlock(rotated, ("u", "R", "b"), indices=(I, K, None), data=(Z,), loss=Cauchy(scale=0.7)),
    ResidualBlock(angles, ("u", "u"), indices=(I, J), weight=np.arange(1.0, 8.0)),
    ResidualBlock(prior, "b", covariance=np.diag([1.0, 4.0, 9.0]) + 0.5),
]


def differences(problem, p, h=1e-6):
    def at(c):
        return problem.evaluate(M.retract(p, M.get_vector(p, c))).residuals

    return np.stack([(at(h * c) - at(-h * c)) / (2 * h) for c in np.eye(M.dim)], axis=1)


@pytest.mark.parametrize("autodiff", ["auto", "finite-differences"])
def test_jacobian_agrees_with_differences(autodiff):
    problem, p = Problem(M, BlockObjective(BLOCKS, autodiff=autodiff)), M.random_point(3)
    matrix = problem.evaluate(p).jacobian
    assert matrix.shape == (7 * 3 + 7 + 3, M.dim)
    # central differences with h = 1e-6 err by 1e-10 in rounding
    np.testing.assert_allclose(matrix.toarray(), differences(problem, p), atol=3e-9)


def test_block_matrix_products_equal_dense_ones():
    e = Problem(M, BlockObjective(BLOCKS)).evaluate(M.random_point(4))
    A, rng = e.jacobian.toarray(), np.random.default_rng(0)
    x, y = rng.standard_normal(A.shape[1]), rng.standard_normal(A.shape[0])
    np.testing.assert_allclose(e.jacobian @ x, A @ x, atol=1e-13)
    np.testing.assert_allclose(e.jacobian.T @ y, A.T @ y, atol=1e-13)


def test_robust_model_of_blocks_equals_that_of_the_dense_matrix():
    e = Problem(M, BlockObjective(BLOCKS)).evaluate(M.random_point(5))
    r, A = e.functions.robust.corrected(e.residuals, e.jacobian.toarray(), e.losses)
    np.testing.assert_allclose(e.model_residuals, r, atol=1e-14)
    np.testing.assert_allclose(e.model_jacobian.toarray(), A, atol=1e-14)
    np.testing.assert_allclose(A.T @ r, e.gradient_coordinates, atol=1e-12)


def test_cost_is_the_sum_over_instances():
    p = M.random_point(6)
    u, R, b = M.split(p)
    expected = 0.0
    for n in range(7):
        s = np.sum((R[K[n]] @ u[I[n]] + b - Z[n]) ** 2)
        expected += 0.5 * 0.49 * np.log1p(s / 0.49) + 0.5 * (n + 1) * (u[I[n]] @ u[J[n]]) ** 2
    expected += 0.5 * (b - 1) @ np.linalg.solve(np.diag([1.0, 4.0, 9.0]) + 0.5, b - 1)
    assert Problem(M, BlockObjective(BLOCKS)).cost(p) == pytest.approx(expected, rel=1e-13)


def test_gradient_is_the_derivative_of_the_cost():
    problem, p = Problem(M, BlockObjective(BLOCKS)), M.random_point(7)
    X, h = M.random_vector(p, 8), 1e-5
    slope = (problem.cost(M.retract(p, X, h)) - problem.cost(M.retract(p, X, -h))) / (2 * h)
    assert M.inner(p, problem.gradient(p), X) == pytest.approx(slope, rel=1e-7)


def test_blocks_solve_like_the_plain_residual():
    N = ProductManifold(R=Rotations(3), t=Euclidean(3))
    rng = np.random.default_rng(2)
    a = rng.standard_normal((30, 3))
    b = a @ Rotations(3).random_point(rng).T + [1.0, 2.0, 3.0] + 0.01 * rng.standard_normal((30, 3))
    index = np.zeros(30, dtype=int)
    P = ProductManifold(R=PowerManifold(Rotations(3), 1), t=Euclidean(3))
    family = ResidualBlock(
        lambda R, t, a, b: anp.einsum("nij,nj->ni", R, a) + t - b, ("R", "t"), indices=(index, None), data=(a, b)
    )
    single = ResidualBlock(lambda R, t: anp.reshape(anp.dot(a, R.T) + t - b, (-1,)), ("R", "t"))
    start = N.join(np.eye(3), np.zeros(3))
    plain = levenberg_marquardt(N, N.componentwise(lambda R, t: (a @ R.T + t - b).ravel()), start)
    for manifold, block in ((P, family), (N, single)):
        result = levenberg_marquardt(manifold, [block], start)
        assert result.converged
        np.testing.assert_allclose(result.point, plain.point, atol=1e-9)


def test_derivatives_cost_no_calls_per_instance():
    calls = []

    def counted(u, R, b, z):
        calls.append(len(z))
        return rotated(u, R, b, z)

    block = ResidualBlock(counted, ("u", "R", "b"), indices=(I, K, None), data=(Z,))
    problem, p = Problem(M, BlockObjective([block])), M.random_point(9)
    problem.functions(p)
    calls.clear()
    _ = problem.evaluate(p).jacobian
    assert calls == []  # it was checked there, and is handed out
    _ = problem.evaluate(M.random_point(10)).jacobian
    assert calls == [7, 7, 7]  # all instances at once, along all coordinates of one variable after the other


def test_given_jacobians_of_both_kinds():
    def euclidean(u, v):
        return v[:, None, :], u[:, None, :]

    def coordinates(u, v):
        S = Sphere(2)
        return S.get_coordinates(u, S.project_vector(u, v))[:, None], S.get_coordinates(v, S.project_vector(v, u))[
            :, None
        ]

    p = M.random_point(10)
    expected = Problem(M, BlockObjective([ResidualBlock(angles, ("u", "u"), indices=(I, J))])).evaluate(p).jacobian
    for jacobian, kind in ((euclidean, "euclidean"), (coordinates, "coordinates")):
        block = ResidualBlock(angles, ("u", "u"), indices=(I, J), jacobian=jacobian, jacobian_type=kind)
        found = Problem(M, BlockObjective([block])).evaluate(p).jacobian
        np.testing.assert_allclose(found.toarray(), expected.toarray(), atol=1e-14)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ResidualBlock(prior, "b", indices=(I, J)), "one entry per variable"),
        (lambda: ResidualBlock(angles, ("u", "u"), indices=(I, J[:3])), "one length"),
        (lambda: ResidualBlock(angles, ("u", "u"), indices=(I * 0.5, J)), "integers"),
        (lambda: ResidualBlock(prior, "b", weight=-1.0), "weight"),
        (lambda: ResidualBlock(prior, "b", weight=1.0, covariance=np.eye(3)), "only one"),
        (lambda: ResidualBlock(prior, "b", covariance=-np.eye(3)), "positive definite"),
        (lambda: Problem(M, BlockObjective([ResidualBlock(prior, "c")])).cost(M.random_point(0)), "'c'"),
        (
            lambda: Problem(M, BlockObjective([ResidualBlock(angles, ("u", "u"), indices=(I, J + 3))])).cost(
                M.random_point(0)
            ),
            r"0\.\.5",
        ),
        (
            lambda: Problem(M, BlockObjective([ResidualBlock(angles, ("b", "u"), indices=(I, J))])).cost(
                M.random_point(0)
            ),
            "PowerManifold",
        ),
        (
            lambda: Problem(M, BlockObjective([ResidualBlock(lambda u: u[:3], "u", indices=(I,))])).cost(
                M.random_point(0)
            ),
            r"\(7, m\)",
        ),
        (
            lambda: Problem(M, BlockObjective([ResidualBlock(prior, "b", covariance=np.eye(2))])).cost(
                M.random_point(0)
            ),
            "covariance",
        ),
    ],
)
def test_mistakes_are_named(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_blocks_need_named_variables():
    with pytest.raises(TypeError, match="ProductManifold"):
        levenberg_marquardt(Euclidean(3), [ResidualBlock(prior, "b")], np.zeros(3))
    with pytest.raises(TypeError, match="ResidualBlock"):
        BlockObjective([prior])
    with pytest.raises(ValueError, match="is an objective already"):
        levenberg_marquardt(M, BLOCKS, M.random_point(0), loss="huber")

"""Sparse factorizations of J'J: against dense solvers on random patterns, singular ones, and one after the other."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from manifold_opt.linalg.automatic import Automatic, chosen
from manifold_opt.linalg.block_matrix import BlockMatrix, BlockPart
from manifold_opt.linalg.factorizations import METHODS, factorization, is_installed
from manifold_opt.linalg.normal_matrix import MatrixPattern, NormalPattern
from manifold_opt.linalg.solvers import DenseQR
from manifold_opt.linalg.sparse_solvers import SparseCholesky


def graph(rng, n=40, edges=90, k=3, m=4, dtype=float):
    """A connected graph of n nodes of width k, as a block matrix."""
    i = np.concatenate([np.arange(n - 1), rng.integers(0, n, edges)])
    j = np.concatenate([np.arange(1, n), rng.integers(0, n, edges)])
    blocks = [rng.standard_normal((len(i), m, k)).astype(dtype) for _ in range(2)]
    parts = [BlockPart(0, k * i, blocks[0]), BlockPart(0, k * j, blocks[1])]
    return BlockMatrix((m * len(i), k * n), parts)


# importing them may warn of what they were built with
METHOD = [
    pytest.param(name, marks=pytest.mark.skipif(not is_installed(name), reason=f"{name} is not installed"))
    for name in METHODS
]


def bound(J, method="auto"):
    b = SparseCholesky(method).bind()
    b.factor(J)
    return b


@pytest.mark.parametrize("method", METHOD)
@pytest.mark.parametrize("kind", ["blocks", "csr", "csc"])
@pytest.mark.parametrize(("lam", "scaled"), [(0.0, False), (1e-3, False), (10.0, True)])
def test_a_step_is_that_of_the_dense_solver(method, kind, lam, scaled):
    rng = np.random.default_rng(0)
    J = graph(rng)
    r, D = rng.standard_normal(J.shape[0]), rng.uniform(0.5, 2.0, J.shape[1]) if scaled else None
    dense = DenseQR().bind()
    dense.factor(J.toarray())
    b = bound(J if kind == "blocks" else sp.csr_matrix(J.toarray()).asformat(kind), method)
    s, Js = b.solve(r, lam, D)
    t, Jt = dense.solve(r, lam, D)
    np.testing.assert_allclose(s, t, atol=1e-11 * np.abs(t).max())
    np.testing.assert_allclose(Js, Jt, atol=1e-11)
    assert b.projected_norm(r) == pytest.approx(dense.projected_norm(r), rel=1e-10)
    np.testing.assert_allclose(b.column_norms(), dense.column_norms(), rtol=1e-13)


def test_one_damping_costs_one_factorization():
    rng = np.random.default_rng(1)
    J = graph(rng)
    b, r = bound(J), rng.standard_normal(J.shape[0])
    b.solve(r, 1e-3)
    b.solve(rng.standard_normal(J.shape[0]), 1e-3)
    assert b.factorizations == 1
    b.solve(r, 1e-2)
    assert b.factorizations == 2


@pytest.mark.parametrize(
    ("J", "kind"),
    [
        (np.ones((3, 300)), "DenseQR"),
        (sp.csr_array((3, 300)), "SparseCholesky"),
        (sp.csr_array((3, 30)), "DenseQR"),
        (BlockMatrix((3, 300), []), "SparseCholesky"),
    ],
    ids=["dense", "sparse", "small", "blocks"],
)
def test_the_solver_is_chosen_by_the_jacobian(J, kind):
    assert type(chosen(Automatic(), J)).__name__ == kind


@pytest.mark.parametrize("method", METHOD)
def test_a_factorization_serves_one_matrix_after_the_other(method):
    rng = np.random.default_rng(2)
    J, K = graph(rng), graph(rng)
    K = BlockMatrix(J.shape, [a._replace(blocks=b.blocks) for a, b in zip(J.parts, K.parts, strict=True)])
    b = bound(J, method)
    for A in (J, K, J):
        r = rng.standard_normal(J.shape[0])
        b.factor(A)
        s, _ = b.solve(r, 1e-2)
        D = A.toarray()
        expected = -np.linalg.solve(D.T @ D + 1e-2 * np.eye(D.shape[1]), D.T @ r)
        np.testing.assert_allclose(s, expected, atol=1e-11 * np.abs(expected).max())


@pytest.mark.parametrize("method", METHOD)
def test_another_pattern_is_analysed_anew(method):
    rng = np.random.default_rng(3)
    b = SparseCholesky(method).bind()
    for n in (10, 25, 10):
        J = graph(rng, n=n)
        r = rng.standard_normal(J.shape[0])
        b.factor(J)
        A = J.toarray()
        np.testing.assert_allclose(b.solve(r, 0.0)[0], -np.linalg.lstsq(A, r, rcond=None)[0], atol=1e-10)


@pytest.mark.parametrize("method", METHOD)
def test_a_matrix_that_is_not_definite_is_refused(method):
    A = sp.csc_array(np.diag([1.0, 2.0, 3.0, 4.0]) + np.eye(4, k=1) + np.eye(4, k=-1))
    pattern = MatrixPattern(A)
    f = factorization(pattern, method)
    b = np.arange(4.0)
    f.factor(pattern.values(A))
    np.testing.assert_allclose(f.solve(b), np.linalg.solve(A.toarray(), b), atol=1e-14)
    two = np.stack([b, b[::-1]], axis=1)
    np.testing.assert_allclose(f.solve(two), np.linalg.solve(A.toarray(), two), atol=1e-14)
    if method != "rslab":  # an LDL' of indefinite matrices
        with pytest.raises(np.linalg.LinAlgError):
            f.factor(pattern.values(A - 5.0 * sp.csr_array(sp.eye(4))))
    f.factor(pattern.values(A))
    np.testing.assert_allclose(f.solve(b), np.linalg.solve(A.toarray(), b), atol=1e-14)
    with pytest.raises(np.linalg.LinAlgError):
        f.factor(pattern.values(A) * np.nan)


@pytest.mark.parametrize("method", ["compiled", "numpy"])
def test_single_precision_stays(method):
    if not is_installed(method):
        pytest.skip("numba is not installed")
    rng = np.random.default_rng(4)
    J = graph(rng, dtype=np.float32)
    r = rng.standard_normal(J.shape[0]).astype(np.float32)
    s, Js = bound(J, method).solve(r, np.float32(1e-2))
    assert s.dtype == Js.dtype == np.float32
    A = J.toarray().astype(float)
    expected = -np.linalg.solve(A.T @ A + 1e-2 * np.eye(A.shape[1]), A.T @ r)
    np.testing.assert_allclose(s, expected, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("method", ["compiled", "numpy"])
def test_random_patterns(method, seed):
    """Stars, cliques, chains, lonely nodes, nodes of several widths, shared variables."""
    if not is_installed(method):
        pytest.skip("numba is not installed")
    rng = np.random.default_rng(seed)
    widths = rng.integers(1, 7, 30)
    starts = np.concatenate([[0], np.cumsum(widths)])
    parts, row = [], 0
    for k in range(1, 7):
        nodes = np.flatnonzero(widths == k)
        if not len(nodes):
            continue
        n, m = 3 * len(nodes), 4
        other = int(rng.integers(1, 7))
        others = np.flatnonzero(widths == other)
        mine = starts[rng.choice(nodes, n)]
        parts.append(BlockPart(row, mine, rng.standard_normal((n, m, k))))
        if len(others):
            parts.append(BlockPart(row, starts[rng.choice(others, n)], rng.standard_normal((n, m, other))))
        if seed % 2:
            parts.append(BlockPart(row, np.zeros(n, int), rng.standard_normal((n, m, int(widths[0])))))
        row += n * m
    J = BlockMatrix((row, int(starts[-1])), parts)
    A, r = J.toarray(), rng.standard_normal(row)
    expected = -np.linalg.solve(A.T @ A + np.eye(A.shape[1]), A.T @ r)
    np.testing.assert_allclose(bound(J, method).solve(r, 1.0)[0], expected, atol=1e-12)


def test_the_parts_of_a_pose_are_one_node():
    rng = np.random.default_rng(5)
    n = 20
    i, j = rng.integers(0, n, 60), rng.integers(0, n, 60)
    columns = [3 * i, 3 * j, 3 * n + 3 * i, 3 * n + 3 * j]
    J = BlockMatrix((6 * 60, 6 * n), [BlockPart(0, c, rng.standard_normal((60, 6, 3))) for c in columns])
    pattern = NormalPattern(J)
    assert (pattern.widths == 6).all()
    A, r = J.toarray(), rng.standard_normal(360)
    expected = -np.linalg.solve(A.T @ A + np.eye(6 * n), A.T @ r)
    for method in ("compiled", "numpy", "superlu"):
        if is_installed(method):
            np.testing.assert_allclose(bound(J, method).solve(r, 1.0)[0], expected, atol=1e-12)


def test_unknown_and_missing_methods_are_named():
    with pytest.raises(ValueError, match="'compiled'"):
        SparseCholesky("fast")
    missing = [name for name in METHODS if not is_installed(name)]
    if missing:
        with pytest.raises(ImportError, match="needs the package"):
            bound(graph(np.random.default_rng(0)), missing[0])


@pytest.mark.parametrize("method", ["compiled", "numpy"])
def test_what_is_undetermined_is_not_moved(method):
    """A chain of differences: all nodes together can be shifted, in two directions."""
    if not is_installed(method):
        pytest.skip("numba is not installed")
    rng = np.random.default_rng(6)
    n = 50
    i, j = np.arange(n - 1), np.arange(1, n)
    unit = np.broadcast_to(np.eye(2), (n - 1, 2, 2))
    J = BlockMatrix((2 * n - 2, 2 * n), [BlockPart(0, 2 * i, -unit), BlockPart(0, 2 * j, unit)])
    r = rng.standard_normal(2 * n - 2)
    b = bound(J, method)
    s, Js = b.solve(r, 0.0)
    assert b.singular
    np.testing.assert_allclose(Js, -r, atol=1e-8)  # the damping at rounding level leaves its trace
    assert np.abs(s).max() < 1e3
    assert b.projected_norm(r) == pytest.approx(np.linalg.norm(r), rel=1e-8)
    before = b.factorizations
    b.factor(J)
    b.solve(rng.standard_normal(2 * n - 2), 0.0)
    assert b.factorizations == before + 1  # it is known by now


@pytest.mark.parametrize("method", ["compiled", "numpy"])
@pytest.mark.parametrize("seed", range(3))
def test_selected_inverse(method, seed):
    if not is_installed(method):
        pytest.skip("numba is not installed")
    rng = np.random.default_rng(seed)
    J = graph(rng, n=60, edges=60)
    pattern = NormalPattern(J)
    f = factorization(pattern, method)
    damping = rng.uniform(0.5, 1.0, pattern.size)
    f.factor(pattern.values(J), damping)
    A = J.toarray()
    inverse = np.linalg.inv(A.T @ A + np.diag(damping))
    found = f.inverse()
    np.testing.assert_allclose(found.diagonal(), np.diagonal(inverse), rtol=1e-10)
    columns = np.arange(pattern.size).reshape(-1, 3)
    np.testing.assert_allclose(found.blocks(columns), inverse[columns[:, :, None], columns[:, None, :]], atol=1e-12)
    pairs = np.stack([J.parts[0].columns, J.parts[1].columns], axis=1)
    np.testing.assert_allclose(found.blocks(pairs), inverse[pairs[:, :, None], pairs[:, None, :]], atol=1e-12)
    with pytest.raises(KeyError, match="unit vector"):
        found.blocks(np.arange(pattern.size)[None])


def grid(k):
    """A cube of nodes of width 2, each tied to its neighbours."""
    numbers = np.arange(k**3).reshape(k, k, k)
    i = np.concatenate([numbers[1:].ravel(), numbers[:, 1:].ravel(), numbers[:, :, 1:].ravel()])
    j = np.concatenate([numbers[:-1].ravel(), numbers[:, :-1].ravel(), numbers[:, :, :-1].ravel()])
    rng = np.random.default_rng(0)
    parts = [BlockPart(0, 2 * c, rng.standard_normal((len(i), 3, 2))) for c in (i, j)]
    return BlockMatrix((3 * len(i), 2 * k**3), parts)


@pytest.mark.parametrize("method", ["compiled", "numpy"])
def test_orders_of_elimination(method):
    pytest.importorskip("pymetis")
    if not is_installed(method):
        pytest.skip("numba is not installed")
    J = grid(5)
    r = np.random.default_rng(1).standard_normal(J.shape[0])
    A = J.toarray()
    expected = -np.linalg.solve(A.T @ A + np.eye(A.shape[1]), A.T @ r)
    for ordering in ("minimum-degree", "nested-dissection"):
        b = SparseCholesky(method, ordering).bind()
        b.factor(J)
        np.testing.assert_allclose(b.solve(r, 1.0)[0], expected, atol=1e-12)
    with pytest.raises(ValueError, match="nested-dissection"):
        SparseCholesky(ordering="natural")


def test_a_better_order_is_taken_by_itself(monkeypatch):
    pytest.importorskip("pymetis")
    monkeypatch.setattr("manifold_opt.linalg.multifrontal._WORTH_ANOTHER", 0.0)
    operations = {}
    for ordering in ("auto", "minimum-degree", "nested-dissection"):
        b = SparseCholesky("numpy", ordering).bind()
        b.factor(grid(9))
        operations[ordering] = b._method.tables.fronts.operations
    assert operations["auto"] == min(operations.values())


def test_dense_matrices_are_taken_and_operators_refused():
    rng = np.random.default_rng(0)
    A, r = rng.standard_normal((9, 4)), rng.standard_normal(9)
    np.testing.assert_allclose(bound(A).solve(r, 0.0)[0], -np.linalg.lstsq(A, r, rcond=None)[0], atol=1e-12)
    with pytest.raises(TypeError, match="LSMR"):
        bound(sp.linalg.aslinearoperator(A))


def test_a_block_matrix_without_zeros_is_dealt_with_as_a_dense_one():
    full = BlockMatrix((300, 250), [BlockPart(0, np.array([0]), np.ones((1, 300, 250)))])
    assert type(chosen(Automatic(), full)).__name__ == "DenseQR"


def test_two_that_share_a_factor_do_not_mix_their_answers():
    rng = np.random.default_rng(8)
    J = graph(rng)
    K = BlockMatrix(J.shape, [part._replace(blocks=2.0 * part.blocks) for part in J.parts])
    r, q = rng.standard_normal(J.shape[0]), rng.standard_normal(J.shape[0])
    first = bound(J)
    s = first.solve(r, 0.0)[0].copy()
    second = first.fresh()
    second.factor(K)
    np.testing.assert_allclose(second.solve(r, 0.0)[0], 0.5 * s, atol=1e-12)
    expected = -np.linalg.lstsq(J.toarray(), q, rcond=None)[0]
    np.testing.assert_allclose(first.solve(q, 0.0)[0], expected, atol=1e-11)
    np.testing.assert_allclose(second.solve(q, 0.0)[0], 0.5 * expected, atol=1e-11)

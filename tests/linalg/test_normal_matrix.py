"""J'J of sparse matrices: the same numbers as the dense product, whatever the blocks."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from manifold_opt.linalg.block_matrix import BlockMatrix, BlockPart
from manifold_opt.linalg.normal_matrix import NormalPattern


def families(rng, dtype=float):
    """Two families and a single block, over nodes of widths 3, 2 and 4; some blocks stand nowhere."""
    first = np.array([0, 3, 6, 9]), np.array([12, 14, 16]), np.array([18])
    size = 22

    def part(row, columns, m, k):
        blocks = rng.standard_normal((len(columns), m, k)).astype(dtype)
        blocks[columns < 0] = 0.0
        return BlockPart(row, columns, blocks)

    i = first[0][[0, 1, 2, 3, 0, 1]]
    j = first[0][[1, 2, 3, 0, 2, 1]]  # the last instance has one variable twice
    parts = [
        part(0, np.where(np.arange(6) == 4, -1, i), 2, 3),
        part(0, j, 2, 3),
        part(0, np.full(6, 18), 2, 4),
        part(12, first[1][[0, 1, 2, 0]], 3, 2),
        part(12, first[0][[3, 1, 0, 2]], 3, 3),
        part(24, first[2], 5, 4),
    ]
    return BlockMatrix((29, size), parts)


def written_out(pattern, values):
    indptr, indices, at = pattern.full
    return sp.csc_array((values[at], indices, indptr), shape=(pattern.size,) * 2).toarray()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_blocks_give_the_dense_product(dtype):
    J = families(np.random.default_rng(0), dtype)
    pattern = NormalPattern(J)
    values = pattern.values(J)
    A = J.toarray()
    assert values.dtype == dtype
    np.testing.assert_allclose(written_out(pattern, values), A.T @ A, atol=20 * np.finfo(dtype).eps * len(A))
    np.testing.assert_allclose(values[pattern.diagonal], np.sum(A * A, axis=0), rtol=1e-5)
    assert pattern.widths.tolist() == [3, 3, 3, 3, 2, 2, 2, 4]


def test_the_pattern_serves_other_numbers_and_knows_other_patterns():
    rng = np.random.default_rng(1)
    J, K = families(rng), families(rng)
    pattern = NormalPattern(J)
    assert pattern.matches(K)
    A = K.toarray()
    np.testing.assert_allclose(written_out(pattern, pattern.values(K)), A.T @ A, atol=1e-13)
    moved = BlockMatrix(J.shape, [part._replace(columns=part.columns[::-1]) for part in J.parts])
    assert not pattern.matches(moved)
    assert not pattern.matches(sp.csr_array(A))


def test_columns_that_are_cut_differently_become_nodes_of_their_own():
    rng = np.random.default_rng(2)
    parts = [
        BlockPart(0, np.array([0, 4]), rng.standard_normal((2, 3, 4))),
        BlockPart(6, np.array([1, 3]), rng.standard_normal((2, 2, 3))),
    ]
    J = BlockMatrix((10, 8), parts)
    pattern = NormalPattern(J)
    A = J.toarray()
    np.testing.assert_allclose(written_out(pattern, pattern.values(J)), A.T @ A, atol=1e-13)


@pytest.mark.parametrize("density", [0.02, 0.3, 1.0])
def test_scipy_matrices(density):
    A = sp.csr_array(sp.random(40, 25, density, random_state=np.random.default_rng(3)))
    pattern = NormalPattern(A)
    np.testing.assert_allclose(written_out(pattern, pattern.values(A)), (A.T @ A).toarray(), atol=1e-13)


def test_the_triangle_is_the_lower_one():
    J = families(np.random.default_rng(4))
    pattern = NormalPattern(J)
    indptr, indices, at = pattern.triangle
    L = sp.csc_array((pattern.values(J)[at], indices, indptr), shape=(22, 22)).toarray()
    A = J.toarray()
    np.testing.assert_allclose(L, np.tril(A.T @ A), atol=1e-13)

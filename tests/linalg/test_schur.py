"""The Schur complement against dense least squares of the same damped system."""

from __future__ import annotations

import numpy as np
import pytest

from manifold_opt import BlockObjective, Problem, ResidualBlock
from manifold_opt.datasets import bundle_scene
from manifold_opt.functions import CameraModel
from manifold_opt.linalg.automatic import Automatic
from manifold_opt.linalg.block_matrix import BlockMatrix, BlockPart
from manifold_opt.linalg.grouped_products import GroupedProducts
from manifold_opt.linalg.iterative_solvers import LSMR, ConjugateGradients
from manifold_opt.linalg.preconditioners import BlockJacobi, BlockSquares
from manifold_opt.linalg.schur import SchurComplement
from manifold_opt.linalg.small_cholesky import inverse_cholesky
from manifold_opt.linalg.sparse_solvers import SparseCholesky

CALIBRATED = CameraModel((), {"f": 800.0})


def blocks_of(problem):
    """More families: of points alone, of cameras alone, of two cameras, of two cameras and a point."""
    i, j, p, l = np.array([0, 1, 2, 2]), np.array([1, 2, 3, 5]), np.array([1, 2, 3, 5]), np.array([1, 3, 3, 5])
    t = slice(9, 12)
    return [
        problem.block(),
        ResidualBlock(lambda X: X - 1.0, "points", indices=(np.arange(0, 40, 3),)),
        ResidualBlock(lambda c: 2.0 * c[..., 5:10], "cameras", indices=(i,)),
        ResidualBlock(lambda c, d: c[..., t] - d[..., t], ("cameras", "cameras"), indices=(i, j)),
        ResidualBlock(
            lambda c, X, d: c[..., t] - X + d[..., :3], ("cameras", "points", "cameras"), indices=(i, p, l)
        ),
    ]


def system(lens="own", loss=None, more=False, seed=0):
    keywords = {"own": {}, "shared": {"shared_lens": True}, "none": {"model": CALIBRATED}}[lens]
    problem = bundle_scene(6, 40, 150, rng=seed, **keywords).problem
    e = Problem(problem.manifold, BlockObjective(blocks_of(problem) if more else problem.block(loss))).evaluate(
        problem.start
    )
    return e.model_jacobian, e.model_residuals


def reference(A, r, lam, scale):
    B = np.vstack([A, np.sqrt(lam) * np.diag(scale)])
    return -np.linalg.lstsq(B, np.concatenate([r, np.zeros(len(scale))]), rcond=None)[0]


@pytest.mark.parametrize("reduced", ["dense", "sparse", "iterative"])
@pytest.mark.parametrize(
    ("lens", "loss", "more", "eliminate"),
    [
        ("own", None, False, "auto"),
        ("own", "cauchy", False, "cameras"),
        ("own", None, True, "points"),
        ("shared", None, False, "points"),
        ("shared", "cauchy", False, "cameras"),
        ("shared", None, True, "auto"),
        ("none", None, True, "auto"),
    ],
)
def test_steps_are_those_of_dense_least_squares(lens, loss, more, eliminate, reduced):
    J, r = system(lens, loss, more)
    A = J.toarray()
    norms = np.linalg.norm(A, axis=0)
    scale = np.where(norms > 0.0, norms, 1.0)
    solver = SchurComplement(eliminate=eliminate, reduced=reduced, largest=1e-10, least=1e-10).bind()
    solver.factor(J)
    assert np.allclose(solver.column_norms(), norms, rtol=1e-12)
    assert np.allclose(solver.gradient(r), A.T @ r, rtol=1e-10, atol=1e-12 * np.abs(A.T @ r).max())
    for lam in (1e-3, 1.0):
        s, Js = solver.solve(r, lam, scale)
        expected = reference(A, r, lam, scale)
        tolerance = 1e-9 if reduced != "iterative" else 2e-5
        assert np.abs(s - expected).max() < tolerance * np.abs(expected).max()
        assert np.allclose(Js, A @ s, atol=1e-12 * np.abs(Js).max())


def test_the_variable_that_leaves_least_goes():
    J, _ = system()
    solver = SchurComplement().bind()
    solver.factor(J)
    assert solver.elimination.width == 3 and len(solver.elimination.starts) == 40
    many = bundle_scene(30, 10, 60, model=CALIBRATED, rng=0).problem  # many cameras, few points
    solver.factor(Problem(many.manifold, many.objective()).evaluate(many.start).jacobian)
    assert solver.elimination.width == 6 and len(solver.elimination.kept) == 30


@pytest.mark.parametrize("preconditioner", ["schur-jacobi", "block-jacobi", "jacobi", None])
@pytest.mark.parametrize("lens", ["own", "shared"])
def test_preconditioners_change_the_work_and_not_the_step(preconditioner, lens):
    J, r = system(lens)
    A = J.toarray()
    scale = np.linalg.norm(A, axis=0)
    rule = SchurComplement(reduced="iterative", preconditioner=preconditioner, largest=1e-12, least=1e-12)
    solver = rule.bind()
    solver.factor(J)
    s, _ = solver.solve(r, 1.0, scale)
    expected = reference(A, r, 1.0, scale)
    if preconditioner is not None:  # without one, columns of lengths 1e0 to 1e3 are beyond single sweeps
        assert np.abs(s - expected).max() < 1e-6 * np.abs(expected).max()
    assert 0 < solver.products <= 4 * A.shape[1]


def test_the_blocks_of_the_schur_complement_precondition_best():
    J, r = system()
    scale = np.linalg.norm(J.toarray(), axis=0)
    products = {}
    for kind in ("schur-jacobi", "block-jacobi", "jacobi"):
        solver = SchurComplement(reduced="iterative", preconditioner=kind, largest=1e-6, least=1e-6).bind()
        solver.factor(J)
        solver.solve(r, 1e-2, scale)
        products[kind] = solver.products
    assert products["schur-jacobi"] <= products["jacobi"] and products["block-jacobi"] <= products["jacobi"]


@pytest.mark.parametrize("lens", ["own", "shared"])
@pytest.mark.parametrize("kind", [LSMR, ConjugateGradients])
def test_whole_systems_are_preconditioned_by_the_blocks_of_variables(kind, lens):
    J, r = system(lens, more=lens == "own")
    A = J.toarray()
    scale = np.linalg.norm(A, axis=0)
    expected, products = reference(A, r, 1e-2, scale), {}
    for preconditioner in ("block-jacobi", "jacobi"):
        solver = kind(preconditioner=preconditioner, largest=1e-9, least=1e-9).bind()
        solver.factor(J)
        s, Js = solver.solve(r, 1e-2, scale)
        assert np.abs(s - expected).max() < 1e-5 * np.abs(expected).max()
        assert np.allclose(Js, A @ s, atol=1e-12 * np.abs(Js).max())
        products[preconditioner] = solver.products
    assert products["block-jacobi"] < products["jacobi"]


def test_blocks_of_variables_are_those_of_the_normal_matrix():
    J, _ = system(more=True)
    A = J.toarray()
    H, norms = A.T @ A, np.linalg.norm(A, axis=0)
    R = BlockJacobi(BlockSquares(J), norms, 1e-3 * norms**2)
    inverse = np.stack([R.apply(e) for e in np.eye(len(H))], axis=1)
    assert np.allclose(np.stack([R.apply_transposed(e) for e in np.eye(len(H))], axis=1), inverse.T)
    B = inverse.T @ (H + np.diag(1e-3 * norms**2)) @ inverse
    starts = np.concatenate([6 * np.arange(6), 36 + 3 * np.arange(6), 54 + 3 * np.arange(40)])
    widths = np.repeat([6, 3, 3], [6, 6, 40])
    for start, width in zip(starts, widths, strict=True):
        block = slice(start, start + width)
        assert np.allclose(B[block, block], np.eye(width), atol=1e-8)


def test_a_second_step_at_a_point_eliminates_only_for_another_damping():
    J, r = system()
    solver = SchurComplement().bind()
    solver.factor(J)
    scale = solver.column_norms()
    for lam, count in ((1e-2, 1), (1e-2, 1), (1e-1, 2)):
        solver.solve(r, lam, scale)
        assert solver.factorizations == count
    other = solver.fresh()
    other.factor(J)
    assert other.elimination is solver.elimination
    assert np.array_equal(other.solve(r, 1e-1, scale)[0], solver.solve(r, 1e-1, scale)[0])


def test_the_projection_knows_the_gauge():
    J, r = system()
    A = J.toarray()
    U, w, _ = np.linalg.svd(A / np.linalg.norm(A, axis=0), full_matrices=False)
    expected = np.linalg.norm(U[:, :-7].T @ r)
    solver = SchurComplement().bind()
    solver.factor(J)
    assert w[-7] < 1e-12 and abs(solver.projected_norm(r) - expected) < 1e-6 * expected


def test_single_precision_stays():
    J, r = system()
    half = BlockMatrix(J.shape, [part._replace(blocks=part.blocks.astype(np.float32)) for part in J.parts])
    for reduced in ("dense", "iterative"):
        solver = SchurComplement(reduced=reduced).bind()
        solver.factor(half)
        s, Js = solver.solve(r.astype(np.float32), 1e-2, solver.column_norms())
        assert s.dtype == Js.dtype == np.float32 and np.isfinite(s).all()


def test_what_is_not_determined_is_named():
    # a point seen once: two residuals for three coordinates
    part = BlockPart(0, np.array([0, 3]), np.random.default_rng(0).standard_normal((2, 2, 3)))
    camera = BlockPart(0, np.array([6, 6]), np.random.default_rng(1).standard_normal((2, 2, 2)))
    J = BlockMatrix((4, 8), [part, camera])
    solver = SchurComplement().bind()
    solver.factor(J)
    with pytest.raises(np.linalg.LinAlgError, match="eliminated variable is not determined .* instance 0"):
        solver.solve(np.ones(4), 0.0)
    assert np.isfinite(solver.solve(np.ones(4), 1e-6)[0]).all()


def test_choices_are_checked():
    with pytest.raises(ValueError, match="`reduced` must be one of"):
        SchurComplement(reduced="some")
    with pytest.raises(ValueError, match="`preconditioner` must be one of"):
        SchurComplement(preconditioner="ilu")
    J, _ = system(more=True)
    with pytest.raises(ValueError, match="'cameras' cannot be eliminated"):
        SchurComplement(eliminate="cameras").bind().factor(J)
    with pytest.raises(ValueError, match="names 'lines'"):
        SchurComplement(eliminate="lines").bind().factor(J)
    with pytest.raises(TypeError, match="Jacobian of blocks"):
        SchurComplement().bind().factor(np.eye(3))


def test_a_chain_has_nothing_to_eliminate():
    i = np.arange(9)
    rng = np.random.default_rng(0)
    parts = [BlockPart(0, 3 * (i + k), rng.standard_normal((9, 3, 3))) for k in (0, 1)]
    with pytest.raises(ValueError, match="no variable can be eliminated"):
        SchurComplement().bind().factor(BlockMatrix((27, 30), parts))
    assert isinstance(Automatic(dense_columns=5).choose(BlockMatrix((27, 30), parts)), SparseCholesky)


def test_the_automatic_choice_eliminates_points():
    J, _ = system()
    assert isinstance(Automatic(dense_columns=100).choose(J), SchurComplement)


@pytest.mark.parametrize(("groups", "pairs"), [(1, 300), (7, 40), (30, 2000), (200, 300)])
def test_grouped_products(groups, pairs):
    rng = np.random.default_rng(0)
    A, B = rng.standard_normal((51, 3, 4)), rng.standard_normal((61, 3, 2))
    A[-1] = B[-1] = 0.0
    i, j = rng.integers(0, 50, pairs), rng.integers(0, 60, pairs)
    g = np.sort(rng.integers(0, groups, pairs))
    expected = np.zeros((groups, 4, 2))
    for a, b, k in zip(i, j, g, strict=True):
        expected[k] += A[a].T @ B[b]
    assert np.allclose(GroupedProducts(i, j, g, groups)(A, B), expected, atol=1e-12)


@pytest.mark.parametrize("e", [1, 3, 6])
def test_inverse_triangles(e):
    rng = np.random.default_rng(0)
    B = rng.standard_normal((20, e, 2 * e))
    A = B @ B.transpose(0, 2, 1)
    X = inverse_cholesky(np.ascontiguousarray(A.transpose(1, 2, 0))).transpose(2, 0, 1)
    assert np.allclose(X, np.linalg.inv(np.linalg.cholesky(A)), atol=1e-10)

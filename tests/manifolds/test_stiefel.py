"""Stiefel manifolds: geodesics, retractions, coordinates, derivatives, against independent formulas."""

import numpy as np
import pytest
from scipy.linalg import expm, null_space

from manifold_opt.linalg.frames import frame_qf, general_sylvester
from manifold_opt.manifolds import NotOnManifold, NotTangent, Rotations, Sphere, Stiefel
from manifold_opt.testing import retraction_order
from manifold_opt.testing.derivative_checks import slope

KINDS = [
    Stiefel(7, 3),
    Stiefel(7, 3, metric="canonical"),
    Stiefel(6, 2, field="complex"),
    Stiefel(6, 2, field="complex", metric="canonical"),
    Stiefel(3, 3),
    Stiefel(4, 3),
]
pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(params=KINDS, ids=repr)
def setting(request):
    M = request.param
    rng = np.random.default_rng(5)
    p = M.random_point(rng)
    return M, p, M.random_vector(p, rng), M.random_vector(p, rng)


@pytest.mark.parametrize("length", [1e-8, 0.3, 3.0, 20.0])
def test_exp_is_the_formula_of_edelman_arias_and_smith(length):
    """In its non-symmetric form for the Euclidean metric, by the exponential of scipy."""
    M = Stiefel(7, 3)
    p = M.random_point(0)
    X = M.random_vector(p, 1)
    X *= length / M.norm(p, X)
    A, S = p.T @ X, X.T @ X
    E = expm(np.block([[A, -S], [np.eye(3), A]]))[:, :3] @ expm(-A)
    expected = np.hstack([p, X]) @ E
    np.testing.assert_allclose(M.exp(p, X), expected, atol=1e-13 * max(1.0, length))


def test_exp_of_the_canonical_metric_is_a_rotation_of_all_columns():
    M = Stiefel(7, 3, metric="canonical")
    p = M.random_point(0)
    X = M.random_vector(p, 1)
    B = X - p @ (p.T @ X)
    W = p @ (p.T @ X) @ p.T + B @ p.T - p @ B.T
    np.testing.assert_allclose(M.exp(p, X), expm(W) @ p, atol=1e-13)


@pytest.mark.parametrize("length", [1e-12, 1e-6])
def test_exp_of_short_vectors_moves_by_them(length):
    M = Stiefel(7, 3)
    p = M.random_point(0)
    X = M.random_vector(p, 1)
    np.testing.assert_allclose(M.exp(p, length * X) - p, length * X, atol=4 * length**2 + 5e-16)


def test_speed_is_constant_along_geodesics(setting):
    M, p, X, _ = setting
    X = X / M.norm(p, X)
    for t in (0.5, 2.0):
        q = M.exp(p, X, t)
        velocity = slope(lambda h: M.exp(p, X, t + h))  # noqa: B023
        assert M.norm(q, M.tangentialize(q, velocity)) == pytest.approx(1.0, abs=1e-9)


def test_with_one_column_it_is_the_sphere():
    M, S = Stiefel(5, 1), Sphere(4)
    p = M.random_point(0)
    X = M.random_vector(p, 1)
    np.testing.assert_allclose(M.exp(p, X)[:, 0], S.exp(p[:, 0], X[:, 0]), atol=1e-15)
    np.testing.assert_allclose(M.retract(p, X)[:, 0], S.retract(p[:, 0], X[:, 0], method="projection"), atol=1e-15)


def test_square_frames_are_the_rotations():
    M, R = Stiefel(4, 4), Rotations(4, metric_scale=1.0)
    p = R.random_point(0)
    Omega = R.random_vector(p, 1)
    for metric in ("euclidean", "canonical"):
        q = Stiefel(4, 4, metric=metric).exp(p, p @ Omega)
        np.testing.assert_allclose(q, R.exp(p, Omega), atol=1e-14)
    for name in ("polar", "qr", "cayley"):
        q = M.retract(p, p @ Omega, method=name)
        np.testing.assert_allclose(q, R.retract(p, Omega, method=name), atol=1e-13)


def test_orders_of_retractions():
    """The polar one is of second order for the Euclidean metric, Cayley's for the canonical one."""
    assert retraction_order(Stiefel(6, 3), "polar") > 1.85
    assert retraction_order(Stiefel(6, 3, metric="canonical"), "cayley") > 1.85


def test_qr_and_cholesky_qr_are_one_map(setting):
    M, p, X, _ = setting
    a, b = (M.retract(p, X, method=name) for name in ("qr", "cholesky-qr"))
    np.testing.assert_allclose(a, b, atol=1e-13)


@pytest.mark.parametrize("name", ["polar", "qr", "cayley"])
def test_differentiated_transports_are_derivatives(setting, name):
    M, p, X, Y = setting
    X, Y = 0.5 * X / M.norm(p, X), Y / M.norm(p, Y)
    q = M.retract(p, X, method=name)
    got = M.vector_transport_to(p, Y, q, method=f"differentiated-{name}")
    expected = slope(lambda t: M.retract(p, X + t * Y, method=name))
    np.testing.assert_allclose(got, expected, atol=1e-10)


def test_large_sizes_solve_the_same_equations():
    """Above k = 6 the equations of the inverse polar retraction are solved by the sign iteration."""
    rng = np.random.default_rng(1)
    for field in ("real", "complex"):
        M = Stiefel(30, 11, field=field)
        p = M.random_point(rng, (2,))
        X = M.random_vector(p, rng)
        X /= M.norm(p, X)[:, None, None]
        for name in ("polar", "qr", "cayley"):
            q = M.retract(p, X, method=name)
            np.testing.assert_allclose(M.inverse_retract(p, q, method=name), X, atol=1e-13)
    A, B, C = (rng.standard_normal((8, 8)) for _ in range(3))
    A, B = 6.0 * np.eye(8) + A, 6.0 * np.eye(8) + B
    X = general_sylvester(A, B, C)
    np.testing.assert_allclose(A @ X + X @ B, C, atol=1e-13)


def test_inverse_retractions_say_when_they_cannot():
    M = Stiefel(4, 2)
    p = M.random_point(0)
    for name in ("polar", "qr", "cayley"):
        with pytest.raises(ValueError, match="several steps"):
            M.inverse_retract(p, -p, method=name)


def test_coordinates_complete_the_frame_with_an_orthonormal_one(setting):
    M, p, _, _ = setting
    basis = M.get_basis(p)
    beta = 1.0 if M.isometric else 0.5
    inside = M.k * (M.k - 1) // 2 if M.field == "real" else M.k**2
    across = basis[inside:]
    if M.n > M.k:
        rest = null_space(p.conj().T)
        flat = across.reshape(len(across), -1)
        np.testing.assert_allclose((np.conj(flat) @ flat.T).real, np.eye(len(flat)), atol=1e-13)
        assert np.max(np.abs(across - rest @ (rest.conj().T @ across))) < 1e-13
    for b in basis[:inside]:
        assert np.linalg.norm(b) ** 2 == pytest.approx(1.0 / beta)


def test_coordinates_of_a_tall_frame_need_no_square_matrix():
    M = Stiefel(200_000, 2)
    p = M.random_point(0)
    X = M.random_vector(p, 1)
    c = M.get_coordinates(p, X)
    assert np.linalg.norm(c) == pytest.approx(M.norm(p, X))
    np.testing.assert_allclose(M.get_vector(p, c), X, atol=1e-12)


def test_coordinates_where_the_upper_block_is_singular():
    M = Stiefel(5, 2)
    p = np.eye(5)[:, 3:]
    X = M.random_vector(p, 1)
    np.testing.assert_allclose(M.get_vector(p, M.get_coordinates(p, X)), X, atol=1e-14)


def test_manifolds_jl_hessian_of_the_canonical_metric():
    """There the inverse of the metric is missing before the projection: not symmetric, relative error 0.87."""
    M = Stiefel(6, 3, metric="canonical")
    rng = np.random.default_rng(2)
    p = M.random_point(rng)
    X, Y = M.random_vector(p, rng), M.random_vector(p, rng)
    S, L = (rng.standard_normal((m, m)) for m in (6, 3))
    S, L = S + S.T, L + L.T
    f = lambda q: 0.5 * np.trace(q.T @ S @ q @ L)
    HX = M.riemannian_hessian(p, S @ p @ L, S @ X @ L, X)
    HY = M.riemannian_hessian(p, S @ p @ L, S @ Y @ L, Y)
    assert M.inner(p, HX, Y) == pytest.approx(M.inner(p, X, HY), rel=1e-12)
    h = 1e-3
    measured = (f(M.exp(p, X, h)) - 2 * f(p) + f(M.exp(p, X, -h))) / h**2
    assert M.inner(p, HX, X) == pytest.approx(measured, rel=1e-4)


def test_complex_qr_has_a_positive_diagonal():
    rng = np.random.default_rng(0)
    A = rng.standard_normal((3, 5, 2)) + 1j * rng.standard_normal((3, 5, 2))
    Q = frame_qf(A)
    R = np.conj(Q).swapaxes(-1, -2) @ A
    d = np.einsum("...ii->...i", R)
    assert np.all(d.real > 0)
    assert np.max(np.abs(d.imag)) < 1e-14


def test_messages():
    M = Stiefel(4, 2)
    p = M.random_point(0)
    with pytest.raises(NotOnManifold, match="orthonormal columns.*project_point"):
        M.check_point(2 * p)
    with pytest.raises(NotOnManifold, match="field='complex'"):
        M.check_point(p + 0j)
    with pytest.raises(NotTangent, match="project_vector"):
        M.check_vector(p, p)
    with pytest.raises(ValueError, match="rows comes first"):
        Stiefel(2, 4)
    with pytest.raises(ValueError, match="dimension 0"):
        Stiefel(1, 1)
    with pytest.raises(ValueError, match="euclidean"):
        Stiefel(3, 1, metric="euclid")
    with pytest.raises(ValueError, match="field"):
        Stiefel(3, 1, field="quaternion")

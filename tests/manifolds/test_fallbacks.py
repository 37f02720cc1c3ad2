"""What a manifold of five methods gets from the base class."""

from dataclasses import dataclass

import numpy as np
import pytest
from manifolds.all_manifolds import Ellipsoid, HalfPlane, code_of_page, run_page

from manifold_opt.manifolds import Euclidean, Manifold, MissingOperation, NotTangent, Sphere, fallbacks

E = Ellipsoid((1.0, 2.0, 3.0))
S = Sphere(2)


def test_the_page_about_own_manifolds_runs():
    assert len(code_of_page()) == 2
    run_page(2)


def test_the_manifold_of_the_page_is_five_methods():
    lines = [line for line in code_of_page()[0].split("@dataclass")[1].splitlines() if line.strip()]
    methods = [line for line in lines if line.lstrip().startswith("def ") and "_scaled" not in line]
    assert len(methods) == 5


def test_a_sphere_of_five_methods_agrees_with_the_sphere():
    """With equal axes the ellipsoid is the sphere: its fallbacks must reproduce the closed forms."""
    unit = Ellipsoid((1.0, 1.0, 1.0))
    rng = np.random.default_rng(0)
    p, q = S.random_point(rng), None
    X = 0.5 * S.random_vector(p, rng)
    q = S.retract(p, X, method="projection")
    G, H = rng.standard_normal((2, 3))
    np.testing.assert_allclose(unit.retract(p, X), q, atol=1e-15)
    np.testing.assert_allclose(
        unit.inverse_retract(p, q), S.inverse_retract(p, q, method="projection"), atol=1e-13
    )
    np.testing.assert_allclose(unit.riemannian_gradient(p, G), S.riemannian_gradient(p, G), atol=1e-15)
    np.testing.assert_allclose(
        unit.riemannian_hessian(p, G, H, X), S.riemannian_hessian(p, G, H, X), atol=1e-11
    )
    np.testing.assert_allclose(
        fallbacks.hessian(unit, p, G, H, X), S.riemannian_hessian(p, G, H, X), atol=1e-10
    )
    np.testing.assert_allclose(fallbacks.gradient(unit, p, G), S.riemannian_gradient(p, G), atol=1e-14)


def test_hessian_on_the_hyperbolic_half_plane():
    """Koszul's formula against the known Christoffel symbols.

    grad f = y^2 (f_x, f_y); with G111.. of the half-plane: G^x_xy = -1/y, G^y_xx = 1/y, G^y_yy = -1/y, the
    covariant Hessian is f_ij - G^k_ij f_k, and the index is raised by y^2.
    """
    M = HalfPlane()
    p = np.array([0.3, 0.8])
    rng = np.random.default_rng(0)
    G = rng.standard_normal(2)
    second = rng.standard_normal((2, 2))
    second = second + second.T
    y = p[1]
    christoffel = np.zeros((2, 2, 2))  # [k, i, j]
    christoffel[0, 0, 1] = christoffel[0, 1, 0] = -1 / y
    christoffel[1, 0, 0] = 1 / y
    christoffel[1, 1, 1] = -1 / y
    covariant = second - np.einsum("kij,k->ij", christoffel, G)
    for X in np.eye(2):
        expected = y**2 * covariant @ X
        np.testing.assert_allclose(M.riemannian_hessian(p, G, second @ X, X), expected, atol=1e-10)
    np.testing.assert_allclose(M.riemannian_gradient(p, G), y**2 * G, rtol=1e-13)
    np.testing.assert_allclose(M.euclidean_representer(p, G), G / y**2, rtol=1e-13)


def test_missing_operations_name_the_alternatives():
    p = E.random_point(0)
    X = E.random_vector(p, 1)
    for name in ("exp", "log", "distance", "parallel_transport_to", "mid_point", "injectivity_radius"):
        assert not E.has(name)
    with pytest.raises(MissingOperation, match=r"M.retract with one of \['projection'\]"):
        E.exp(p, X)
    with pytest.raises(
        MissingOperation, match=r"M.inverse_retract with one of \['projection', 'iterative'\]"
    ):
        E.log(p, p)
    with pytest.raises(MissingOperation, match=r"M.vector_transport_to with one of \['projection'\]"):
        E.parallel_transport_to(p, X, p)
    with pytest.raises(MissingOperation, match="M.inverse_retract"):
        E.distance(p, p)
    assert E.has("retract")
    assert E.has("get_coordinates")
    assert E.default_retraction == "projection"
    assert HalfPlane().default_retraction == "own"


def test_has_refuses_unknown_names():
    with pytest.raises(ValueError, match="Did you mean 'log'"):
        E.has("lgo")


def test_frames_are_the_same_alone_and_in_a_batch():
    p = E.random_point(0, (50,))
    together = E.get_basis(p)
    for k in range(50):
        np.testing.assert_allclose(together[k], E.get_basis(p[k]), atol=1e-14)


def test_a_wrong_dimension_is_found():
    @dataclass(frozen=True)
    class Wrong(Sphere):
        @property
        def dim(self):
            return 3

        get_coordinates = Manifold.get_coordinates
        get_vector = Manifold.get_vector

    with pytest.raises(ValueError, match="says dim = 3, but project_vector reaches only 2"):
        Wrong(2).get_basis(Wrong(2).random_point(0))


def test_inverse_retraction_far_away_and_out_of_reach():
    p = S.random_point(0)
    X = S.random_vector(p, 1)
    X *= 1.4 / S.norm(p, X)
    unit = Ellipsoid((1.0, 1.0, 1.0))
    q = S.exp(p, X)
    np.testing.assert_allclose(unit.retract(p, unit.inverse_retract(p, q)), q, atol=1e-13)
    with pytest.raises(ValueError, match="too far"):
        unit.inverse_retract(p, -p)


def test_check_vector_fallback():
    p = E.random_point(0)
    E.check_vector(p, E.random_vector(p, 0))
    with pytest.raises(NotTangent, match=r"M.project_vector\(p, X\)"):
        E.check_vector(p, p)


def test_abstract_methods_are_required():
    @dataclass(frozen=True)
    class Unfinished(Manifold):
        dim = 1
        point_shape = (1,)
        isometric = True

    with pytest.raises(TypeError, match="abstract"):
        Unfinished()


def test_fields_may_be_called_dim_and_point_shape():
    """The base class must not turn its declarations into defaults of dataclass fields."""

    @dataclass(frozen=True, repr=False)
    class Plain(Manifold):
        dim: int
        point_shape: tuple
        isometric: bool = True

        def inner(self, p, X, Y):
            return np.sum(X * Y, axis=-1)

        def project_vector(self, p, Z):
            return Z

        def project_point(self, z):
            return z

        def random_point(self, rng=None, size=()):
            return np.random.default_rng(rng).standard_normal((*size, *self.point_shape))

        def check_point(self, p, atol=None):
            Euclidean(*self.point_shape).check_point(p)

    M = Plain(4, (4,))
    assert M.dim == 4
    assert repr(M) == "Plain(4, (4,))"
    p = M.random_point(0)
    np.testing.assert_allclose(M.get_vector(p, M.get_coordinates(p, p)), p, atol=1e-15)


def test_methods_may_be_callables():
    def half(M, p, X, t=1.0, *, out=None):
        return M.retract(p, X, 0.5 * t, out=out)

    p = S.random_point(0)
    X = S.random_vector(p, 1)
    np.testing.assert_array_equal(S.retract(p, X, method=half), S.exp(p, X, 0.5))
    with pytest.raises(TypeError, match="a retraction is a name"):
        S.get_retraction(3)

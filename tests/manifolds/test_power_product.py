"""Powers are batches with one sum, products flat arrays with named views."""

import pickle

import autograd
import autograd.numpy as anp
import numpy as np
import pytest
from manifolds.all_manifolds import Ellipsoid

from manifold_opt.manifolds import (
    Euclidean,
    MissingOperation,
    NotOnManifold,
    NotTangent,
    PowerManifold,
    ProductManifold,
    Sphere,
)

S = Sphere(2)
E = Ellipsoid((1.0, 2.0, 3.0))


def test_power_is_the_base_manifold_with_one_sum():
    M = PowerManifold(S, 4)
    p, q = M.random_point(0), M.random_point(1)
    X = M.random_vector(p, 2)
    assert M.dim == 8
    assert M.point_shape == (4, 3)
    np.testing.assert_array_equal(M.exp(p, X), S.exp(p, X))
    assert M.distance(p, q) == pytest.approx(
        np.sqrt(sum(S.distance(a, b) ** 2 for a, b in zip(p, q, strict=True)))
    )
    assert M.inner(p, X, X) == pytest.approx(np.sum(X * X))
    np.testing.assert_array_equal(M.get_coordinates(p, X).reshape(4, 2), S.get_coordinates(p, X))


def test_power_never_loops_over_its_copies():
    """One call of the base manifold each, however many copies."""
    calls = []

    class Counted(Sphere):
        def exp(self, p, X, t=1.0, *, out=None):
            calls.append(p.shape)
            return super().exp(p, X, t, out=out)

    M = PowerManifold(Counted(2), 1000)
    p = M.random_point(0)
    M.retract(p, M.random_vector(p, 1))
    assert calls == [(1000, 3)]


def test_power_of_several_axes():
    M = PowerManifold(S, (2, 3))
    p = M.random_point(0, (5,))
    assert p.shape == (5, 2, 3, 3)
    assert M.norm(p, M.random_vector(p, 0)).shape == (5,)


def test_a_batch_of_times_is_the_same_for_all_copies():
    M = PowerManifold(S, 2)
    p = M.random_point(0, (3,))
    X = M.random_vector(p, 1)
    t = np.array([0.1, 0.2, 0.3])
    for f in (M.exp, M.retract, M.get_retraction("projection")):
        for i in range(3):
            np.testing.assert_allclose(f(p, X, t)[i], f(p[i], X[i], float(t[i])), atol=1e-15)


@pytest.mark.parametrize("n", [0, (), (2, 0), 2.0, True])
def test_power_needs_a_positive_number_of_copies(n):
    with pytest.raises(ValueError, match="copies"):
        PowerManifold(S, n)


def test_power_needs_a_manifold():
    with pytest.raises(TypeError, match=r"PowerManifold\(Sphere\(2\), n\)"):
        PowerManifold(3, S)


def test_power_names_the_copy_that_fails():
    M = PowerManifold(S, 3)
    p = np.eye(3)
    with pytest.raises(NotOnManifold, match=r"in copy \[1\]"):
        M.check_point(p * [[1.0], [2.0], [1.0]])
    with pytest.raises(NotTangent, match=r"in copy \[2\]"):
        M.check_vector(p, np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, 1]]))


def test_split_gives_views():
    M = ProductManifold(R=S, t=Euclidean(2, 2))
    p = M.random_point(0)
    R, t = M.split(p)
    assert np.shares_memory(R, p)
    assert np.shares_memory(t, p)
    assert R.shape == (3,)
    assert t.shape == (2, 2)
    t[...] = 7.0
    np.testing.assert_array_equal(p[3:], 7.0)
    np.testing.assert_array_equal(M.join(R, t), p)
    batch = M.random_point(0, (2, 5))
    assert [part.shape for part in M.split(batch)] == [(2, 5, 3), (2, 5, 2, 2)]
    assert np.shares_memory(M.split(batch)[1], batch)


def test_join_broadcasts_batches_and_checks_parts():
    M = ProductManifold(R=S, t=Euclidean(2))
    R, t = S.random_point(0, (4,)), np.zeros(2)
    assert M.join(R, t).shape == (4, 5)
    with pytest.raises(ValueError, match="2 parts"):
        M.join(R)
    with pytest.raises(ValueError, match=r"shape \('...', 2\)"):
        M.join(R, np.zeros(3))


def test_complex_factor_of_a_real_product_is_a_view_of_pairs():
    M = ProductManifold(a=S, z=Euclidean(2, field="complex"))
    p = M.random_point(0)
    assert p.dtype == float
    assert M.point_shape == (7,)
    _, z = M.split(p)
    assert z.dtype == complex
    assert np.shares_memory(z, p)
    np.testing.assert_array_equal(z, p[3::2] + 1j * p[4::2])
    every_other = np.stack([p, p], axis=-1)[:, 0]
    np.testing.assert_array_equal(M.split(every_other)[1], z)
    assert ProductManifold(z=Euclidean(2, field="complex")).random_point(0).dtype == complex


def test_gradient_with_a_complex_factor():
    """df = Re <G, X> also through the pairs."""
    M = ProductManifold(a=Euclidean(1), z=Euclidean(2, field="complex"))
    w = np.array([1 + 2j, -1j])
    f = M.componentwise(lambda a, z: anp.sum(a) ** 2 + anp.sum(anp.real(anp.conj(w) * z * z)))
    p, X = M.random_point(0), M.random_point(1)
    slope = (f(p + 1e-6 * X) - f(p - 1e-6 * X)) / 2e-6
    gradient = M.riemannian_gradient_from_storage(p, autograd.grad(f)(p))
    assert M.inner(p, gradient, X) == pytest.approx(slope, rel=1e-8)


def test_componentwise_takes_parts_of_points_and_vectors():
    M = ProductManifold(R=S, t=Euclidean(2))
    p, X = M.random_point(0), M.random_vector(M.random_point(0), 1)
    assert M.componentwise(lambda R, t: R.shape + t.shape)(p) == (3, 2)
    assert M.componentwise(lambda R, t, XR, Xt: XR.shape + Xt.shape)(p, X) == (3, 2)
    assert pickle.loads(pickle.dumps(M.componentwise(np.hypot))).function is np.hypot


def test_componentwise_is_differentiable():
    M = ProductManifold(R=S, t=Euclidean(2))
    f = M.componentwise(lambda R, t: anp.sum(R * anp.array([1.0, 2.0, 3.0])) + anp.sum(t**2))
    p = M.random_point(0)
    np.testing.assert_allclose(autograd.grad(f)(p), [1, 2, 3, *(2 * p[3:])])


def test_method_names_apply_to_the_factors_that_have_them():
    M = ProductManifold(R=S, e=E)
    p = M.random_point(0)
    X = M.random_vector(p, 1)
    (R, e), (XR, Xe) = M.split(p), M.split_vector(X)
    for method, expected in {
        None: S.exp(R, XR),
        "projection": S.retract(R, XR, method="projection"),
        "exponential": S.exp(R, XR),
    }.items():
        got = M.split(M.retract(p, X, method=method))
        np.testing.assert_allclose(got[0], expected)
        np.testing.assert_allclose(got[1], E.retract(e, Xe))
    np.testing.assert_allclose(
        M.split(M.retract(p, X, method={"R": "projection"}))[0], S.project_point(R + XR)
    )
    assert M.default_retraction == {"R": "exponential", "e": "projection"}
    with pytest.raises(ValueError, match="no factor named 'S'"):
        M.get_retraction({"S": "projection"})
    with pytest.raises(ValueError, match="no retraction named 'qr'"):
        M.get_retraction("qr")
    assert not M.has("exp")
    with pytest.raises(MissingOperation):
        M.exp(p, X)


def test_resolved_methods_pickle():
    M = ProductManifold(R=S, e=PowerManifold(E, 2))
    for get in (M.get_retraction, PowerManifold(M, 2).get_retraction):
        f = get()
        N = f.manifold if f.__class__.__name__ == "_Retraction" else PowerManifold(M, 2)
        p = N.random_point(0)
        X = N.random_vector(p, 1)
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(f))(p, X), f(p, X))
    p = M.random_point(0)
    X = M.random_vector(p, 1)
    np.testing.assert_array_equal(M.get_retraction()(p, X), M.retract(p, X))
    pickle.loads(pickle.dumps((M.get_inverse_retraction(), M.get_transport())))


def test_product_names_the_factor_that_fails():
    M = ProductManifold(R=S, t=Euclidean(2))
    with pytest.raises(NotOnManifold, match="in factor R of"):
        M.check_point(np.ones(5))
    assert M["R"] == S
    with pytest.raises(ValueError, match="it has: 'R', 't'"):
        M["x"]


def test_product_needs_named_manifolds():
    with pytest.raises(ValueError, match="named factors"):
        ProductManifold()
    with pytest.raises(TypeError, match="factor R"):
        ProductManifold(R=3)


def test_products_compare_by_names_and_order():
    assert ProductManifold(a=S, b=E) == ProductManifold(a=S, b=E)
    assert ProductManifold(a=S, b=E) != ProductManifold(b=E, a=S)
    assert ProductManifold(a=S) != ProductManifold(b=S)


def test_curvature_of_products_contains_zero():
    assert PowerManifold(S, 2).sectional_curvature_bounds == (0.0, 1.0)
    assert PowerManifold(S, 1).sectional_curvature_bounds == (1.0, 1.0)
    assert ProductManifold(a=S, b=Euclidean(1)).sectional_curvature_bounds == (0.0, 1.0)


def test_max_step_is_the_least_of_the_parts():
    M = PowerManifold(S, 2)
    p = M.random_point(0)
    X = M.random_vector(p, 1) * np.array([[1.0], [5.0]])
    assert M.max_step(p, X) == pytest.approx(min(S.max_step(a, b) for a, b in zip(p, X, strict=True)))
    N = ProductManifold(a=S, b=Euclidean(2))
    p = N.random_point(0)
    X = N.random_vector(p, 1)
    assert N.max_step(p, X) == pytest.approx(S.max_step(p[:3], X[:3]))

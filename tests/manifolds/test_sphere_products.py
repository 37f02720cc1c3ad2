"""Oblique, unit complex numbers, unit arrays, angles: against 50 digits, and against each other."""

import math

import mpmath as mp
import numpy as np
import pytest
from manifolds import exact

from manifold_opt.manifolds import (
    ArraySphere,
    Circle,
    ComplexCircle,
    NotOnManifold,
    NotTangent,
    Oblique,
    Sphere,
    Torus,
)
from manifold_opt.testing import check_accuracy


def reals(a):
    """The entries of an array, complex ones as two numbers."""
    return np.stack([a.real, a.imag], -1) if np.iscomplexobj(a) else a


class Reals:
    """A complex logarithm seen as real numbers, for comparison."""

    def __init__(self, M):
        self.M = M

    def __getattr__(self, name):
        return getattr(self.M, name)

    def log(self, p, q):
        return reals(self.M.log(p, q))


def columns_log(p, q):
    parts = [exact.sphere_log(x.ravel(), y.ravel()) for x, y in zip(columns(p), columns(q), strict=True)]
    shape = columns(p).shape[1:]
    logs = np.stack([X.reshape(shape) for X, _ in parts], axis=1)
    return logs, mp.sqrt(sum(angle**2 for _, angle in parts))


def columns(p):
    return np.moveaxis(reals(p), 1, 0)


def entries_log(p, q):
    parts = [exact.sphere_log(x, y) for x, y in zip(reals(p), reals(q), strict=True)]
    return np.stack([X for X, _ in parts]), mp.sqrt(sum(angle**2 for _, angle in parts))


def array_log(p, q):
    X, angle = exact.sphere_log(reals(p).ravel(), reals(q).ravel())
    return X.reshape(reals(p).shape), angle


def angles_log(p, q):
    X = exact.lifted(q) - exact.lifted(p)
    X = X - np.array([2 * mp.pi * mp.floor((x + mp.pi) / (2 * mp.pi)) for x in X])
    return X, mp.sqrt(sum(x * x for x in X))


@pytest.mark.parametrize(
    ("M", "log"),
    [
        (Oblique(3, 2), columns_log),
        (Oblique(2, 2, field="complex"), columns_log),
        (ComplexCircle(3), entries_log),
        (ArraySphere(2, 3), array_log),
        (ArraySphere(3, field="complex"), array_log),
        (Circle(), angles_log),
        (Torus(3), angles_log),
    ],
    ids=lambda x: repr(x) if not callable(x) else "",
)
def test_log_and_distance(M, log):
    check_accuracy(Reals(M), log)
    if M.field == "real":
        check_accuracy(M, log, dtype=np.float32)


def test_columns_of_an_oblique_point_are_points_of_spheres():
    M = Oblique(4, 3)
    p, q = M.random_point(0), M.random_point(1)
    np.testing.assert_allclose(np.linalg.norm(p, axis=0), 1.0, atol=1e-15)
    assert M.distance(p, q) == pytest.approx(math.hypot(*(Sphere(3).distance(p[:, j], q[:, j]) for j in range(3))))


def test_phases_and_angles_are_one_geometry():
    C, T = ComplexCircle(4), Torus(4)
    a, b = T.random_point(0), T.random_point(1)
    p, q = np.exp(1j * a), np.exp(1j * b)
    assert C.distance(p, q) == pytest.approx(T.distance(a, b), abs=1e-14)
    np.testing.assert_allclose(C.log(p, q), 1j * T.log(a, b) * p, atol=1e-14)
    np.testing.assert_allclose(C.exp(p, 0.7j * p), p * np.exp(0.7j), atol=1e-15)


def test_angles_wrap_without_losing_small_differences():
    M = Circle()
    assert M.log(np.array([0.0]), np.array([1e-20]))[0] == 1e-20
    assert M.distance(np.array([math.pi - 1e-6]), np.array([-math.pi + 1e-6])) == pytest.approx(2e-6, rel=1e-9)
    assert M.project_point(np.array([7.0]))[0] == pytest.approx(7.0 - 2 * math.pi)
    assert M == Circle()
    assert M.point_shape == (1,)


def test_messages_name_manifold_and_cure():
    with pytest.raises(NotOnManifold, match=r"Oblique\(3, 2\).*copy \[1\].*project_point"):
        Oblique(3, 2).check_point(Oblique(3, 2).random_point(0) * np.array([1.0, 2.0]))
    with pytest.raises(NotOnManifold, match="must be real"):
        Oblique(3, 2).check_point(1j * Oblique(3, 2).random_point(0))
    with pytest.raises(NotTangent, match="orthogonal"):
        ComplexCircle(2).check_vector(np.array([1.0, 1j]), np.array([1.0, 0.0j]))
    with pytest.raises(NotOnManifold, match="between -pi and pi"):
        Torus(2).check_point(np.array([0.0, 4.0]))
    for make in (lambda: Oblique(0, 2), lambda: Oblique(1, 2), lambda: ArraySphere(1), lambda: Torus(0)):
        with pytest.raises(ValueError, match="must"):
            make()
    with pytest.raises(ValueError, match="field"):
        ArraySphere(2, 2, field="quaternion")


def test_antipode_of_a_unit_array_is_a_vector_of_length_pi():
    """geomstats returns zero at the antipode, pymanopt and Manifolds.jl lose the direction close to it."""
    for M in (Oblique(3, 1), ArraySphere(2, 3), ComplexCircle()):
        p = M.random_point(2)
        assert M.norm(p, M.log(p, -p)) == pytest.approx(math.pi)
        X = M.random_vector(p, 1)
        X *= (math.pi - 1e-4) / M.norm(p, X)
        np.testing.assert_allclose(M.log(p, M.exp(p, X)), X, atol=1e-11)


def test_pymanopt_oblique_and_complex_circle_distances_below_1e_8():
    """There: arc cosine, relative error 1."""
    for M in (Oblique(3, 2), ComplexCircle(2), ArraySphere(2, 2)):
        p = M.random_point(0)
        X = M.random_vector(p, 1)
        X *= 1e-9 / M.norm(p, X)
        assert M.distance(p, M.exp(p, X)) == pytest.approx(1e-9, rel=1e-6)

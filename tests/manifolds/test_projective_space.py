"""Real and complex lines: against 50 digits, and independent of the vector that stands for a line."""

import math

import autograd.numpy as anp
import mpmath as mp
import numpy as np
import pytest

from manifold_opt import trust_regions
from manifold_opt.manifolds import NotOnManifold, NotTangent, ProjectiveSpace
from manifold_opt.testing import check_accuracy

mp.mp.dps = 50

COMPLEX = np.vectorize(lambda z: mp.mpc(float(z.real), float(z.imag)), otypes=[object])


def unit(z):
    return z / mp.sqrt(sum(abs(x) ** 2 for x in z))


def dot(a, b):
    return sum(mp.conj(x) * y for x, y in zip(a, b, strict=True))


def line_log(p, q):
    p, q = unit(COMPLEX(p)), unit(COMPLEX(q))
    c = dot(p, q)
    Y = (q - c * p) * (mp.conj(c) / abs(c))
    sine = mp.sqrt(sum(abs(y) ** 2 for y in Y))
    angle = mp.atan2(sine, abs(c))
    return np.array([[x.real, x.imag] for x in angle / sine * Y]), angle


class Reals:
    """The logarithm as pairs of real numbers, for comparison."""

    def __init__(self, M):
        self.M = M

    def __getattr__(self, name):
        return getattr(self.M, name)

    def log(self, p, q):
        X = self.M.log(p, q)
        return np.stack([X.real, X.imag], axis=-1)


LINES = [
    ProjectiveSpace(1),
    ProjectiveSpace(4),
    ProjectiveSpace(1, field="complex"),
    ProjectiveSpace(3, field="complex"),
]


@pytest.mark.parametrize("M", LINES, ids=repr)
def test_log_and_distance(M):
    check_accuracy(Reals(M), line_log)
    check_accuracy(Reals(M), line_log, dtype=np.float32)


@pytest.mark.parametrize("M", LINES, ids=repr)
def test_nothing_depends_on_the_representative(M):
    rng = np.random.default_rng(3)
    p, q = M.random_point(rng), M.random_point(rng)
    X = M.random_vector(p, rng)
    u = np.exp(2.0j) if M.field == "complex" else -1.0
    assert M.distance(p, u * p) <= 4e-16
    assert M.distance(p, u * q) == pytest.approx(M.distance(p, q), rel=1e-14)
    np.testing.assert_allclose(M.log(p, u * q), M.log(p, q), atol=1e-14)
    np.testing.assert_allclose(M.log(u * p, q), u * M.log(p, q), atol=1e-14)
    np.testing.assert_allclose(M.mid_point(p, u * q), M.mid_point(p, q), atol=1e-14)
    Y = M.parallel_transport_to(p, X, q)
    M.check_vector(q, Y)
    np.testing.assert_allclose(M.parallel_transport_to(p, X, u * q), u * Y, atol=1e-14)
    assert M.norm(q, Y) == pytest.approx(M.norm(p, X))
    assert M.distance(p, M.exp(p, M.log(p, u * q))) == pytest.approx(M.distance(p, q))


def test_complex_line_is_a_sphere_of_radius_one_half():
    """Curvature 4: the third angle of a right isosceles triangle follows spherical trigonometry at radius 1/2."""
    M = ProjectiveSpace(1, field="complex")
    p = M.random_point(0)
    X = M.get_vector(p, np.array([0.5, 0.0]))
    Y = M.get_vector(p, np.array([0.0, 0.5]))
    side = M.distance(M.exp(p, X), M.exp(p, Y))
    assert math.cos(2 * side) == pytest.approx(math.cos(1.0) ** 2)


def test_orthogonal_lines():
    for M in LINES:
        e = np.eye(M.n + 1)[:2] + (0j if M.field == "complex" else 0.0)
        X = M.log(e[0], e[1])
        assert M.distance(e[0], e[1]) == pytest.approx(math.pi / 2)
        assert M.distance(M.exp(e[0], X), e[1]) <= 1e-15
        with pytest.raises(ValueError, match="orthogonal"):
            M.inverse_retract(e[0], e[1], method="projection")


def test_eigenvector_of_a_hermitian_matrix():
    M = ProjectiveSpace(3, field="complex")
    rng = np.random.default_rng(0)
    A = rng.standard_normal((4, 4)) + 1j * rng.standard_normal((4, 4))
    A = A + A.conj().T
    result = trust_regions(M, lambda p: anp.real(anp.sum(anp.conj(p) * (A @ p))), M.random_point(1))
    assert result.converged
    assert result.cost == pytest.approx(np.linalg.eigvalsh(A)[0])
    assert M.distance(result.point, np.linalg.eigh(A)[1][:, 0]) <= 1e-6


def test_messages():
    M = ProjectiveSpace(2)
    with pytest.raises(NotOnManifold, match="length 1"):
        M.check_point(np.ones(3))
    with pytest.raises(NotOnManifold, match="field='complex'"):
        M.check_point(np.array([1j, 0, 0]))
    with pytest.raises(NotTangent, match="horizontal"):
        ProjectiveSpace(1, field="complex").check_vector(np.array([1.0, 0.0]), np.array([1j, 0.0]))
    with pytest.raises(ValueError, match="spans no line"):
        M.project_point(np.zeros(3))
    with pytest.raises(ValueError, match="positive integer"):
        ProjectiveSpace(0)

"""Retractions, their inverses and transports, right and wrong."""

from __future__ import annotations

import numpy as np
import pytest

from manifold_opt import Euclidean, Grassmann, Manifold, Rotations, Sphere, Stiefel, SymmetricPositiveDefinite, Unitary
from manifold_opt.checks import check_inverse_retraction, check_retraction, check_transport

STIEFEL = Stiefel(5, 2)


@pytest.mark.parametrize(
    "M, name, order",
    [
        (Sphere(4), "projection", 2),
        (STIEFEL, "polar", 2),
        (STIEFEL, "qr", 1),
        (Rotations(4), "cayley", 2),
        (Rotations(3), "qr", 1),
        (Grassmann(5, 2), None, 2),
        (SymmetricPositiveDefinite(3), None, 2),
        (Unitary(2), None, 2),
    ],
    ids=str,
)
def test_retractions_have_the_order_that_the_literature_says(M, name, order):
    check = check_retraction(M, name, order=order, rng=1)
    assert check, check
    if order == 1:
        assert not check_retraction(M, name, order=2, rng=1)


def test_the_exponential_is_exact():
    assert check_retraction(Sphere(3), "exponential", order=2, rng=0).exact
    assert check_retraction(Euclidean(3), rng=0).exact


def test_what_is_no_retraction_is_found_out():
    def too_far(M, p, X, t=1.0, *, out=None):
        return M.exp(p, X, 1.1 * t)

    def off(M, p, X, t=1.0, *, out=None):
        return p + t * X

    check = check_retraction(Sphere(2), too_far, rng=0)
    assert not check and check.slope == pytest.approx(1.0, abs=0.05) and "no retraction" in repr(check)
    check = check_retraction(Sphere(2), off, rng=0)
    assert not check and "leaves" in repr(check)


def test_without_an_exponential_the_second_order_shows_in_the_tangent_part():
    class Own(Stiefel):
        operations = Stiefel.operations - {"exp"}
        exp = Manifold.exp  # which raises

    M = Own(5, 2)
    assert not M.has("exp")
    assert check_retraction(M, "polar", order=2, rng=1) and check_retraction(M, "qr", rng=1)
    assert not check_retraction(M, "qr", order=2, rng=1)


def test_inverses():
    assert check_inverse_retraction(Sphere(3), rng=0).exact
    assert check_inverse_retraction(Sphere(3), "projection", "projection", rng=0).exact
    check = check_inverse_retraction(Sphere(3), "projection", "exponential", rng=0)
    assert check and not check.exact and check.slope == pytest.approx(3.0, abs=0.1)

    def half(M, p, q, *, out=None):
        return 0.5 * M.log(p, q)

    assert not check_inverse_retraction(Sphere(3), half, rng=0)


def test_transports():
    check = check_transport(Sphere(3), "projection", order=1, rng=0)
    assert check and check.figures["anisometry"] > 1e-6
    parallel = check_transport(Sphere(3), "parallel", order=1, rng=0)
    assert parallel.exact and parallel.figures["anisometry"] < 1e-14
    # the left translation of a group belongs to a connection with torsion
    assert check_transport(Rotations(3), "left", rng=0)
    check = check_transport(Rotations(3), "left", order=1, rng=0)
    assert not check and "another connection" in repr(check)

    def stays(M, p, X, q, *, out=None):
        return X

    assert "not tangent" in repr(check_transport(Sphere(3), stays, rng=0))

    def squares(M, p, X, q, *, out=None):
        return M.project_vector(q, X * np.abs(X))

    assert "not linear" in repr(check_transport(Sphere(3), squares, rng=0))


def test_values_that_make_no_sense():
    with pytest.raises(ValueError, match="order"):
        check_retraction(Sphere(2), order=3)
    with pytest.raises(ValueError, match="order"):
        check_transport(Sphere(2), order=2)

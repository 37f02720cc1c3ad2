"""Damped steps of a given length, against the augmented system."""

from __future__ import annotations

import numpy as np
import pytest

from manifold_opt.linalg.damped_steps import SingularSteps, SolvedSteps, TriangularSteps, damped_steps
from manifold_opt.linalg.solvers import DenseQR, NormalEquations


def bound(solver, J):
    b = solver.bind()
    b.factor(J)
    return b


def augmented(J, r, lam, D):
    A = np.vstack([J, np.sqrt(lam) * np.diag(D)])
    return -np.linalg.lstsq(A, np.append(r, 0.0 * D), rcond=None)[0]


@pytest.mark.parametrize("solver, kind", [(DenseQR(), TriangularSteps), (NormalEquations(), SolvedSteps)])
@pytest.mark.parametrize("shape", [(1, 1), (20, 4), (3, 3), (2, 5)], ids=str)
@pytest.mark.parametrize("factor", [1e-6, 0.1, 0.7])
def test_a_short_step_has_the_length_asked_for(solver, kind, shape, factor):
    rng = np.random.default_rng(0)
    J, r, D = rng.standard_normal(shape), rng.standard_normal(shape[0]), rng.uniform(0.5, 2.0, shape[1])
    steps = damped_steps(bound(solver, J), r, D)
    assert isinstance(steps, kind)
    full = np.linalg.norm(D * augmented(J, r, 1e-13, D))
    s, length, lam = steps.of_length(factor * full, 0.01)
    assert lam > 0.0 and length == pytest.approx(factor * full, rel=0.011)
    assert np.linalg.norm(D * s) == pytest.approx(length, rel=1e-8)
    np.testing.assert_allclose(s, augmented(J, r, lam, D), rtol=1e-7, atol=1e-10 * length)


@pytest.mark.parametrize("solver", [DenseQR(), NormalEquations()], ids=repr)
def test_gauss_newton_where_it_is_short_enough(solver):
    rng = np.random.default_rng(1)
    J, r = rng.standard_normal((9, 3)), rng.standard_normal(9)
    s, length, lam = damped_steps(bound(solver, J), r, None).of_length(1e3, 0.1)
    assert lam == 0.0 and length == pytest.approx(np.linalg.norm(s))
    np.testing.assert_allclose(s, -np.linalg.lstsq(J, r, rcond=None)[0], rtol=1e-9)


@pytest.mark.parametrize("gap", [1e-2, 1e-5, 1e-9])
def test_the_triangle_and_the_singular_values_give_the_same_step_without_damping(gap):
    rng = np.random.default_rng(3)
    J, r = rng.standard_normal((12, 4)), rng.standard_normal(12)
    J[:, 3] = J[:, 2] + gap * J[:, 3]
    D = np.array([1.0, 1e3, 1e-3, 2.0])
    steps = damped_steps(bound(DenseQR(), J), r, D)
    assert (steps.undamped is None) == (gap < 1e-6)
    s, length, lam = steps.of_length(1e15, 0.1)
    singular = SingularSteps(steps.R, steps.c, D)
    t, other, _ = singular.of_length(1e15, 0.1)
    assert lam == 0.0 and length == pytest.approx(other, rel=1e-13 / gap)
    np.testing.assert_allclose(s, t, rtol=1e-13 / gap)


@pytest.mark.parametrize("solver", [DenseQR(), NormalEquations()], ids=repr)
def test_no_step_along_directions_that_change_nothing(solver):
    rng = np.random.default_rng(2)
    J = np.hstack([rng.standard_normal((6, 2)), np.zeros((6, 1))])
    r = rng.standard_normal(6)
    for radius in (1e-3, 1e3):
        s, length, _ = damped_steps(bound(solver, J), r, np.ones(3)).of_length(radius, 0.1)
        assert s[2] == 0.0 and 0.0 < length <= 1.1 * radius


def test_single_precision_stays():
    J, r = np.eye(3, 2, dtype=np.float32), np.ones(3, np.float32)
    s, _, _ = damped_steps(bound(DenseQR(), J), r, None).of_length(0.5, 0.1)
    assert s.dtype == np.float32


def test_a_solver_that_never_succeeds_says_why():
    def fails(A, b):
        raise np.linalg.LinAlgError("mine")

    steps = damped_steps(bound(NormalEquations(fails), np.eye(2)), np.ones(2), None)
    with pytest.raises(np.linalg.LinAlgError, match="mine"):
        steps.of_length(1.0, 0.1)

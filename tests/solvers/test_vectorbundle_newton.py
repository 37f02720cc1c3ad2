"""Newton's method for sections of vector bundles: reference cases and damping."""

from __future__ import annotations

import math
import pickle

import autograd.numpy as anp
import numpy as np
import pytest

from manifold_opt import (
    AffineCovariantStepsize,
    Euclidean,
    NonlinearLeastSquaresObjective,
    PowerManifold,
    Problem,
    ProductManifold,
    Sphere,
    Status,
    StopAfterIteration,
    StopWhenChangeLess,
    VectorBundleNewtonState,
    solve,
    vectorbundle_newton,
)

# the Rayleigh quotient of case 40: its gradient as a section of the tangent bundle
S9, A10 = Sphere(9), np.diag(np.arange(1.0, 11.0))
START = (np.eye(10)[1] + np.eye(10)[2] + np.eye(10)[4]) / math.sqrt(3.0)


def gradient(p):
    return S9.get_coordinates(p, S9.riemannian_gradient(p, 2 * A10 @ p))


def hessian(p):
    columns = [S9.riemannian_hessian(p, 2 * A10 @ p, 2 * A10 @ E, E) for E in S9.get_basis(p)]
    return np.stack([S9.get_coordinates(p, Y) for Y in columns], axis=1)


def carry(q, v, p):
    return S9.get_coordinates(p, S9.parallel_transport_to(q, S9.get_vector(q, v), p))


@pytest.mark.parametrize("damping", [None, AffineCovariantStepsize()], ids=["full", "damped"])
@pytest.mark.parametrize("bundle_transport", [None, carry], ids=["frames", "parallel"])
def test_reference_case_40_an_eigenvalue(damping, bundle_transport):
    result = vectorbundle_newton(
        S9,
        gradient,
        START,
        derivative=hessian,
        damping=damping,
        bundle_transport=bundle_transport,
        max_iterations=15,
    )
    value = result.point @ A10 @ result.point
    assert result.converged
    assert abs(value - round(value)) <= 1e-12


# the elastic geodesic of case 48: 200 points between two fixed ones, pushed out of a polar cap

N, LOW, HIGH, THETA = 200, -math.pi / 2 + 0.1, math.pi / 2 - 0.1, math.pi / 4
TIMES = np.linspace(LOW, HIGH, N + 2)
LATITUDE = np.stack(
    [math.sin(THETA) * np.cos(TIMES), math.sin(THETA) * np.sin(TIMES), np.full(N + 2, math.cos(THETA))], axis=1
)
CURVES = PowerManifold(Sphere(2), N)
H = TIMES[1] - TIMES[0]


def elastic(penalty, height):
    """Section and covariant derivative of 1/2 int |c'|^2 + penalty max(0, c_3 - 1 + height)^2."""

    def euclidean(p):
        full = np.concatenate([LATITUDE[:1], p, LATITUDE[-1:]])
        G = (2.0 * full[1:-1] - full[:-2] - full[2:]) / H
        G[:, 2] += H * penalty * np.maximum(0.0, p[:, 2] - 1.0 + height)
        return G

    def section(p):
        return CURVES.get_coordinates(p, CURVES.riemannian_gradient(p, euclidean(p)))

    def derivative(p):
        E = CURVES.get_basis(p).reshape(2 * N, N, 3)
        frames = E.reshape(N, 2, N, 3)[np.arange(N), :, np.arange(N)]  # (N, 2, 3)
        J = np.zeros((N, 2, N, 2))
        i = np.arange(N)
        curved = -np.einsum("ni,ni->n", euclidean(p), p)
        inside = np.where(p[:, 2] - 1.0 + height >= 0.0, H * penalty, 0.0)
        J[i, :, i] = (2.0 / H + curved)[:, None, None] * np.eye(2) + inside[:, None, None] * (
            frames[:, :, None, 2] * frames[:, None, :, 2]
        )
        coupling = -np.einsum("nai,nbi->nab", frames[:-1], frames[1:]) / H
        J[i[:-1], :, i[1:]] = coupling
        J[i[1:], :, i[:-1]] = np.swapaxes(coupling, 1, 2)
        return J.reshape(2 * N, 2 * N)

    return section, derivative


def test_reference_case_48_the_elastic_geodesic_with_an_obstacle():
    section, derivative = elastic(5.0, 0.1)
    result = vectorbundle_newton(
        CURVES,
        section,
        LATITUDE[1:-1].copy(),
        derivative=derivative,
        damping=None,
        retraction="projection",
        record=["change"],
        stopping=StopAfterIteration(20) | StopWhenChangeLess(1e-12),
    )
    assert result.converged and result.iterations <= 6
    changes = result.record["change"][1:]
    np.testing.assert_allclose(changes[:3], [7.33716599, 1.09269188, 1.57343110e-02], rtol=1e-7)
    np.testing.assert_allclose(changes[3], 3.48909794e-05, rtol=1e-5)
    np.testing.assert_allclose(changes[4], 1.5186e-10, rtol=1e-2)


# elsewhere


def test_a_system_of_equations_by_differentiation():
    result = vectorbundle_newton(Sphere(2), lambda p: p[:2] - 0.5, np.array([0.0, 0, 1]))
    assert result.converged
    np.testing.assert_allclose(result.point, [0.5, 0.5, math.sqrt(0.5)], atol=1e-14)


def test_on_a_product_of_spheres_and_a_vector_space():
    M = ProductManifold(s=PowerManifold(Sphere(2), 3), x=Euclidean(2))

    def section(s, x):
        # each point on its circle of latitude, at an angle that depends on x
        angles = s[:, 0] - s[:, 1] * anp.exp(x[0])
        return anp.concatenate([s[:, 2] - 0.5, angles, anp.stack([x[0] - 0.1, x[1] ** 3 - 8.0])])

    p0 = M.join(np.tile([0.6, 0.8, 0.0], (3, 1)), np.array([0.0, 1.0]))
    result = vectorbundle_newton(M, M.componentwise(section), p0)
    assert result.converged
    s, x = M.split(result.point)
    np.testing.assert_allclose(x, [0.1, 2.0], atol=1e-12)
    np.testing.assert_allclose(s[:, 2], 0.5, atol=1e-13)


def test_damping_tames_the_arctangent():
    """Full steps diverge from 2."""
    section = lambda p: np.arctan(p)
    derivative = lambda p: np.diag(1.0 / (1.0 + p * p))
    arguments = Euclidean(1), section, np.array([2.0])
    with np.errstate(all="ignore"):
        plain = vectorbundle_newton(*arguments, derivative=derivative, damping=None, max_iterations=8)
    assert not plain.converged
    result = vectorbundle_newton(*arguments, derivative=derivative, record=["damping_factor"])
    assert result.converged
    assert abs(result.point[0]) <= 1e-14
    assert min(result.record["damping_factor"]) < 1.0 == result.record["damping_factor"][-1]


def test_failures_have_a_status():
    flat = vectorbundle_newton(
        Euclidean(1), lambda p: p**2 + 1.0, np.array([1.0]), derivative=lambda p: np.array([[2.0 * p[0]]])
    )
    assert not flat.converged
    wrong = vectorbundle_newton(Euclidean(1), lambda p: p - 1.0, np.array([0.0]), derivative=lambda p: -np.eye(1))
    assert wrong.status is Status.LINE_SEARCH_FAILED
    bad = vectorbundle_newton(
        Euclidean(1), lambda p: p * math.nan, np.array([1.0]), derivative=lambda p: np.eye(1)
    )
    assert bad.status is Status.BAD_FUNCTION
    still = vectorbundle_newton(
        Euclidean(2), lambda p: np.array([p[0], 1.0]), np.ones(2), derivative=lambda p: np.diag([1.0, 0.0])
    )
    assert still.status in (Status.STALLED, Status.LINE_SEARCH_FAILED)


def test_a_zero_is_noticed_at_the_start():
    result = vectorbundle_newton(Euclidean(2), lambda p: p - 1.0, np.ones(2), derivative=lambda p: np.eye(2))
    assert result.converged and result.iterations == 0


def test_interrupted_and_unpickled_it_continues_identically():
    problem = Problem(S9, NonlinearLeastSquaresObjective(gradient, hessian))
    whole = solve(problem, VectorBundleNewtonState(START))
    state = VectorBundleNewtonState(START)
    for n in (1, 2, 4, 100):
        state.stopping = StopAfterIteration(n) | StopWhenChangeLess(1e-12)
        state = pickle.loads(pickle.dumps(solve(problem, state)))
    assert np.array_equal(state.point, whole.point)


def test_parameters():
    for keywords in ({"theta_desired": 1.0}, {"theta_accept": 0.1}, {"initial": 0.0}):
        with pytest.raises(ValueError, match=next(iter(keywords))):
            AffineCovariantStepsize(**keywords)
    with pytest.raises(TypeError, match="damping"):
        VectorBundleNewtonState(np.ones(2), damping=0.5)

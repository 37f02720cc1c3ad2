"""Lost and wrong derivatives are found, right ones never suspected."""

import autograd.numpy as anp
import numpy as np
import pytest

from manifold_opt.autodiff import (
    AutogradBackend,
    LostDerivative,
    WrongDerivative,
    check_cost_gradient,
    check_residual_jacobian,
    choose_backend,
)
from manifold_opt.manifolds import Euclidean, Sphere

from .problems import CASES

M = Euclidean(3)
P = np.array([1.0, -2.0, 0.5])


def unboxed(p):
    """The plain value of a traced point, as a careless function obtains it."""
    return getattr(p, "_value", p)


def differentiated(f, p=P):
    return choose_backend("auto", f, p).gradient(f, M)


LOST = {
    "all of it": lambda p: float(np.sum(unboxed(p) ** 2)),
    "one term": lambda p: anp.sum(p[:2] ** 2) + np.sum(unboxed(p)[2:] ** 2),
    "a factor": lambda p: anp.sum(p) * np.sum(unboxed(p) ** 2),
    "half": lambda p: anp.sum(p * unboxed(p)),
}


@pytest.mark.parametrize("which", LOST)
def test_a_lost_derivative_is_an_error(which):
    f = LOST[which]
    with pytest.raises(LostDerivative, match="lost") as error:
        check_cost_gradient(f, differentiated(f), M, P)
    assert error.value.calls > 2


def test_a_lost_row_of_a_jacobian_is_an_error_that_names_it():
    r = lambda p: anp.concatenate([p**2, unboxed(p)[:2] ** 2])
    _, J = AutogradBackend().jacobian(r, M)(P)
    with pytest.raises(LostDerivative, match=r"2 of 5 rows of the Jacobian are wrong \(3, 4\)"):
        check_residual_jacobian(r, J, M, P)


@pytest.mark.parametrize("problem", CASES, ids=str)
@pytest.mark.parametrize("seed", [None, 0, 1, 2])
def test_right_derivatives_pass_with_two_calls(problem, seed):
    X = AutogradBackend().gradient(problem.cost, problem.M)(problem.p)
    assert check_cost_gradient(problem.cost, X, problem.M, problem.p, seed) == 2
    _, J = AutogradBackend().jacobian(problem.residual, problem.M)(problem.p)
    assert check_residual_jacobian(problem.residual, J, problem.M, problem.p, seed) <= 4


RIGHT = {
    "constant": (lambda p: 3.0, lambda p: 0 * p, P),
    "critical point": (lambda p: np.sum(p**2), lambda p: 2 * p, 0 * P),
    "flat critical point": (lambda p: np.sum(p**4), lambda p: 4 * p**3, 0 * P),
    "cubic at zero": (lambda p: np.sum(p**3), lambda p: 3 * p**2, 0 * P),
    "large offset": (lambda p: 1e10 + np.sum(p**2), lambda p: 2 * p, P),
    "huge offset": (lambda p: 1e17 + np.sum(p**2), lambda p: 2 * p, P),
    "tiny values": (lambda p: 1e-200 * np.sum(p**2), lambda p: 2e-200 * p, P),
    "huge values": (lambda p: 1e200 * np.sum(p**2), lambda p: 2e200 * p, P),
    "tiny scale": (lambda p: np.sum(np.sin(p / 1e-9)), lambda p: np.cos(p / 1e-9) / 1e-9, 1e-9 * P),
    "huge scale": (lambda p: np.sum(np.sin(p / 1e9)), lambda p: np.cos(p / 1e9) / 1e9, 1e9 * P),
    "near zero": (lambda p: np.sum((p - 1) ** 2), lambda p: 2 * (p - 1), 1e-12 * P),
    "short waves": (lambda p: np.sum(np.sin(1e5 * p)), lambda p: 1e5 * np.cos(1e5 * p), P),
    "ReLU at its kink": (lambda p: np.sum(np.maximum(p, 0)), lambda p: (p > 0) * 1.0, 0 * P),
    "absolute value at its kink": (lambda p: np.sum(np.abs(p)), lambda p: np.sign(p), 0 * P),
    "norm at zero": (lambda p: np.linalg.norm(p), lambda p: 0 * p, 0 * P),
    "noise": (lambda p: np.sum(p**2) * (1 + 1e-9 * np.sin(1e12 * p[0])), lambda p: 2 * p, P),
    "nan beside": (lambda p: np.sum(np.sqrt(p)) if np.all(p >= 0) else np.nan, lambda p: 0 * p, 0 * P),
    "infinite": (lambda p: np.inf, lambda p: 0 * p, P),
}


@pytest.mark.parametrize("which", RIGHT)
def test_right_or_undecidable_derivatives_are_never_errors(which):
    f, gradient, p = RIGHT[which]
    assert 2 <= check_cost_gradient(f, gradient, M, p, given=True) <= 36
    r = lambda p: np.array([f(p), p[0]])
    J = lambda p: np.stack([gradient(p), np.eye(3)[0]])
    check_residual_jacobian(r, J, M, p, given=True)


@pytest.mark.parametrize("p", [P, 1e-9 * P, 1e9 * P], ids=["1", "1e-9", "1e9"])
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "factor, text", [(0.5, "2.000 times.*a factor 2 is missing"), (2.0, "0.500 times.*a factor 1/2"), (-1.0, "sign")]
)
def test_a_missing_factor_is_stated(p, seed, factor, text):
    f = lambda p: np.sum(p**2) + np.sum(p)
    with pytest.raises(WrongDerivative, match=text) as error:
        check_cost_gradient(f, factor * (2 * p + 1), M, p, seed, given=True)
    assert error.value.ratio == pytest.approx(1 / factor, rel=1e-3)
    assert not isinstance(error.value, LostDerivative)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_missing_factor_is_stated_in_either_precision(dtype):
    p = P.astype(dtype)
    with pytest.raises(WrongDerivative, match="2.000 times"):
        check_cost_gradient(lambda p: np.sum(p**2), p, M, p, given=True)
    assert check_cost_gradient(lambda p: np.sum(p**2), 2 * p, M, p, given=True) == 2


def test_another_gradient_is_described_by_numbers():
    with pytest.raises(WrongDerivative, match="along two random directions are"):
        check_cost_gradient(lambda p: np.sum(p**2), P**2, M, P, given=True)


def test_a_euclidean_gradient_on_the_sphere_is_recognized():
    S, p, A = Sphere(2), np.array([0.6, 0.0, 0.8]), np.diag([1.0, 2.0, 3.0])
    with pytest.raises(WrongDerivative, match="objective_type='euclidean'"):
        check_cost_gradient(lambda p: p @ A @ p, lambda p: 2 * A @ p, S, p, given=True)


def test_a_gradient_of_the_wrong_shape_is_an_error():
    with pytest.raises(WrongDerivative, match=r"shape \(3,\)"):
        check_cost_gradient(lambda p: np.sum(p**2), np.ones(2), M, P, given=True)


def test_wrong_rows_of_a_given_jacobian_are_named():
    r = lambda p: np.concatenate([p**2, p])
    J = np.vstack([np.diag(2 * P), np.eye(3)])
    J[4] *= 3
    with pytest.raises(WrongDerivative, match=r"1 of 6 rows of the Jacobian are wrong \(4\).*residual 4"):
        check_residual_jacobian(r, J, M, P, given=True)
    with pytest.raises(WrongDerivative, match="0.500 times the one from `jacobian`"):
        check_residual_jacobian(p_squared, lambda p: np.diag(4 * p), M, P, given=True)


def p_squared(p):
    return p**2


def test_operators_are_checked_by_their_product():
    from scipy.sparse.linalg import aslinearoperator

    assert check_residual_jacobian(p_squared, aslinearoperator(np.diag(2 * P)), M, P) == 2

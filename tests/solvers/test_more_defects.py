"""Defects of the peers that touch all smooth solvers: the rest of the lists, one test each.

Numbers as in `test_first_order_defects`: "peer" for pymanopt, "manopt" for Manopt.jl.
"""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from problems import rayleigh, unit

from manifold_opt import (
    BFGS,
    CostObjective,
    DecreasingLength,
    Euclidean,
    InverseBFGS,
    PowerManifold,
    ProductManifold,
    Sphere,
    Status,
    adaptive_regularization_with_cubics,
    alternating_gradient_descent,
    check_gradient,
    conjugate_gradient_descent,
    gradient_descent,
    minimize,
    newton,
    quasi_newton,
    stochastic_gradient_descent,
    trust_regions,
)
from manifold_opt.objectives import CachedObjective, Fused, InPlace

SOLVERS = [
    gradient_descent,
    conjugate_gradient_descent,
    quasi_newton,
    trust_regions,
    adaptive_regularization_with_cubics,
]
solver = pytest.mark.parametrize("solver", SOLVERS, ids=lambda f: f.__name__)
A = np.diag([1.0, 2.0, 3.0, 5.0])
P0 = unit([1.0, 1.0, 1.0, 1.0])


def test_manopt_5_the_default_length_is_what_the_text_says():
    assert DecreasingLength().first == 1.0 and DecreasingLength().at(7) == 1.0


@pytest.mark.parametrize("name", ["alternating", "stochastic", "newton"])
def test_manopt_6_the_retraction_asked_for_is_the_one_used(name):
    used = []

    def retraction(M, p, X, t=1.0, *, out=None):
        used.append(1)
        return M.project_point(p + t * X)

    M, f, gradient = rayleigh(A)
    if name == "alternating":
        N = ProductManifold(a=M, b=M)
        cost = N.componentwise(lambda a, b: a @ A @ a + b @ A @ b + 0.1 * (a @ b))
        result = alternating_gradient_descent(
            N, cost, N.join(P0, -P0), retraction={"a": "projection", "b": retraction}, max_iterations=3
        )
    elif name == "stochastic":
        result = stochastic_gradient_descent(
            M, lambda p, d: (d @ (p * p)).mean(), P0, data=np.diag(A)[None], retraction=retraction, max_iterations=3
        )
    else:
        result = newton(M, f, unit([1.0, 0.1, 0.1, 0.1]), gradient=gradient, retraction=retraction, max_iterations=3)
    assert len(used) >= result.iterations > 0


def test_manopt_9_a_remembered_pair_reaches_the_callers_array():
    M, f, gradient = rayleigh(A)

    def both(p, out):
        out[...] = gradient(p)
        return f(p)

    objective = CachedObjective(CostObjective(Fused(InPlace(both))), 3)
    functions = objective.bind(M, P0, {"cost": 0, "gradient": 0, "check": 0})
    from manifold_opt.objectives.evaluation import Counts

    for _ in range(2):
        e = functions.evaluation(P0, Counts())
        np.testing.assert_array_equal(e.gradient, gradient(P0))
        assert e.cost == f(P0)


@solver
def test_manopt_10_every_objective_type_that_is_promised_is_taken_and_no_other(solver):
    M, f, gradient = rayleigh(A)
    for objective_type, g in (("riemannian", gradient), ("euclidean", lambda p: 2.0 * (A @ p))):
        result = solver(M, f, P0, gradient=g, objective_type=objective_type, max_iterations=3)
        assert result.gradient_norm == pytest.approx(M.norm(result.point, gradient(result.point)), rel=1e-10)
    with pytest.raises(ValueError, match="'riemannian', 'euclidean'"):
        solver(M, f, P0, gradient=gradient, objective_type="embedding")


@pytest.mark.parametrize("update", [BFGS(), InverseBFGS()], ids=repr)
@pytest.mark.parametrize("curved", [False, True])
def test_manopt_11_matrix_updates_begin_with_the_preconditioner(update, curved):
    d = np.geomspace(1.0, 1e5, 12)
    f, gradient = (lambda x: 0.5 * float(x @ (d * x))), (lambda x: d * x)
    objective = CostObjective(f, gradient, preconditioner=lambda x, X: X / d)
    M, start = Euclidean(12), np.ones(12)
    if curved:
        M = ProductManifold(s=PowerManifold(Sphere(2), 3), x=Euclidean(12))
        pole = np.tile([0.0, 0.0, 1.0], 3)
        objective = CostObjective(
            lambda p: f(p[9:]) + float(np.sum((p[:9] - pole) ** 2)),
            lambda p: np.concatenate([2.0 * (p[:9] - pole), gradient(p[9:])]),
            objective_type="euclidean",
            preconditioner=lambda p, X: np.concatenate([0.5 * X[:9], X[9:] / d]),
        )
        start = np.concatenate([np.tile(unit([0.3, 0.2, 1.0]), 3), start])
    result = quasi_newton(M, objective, start, memory=None, update=update)
    assert result.converged and result.evaluations["preconditioner"] == M.dim
    assert result.iterations <= (12 if curved else 2)


def test_manopt_11_the_front_function_takes_what_to_do_without_descent():
    f = lambda x: float(x @ x)
    flip = iter([1.0, -1.0] * 500)
    for nondescent in ("reset", "steepest"):
        result = quasi_newton(
            Euclidean(3),
            f,
            np.ones(3),
            gradient=lambda x: 2.0 * x,
            nondescent=nondescent,
            preconditioner=lambda x, X: next(flip) * X,
        )
        assert result.converged


@solver
def test_peer_6_every_solver_records(solver):
    M, f, gradient = rayleigh(A)
    result = solver(M, f, P0, gradient=gradient, record=["iteration", "cost", "gradient_norm", "point"])
    n = result.iterations + 1
    assert [len(result.record[name]) for name in ("iteration", "cost", "gradient_norm", "point")] == [n] * 4
    assert result.record["gradient_norm"][-1] == result.gradient_norm


@solver
def test_peer_10_a_gradient_in_parts_is_taken_together_or_refused_by_name(solver):
    M = ProductManifold(a=Sphere(3), x=Euclidean(2))
    f = lambda p: float(p[:4] @ A @ p[:4]) + float(p[4:] @ p[4:])
    start = M.join(P0, np.ones(2))
    parts = M.componentwise(lambda a, x: M.join_embedding(2.0 * (A @ a), 2.0 * x))
    result = solver(M, f, start, gradient=parts, objective_type="euclidean")
    assert result.converged and result.cost == pytest.approx(1.0, rel=1e-10)
    tuples = M.componentwise(lambda a, x: (2.0 * (A @ a), 2.0 * x))
    with pytest.raises((TypeError, ValueError), match="gradient"):
        solver(M, f, start, gradient=tuples, objective_type="euclidean")


def test_peer_13_checks_return_numbers():
    M, f, gradient = rayleigh(A)
    check = check_gradient(M, f, gradient, rng=0)
    assert check.ok and check.slope == pytest.approx(2.0, abs=0.1) and check.errors.shape == check.t.shape


@solver
def test_peer_14_nothing_is_printed_unless_asked_for(solver, capfd):
    M, f, gradient = rayleigh(A)
    assert minimize(M, f, P0, solver, gradient=gradient).status is Status.CONVERGED
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def test_peer_15_conformance_checks_import_no_back_end():
    code = "import sys, manifold_opt.testing; print([m for m in ('autograd', 'jax', 'torch') if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"

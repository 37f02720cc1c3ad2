"""What the framework costs per iteration, where the arithmetic of the problem is next to nothing."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np

from manifold_opt import (
    ArmijoLinesearch,
    ConjugateGradientDescentState,
    ConstantLength,
    CostObjective,
    Euclidean,
    GradientDescentState,
    LevenbergMarquardtState,
    NonlinearLeastSquaresObjective,
    Problem,
    QuasiNewtonState,
    Sphere,
    StopAfterIteration,
    StopWhenGradientNormLess,
    StopWhenRelativeOffsetLess,
    TrustRegionsState,
    decorate,
    gradient_descent,
    levenberg_marquardt,
    solve,
)

from .harness import Table, best_in_turns, peer

A = np.diag([1.0, 2.0, 3.0])
P0 = np.array([0.48, 0.6, 0.64])
# microseconds per iteration of pymanopt's steepest descent on the machine of the budgets
REFERENCE = 22.0
BUDGETS = {
    "gradient descent, constant step": 6.0,
    "gradient descent, Armijo": 8.0,
    "gradient descent, Armijo, Barzilai-Borwein": None,
    "conjugate gradients": 20.0,
    "L-BFGS, ten pairs": 40.0,
    "Levenberg-Marquardt, 20 x 2": 25.0,
    "trust regions, one Hessian product": 60.0,
    "debug wrapper that has nothing to print": 2.0,
    "front call, derivatives given": 150.0,
    "front call, autograd": 250.0,
}


def cost(p: Any) -> float:
    return float(p.dot(A).dot(p))


def gradient(p: Any) -> Any:
    g = 2.0 * A.dot(p)
    return g - p.dot(g) * p


def hessian(p: Any, X: Any) -> Any:
    Y = 2.0 * A.dot(X)
    return Y - p.dot(Y) * p - (2.0 * p.dot(A).dot(p)) * X


T = np.linspace(0.0, 1.0, 20)
Y = 2.0 * np.exp(-3.0 * T) + 0.1 * np.sin(30.0 * T)


def residual(p: Any) -> Any:
    return p[0] * np.exp(p[1] * T) - Y


def jacobian(p: Any) -> Any:
    e = np.exp(p[1] * T)
    return np.stack([e, p[0] * T * e], axis=1)


def descent(rule: Any, n: int, watched: bool = False) -> Any:
    problem = Problem(Sphere(2), CostObjective(cost, gradient))
    stopping = StopAfterIteration(n) | StopWhenGradientNormLess(1e-300)

    def run() -> Any:
        state = GradientDescentState(P0, stepsize=rule, stopping=stopping)
        return solve(
            problem, decorate(state, problem, debug=["{cost}", 10**9], file=io.StringIO()) if watched else state
        )

    return run


def valley(p: Any) -> float:
    """A curved valley on the sphere, along which no solver is done in a few iterations."""
    x, y, z = p.tolist()
    return (1.0 - x) ** 2 + 100.0 * (y - x * x) ** 2 + 0.1 * z


def valley_gradient(p: Any) -> Any:
    x, y, z = p.tolist()
    d = y - x * x
    a, b = -2.0 * (1.0 - x) - 400.0 * x * d, 200.0 * d
    s = a * x + b * y + 0.1 * z
    return np.array([a - s * x, b - s * y, 0.1 - s * z])


VALLEY_START = np.array([-0.6, 0.3, -0.7]) / np.sqrt(0.94)


def along_the_valley(make: Any, n: int) -> Any:
    problem = Problem(Sphere(2), CostObjective(valley, valley_gradient))
    stopping = StopAfterIteration(n) | StopWhenGradientNormLess(1e-300)
    return lambda: solve(problem, make(VALLEY_START, stopping=stopping))


def marquardt(n: int) -> Any:
    problem = Problem(Euclidean(2), NonlinearLeastSquaresObjective(residual, jacobian))
    stopping = StopAfterIteration(n) | StopWhenRelativeOffsetLess(1e-300)
    return lambda: solve(problem, LevenbergMarquardtState(np.array([1.0, 0.0]), stopping=stopping))


def regions(n: int) -> Any:
    """Steps to the boundary of a small region."""
    problem = Problem(Sphere(2), CostObjective(cost, gradient, hessian))
    stopping = StopAfterIteration(n) | StopWhenGradientNormLess(1e-300)
    radius = {"trust_region_radius": 1e-3, "max_trust_region_radius": 1e-3}
    return lambda: solve(problem, TrustRegionsState(P0, stopping=stopping, **radius))


def per_iteration(short: Any, long: Any, user: dict[str, float]) -> float:
    """Microseconds of one iteration beyond the user's functions: long runs minus short ones."""
    times = best_in_turns({"short": short, "long": long})
    a, b = short(), long()
    calls = {name: b.evaluations[name] - a.evaluations[name] for name in user}
    spent = sum(user[name] * n for name, n in calls.items())
    return 1e6 * (times["long"] - times["short"] - spent) / (b.iteration - a.iteration)


def pymanopt_per_iteration(user: dict[str, float]) -> float:
    """The same for pymanopt's steepest descent, whose line search is of the Armijo kind."""
    pymanopt = peer("pymanopt")
    if pymanopt is None:
        return float("nan")
    M = pymanopt.manifolds.Sphere(3)
    counts = {"cost": 0, "gradient": 0}

    @pymanopt.function.numpy(M)
    def f(p: Any) -> float:
        counts["cost"] += 1
        return cost(p)

    @pymanopt.function.numpy(M)
    def g(p: Any) -> Any:
        counts["gradient"] += 1
        return gradient(p)

    problem = pymanopt.Problem(M, f, riemannian_gradient=g)

    def run(n: int) -> Any:
        solver = pymanopt.optimizers.SteepestDescent(
            max_iterations=n, min_gradient_norm=0.0, min_step_size=0.0, verbosity=0
        )
        return lambda: solver.run(problem, initial_point=P0)

    short, long = run(2), run(10)
    times = best_in_turns({"short": short, "long": long})
    used = []
    for f_run in (short, long):
        counts.update(cost=0, gradient=0)
        f_run()
        used.append(dict(counts))
    spent = sum(user[name] * (used[1][name] - used[0][name]) for name in user)
    return 1e6 * (times["long"] - times["short"] - spent) / 8


def measured() -> dict[str, float]:
    user = best_in_turns({"cost": lambda: cost(P0), "gradient": lambda: gradient(P0)})
    second = best_in_turns({"hessian": lambda: hessian(P0, gradient(P0))})
    second["hessian"] -= user["gradient"]
    p = np.array([1.5, -2.0])
    curved = best_in_turns({"cost": lambda: valley(VALLEY_START), "gradient": lambda: valley_gradient(VALLEY_START)})
    fit = best_in_turns({"residual": lambda: residual(p), "jacobian": lambda: jacobian(p)})
    constant, armijo = ConstantLength(1e-4), ArmijoLinesearch(initial=1e-4, initial_guess="constant")
    values = {
        "gradient descent, constant step": per_iteration(descent(constant, 10), descent(constant, 210), user),
        "gradient descent, Armijo": per_iteration(descent(armijo, 10), descent(armijo, 210), user),
        "gradient descent, Armijo, Barzilai-Borwein": per_iteration(
            descent(ArmijoLinesearch(), 1), descent(ArmijoLinesearch(), 7), user
        ),
        "conjugate gradients": per_iteration(
            along_the_valley(ConjugateGradientDescentState, 2),
            along_the_valley(ConjugateGradientDescentState, 10),
            curved,
        ),
        "L-BFGS, ten pairs": per_iteration(
            along_the_valley(QuasiNewtonState, 12), along_the_valley(QuasiNewtonState, 24), curved
        ),
        "Levenberg-Marquardt, 20 x 2": per_iteration(marquardt(1), marquardt(5), fit),
        "trust regions, one Hessian product": per_iteration(regions(10), regions(110), user | second),
    }
    watched = per_iteration(descent(constant, 10, True), descent(constant, 210, True), user)
    values["debug wrapper that has nothing to print"] = watched - values["gradient descent, constant step"]
    M, one = Sphere(2), {"max_iterations": 0}
    front = best_in_turns(
        {
            "given": lambda: gradient_descent(M, cost, P0, gradient=gradient, **one),
            "autograd": lambda: gradient_descent(M, lambda p: p @ A @ p, P0, **one),
            "lm": lambda: levenberg_marquardt(Euclidean(2), residual, p, jacobian=jacobian, **one),
        }
    )
    values["front call, derivatives given"] = 1e6 * front["given"]
    values["front call, autograd"] = 1e6 * front["autograd"]
    values["pymanopt"] = pymanopt_per_iteration(user)
    return values


def tables() -> Iterator[Table]:
    values = measured()
    theirs = values["pymanopt SteepestDescent"] = values.pop("pymanopt")
    scale = REFERENCE / theirs
    rows = [[name, us, us / theirs, us * scale, BUDGETS.get(name)] for name, us in values.items()]
    yield Table(
        "Overhead per iteration",
        f"""
Microseconds beyond the user's functions: the difference of a long and a short run, by the difference of their
iterations, less what the user's functions take. `Sphere(2)` with a quadratic cost; Levenberg-Marquardt on a fit of two
parameters to 20 values. The budgets of the design belong to a machine on which an iteration of pymanopt's steepest
descent took {REFERENCE:.0f} us; the third column is scaled to it.
""",
        ["", "us", "of pymanopt's", "us, scaled", "budget, us"],
        rows,
    )

"""Euclidean problems beside scipy: L-BFGS against L-BFGS-B, to the same gradient norm."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import numpy as np
from scipy.optimize import minimize, rosen, rosen_der

from manifold_opt import Euclidean, quasi_newton

from .harness import Table, best_in_turns

TOLERANCE = 1e-6
COSTLY = 100e-6


def quadratic(d: Any) -> tuple[Any, Any, Any]:
    return (lambda x: 0.5 * float(x @ (d * x))), (lambda x: d * x), np.ones(len(d))


def powell(x: Any) -> float:
    return float((x[0] + 10 * x[1]) ** 2 + 5 * (x[2] - x[3]) ** 2 + (x[1] - 2 * x[2]) ** 4 + 10 * (x[0] - x[3]) ** 4)


def powell_gradient(x: Any) -> Any:
    a, b, c, d = x[0] + 10 * x[1], x[2] - x[3], x[1] - 2 * x[2], x[0] - x[3]
    return np.array([2 * a + 40 * d**3, 20 * a + 4 * c**3, 10 * b - 8 * c**3, -10 * b - 40 * d**3])


def wood(x: Any) -> float:
    a, b = x[1] - x[0] ** 2, x[3] - x[2] ** 2
    c, d = x[1] + x[3] - 2, x[1] - x[3]
    return float(100 * a * a + (1 - x[0]) ** 2 + 90 * b * b + (1 - x[2]) ** 2 + 10 * c * c + 0.1 * d * d)


def wood_gradient(x: Any) -> Any:
    a, b = x[1] - x[0] ** 2, x[3] - x[2] ** 2
    c, d = 20 * (x[1] + x[3] - 2), 0.2 * (x[1] - x[3])
    return np.array(
        [-400 * x[0] * a - 2 * (1 - x[0]), 200 * a + c + d, -360 * x[2] * b - 2 * (1 - x[2]), 180 * b + c - d]
    )


def helical(x: Any) -> float:
    a, r = x[2] - 10 * np.arctan2(x[1], x[0]) / (2 * np.pi), np.hypot(x[0], x[1])
    return float(100 * (a * a + (r - 1) ** 2) + x[2] ** 2)


def helical_gradient(x: Any) -> Any:
    a, r = x[2] - 10 * np.arctan2(x[1], x[0]) / (2 * np.pi), np.hypot(x[0], x[1])
    turn = np.array([-x[1], x[0]]) / (2 * np.pi * r * r)
    return np.append(200 * (-10 * a * turn + (r - 1) * x[:2] / r), 200 * a + 2 * x[2])


def trigonometric(x: Any) -> float:
    r = _trigonometric(x)
    return float(r @ r)


def trigonometric_gradient(x: Any) -> Any:
    r, i = _trigonometric(x), np.arange(1, len(x) + 1)
    return 2 * (r.sum() * np.sin(x) + r * (i * np.sin(x) - np.cos(x)))


def _trigonometric(x: Any) -> Any:
    n = len(x)
    return n - np.cos(x).sum() + np.arange(1, n + 1) * (1 - np.cos(x)) - np.sin(x)


def logistic() -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(0)
    A = rng.standard_normal((200, 50))
    y = np.sign(A @ rng.standard_normal(50) + 0.5 * rng.standard_normal(200))
    f = lambda w: float(np.logaddexp(0, -y * (A @ w)).sum() + 0.05 * w @ w)
    return f, (lambda w: A.T @ (-y / (1 + np.exp(y * (A @ w)))) + 0.1 * w), np.zeros(50)


def problems() -> dict[str, tuple[Any, Any, Any]]:
    valleys = {f"Rosenbrock, {n}": (rosen, rosen_der, np.tile([-1.2, 1.0], n // 2)) for n in (2, 10, 100, 1000)}
    return valleys | {
        "quadratic, 50, condition 1e3": quadratic(np.geomspace(1.0, 1e3, 50)),
        "quadratic, 200, condition 1e5": quadratic(np.geomspace(1e-2, 1e3, 200)),
        "Powell's singular function": (powell, powell_gradient, np.array([3.0, -1.0, 0.0, 1.0])),
        "Wood's function": (wood, wood_gradient, np.array([-3.0, -1.0, -3.0, -1.0])),
        "helical valley": (helical, helical_gradient, np.array([-1.0, 0.0, 0.0])),
        "trigonometric, 20": (trigonometric, trigonometric_gradient, np.full(20, 1 / 20)),
        "logistic regression, 200 x 50": logistic(),
    }


def evaluations_of_scipy(f: Any, g: Any, x0: Any) -> tuple[int, Callable[[], Any]]:
    """Calls that L-BFGS-B makes until the gradient norm is first small enough, and a run of that length."""
    norms: list[float] = []

    def watched(x: Any) -> Any:
        norms.append(float(np.linalg.norm(g(x))))
        return f(x)

    options = {"gtol": 0.1 * TOLERANCE, "ftol": 0.0, "maxiter": 20000, "maxfun": 200000}
    minimize(watched, x0, jac=g, method="L-BFGS-B", options=options)
    calls = next(i + 1 for i, norm in enumerate(norms) if norm <= TOLERANCE)
    return calls, lambda: minimize(f, x0, jac=g, method="L-BFGS-B", options=options | {"maxfun": calls})


def tables() -> Iterator[Table]:
    rows, ratios, times = [], [], []
    for name, (f, g, x0) in problems().items():
        theirs, scipy_run = evaluations_of_scipy(f, g, x0)

        def our_run(f: Any = f, g: Any = g, x0: Any = x0) -> Any:
            return quasi_newton(Euclidean(len(x0)), f, x0, gradient=g, tolerance=TOLERANCE, max_iterations=20000)

        result = our_run()
        seconds = best_in_turns({"ours": our_run, "scipy": scipy_run, "f": lambda f=f, x0=x0: f(x0)}, 0.6, turns=3)
        seconds |= best_in_turns({"g": lambda g=g, x0=x0: g(x0)}, 0.1, turns=3)
        n, m = result.evaluations["cost"], result.evaluations["gradient"]
        ours = seconds["ours"] + (n + m) * COSTLY / 2 - n * seconds["f"] - m * seconds["g"]
        other = seconds["scipy"] + theirs * COSTLY - theirs * (seconds["f"] + seconds["g"])
        ratios.append(n / theirs)
        times.append(ours / other)
        rows.append([name, f"{n}, {m}", theirs, ratios[-1], times[-1]])
    rows.append(["median", None, None, median(ratios), median(times)])
    yield Table(
        "Flat problems beside scipy",
        "`quasi_newton` and scipy's L-BFGS-B to the gradient norm 1e-6: costs and gradients of ours, calls of scipy's "
        "(each computes both), the ratio of costs to calls, and the ratio of times if a cost with its gradient took "
        "100 us (50 each).",
        ["problem", "ours", "L-BFGS-B", "evaluations, ratio", "time, ratio"],
        rows,
    )

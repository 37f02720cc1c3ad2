"""Euclidean problems beside scipy: each of our methods against scipy's of the same kind, to the same gradient norm."""

from __future__ import annotations

import importlib.util
import math
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from scipy.optimize import minimize, rosen, rosen_der

from manifold_opt import Euclidean, LanczosState, quasi_newton, trust_regions

from .harness import Table, best_in_turns

TOLERANCE = 1e-6
# scipy's method -> what a call of f costs in the budget of its time, and the largest size worth its matrix
CALL = {"L-BFGS-B": (100e-6, math.inf), "BFGS": (20e-6, 200), "trust-ncg": (100e-6, 200), "trust-krylov": (100e-6, 200)}
MOST_CALLS = 20000


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


class Enough(Exception):  # no error: scipy has got where it was to go
    """Ends a run of scipy from inside its function."""


class Counted:
    """Cost, gradient and Hessian products of a problem, counted; ends the run at a gradient that is small enough."""

    def __init__(self, f: Any, g: Any, tolerance: float) -> None:
        self.f, self.g, self.tolerance = f, g, tolerance
        self.n = {"cost": 0, "gradient": 0, "hessian": 0}
        self.there = False

    def cost(self, x: Any) -> float:
        self.n["cost"] += 1
        if self.n["cost"] > MOST_CALLS:
            raise Enough
        return self.f(x)

    def gradient(self, x: Any) -> Any:
        self.n["gradient"] += 1
        G = self.g(x)
        if math.sqrt(G.dot(G)) <= self.tolerance:
            self.there = True
            raise Enough
        return G

    def product(self, x: Any, X: Any) -> Any:
        """Central differences of the gradient, the same for both packages."""
        self.n["hessian"] += 1
        return product(self.g, x, X)


def product(g: Any, x: Any, X: Any) -> Any:
    length = float(np.linalg.norm(X))
    if length == 0.0:
        return 0.0 * X
    h = 6e-6 * max(1.0, float(np.abs(x).max())) / length
    return (g(x + h * X) - g(x - h * X)) / (2.0 * h)


def scipy_run(method: str, f: Any, g: Any, x0: Any, tolerance: float) -> Counted:
    """Run one of scipy's methods until its gradient is small enough."""
    counted = Counted(f, g, tolerance)
    keywords: dict[str, Any] = {"options": {"gtol": 0.0, "maxiter": MOST_CALLS}}
    if method == "L-BFGS-B":
        keywords["options"] |= {"ftol": 0.0, "maxfun": MOST_CALLS}
    if method.startswith("trust"):
        keywords["hessp"] = counted.product
    try:
        minimize(counted.cost, x0, jac=counted.gradient, method=method, **keywords)
    except Enough:
        pass
    return counted


def scipy_plain(method: str, f: Any, g: Any, x0: Any, calls: int) -> Callable[[], Any]:
    """The same run without our counters, to be timed: L-BFGS-B, which tests another norm, for so many calls."""
    keywords: dict[str, Any] = {"options": {"gtol": TOLERANCE, "maxiter": MOST_CALLS}}
    if method == "L-BFGS-B":
        keywords["options"] = {"gtol": 0.0, "ftol": 0.0, "maxiter": MOST_CALLS, "maxfun": calls}
    if method.startswith("trust"):
        keywords["hessp"] = lambda x, X: product(g, x, X)
    return lambda: minimize(f, x0, jac=g, method=method, **keywords)


def our_run(method: str, f: Any, g: Any, x0: Any, tolerance: float) -> Any:
    """The same with our method of the same kind."""
    M = Euclidean(len(x0))
    keywords = {"gradient": g, "tolerance": tolerance, "max_iterations": MOST_CALLS, "max_evaluations": MOST_CALLS}
    if method in ("L-BFGS-B", "BFGS"):
        return quasi_newton(M, f, x0, memory=10 if method == "L-BFGS-B" else None, **keywords)
    subsolver = LanczosState() if method == "trust-krylov" else None
    return trust_regions(M, f, x0, hessian=lambda x, X: product(g, x, X), subsolver=subsolver, **keywords)


def seconds_with(run: float, n: dict[str, int], user: dict[str, float], call: float) -> float:
    """Time of a run if a cost took half of ``call``, a gradient the other half, and a product the whole."""
    spent = sum(user[name] * n.get(name, 0) for name in user)
    return run - spent + call * (0.5 * n["cost"] + 0.5 * n["gradient"] + n.get("hessian", 0))


def compared(method: str, name: str, f: Any, g: Any, x0: Any) -> list[Any] | None:
    """Row of one problem and one of scipy's methods; None where either fails."""
    call, largest = CALL[method]
    if len(x0) > largest:
        return None
    theirs, ours = (run(method, f, g, x0, TOLERANCE) for run in (scipy_run, our_run))
    if not (theirs.there and ours.converged):
        return [name, shown(ours.evaluations), shown(theirs.n), math.nan, math.nan]
    runs = {
        "ours": lambda: our_run(method, f, g, x0, TOLERANCE),
        "scipy": scipy_plain(method, f, g, x0, theirs.n["cost"]),
    }
    # the functions are timed in the same turns: the speed of the machine changes
    X = np.ones(len(x0))
    user = {"cost": lambda: f(x0), "gradient": lambda: g(x0), "hessian": lambda: product(g, x0, X)}
    seconds = best_in_turns(runs, 0.3, turns=3) | best_in_turns(user, 0.1, turns=5)
    spent = {key: seconds[key] for key in user}
    times = [
        seconds_with(seconds[who], dict(n), spent, call) for who, n in (("ours", ours.evaluations), ("scipy", theirs.n))
    ]
    return [
        name,
        shown(ours.evaluations),
        shown(theirs.n),
        effort(ours.evaluations) / effort(theirs.n),
        times[0] / times[1],
    ]


def effort(n: dict[str, int]) -> float:
    """Costs, and Hessian products where there are some."""
    return n["cost"] + n.get("hessian", 0)


def shown(n: dict[str, int]) -> str:
    return ", ".join(str(n[name]) for name in ("cost", "gradient", "hessian") if n.get(name))


def functions_of_more() -> Iterator[tuple[str, Any, Any, Any]]:
    """The 53 problems of Moré and Wild that the tests use, as sums of squares."""
    import autograd

    path = Path(__file__).parent.parent / "tests" / "more_wild.py"
    spec = importlib.util.spec_from_file_location("more_wild", path)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    sys.modules["more_wild"] = module
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    for k, n, m, far in module.ROWS:
        residual, start, _ = module.problem(k, n, m, far)
        total = lambda x, residual=residual: autograd.numpy.sum(residual(x) ** 2)
        slope = autograd.grad(total)
        f, g = (lambda x, total=total: float(total(x))), (lambda x, slope=slope: np.asarray(slope(x)))
        yield f"{k}, n = {n}, start {far}", f, g, np.asarray(start, float)


def over_all_of_more() -> list[list[Any]]:
    """For each method: how many are solved, and the median ratio of the calls where both do."""
    solved = {method: [0, 0] for method in CALL}
    ratios: dict[str, list[float]] = {method: [] for method in CALL}
    for _, f, g, x0 in functions_of_more():
        tolerance = TOLERANCE * float(np.linalg.norm(g(x0)))
        for method in CALL:
            theirs, ours = (run(method, f, g, x0, tolerance) for run in (scipy_run, our_run))
            solved[method][0] += ours.converged
            solved[method][1] += theirs.there
            if theirs.there and ours.converged:
                ratios[method].append(effort(ours.evaluations) / effort(theirs.n))
    return [[method, *solved[method], median(ratios[method])] for method in CALL]


def tables() -> Iterator[Table]:
    names = {"L-BFGS-B": "`quasi_newton`", "BFGS": "`quasi_newton(memory=None)`"}
    for method, (call, _) in CALL.items():
        rows = [row for name, (f, g, x0) in problems().items() if (row := compared(method, name, f, g, x0))]
        both = [row for row in rows if not math.isnan(row[3])]
        rows.append(["median", None, None, median(row[3] for row in both), median(row[4] for row in both)])
        ours = names.get(method, "`trust_regions`" + (" with `LanczosState`" if method == "trust-krylov" else ""))
        yield Table(
            f"Flat problems beside scipy's {method}",
            f"{ours} and scipy's {method} to the gradient norm 1e-6: costs, gradients and Hessian products of both, "
            f"the ratio of costs and products, and that of times if a cost with its gradient took {1e6 * call:.0f} us.",
            ["problem", "ours", "scipy's", "calls, ratio", "time, ratio"],
            rows,
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = over_all_of_more()
    yield Table(
        "Functions of Moré, Garbow and Hillstrom beside scipy",
        "53 problems with 22 functions (Moré and Wild 2009) as sums of squares, until the gradient has decreased by "
        "1e-6: how many are solved in 20000 costs, and the median ratio of our costs and products to scipy's.",
        ["scipy's", "solved by ours", "solved by scipy", "calls, median ratio"],
        rows,
    )

"""The 27 nonlinear problems of NIST from both starts, defaults of each package: certified digits and time."""

from __future__ import annotations

import importlib.util
import math
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy import optimize

from manifold_opt import Euclidean, least_squares, levenberg_marquardt

from .harness import Table, best_in_turns, peer

TURNS = 3


def reader() -> Any:
    """The reader of NIST's files that the tests use."""
    path = Path(__file__).parent.parent / "tests" / "nist.py"
    spec = importlib.util.spec_from_file_location("nist_reader", path)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    import sys

    sys.modules["nist_reader"] = module
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    return module


def complex_step(residual: Callable[[Any], Any], n: int) -> Callable[[Any], Any]:
    """An exact Jacobian that costs n residuals, the same for all packages."""
    eye = 1e-30j * np.eye(n)
    return lambda b: np.stack([residual(b + eye[i]).imag for i in range(n)], axis=1) / 1e-30


def digits(found: Any, certified: Any) -> float:
    """Correct digits of the worst parameter, at most 11."""
    with np.errstate(all="ignore"):
        error = np.abs(found - certified) / np.abs(certified)
        worst = -math.log10(max(float(np.max(error)), 1e-11)) if np.isfinite(error).all() else 0.0
    return max(0.0, worst)


def ours(door: Any, **keywords: Any) -> Any:
    def solve(residual: Any, jacobian: Any, b0: Any) -> Any:
        return door(Euclidean(len(b0)), residual, b0, **keywords).point

    return solve


def ours_given(residual: Any, jacobian: Any, b0: Any) -> Any:
    return levenberg_marquardt(Euclidean(len(b0)), residual, b0, jacobian=jacobian).point


def scipy_solver(method: str, given: bool = False) -> Any:
    def solve(residual: Any, jacobian: Any, b0: Any) -> Any:
        return optimize.least_squares(residual, b0, method=method, **({"jac": jacobian} if given else {})).x

    return solve


def lmfit_solver() -> Any:
    lmfit = peer("lmfit")
    if lmfit is None:
        return None

    def solve(residual: Any, jacobian: Any, b0: Any) -> Any:
        parameters = lmfit.Parameters()
        for i, value in enumerate(b0):
            parameters.add(f"b{i}", value)
        result = lmfit.minimize(lambda p: residual(np.array([p[f"b{i}"].value for i in range(len(b0))])), parameters)
        return np.array([result.params[f"b{i}"].value for i in range(len(b0))])

    return solve


def ceres_solver() -> Any:
    pyceres = peer("pyceres")
    if pyceres is None:
        return None

    class Cost(pyceres.CostFunction):  # type: ignore[name-defined,misc]
        def __init__(self, residual: Any, jacobian: Any, m: int, n: int) -> None:
            super().__init__()
            self.residual, self.jacobian = residual, jacobian
            self.set_num_residuals(m)
            self.set_parameter_block_sizes([n])

        def Evaluate(self, parameters: Any, residuals: Any, jacobians: Any) -> bool:
            b = np.array(parameters[0])
            residuals[:] = r = self.residual(b)
            if jacobians is not None and jacobians[0] is not None:
                jacobians[0][:] = self.jacobian(b).ravel()
            return bool(np.isfinite(r).all())

    def solve(residual: Any, jacobian: Any, b0: Any) -> Any:
        problem, b = pyceres.Problem(), np.array(b0)
        cost = Cost(residual, jacobian, len(residual(b)), len(b))
        problem.add_residual_block(cost, None, [b])
        options, summary = pyceres.SolverOptions(), pyceres.SolverSummary()
        options.linear_solver_type = pyceres.LinearSolverType.DENSE_QR
        options.logging_type = pyceres.LoggingType.SILENT
        pyceres.solve(options, problem, summary)
        return b

    return solve


def contestants() -> dict[str, Any]:
    solvers = {
        "least_squares, autograd": ours(least_squares),
        "levenberg_marquardt, autograd": ours(levenberg_marquardt),
        "levenberg_marquardt, Jacobian given": ours_given,
        "SciPy least_squares trf": scipy_solver("trf"),
        "SciPy least_squares lm": scipy_solver("lm"),
        "SciPy trf, Jacobian given": scipy_solver("trf", given=True),
        "SciPy lm, Jacobian given": scipy_solver("lm", given=True),
        "lmfit": lmfit_solver(),
        "Ceres (pyceres), Jacobian given": ceres_solver(),
    }
    return {name: solver for name, solver in solvers.items() if solver is not None}


def run(solve: Any, runs: list[tuple[Any, Any]]) -> tuple[float, list[float]]:
    """Seconds for all runs, and the digits of each."""
    spent, scores = 0.0, []
    for problem, b0 in runs:
        residual = problem.residual
        jacobian = complex_step(residual, len(b0))
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            clock = time.perf_counter()
            try:
                found = solve(residual, jacobian, b0)
            except (ValueError, RuntimeError, np.linalg.LinAlgError):
                found = np.full(len(b0), np.nan)
            spent += time.perf_counter() - clock
        scores.append(digits(found, problem.parameters))
    return spent, scores


def tables() -> Iterator[Table]:
    nist = reader()
    if not nist.FOLDER:
        yield Table("NIST's nonlinear problems", "MANIFOLD_OPT_DATA is not set, so these were not run.", [""], [])
        return
    runs = []
    for name in nist.MODELS:
        problem = nist.read(name)
        for start in problem.starts:
            runs.append((problem, np.asarray(start, dtype=float)))
    solvers = contestants()
    seconds, scores = dict.fromkeys(solvers, math.inf), {}
    for _ in range(TURNS):
        for name, solve in solvers.items():
            spent, scores[name] = run(solve, runs)
            seconds[name] = min(seconds[name], spent)
    rows = [[name, *(sum(s >= d for s in scores[name]) for d in (4, 6, 8)), seconds[name]] for name in solvers]
    yield Table(
        "NIST's nonlinear problems",
        "27 certified problems from two starts each, all defaults: how many of the 54 fits have so many digits right "
        "in the worst parameter, and the seconds for all, the best of three turns. A given Jacobian is exact, by "
        "complex steps.",
        ["", ">= 4 digits", ">= 6", ">= 8", "seconds"],
        rows,
    )
    yield small_fit(nist)


def small_fit(nist: Any) -> Table:
    """What one small fit costs, Jacobian given: mostly overhead."""
    problem = nist.read("Misra1a")
    residual, b0 = problem.residual, np.asarray(problem.starts[1], dtype=float)
    jacobian = complex_step(residual, len(b0))
    M, counts = Euclidean(len(b0)), {}
    calls: dict[str, Callable[[], Any]] = {
        "levenberg_marquardt": lambda: levenberg_marquardt(M, residual, b0, jacobian=jacobian),
        "SciPy least_squares trf": lambda: optimize.least_squares(residual, b0, jac=jacobian, x_scale="jac"),
        "SciPy least_squares lm": lambda: optimize.least_squares(residual, b0, jac=jacobian, method="lm"),
        "SciPy leastsq": lambda: optimize.leastsq(residual, b0, Dfun=jacobian, full_output=True),
    }
    for name, call in calls.items():
        answer = call()
        if name.startswith("SciPy leastsq"):
            counts[name] = (answer[2]["nfev"], answer[2]["njev"])
        elif name.startswith("SciPy"):
            counts[name] = (answer.nfev, answer.njev)
        else:
            counts[name] = (answer.evaluations["residual"], answer.evaluations["jacobian"])
    ms = {name: 1e3 * t for name, t in best_in_turns(calls).items()}
    ms_user = best_in_turns({"r": lambda: residual(b0), "J": lambda: jacobian(b0)})
    rows = []
    for name, (nr, nj) in counts.items():
        user = 1e3 * (nr * ms_user["r"] + nj * ms_user["J"])
        rows.append([name, nr, nj, ms[name], ms[name] - user])
    return Table(
        "A small fit",
        "Misra1a of NIST (2 parameters, 14 values) from its second start, Jacobian given: milliseconds, and what "
        "is left of them without the user's functions.",
        ["", "residuals", "Jacobians", "ms", "ms beyond the user's functions"],
        rows,
    )

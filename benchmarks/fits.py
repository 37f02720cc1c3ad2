"""Fits of rotations beside SciPy's least squares with a parametrization by hand: Wahba, Procrustes, averaging."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy import optimize
from scipy.linalg import expm
from scipy.spatial.transform import Rotation

from manifold_opt import (
    BlockObjective,
    PowerManifold,
    ProductManifold,
    ResidualBlock,
    Rotations,
    levenberg_marquardt,
)

from .harness import Table

TURNS = 5


def wahba(n: int = 100) -> dict[str, Callable[[], tuple[Any, float, int]]]:
    """A rotation from n pairs of directions."""
    rng = np.random.default_rng(0)
    M = Rotations(3)
    a = rng.standard_normal((n, 3))
    b = a @ M.random_point(rng).T + 0.01 * rng.standard_normal((n, 3))
    residual = lambda R: (a @ R.T - b).reshape(-1)
    # a turned by R exp(X) moves along R (x cross a)
    generators = np.array([[[0, 0, 0], [0, 0, -1], [0, 1, 0]], [[0, 0, 1], [0, 0, 0], [-1, 0, 0]]])
    generators = np.concatenate([generators, [[[0, -1, 0], [1, 0, 0], [0, 0, 0]]]])
    moved = np.einsum("kij,nj->nik", generators, a)
    jacobian = lambda R: (R @ moved).reshape(-1, 3)
    by_vector = lambda w: residual(Rotation.from_rotvec(w).as_matrix())
    solvers = {
        "ours, autograd": lambda: ours(levenberg_marquardt(M, residual, np.eye(3))),
        "ours, Jacobian given": lambda: ours(levenberg_marquardt(M, residual, np.eye(3), jacobian=jacobian)),
    }
    return solvers | scipys(by_vector, np.zeros(3))


def procrustes(n: int = 6, m: int = 60) -> dict[str, Callable[[], tuple[Any, float, int]]]:
    """A rotation of n dimensions from m pairs of points; by hand: the exponential of a skew matrix."""
    rng = np.random.default_rng(1)
    M = Rotations(n)
    A = rng.standard_normal((m, n))
    truth = M.exp(np.eye(n), 0.5 * M.random_vector(np.eye(n), rng))
    B = A @ truth.T + 0.01 * rng.standard_normal((m, n))
    residual = lambda R: (A @ R.T - B).reshape(-1)
    rows, columns = np.triu_indices(n, 1)

    def by_exponential(w: Any) -> Any:
        X = np.zeros((n, n))
        X[rows, columns] = w
        return residual(expm(X - X.T))

    solvers = {"ours, autograd": lambda: ours(levenberg_marquardt(M, residual, np.eye(n)))}
    return solvers | scipys(by_exponential, np.zeros(len(rows)))


def averaging(n: int = 100, edges: int = 400) -> dict[str, Callable[[], tuple[Any, float, int]]]:
    """Rotations of n cameras from relative ones; the differences of SciPy know which columns are zero."""
    rng = np.random.default_rng(2)
    R3 = Rotations(3)
    M = ProductManifold(R=PowerManifold(R3, n))
    truth = R3.random_point(rng, (n,))
    i = np.concatenate([np.arange(n - 1), rng.integers(0, n, edges - n + 1)])
    j = np.concatenate([np.arange(1, n), rng.integers(0, n, edges - n + 1)])
    i, j = i[i != j], j[i != j]
    exact = np.swapaxes(truth[i], 1, 2) @ truth[j]
    seen = R3.exp(exact, 0.05 * R3.random_vector(exact, rng))
    start = R3.exp(truth, 0.3 * R3.random_vector(truth, rng))
    family = lambda Ri, Rj: (Rj - Ri @ seen).reshape(-1, 9)
    block = ResidualBlock(family, ("R", "R"), indices=(i, j))
    pattern = np.zeros((9 * len(i), 3 * n))
    for k, (a, b) in enumerate(zip(i, j)):
        pattern[9 * k : 9 * k + 9, 3 * a : 3 * a + 3] = pattern[9 * k : 9 * k + 9, 3 * b : 3 * b + 3] = 1.0

    def by_vectors(w: Any) -> Any:
        R = Rotation.from_rotvec(w.reshape(n, 3)).as_matrix()
        return family(R[i], R[j]).reshape(-1)

    solvers = {"ours, autograd": lambda: ours(levenberg_marquardt(M, BlockObjective([block]), start.reshape(-1)))}
    w0 = Rotation.from_matrix(start).as_rotvec().reshape(-1)
    return solvers | {
        "SciPy trf, sparse differences": lambda: theirs(
            optimize.least_squares(by_vectors, w0, method="trf", jac_sparsity=pattern)
        ),
        "SciPy lm, differences": lambda: theirs(optimize.least_squares(by_vectors, w0, method="lm")),
    }


def ours(result: Any) -> tuple[float, int]:
    return result.cost, result.evaluations["residual"]


def theirs(result: Any) -> tuple[float, int]:
    return float(result.cost), int(result.nfev)


def scipys(residual: Any, start: Any) -> dict[str, Any]:
    return {
        f"SciPy {method}, differences": lambda method=method: theirs(
            optimize.least_squares(residual, start, method=method)
        )
        for method in ("trf", "lm")
    }


def measured(solvers: dict[str, Any]) -> list[list[Any]]:
    """Best of several turns, in which all take part; ratios to our first."""
    best: dict[str, float] = dict.fromkeys(solvers, float("inf"))
    found = {}
    for _ in range(TURNS):
        for name, solve in solvers.items():
            start = time.perf_counter()
            found[name] = solve()
            best[name] = min(best[name], time.perf_counter() - start)
    least = min(cost for cost, _ in found.values())
    first = best[next(iter(best))]
    return [
        [name, 1e3 * best[name], best[name] / first, calls, cost / least - 1.0] for name, (cost, calls) in found.items()
    ]


def tables() -> Iterator[Table]:
    rows = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for problem, solvers in (
            ("Wahba, 100 directions", wahba()),
            ("Procrustes, 60 points in 6 dimensions", procrustes()),
            ("averaging, 100 cameras, 400 edges", averaging()),
        ):
            rows += [[problem, *row] for row in measured(solvers)]
    yield Table(
        "Fits of rotations beside SciPy",
        "`levenberg_marquardt` on the rotations themselves, and SciPy's `least_squares` on vectors that parametrize "
        "them (rotation vectors; exponentials of skew matrices), with defaults and from the same start. Calls are "
        "those that each counts: SciPy leaves out those of differences. The excess is that of the cost over the least.",
        ["problem", "solver", "ms", "ratio", "residual calls", "excess of the cost"],
        rows,
    )

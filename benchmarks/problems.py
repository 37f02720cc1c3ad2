"""Whole problems beside pymanopt: same instance, start, gradient tolerance."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from manifold_opt import (
    BlockObjective,
    FixedRank,
    PowerManifold,
    ProductManifold,
    ResidualBlock,
    Rotations,
    Sphere,
    SymmetricPositiveDefinite,
    conjugate_gradient_descent,
    gradient_descent,
    levenberg_marquardt,
    quasi_newton,
    trust_regions,
)

from .harness import Table, best_in_turns, peer

TOLERANCE, ITERATIONS = 1e-6, 3000


@dataclass
class Case:
    """One problem for both packages.

    Attributes
    ----------
    ours : dict
        Solver name -> call that returns a Result.
    theirs : dict
        Solver name -> call that returns (point, counts of calls).
    gradient_norm : callable
        Riemannian gradient norm at a point, for both.
    default : str
        The solver that `minimize` chooses: trust regions where a Hessian is given, else L-BFGS.
    """

    name: str
    ours: dict[str, Callable[[], Any]]
    theirs: dict[str, Callable[[], Any]]
    gradient_norm: Callable[[Any], float]
    default: str = "trust_regions"


class Counter:
    """Counts the calls of functions."""

    def __init__(self) -> None:
        self.n: dict[str, int] = {}

    def __call__(self, name: str, f: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            self.n[name] = self.n.get(name, 0) + 1
            return f(*arguments)

        return counted


def pymanopt_solvers(make: Callable[[Any, Counter], Any], start: Any) -> dict[str, Callable[[], Any]]:
    """Calls of pymanopt's solvers on the problem that ``make(pymanopt, counter)`` builds."""
    pymanopt = peer("pymanopt")
    if pymanopt is None:
        return {}
    kinds = {
        "SteepestDescent": pymanopt.optimizers.SteepestDescent,
        "ConjugateGradient": pymanopt.optimizers.ConjugateGradient,
        "TrustRegions": pymanopt.optimizers.TrustRegions,
    }

    def caller(kind: Any) -> Callable[[], Any]:
        def run() -> Any:
            counter = Counter()
            problem = make(pymanopt, counter)
            solver = kind(max_iterations=ITERATIONS, min_gradient_norm=TOLERANCE, max_time=60, verbosity=0)
            return solver.run(problem, initial_point=start).point, counter.n

        return run

    return {name: caller(kind) for name, kind in kinds.items()}


def smooth(
    M: Any, f: Any, g: Any, start: Any, h: Any = None, objective_type: str = "euclidean"
) -> dict[str, Callable[[], Any]]:
    """Our solvers of smooth costs; without a Hessian, trust regions take differences of the gradient."""
    keywords = {"gradient": g, "objective_type": objective_type, "tolerance": TOLERANCE, "max_iterations": ITERATIONS}
    solvers = (gradient_descent, conjugate_gradient_descent, quasi_newton)
    calls = {solver.__name__: lambda solver=solver: solver(M, f, start, **keywords) for solver in solvers}
    calls["trust_regions"] = lambda: trust_regions(M, f, start, hessian=h, **keywords)
    return calls


def eigenvector() -> Case:
    rng = np.random.default_rng(20240229)
    A = rng.standard_normal((1000, 1000))
    A = 0.5 * (A + A.T)
    start = np.random.default_rng(7).standard_normal(1000)
    start /= np.linalg.norm(start)
    f, g, h = (lambda x: -float(x @ (A @ x))), (lambda x: -2.0 * (A @ x)), (lambda x, u: -2.0 * (A @ u))
    M = Sphere(999)

    def make(pymanopt: Any, count: Counter) -> Any:
        N = pymanopt.manifolds.Sphere(1000)
        wrap = pymanopt.function.numpy(N)
        cost = wrap(_one(count("cost", f)))
        return pymanopt.Problem(
            N,
            cost,
            euclidean_gradient=wrap(_one(count("gradient", g))),
            euclidean_hessian=wrap(_two(count("hessian", h))),
        )

    ours = smooth(M, f, g, start, h)
    return Case(
        "dominant eigenvector, Sphere(999)",
        ours,
        pymanopt_solvers(make, start),
        lambda x: M.norm(x, M.riemannian_gradient(x, g(x))),
    )


def karcher_mean() -> Case:
    n, m = 10, 50
    rng = np.random.default_rng(20240229)
    B = rng.standard_normal((m, n, n))
    D = B @ np.swapaxes(B, 1, 2) / n + 0.05 * np.eye(n)
    start = D.mean(axis=0)
    M = SymmetricPositiveDefinite(n)

    def spectral(X: Any) -> Any:
        L = np.linalg.cholesky(X)
        Li = np.linalg.inv(L)
        S = Li @ D @ Li.T
        w, V = np.linalg.eigh(0.5 * (S + np.swapaxes(S, 1, 2)))
        return L, w, V

    def f(X: Any) -> float:
        return float(0.5 * np.sum(np.log(spectral(X)[1]) ** 2) / m)

    def g(X: Any) -> Any:
        L, w, V = spectral(X)
        return -L @ (np.einsum("kij,kj,klj->il", V, np.log(w), V) / m) @ L.T

    def make(pymanopt: Any, count: Counter) -> Any:
        N = pymanopt.manifolds.SymmetricPositiveDefinite(n)
        wrap = pymanopt.function.numpy(N)
        return pymanopt.Problem(N, wrap(_one(count("cost", f))), riemannian_gradient=wrap(_one(count("gradient", g))))

    solvers = pymanopt_solvers(make, start)
    solvers.pop("TrustRegions", None)  # refuses: no Hessian
    ours = smooth(M, f, g, start, objective_type="riemannian")
    return Case("Karcher mean of 50 matrices, SPD(10)", ours, solvers, lambda X: M.norm(X, g(X)), "quasi_newton")


def rotation_averaging() -> Case:
    k = 100
    rng = np.random.default_rng(20240229)
    R3 = Rotations(3)
    truth = R3.random_point(rng, (k,))
    edges = [(i, (i + 1) % k) for i in range(k)]
    edges += [tuple(rng.choice(k, 2, replace=False)) for _ in range(3 * k)]
    I, J = np.array(edges).T
    noise = R3.exp(
        np.broadcast_to(np.eye(3), (len(I), 3, 3)), R3.get_vector(np.eye(3), 0.05 * rng.standard_normal((len(I), 3)))
    )
    Z = truth[I] @ np.swapaxes(truth[J], 1, 2) @ noise
    start = R3.random_point(np.random.default_rng(7), (k,))
    M = PowerManifold(Rotations(3, metric_scale=1.0), k)

    def f(R: Any) -> float:
        return float(0.5 * np.sum((R[I] - Z @ R[J]) ** 2))

    def g(R: Any) -> Any:
        G = np.zeros_like(R)
        E = R[I] - Z @ R[J]
        np.add.at(G, I, E)
        np.add.at(G, J, -np.swapaxes(Z, 1, 2) @ E)
        return G

    basis = R3_basis()

    def blocks(Ri: Any, Rj: Any) -> tuple[Any, Any]:
        # d R_i = R_i E_a: blocks R_i E_a and -Z R_j E_a of nine rows and three columns
        A, B = (np.einsum("nij,ajk->nika", X, basis).reshape(-1, 9, 3) for X in (Ri, Z @ Rj))
        return A, -B

    family = ResidualBlock(lambda Ri, Rj: (Ri - Z @ Rj).reshape(-1, 9), ("R", "R"), indices=(I, J), jacobian=blocks)
    named = ProductManifold(R=M)

    def make(pymanopt: Any, count: Counter) -> Any:
        N = pymanopt.manifolds.SpecialOrthogonalGroup(3, k=k)
        wrap = pymanopt.function.numpy(N)
        return pymanopt.Problem(
            N,
            wrap(_one(count("cost", f))),
            euclidean_gradient=wrap(_one(count("gradient", g))),
            euclidean_hessian=wrap(_two(count("hessian", lambda R, U: g(U)))),
        )

    ours = smooth(M, f, g, start, lambda R, U: g(U)) | {
        "levenberg_marquardt": lambda: levenberg_marquardt(named, BlockObjective([family]), start.reshape(-1)),
    }
    return Case(
        "rotation averaging, SO(3)^100, 400 edges",
        ours,
        pymanopt_solvers(make, start),
        lambda R: M.norm(R.reshape(k, 3, 3), M.riemannian_gradient(R.reshape(k, 3, 3), g(R.reshape(k, 3, 3)))),
    )


def maxcut() -> Case:
    import scipy.sparse as sp

    n, r = 500, 20
    A = sp.random(n, n, density=0.02, random_state=np.random.default_rng(20240229), data_rvs=np.ones)
    A = sp.triu(A, 1)
    A = A + A.T
    L = (sp.diags(np.asarray(A.sum(axis=1)).ravel()) - A).tocsr()
    start = np.random.default_rng(7).standard_normal((n, r))
    start /= np.linalg.norm(start, axis=1, keepdims=True)
    M = PowerManifold(Sphere(r - 1), n)

    def f(Y: Any) -> float:
        return float(-0.25 * np.sum(Y * (L @ Y)))

    def g(Y: Any) -> Any:
        return -0.5 * (L @ Y)

    def make(pymanopt: Any, count: Counter) -> Any:
        N = pymanopt.manifolds.Oblique(r, n)  # columns, where our rows are points
        wrap = pymanopt.function.numpy(N)
        return pymanopt.Problem(
            N,
            wrap(_one(count("cost", lambda Y: f(Y.T)))),
            euclidean_gradient=wrap(_one(count("gradient", lambda Y: g(Y.T).T))),
            euclidean_hessian=wrap(_two(count("hessian", lambda Y, U: g(U.T).T))),
        )

    def norm(Y: Any) -> float:
        Y = Y if Y.shape == start.shape else Y.T
        return M.norm(Y, M.riemannian_gradient(Y, g(Y)))

    return Case(
        "MaxCut, 500 points on the 19-sphere",
        smooth(M, f, g, start, lambda Y, U: g(U)),
        pymanopt_solvers(make, start.T.copy()),
        norm,
    )


def completion() -> Case:
    import scipy.sparse as sp

    n, r = 500, 5
    rng = np.random.default_rng(20240229)
    left, right = rng.standard_normal((n, r)), rng.standard_normal((r, n))
    count = 5 * r * (2 * n - r)
    I, J = np.divmod(np.sort(rng.choice(n * n, size=count, replace=False)), n)
    b = np.sum(left[I] * right.T[J], axis=1)
    pattern = sp.csr_matrix((b, (I, J)), shape=(n, n))
    U, s, Vt = np.linalg.svd(pattern.toarray() * (n * n / count), full_matrices=False)
    U, s, Vt = U[:, :r].copy(), s[:r].copy(), Vt[:r].copy()
    M = FixedRank(n, n, r)
    start = M.join(U, np.diag(s), Vt.T)

    def matrix(values: Any) -> Any:
        return sp.csr_matrix((values, pattern.indices, pattern.indptr), shape=(n, n))

    def residual(u: Any, s: Any, vt: Any) -> Any:
        return np.sum((u * s)[I] * vt.T[J], axis=1) - b

    def f(p: Any) -> float:
        e = M.entries(p, I, J) - b
        return 0.5 * float(e @ e)

    def g(p: Any) -> Any:
        return matrix(M.entries(p, I, J) - b)

    def make(pymanopt: Any, count: Counter) -> Any:
        N = pymanopt.manifolds.FixedRankEmbedded(n, n, r)
        wrap = pymanopt.function.numpy(N)

        def gradient(u: Any, s: Any, vt: Any) -> Any:
            S = matrix(residual(u, s, vt))
            SV, StU = S @ vt.T, S.T @ u
            return SV * s, np.sum(u * SV, axis=0), (StU * s).T

        cost = count("cost", lambda u, s, vt: 0.5 * np.sum(residual(u, s, vt) ** 2))
        counted = count("gradient", gradient)
        return pymanopt.Problem(
            N, wrap(lambda u, s, vt: cost(u, s, vt)), euclidean_gradient=wrap(lambda u, s, vt: counted(u, s, vt))
        )

    def norm(p: Any) -> float:
        if not isinstance(p, np.ndarray):
            u, s, vt = p
            p = M.join(u, np.diag(s), vt.T)
        return M.norm(p, M.riemannian_gradient(p, g(p)))

    ours = smooth(M, f, g, start, lambda p, X: matrix(X.entries(I, J)))
    solvers = pymanopt_solvers(make, [U, s, Vt])
    solvers.pop("TrustRegions", None)  # refuses: no Hessian on this manifold
    return Case("matrix completion, FixedRank(500, 500, 5)", ours, solvers, norm)


def R3_basis() -> Any:
    """Orthonormal basis of skew matrices for the Frobenius metric, in the order of our coordinates."""
    R3 = Rotations(3, metric_scale=1.0)
    return R3.get_basis(np.eye(3))


def _one(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def function(x: Any) -> Any:
        return f(x)

    return function


def _two(f: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def function(x: Any, u: Any) -> Any:
        return f(x, u)

    return function


CASES = (eigenvector, karcher_mean, rotation_averaging, maxcut, completion)


SAME = {
    "gradient_descent": "SteepestDescent",
    "conjugate_gradient_descent": "ConjugateGradient",
    "trust_regions": "TrustRegions",
}


def tables() -> Iterator[Table]:
    rows = []
    for make in CASES:
        rows += compared(make())
    yield Table(
        "Whole problems",
        "Milliseconds to the gradient norm 1e-6 from the same start, the ratio to pymanopt's fastest solver that got "
        "there, the ratio to its solver of the same kind, the calls of the user's functions, and the gradient norm at "
        "the answer. The solver that `minimize` chooses is marked: its budget is 0.5 in the first ratio, that of the "
        "others 0.8 in the second.",
        ["problem", "solver", "ms", "ratio", "same solver", "calls", "gradient norm"],
        rows,
    )


def compared(case: Case) -> list[list[Any]]:
    """Rows of one problem."""
    calls = {f"ours: {name}": f for name, f in case.ours.items()}
    calls |= {f"pymanopt: {name}": f for name, f in case.theirs.items()}
    seconds = best_in_turns(calls, 1.0, turns=3)
    answers = {name: f() for name, f in calls.items()}
    norms = {name: case.gradient_norm(a.point if name.startswith("ours") else a[0]) for name, a in answers.items()}
    there = [t for name, t in seconds.items() if name.startswith("pymanopt") and norms[name] <= TOLERANCE]
    reference = min(there, default=math.nan)
    rows = []
    for name, answer in answers.items():
        ours, solver = name.startswith("ours"), name.partition(": ")[2]
        counts = dict(answer.evaluations) if ours else answer[1]
        same = seconds.get(f"pymanopt: {SAME.get(solver)}", math.nan) if ours else math.nan
        shown = ", ".join(f"{n} {what}" for what, n in counts.items())
        marked = f"{name} (default)" if ours and solver == case.default else name
        t = seconds[name]
        rows.append([case.name, marked, 1e3 * t, t / reference, t / same, shown, norms[name]])
    return rows

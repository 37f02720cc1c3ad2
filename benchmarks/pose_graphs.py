"""Pose graphs beside GTSAM and SciPy: time to the same cost, memory, a user's own residual, growth."""

from __future__ import annotations

import contextlib
import lzma
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from manifold_opt import BlockObjective, ResidualBlock, fix, levenberg_marquardt, solve_pose_graph
from manifold_opt.datasets import read_g2o, sphere_graph
from manifold_opt.pose_graphs import PoseGraph, initial_poses, pose_graph_block
from manifold_opt.stopping import StopAfterIteration, StopWhenCostLess

from .harness import Table, peak_memory, peer

DATA = os.environ.get("MANIFOLD_OPT_DATA")
FILES = ("sphere2500", "parking-garage")
TURNS = 4
CLOCK = time.perf_counter


def solvers() -> dict[str, Any]:
    """Ours, by each factorization that is installed."""
    from manifold_opt.linalg.sparse_solvers import SparseCholesky

    found = {}
    for name, module in (("numpy", None), ("compiled", "numba"), ("superlu", None), ("cvxopt", "cvxopt")):
        if module is None or peer(module) is not None:
            found[name] = SparseCholesky(method=name)
    return found


def in_turns(calls: dict[str, Callable[[], float]], turns: int = TURNS) -> dict[str, float]:
    """Least seconds of each, where a call returns the seconds that count."""
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(turns):
        for name, call in calls.items():
            best[name] = min(best[name], call())
    return best


def timed(f: Callable[[], Any]) -> float:
    clock = CLOCK()
    f()
    return CLOCK() - clock


# ---------------------------------------------------------------------------------------------------------- GTSAM
class Gtsam:
    """A graph of GTSAM, with the same start as ours."""

    def __init__(self, path: Path, graph: PoseGraph) -> None:
        self.gtsam = gtsam = peer("gtsam")
        in_space = graph.dimension == 3
        text = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
        with tempfile.TemporaryDirectory() as folder:
            plain = Path(folder) / "graph.g2o"
            plain.write_bytes(text)
            self.graph, self.initial = gtsam.readG2o(str(plain), in_space)
        size = 6 if in_space else 3
        first = int(graph.ids[0])
        pose = self.initial.atPose3(first) if in_space else self.initial.atPose2(first)
        prior = gtsam.PriorFactorPose3 if in_space else gtsam.PriorFactorPose2
        noise = gtsam.noiseModel.Diagonal.Variances(np.full(size, 1e-6))
        self.anchored = gtsam.NonlinearFactorGraph(self.graph)
        self.anchored.add(prior(first, pose, noise))

    def solve(self, initial: Any = None) -> Any:
        parameters = self.gtsam.LevenbergMarquardtParams()
        parameters.setMaxIterations(100)
        initial = self.initial if initial is None else initial
        self.optimizer = self.gtsam.LevenbergMarquardtOptimizer(self.anchored, initial, parameters)
        return self.optimizer.optimize()

    def chordal(self) -> Any:
        return self.gtsam.InitializePose3.initialize(self.anchored)

    def cost(self, values: Any) -> float:
        return float(self.graph.error(values))

    def with_custom_factors(self, graph: PoseGraph) -> Any:
        """The same graph with factors in Python, as GTSAM's manual shows them."""
        gtsam = self.gtsam
        other = gtsam.NonlinearFactorGraph()
        W = graph.sqrt_information()
        order = [3, 4, 5, 0, 1, 2]

        def error(measured: Any) -> Any:
            def function(this: Any, values: Any, jacobians: Any) -> Any:
                a, b = (values.atPose3(key) for key in this.keys())
                H1, H2 = np.zeros((6, 6), order="F"), np.zeros((6, 6), order="F")
                between = a.between(b, H1, H2)
                D1, D2 = np.zeros((6, 6), order="F"), np.zeros((6, 6), order="F")
                r = measured.localCoordinates(between, D1, D2)
                if jacobians is not None:
                    jacobians[0], jacobians[1] = D2 @ H1, D2 @ H2
                return r

            return function

        SE = graph.pose_manifold
        for k, (i, j) in enumerate(graph.ids[graph.edges]):
            Omega = (W[k].T @ W[k])[np.ix_(order, order)]
            noise = gtsam.noiseModel.Gaussian.Information(Omega)
            measured = gtsam.Pose3(SE.to_matrix(graph.measurements[k]))
            other.add(gtsam.CustomFactor(noise, [int(i), int(j)], error(measured)))
        other.add(self.anchored.at(self.anchored.size() - 1))
        return other


# ----------------------------------------------------------------------------------------------------------- ours
def target(cost: float) -> Any:
    """Stop as soon as the cost is the same to six digits, as GTSAM's relative tolerance of 1e-5 does at about that."""
    return StopAfterIteration(100) | StopWhenCostLess(cost * (1.0 + 1e-6))


def ours(graph: PoseGraph, start: Any, cost: float, solver: Any) -> Any:
    return solve_pose_graph(graph, "log", init=start, linear_solver=solver, stopping=target(cost))


def solve_only(graph: PoseGraph, start: Any, cost: float, solver: Any) -> float:
    """Seconds of the solver alone, everything of the graph being there, as GTSAM's are counted."""
    M = graph.manifold
    small = fix(M, BlockObjective([pose_graph_block(graph, "log")]), M.join(start), {"poses": graph.anchors})
    clock = CLOCK()
    levenberg_marquardt(small.manifold, small.objective, small.p0, linear_solver=solver, stopping=target(cost))
    return CLOCK() - clock


def tables() -> Iterator[Table]:
    if not DATA:
        yield Table("Pose graphs", "MANIFOLD_OPT_DATA is not set, so these were not run.", [""], [])
    elif peer("gtsam") is None:
        yield Table("Pose graphs", "GTSAM is not installed, so these were not run.", [""], [])
    else:
        yield from beside_gtsam()
        yield own_residual()
    if DATA:
        yield beside_scipy()
    yield growth()


def beside_gtsam() -> Iterator[Table]:
    from_file, from_chordal, memory = [], [], []
    for name in FILES:
        path = Path(DATA or "") / "g2o" / f"{name}.g2o.xz"
        graph = read_g2o(path)
        theirs = Gtsam(path, graph)
        cost = theirs.cost(theirs.solve())
        calls: dict[str, Callable[[], float]] = {"GTSAM": lambda t=theirs: timed(t.solve)}  # type: ignore[misc]
        for method, solver in solvers().items():
            calls[method] = lambda g=graph, c=cost, s=solver: solve_only(g, g.poses, c, s)  # type: ignore[misc]
        best = in_turns(calls)
        for method, seconds in best.items():
            if method == "GTSAM":
                from_file.append([name, "GTSAM 4.3 LM", 1e3 * seconds, 1.0, theirs.optimizer.iterations(), cost])
                continue
            r = ours(graph, graph.poses, cost, solvers()[method])
            from_file.append([name, f"ours, {method}", 1e3 * seconds, seconds / best["GTSAM"], r.iterations, r.cost])
        from_chordal += chordal_rows(name, graph, theirs)
        numbers = [rss(kind, path) for kind in ("GTSAM", "numpy", "compiled")]
        memory.append([name, *numbers, *(x / numbers[0] for x in numbers[1:])])
    yield Table(
        "Pose graphs from the file's vertices",
        "Logarithms with full information matrices, to the cost at which GTSAM's LM stops (six digits): ms of "
        "the solver alone, ratio to GTSAM, steps. `numpy` needs nothing but NumPy and SciPy, `compiled` the extra "
        "`sparse`.",
        ["", "", "ms", "ratio", "steps", "cost"],
        from_file,
    )
    yield Table(
        "Pose graphs from a chordal start",
        "The same with the chordal initialization, which is counted: milliseconds of start and solver, ratio of their "
        "sums.",
        ["", "", "ms start", "ms solver", "ratio", "cost"],
        from_chordal,
    )
    yield Table(
        "Memory of pose graphs",
        "Largest resident set of a process that reads the file and solves it, in MB, with NumPy alone and with the "
        "extra `sparse`, of which numba takes 65 before anything is computed; ratios to GTSAM.",
        ["", "GTSAM", "ours, numpy", "ours, compiled", "ratio, numpy", "ratio, compiled"],
        memory,
    )


def chordal_rows(name: str, graph: PoseGraph, theirs: Gtsam) -> list[list[Any]]:
    values = theirs.chordal()
    cost = theirs.cost(theirs.solve(values))
    start = initial_poses(graph)
    methods = {m: s for m, s in solvers().items() if m in ("numpy", "compiled")}
    calls: dict[str, Callable[[], float]] = {
        "start GTSAM": lambda: timed(theirs.chordal),
        "solve GTSAM": lambda: timed(lambda: theirs.solve(values)),
        "start ours": lambda: timed(lambda: initial_poses(graph)),
    }
    for m, s in methods.items():
        calls[m] = lambda s=s: solve_only(graph, start, cost, s)  # type: ignore[misc]
    best = in_turns(calls)
    whole = best["start GTSAM"] + best["solve GTSAM"]
    rows = [[name, "GTSAM 4.3", 1e3 * best["start GTSAM"], 1e3 * best["solve GTSAM"], 1.0, cost]]
    for m, s in methods.items():
        seconds = best["start ours"] + best[m]
        r = ours(graph, start, cost, s)
        rows.append([name, f"ours, {m}", 1e3 * best["start ours"], 1e3 * best[m], seconds / whole, r.cost])
    return rows


def rss(kind: str, path: Path) -> float:
    """Largest resident set of a fresh process that solves the file, in MB."""
    answer = subprocess.run(
        [sys.executable, "-m", "benchmarks.pose_graphs", kind, str(path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parent.parent,
    )
    return float(answer.stdout.split()[-1])


def measure_memory(kind: str, path: Path) -> None:
    graph = read_g2o(path)
    if kind == "GTSAM":
        Gtsam(path, graph).solve()
    else:
        from manifold_opt.linalg.sparse_solvers import SparseCholesky

        solve_pose_graph(graph, "log", init="file", linear_solver=SparseCholesky(method=kind))
    print(peak_memory())


# ------------------------------------------------------------------------------------------------ a user's residual
# twice the vector of the skew part of a matrix
TWIST = np.array(
    [[[0, 0, 0], [0, 0, -1], [0, 1, 0]], [[0, 0, 1], [0, 0, 0], [-1, 0, 0]], [[0, -1, 0], [1, 0, 0], [0, 0, 0]]]
)


def own_between(p: Any, q: Any, Z: Any) -> Any:
    """The logarithm of Z^-1 T_i^-1 T_j as a user writes it, to be differentiated by autograd."""
    import autograd.numpy as anp

    R, t = anp.split(p, [9], axis=1)
    S, s = anp.split(q, [9], axis=1)
    R, S, Q, z = anp.reshape(R, (-1, 3, 3)), anp.reshape(S, (-1, 3, 3)), np.reshape(Z[:, :9], (-1, 3, 3)), Z[:, 9:]
    B = anp.matmul(R, Q)
    E = anp.matmul(anp.swapaxes(B, 1, 2), S)
    e = anp.matmul((s - t)[:, None, :], B)[:, 0] - np.matmul(z[:, None, :], Q)[:, 0]
    v = anp.einsum("nij,kij->nk", E, TWIST)
    sine = anp.sqrt(anp.sum(v * v, axis=1) + 1e-30)
    angle = anp.arctan2(sine, anp.sum(E * np.eye(3), axis=(1, 2)) - 1.0)
    w = v * (angle / sine)[:, None]
    half = 0.5 * angle
    g = (1.0 - half / anp.tan(half + 1e-15)) / (angle * angle + 1e-30)
    c = anp.cross(w, e)
    return anp.concatenate([e - 0.5 * c + g[:, None] * anp.cross(w, c), w], axis=1)


def own_residual() -> Table:
    path = Path(DATA or "") / "g2o" / "parking-garage.g2o.xz"
    graph = read_g2o(path)
    theirs = Gtsam(path, graph)
    cost = theirs.cost(theirs.solve())
    i, j = graph.edges.T
    W = graph.sqrt_information()
    block = ResidualBlock(
        own_between, ("poses", "poses"), indices=(i, j), data=(graph.measurements,), sqrt_information=W
    )
    M = graph.manifold
    small = fix(M, BlockObjective([block]), M.join(graph.poses), {"poses": graph.anchors})

    def solve() -> Any:
        return levenberg_marquardt(small.manifold, small.objective, small.p0, stopping=target(cost))

    found = solve()
    seconds = min(timed(solve) for _ in range(TURNS))
    custom = theirs.with_custom_factors(graph)
    optimizer = theirs.gtsam.LevenbergMarquardtOptimizer(
        custom, theirs.initial, theirs.gtsam.LevenbergMarquardtParams()
    )
    slow = timed(optimizer.optimize)
    # cost without Python: the same optimization by the factors in C++
    return Table(
        "A residual of the user's own, in Python",
        "parking-garage from the file: a plain NumPy function of all edges, differentiated by autograd, beside GTSAM's "
        "CustomFactor with Jacobians from its C++ functions; milliseconds to the same cost.",
        ["", "ms", "cost"],
        [
            ["ours, a family with autograd", 1e3 * seconds, found.cost],
            ["GTSAM, CustomFactor", 1e3 * slow, theirs.cost(optimizer.values())],
            ["ratio", slow / seconds, None],
        ],
    )


# ----------------------------------------------------------------------------------------------------------- SciPy
def beside_scipy() -> Table:
    """The chordal objective from the chordal start, by SciPy's trust region with a sparse Jacobian."""
    from scipy.optimize import least_squares

    rows = []
    for name in FILES:
        graph = read_g2o(Path(DATA or "") / "g2o" / f"{name}.g2o.xz")
        start = initial_poses(graph)
        M = graph.manifold
        small = fix(M, BlockObjective([pose_graph_block(graph)]), M.join(start), {"poses": graph.anchors})
        N, p0 = small.manifold, small.p0
        functions = bound_functions(N, small.objective, p0)

        def moved(x: Any, N: Any = N, p0: Any = p0) -> Any:
            return N.retract(p0, N.get_vector(p0, x))

        def residual(x: Any, f: Any = functions, moved: Any = moved) -> Any:
            return f.residual(moved(x))

        def jacobian(x: Any, f: Any = functions, moved: Any = moved) -> Any:
            return as_csr(f.jacobian(moved(x))[1])  # of the point reached; its chart differs in second order

        with contextlib.redirect_stdout(None):
            clock = CLOCK()
            theirs = least_squares(residual, np.zeros(N.dim), jac=jacobian, x_scale="jac", max_nfev=30, ftol=1e-6)
            slow = CLOCK() - clock
        result = solve_pose_graph(graph, init=start)
        quick = min(timed(lambda: solve_pose_graph(graph, init=start)) for _ in range(TURNS))  # noqa: B023
        same = target(float(theirs.cost))
        to_theirs = min(timed(lambda: solve_pose_graph(graph, init=start, stopping=same)) for _ in range(TURNS))  # noqa: B023
        row = [name, 1e3 * quick, 2.0 * result.cost, 1e3 * slow, 2.0 * theirs.cost, 1e3 * to_theirs, slow / to_theirs]
        rows.append(row)
    return Table(
        "Pose graphs beside SciPy",
        "Chordal objective from the chordal start: ours to convergence, SciPy's least_squares (trf, lsmr, sparse "
        "Jacobian) for up to 30 evaluations, at the end of which it has not converged, and ours to the F of SciPy; "
        "milliseconds, and the ratio of the last two.",
        ["", "ms, converged", "F", "ms SciPy", "F of SciPy", "ms to the F of SciPy", "ratio"],
        rows,
    )


def bound_functions(N: Any, objective: Any, p0: Any) -> Any:
    from manifold_opt import Problem
    from manifold_opt.objectives.evaluation import Counts

    return Problem(N, objective).functions(p0, Counts())


def as_csr(J: Any) -> Any:
    from scipy.sparse import csr_array

    rows, columns, values = [], [], []
    for part in J:
        n, m, k = part.blocks.shape
        here = part.columns >= 0
        r = part.row + np.arange(n * m).reshape(n, m, 1) + np.zeros((1, 1, k), int)
        c = part.indices[:, None, :] + np.zeros((1, m, 1), int)
        rows.append(r[here].reshape(-1))
        columns.append(c[here].reshape(-1))
        values.append(part.blocks[here].reshape(-1))
    triples = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return csr_array(triples, shape=J.shape)


# ---------------------------------------------------------------------------------------------------------- growth
def growth() -> Table:
    """Time and memory of spheres of 1, 4, 16 and 64 times as many poses."""
    rows = []
    for factor in (1, 2, 4, 8):
        side = 20 * factor
        answer = subprocess.run(
            [sys.executable, "-m", "benchmarks.pose_graphs", "growth", str(side)],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parent.parent,
        )
        n, m, init, solve, certify, megabytes, base = map(float, answer.stdout.split())
        rows.append([f"{factor**2}x", int(n), int(m), 1e3 * init, 1e3 * solve, 1e3 * certify, megabytes - base])
    n = np.log([row[1] for row in rows])
    slopes = [float(np.polyfit(n[1:], np.log([max(row[k], 1.0) for row in rows[1:]]), 1)[0]) for k in (3, 4, 5, 6)]
    rows.append(["exponent, from 4x on", None, None, *slopes])
    return Table(
        "Pose graphs as they grow",
        "Generated spheres of 400 to 25 600 poses with noise of 0.1 rad and 0.1 m, chordal objective: milliseconds of "
        "start, solver and certificate, MB beyond those of the imported package, and the exponent of a power law.",
        ["", "poses", "edges", "ms start", "ms solver", "ms certificate", "MB"],
        rows,
    )


def measure_growth(side: int) -> None:
    solve_pose_graph(sphere_graph(20, 20, rng=0), certify=True)  # loads what there is to load
    base = peak_memory()
    graph = sphere_graph(side, side, rotation_noise=0.1, translation_noise=0.1, rng=0)
    result = solve_pose_graph(graph, certify=True)
    assert result.converged
    s = result.seconds
    peak = peak_memory()
    print(graph.num_poses, graph.num_edges, s["init"], s["solve"], s["certify"], peak, base)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        for table in tables():
            print(table.markdown(), flush=True)
    elif sys.argv[1] == "growth":
        measure_growth(int(sys.argv[2]))
    else:
        measure_memory(sys.argv[1], Path(sys.argv[2]))

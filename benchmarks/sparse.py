"""The sparse engine, stage by stage: what each costs on real pose graphs, by which factorization, and how it grows."""

from __future__ import annotations

import gc
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from manifold_opt import BlockObjective, PowerManifold, Problem, ProductManifold, SpecialEuclidean, fix
from manifold_opt.datasets.g2o import read_g2o
from manifold_opt.functions import pose_between
from manifold_opt.linalg.factorizations import METHODS, factorization, is_installed
from manifold_opt.linalg.multifrontal import FrontTables
from manifold_opt.linalg.normal_matrix import NormalPattern, forget_patterns
from manifold_opt.linalg.sparse_solvers import SparseCholesky
from manifold_opt.solvers import levenberg_marquardt
from manifold_opt.stopping import StopAfterIteration, StopWhenCostLess

from .harness import Table, best_in_turns, peak_memory, peer

GRAPHS = ("sphere2500", "parking-garage")
# poses of the smallest generated graph, and how many times as many the others have
SIZE, GROWTH = 625, (1, 4, 16, 64)


def data() -> Path | None:
    folder = os.environ.get("MANIFOLD_OPT_DATA")
    return Path(folder) / "g2o" if folder else None


def pose_problem(edges: Any, measurements: Any, information: Any, poses: Any) -> Any:
    """The logarithmic objective with the first pose held: a reduction."""
    root = np.linalg.cholesky(information).transpose(0, 2, 1)
    block = pose_between(*np.asarray(edges).T, measurements, sqrt_information=root)
    M = ProductManifold(poses=PowerManifold(SpecialEuclidean(3), len(poses)))
    return fix(M, BlockObjective([block]), M.join(poses), {"poses": [0]})


@cache
def graph(name: str) -> Any:
    folder = data()
    if folder is None:
        return None
    g = read_g2o(folder / f"{name}.g2o.xz")
    return pose_problem(g.edges, g.measurements, g.information, g.poses)


def generated(n: int, seed: int = 0) -> Any:
    """A sphere of n poses in rings, each tied to the one before and the one below, as sphere2500."""
    rng = np.random.default_rng(seed)
    SE = SpecialEuclidean(3)
    ring = math.isqrt(n)
    i = np.arange(n)
    angle, height = 2.0 * np.pi * i / ring, np.linspace(-0.9, 0.9, n)
    radius = np.sqrt(1.0 - height**2)
    t = ring * np.stack([radius * np.cos(angle), radius * np.sin(angle), height], axis=1)
    truth = SE.join(np.broadcast_to(np.eye(3), (n, 3, 3)), t)
    edges = np.concatenate([np.stack([i[:-1], i[1:]], axis=1), np.stack([i[:-ring], i[ring:]], axis=1)])
    a, b = truth[edges[:, 0]], truth[edges[:, 1]]
    Z = SE.compose(SE.inverse(a), b)
    noise = SE.get_vector(Z, 0.02 * rng.standard_normal((len(Z), 6)))
    Z = SE.retract(Z, noise)
    start = SE.retract(truth, SE.get_vector(truth, 0.1 * rng.standard_normal((n, 6))))
    return pose_problem(edges, Z, np.broadcast_to(2500.0 * np.eye(6), (len(Z), 6, 6)), start)


def stages(problem: Any, method: str = "auto") -> dict[str, Callable[[], Any]]:
    """Each stage as a function of nothing."""
    functions = Problem(problem.manifold, problem.objective).functions(problem.p0, {})
    p = problem.p0
    J = functions.jacobian(p)[1]
    r = functions.residual(p)
    pattern = NormalPattern(J)
    factor = factorization(pattern, method)
    compiled = type(factor).__name__ == "CompiledFronts"
    values = pattern.values(J, compiled=compiled).copy()
    b = J.T @ r
    damping = 1e-6 * values[pattern.diagonal]
    factor.factor(values, damping)
    buffer = values.copy()
    M = problem.manifold
    step = 1e-3 * np.ones(M.dim)

    def gradient() -> Any:
        J._product = None
        return J.T @ r

    return {
        "residual": lambda: functions.residual(p),
        "Jacobian blocks": lambda: functions.jacobian(p),
        "gradient": gradient,
        "J'J": lambda: pattern.values(J, buffer, compiled=compiled),
        "factorization": lambda: factor.factor(values, damping),
        "solution": lambda: factor.solve(b),
        "retraction": lambda: M.retract(p, M.get_vector(p, step)),
        "pattern, once": lambda: NormalPattern(J),
        "order and fronts, once": lambda: FrontTables(pattern).fronts.updates,
    }


def floors() -> Table:
    """The stages of one iteration."""
    found: dict[str, dict[str, float]] = {}
    sizes = []
    for name in GRAPHS:
        problem = graph(name)
        if problem is None:
            continue
        found[name] = best_in_turns(stages(problem), seconds=4.0)
        J = Problem(problem.manifold, problem.objective).evaluate(problem.p0).jacobian
        fronts = FrontTables(NormalPattern(J)).fronts
        sizes.append(
            f"{name}: {J.shape[0]} residuals, {J.shape[1]} coordinates, {len(fronts.p)} fronts, "
            f"{fronts.entries / 1e6:.2f} million numbers in L, {fronts.operations / 1e6:.0f} million operations per "
            "factorization"
        )
    rows = [[stage, *(1e3 * times[stage] for times in found.values())] for stage in next(iter(found.values()), {})]
    note = f"Milliseconds, best of seven turns, with the factorization that is chosen here. {'; '.join(sizes)}."
    return Table("Pose graphs, stage by stage", note, ["stage", *found], rows)


def method_calls(problem: Any, names: list[str], target: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """One factorization with its solution, and a run to a cost, by each method."""
    J = Problem(problem.manifold, problem.objective).evaluate(problem.p0).jacobian
    pattern = NormalPattern(J)
    values, b = pattern.values(J), np.ones(problem.manifold.dim)
    damping = 1e-6 * values[pattern.diagonal]
    stop = StopAfterIteration(100) | StopWhenCostLess(target * (1.0 + 1e-6))
    calls, runs = {}, {}
    for method in names:
        f = factorization(pattern, method)
        f.factor(values, damping)
        calls[method] = lambda f=f: f.factor_and_solve(values, damping, b)
        runs[method] = lambda method=method: fresh_run(problem, stop, method)
    return calls, runs


def fresh_run(problem: Any, stopping: Any, method: str) -> Any:
    """A run that analyses the pattern by itself, as if it were the first one."""
    forget_patterns()
    return levenberg_marquardt(
        problem.manifold, problem.objective, problem.p0, stopping=stopping, linear_solver=SparseCholesky(method)
    )


def methods() -> Table:
    """Factorization and solution by each method, and whole runs beside GTSAM."""
    names = [name for name in METHODS if is_installed(name)]
    columns = ["method"]
    table: dict[str, list[Any]] = {name: [name] for name in names}
    peer_row: list[Any] = ["GTSAM's LM"]
    for name in GRAPHS:
        problem = graph(name)
        if problem is None:
            continue
        columns += [f"{name}: factor and solve, ms", "run, ms", "run / GTSAM's"]
        target, gtsam_run = gtsam(name)
        calls, runs = method_calls(problem, names, target)
        once = best_in_turns(calls, seconds=4.0, turns=5)
        if gtsam_run is not None:
            runs["gtsam"] = gtsam_run
        whole = best_in_turns(runs, seconds=1.0, turns=5)
        theirs = whole.get("gtsam", math.nan)
        for method in names:
            table[method] += [1e3 * once[method], 1e3 * whole[method], whole[method] / theirs]
        peer_row += [None, 1e3 * theirs, 1.0]
        gc.collect()
    rows = [*table.values(), *([peer_row] if len(peer_row) > 1 else [])]
    note = """
Start: the file's vertices, the first pose held. A run ends at the cost that GTSAM's Levenberg-Marquardt ends with, to
1e-6, and includes the analysis of the pattern; ratios below 1 are in our favour. "compiled" is what the extra `sparse`
brings, after what it compiles is there; "numpy" is what there is without it.
"""
    return Table("Factorizations by name", note, columns, rows)


def gtsam(name: str) -> tuple[float, Callable[[], Any] | None]:
    """The cost that GTSAM ends with, and its run; without it the cost of our own."""
    module, folder = peer("gtsam"), data()
    if module is None or folder is None:
        problem = graph(name)
        return levenberg_marquardt(problem.manifold, problem.objective, problem.p0).cost, None
    import lzma
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / f"{name}.g2o"
        path.write_bytes(lzma.decompress((folder / f"{name}.g2o.xz").read_bytes()))
        factors, initial = module.readG2o(str(path), True)
    key = initial.keys()[0]
    full = module.NonlinearFactorGraph(factors)
    prior = module.noiseModel.Diagonal.Variances(np.full(6, 1e-6))
    full.add(module.PriorFactorPose3(key, initial.atPose3(key), prior))
    parameters = module.LevenbergMarquardtParams()
    run = lambda: module.LevenbergMarquardtOptimizer(full, initial, parameters).optimize()
    return float(factors.error(run())), run


def covariances() -> Table:
    """All blocks on the diagonal of the covariance."""
    rows = []
    for name in GRAPHS:
        problem = graph(name)
        if problem is None:
            continue
        result = levenberg_marquardt(problem.manifold, problem.objective, problem.p0)
        _ = result.statistics().covariance_blocks("poses")
        start = time.perf_counter()
        blocks = result.statistics().covariance_blocks("poses")
        seconds = time.perf_counter() - start
        rows.append([name, len(blocks), 1e3 * seconds, 1e3 * marginals(name, len(blocks))])
    note = """
Milliseconds for `result.statistics().covariance_blocks("poses")`, with everything that belongs to it: one
factorization to look for undetermined directions, another one, and selected inversion. GTSAM's `Marginals` at the
start, 200 marginals and the rest by extrapolation.
"""
    return Table("Covariances of all poses", note, ["graph", "poses", "ours", "GTSAM"], rows)


def marginals(name: str, n: int) -> float:
    module, folder = peer("gtsam"), data()
    if module is None or folder is None:
        return math.nan
    import lzma
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / f"{name}.g2o"
        path.write_bytes(lzma.decompress((folder / f"{name}.g2o.xz").read_bytes()))
        factors, initial = module.readG2o(str(path), True)
    keys = list(initial.keys())
    prior = module.noiseModel.Diagonal.Variances(np.full(6, 1e-6))
    factors.add(module.PriorFactorPose3(keys[0], initial.atPose3(keys[0]), prior))
    start = time.perf_counter()
    found = module.Marginals(factors, initial)
    built = time.perf_counter() - start
    for key in keys[:200]:
        found.marginalCovariance(key)
    return built + (time.perf_counter() - start - built) / 200 * n


def growth() -> Table:
    """Time and memory of whole runs on graphs of growing size, each in a process of its own."""
    rows = []
    for factor in GROWTH:
        n = SIZE * factor
        code = f"from benchmarks.sparse import one_size; print(*one_size({n}))"
        answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        rows.append([n, *map(float, answer.stdout.split())])
    logs = np.log(np.maximum(np.array(rows, dtype=float), 1e-3))
    exponents = [float(np.polyfit(logs[1:, 0], column[1:], 1)[0]) for column in logs.T[1:]]
    exponents[3] = math.nan  # of iterations
    rows.append(["exponent", *exponents])
    note = """
A sphere of poses, generated, from a disturbed start: seconds and megabytes. The analysis is what is done once (pattern,
order, fronts), an iteration what is repeated; memory is what the process needs at most beyond what it has after its
imports and a small run. The exponent is that of the number of poses, fitted without the smallest graph.
"""
    columns = ["poses", "analysis, s", "iteration, s", "whole run, s", "iterations", "memory, MB"]
    return Table("Growth", note, columns, rows)


def one_size(n: int) -> tuple[float, ...]:
    """Figures of one size."""
    small = generated(100)
    levenberg_marquardt(small.manifold, small.objective, small.p0, linear_solver=SparseCholesky(best_method()))
    before = peak_memory()
    problem = generated(n)
    start = time.perf_counter()
    result = levenberg_marquardt(
        problem.manifold, problem.objective, problem.p0, linear_solver=SparseCholesky(best_method())
    )
    seconds = time.perf_counter() - start
    memory = peak_memory() - before
    J = result.state.evaluation.jacobian
    start = time.perf_counter()
    _ = FrontTables(NormalPattern(J)).fronts.updates
    analysis = time.perf_counter() - start
    iteration = (seconds - analysis) / max(result.iterations, 1)
    return analysis, iteration, seconds, result.iterations, memory


def best_method() -> str:
    return "compiled" if is_installed("compiled") else "numpy"


def tables() -> Iterator[Table]:
    if data() is not None:
        yield floors()
        yield methods()
        yield covariances()
    yield growth()


__all__ = ["GRAPHS", "generated", "graph", "stages", "tables"]

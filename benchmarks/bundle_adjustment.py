"""Bundle adjustment side by side with Ceres: the same BAL files, from the same start to the same cost."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from manifold_opt import Problem, bundle_adjust
from manifold_opt.datasets import bundle_scene, write_bal
from manifold_opt.linalg.schur import SchurComplement

from .harness import Table, best_in_turns

SOURCE = Path(__file__).parent / "bundle_adjustment_ceres.cc"
THREADS = 2
# relative distance from the least cost that either package finds
CLOSE = 1e-5
SCENES = (
    ("16 cameras, 2 000 points, 8 000 observations", (16, 2000, 8000, "ring"), 30),
    ("49 cameras, 7 776 points, 31 843 observations", (49, 7776, 31843, "street"), 5),
    ("200 cameras, 40 000 points, 200 000 observations", (200, 40000, 200000, "street"), 1),
)


def compiled(folder: Path) -> Path | None:
    """The program of Ceres, compiled, or None where a compiler or the library is missing."""
    if shutil.which("g++") is None:
        return None
    program = folder / "ceres"
    include = ["-I/usr/include/eigen3"] if Path("/usr/include/eigen3").is_dir() else []
    command = ["g++", "-O3", "-march=native", *include, str(SOURCE), "-o", str(program)]
    done = subprocess.run([*command, "-lceres", "-lglog", "-fopenmp"], capture_output=True, text=True)
    return program if done.returncode == 0 else None


def by_ceres(program: Path, path: Path, solver: str, runs: int) -> dict[str, Any]:
    """What Ceres reports: costs with the seconds since it was called."""
    command = [str(program), str(path), str(THREADS), solver, "100", "1e-7", str(runs)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(THREADS), "OPENBLAS_NUM_THREADS": str(THREADS)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    return dict(json.loads(done.stdout))


OURS = """
import json, sys, time
from benchmarks.harness import peak_memory
from manifold_opt import bundle_adjust
from manifold_opt.datasets import read_bal
problem, best = read_bal(sys.argv[1]), None
for _ in range(int(sys.argv[2])):
    costs = []
    start = time.perf_counter()
    note = lambda _, state: costs.append((state.evaluation.cost, time.perf_counter() - start)) and None
    result = bundle_adjust(problem, tolerance=1e-9, callback=note)
    if best is None or costs[-1][1] < best[-1][1]:
        best = costs
megabytes = peak_memory()
print(json.dumps({"costs": best, "iterations": result.iterations, "megabytes": megabytes, "final_cost": result.cost}))
"""


def by_us(path: Path, runs: int) -> dict[str, Any]:
    """The same for `bundle_adjust`, in a process of its own."""
    command = [sys.executable, "-c", OURS, str(path), str(runs)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def seconds_to(costs: list[tuple[float, float]], target: float) -> float:
    """When a run first was at a cost of at most this."""
    return next((t for cost, t in costs if cost <= target), math.nan)


def tables() -> Iterator[Table]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program = compiled(folder)
        rows = []
        for title, (cameras, points, observations, layout), runs in SCENES:
            path = folder / "problem.txt"
            write_bal(path, bundle_scene(cameras, points, observations, layout=layout, rng=1).problem)
            ours = by_us(path, runs + 2)
            dense, sparse = (
                by_ceres(program, path, kind, runs) if program and (kind == "sparse" or cameras < 100) else None
                for kind in ("dense", "sparse")
            )
            peers = [run for run in (dense, sparse) if run is not None]
            target = (1.0 + CLOSE) * min(run["final_cost"] for run in (ours, *peers))
            mine = seconds_to(ours["costs"], target)
            theirs = min((seconds_to(run["costs"], target) for run in peers), default=math.nan)
            peer = min(peers, key=lambda run: seconds_to(run["costs"], target)) if peers else {}
            rows.append(
                [
                    title,
                    ours["iterations"],
                    1e3 * mine,
                    peer.get("iterations"),
                    1e3 * theirs,
                    mine / theirs,
                    ours["megabytes"],
                    peer.get("megabytes"),
                ]
            )
    yield Table(
        "Bundle adjustment",
        "Made-up scenes of `datasets.bundle_scene` with half a pixel of noise, each camera with its own f, k1 and k2, "
        f"as BAL files; milliseconds from the same start to a cost within {CLOSE:g} of the least that either finds "
        f"({'Ceres 2.1, the better of DENSE_SCHUR and SPARSE_SCHUR, ' if rows[0][3] else 'Ceres is not installed, '}"
        f"{THREADS} threads, derivatives by its automatic differentiation; ours: one thread, analytic derivatives, the "
        "analysis of the pattern and all of Python included). Iterations are those to convergence, memory is the peak "
        "of each process, of which Python with NumPy and SciPy is about 70 MB.",
        ["", "iterations", "ms", "iterations of Ceres", "ms of Ceres", "ours / Ceres", "MB", "MB of Ceres"],
        rows,
    )
    yield stages()


def stages() -> Table:
    """Where an iteration spends its time."""
    problem = bundle_scene(rng=1).problem
    M, at = problem.manifold, Problem(problem.manifold, problem.objective())
    e = at.evaluate(problem.start)
    J, r = e.jacobian, e.residuals
    solver = SchurComplement().bind()
    solver.factor(J)
    scale = solver.column_norms()
    damping = iter(1e-3 * (1.0 + 1e-3 * np.arange(10**6)))
    system = solver._system
    solver.solve(r, 1e-3, scale)
    families, diagonal = solver._families, 1e-3 * scale[solver.elimination.kept] ** 2
    s = solver.solve(r, 1e-3, scale)[0]
    X = M.get_vector(problem.start, s)
    calls = {
        "residuals": lambda: at.evaluate(problem.start).residuals,
        "derivatives": lambda: at.evaluate(problem.start).jacobian,
        "gradient J'r": lambda: J.T @ r.copy(),  # the product with the same array would be remembered
        "sums of squares E'E and F'F": lambda: solver.factor(J),
        "elimination, reduced matrix and step": lambda: solver.solve(r, float(next(damping)), scale),
        "of which products of pairs, summed": lambda: system.blocks.values(families),
        "of which the reduced matrix, with these, and its factor": lambda: system.factor(families, diagonal, 7776),
        "moving the point": lambda: M.retract(problem.start, X),
    }
    ms = {name: 1e3 * t for name, t in best_in_turns(calls, seconds=3.0).items()}
    start = time.perf_counter()
    fresh = SchurComplement().bind()
    fresh.factor(J)
    fresh.solve(r, 1e-3, scale)
    first = 1e3 * (time.perf_counter() - start)
    result = bundle_adjust(problem)
    whole = 1e3 * result.time / result.iterations
    rows: list[list[Any]] = [[name, value] for name, value in ms.items()]
    rows.append(["a first step, with the analysis of the pattern", first])
    rows.append(["a whole run, per iteration", whole])
    return Table(
        "Bundle adjustment by stages",
        "49 cameras, 7 776 points, 31 843 observations; milliseconds for each time that a stage is done, once an "
        "iteration where the step is taken.",
        ["", "ms"],
        rows,
    )

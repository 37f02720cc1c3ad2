"""Timing in turns, and tables of the results."""

from __future__ import annotations

import gc
import importlib
import math
import platform
import resource
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass
class Table:
    """Results of one comparison.

    Attributes
    ----------
    title : str
    note : str
        What was measured, and how to read it.
    columns : list of str
    rows : list of list
        Strings or numbers; NaN and None print as a dash.
    """

    title: str
    note: str
    columns: list[str]
    rows: list[list[Any]]

    def markdown(self) -> str:
        lines = [f"## {self.title}", "", self.note.strip(), "", "| " + " | ".join(self.columns) + " |"]
        lines.append("| " + " | ".join("---" if i == 0 else "---:" for i in range(len(self.columns))) + " |")
        lines += ["| " + " | ".join(map(shown, row)) + " |" for row in self.rows]
        return "\n".join([*lines, ""])


def shown(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return str(value)


def best_in_turns(functions: dict[str, Callable[[], Any]], seconds: float = 0.5, turns: int = 7) -> dict[str, float]:
    """Seconds per call of each function: the best of several turns, in which all take part."""
    numbers = {name: _number(f, seconds / turns / len(functions)) for name, f in functions.items()}
    best = dict.fromkeys(functions, math.inf)
    gc.collect()
    gc.freeze()  # collections in here look at nothing that other benchmarks left behind
    for _ in range(turns):
        for name, f in functions.items():
            start = time.perf_counter()
            for _ in range(numbers[name]):
                f()
            best[name] = min(best[name], (time.perf_counter() - start) / numbers[name])
    gc.unfreeze()
    return best


def _number(f: Callable[[], Any], seconds: float) -> int:
    f()
    start = time.perf_counter()
    f()
    return max(1, int(seconds / max(time.perf_counter() - start, 1e-7)))


def peer(name: str) -> Any:
    """A peer's module, or None where it is not installed or does not import."""
    if name.startswith("geomstats"):
        # geomstats 2.8.0 imports a name that NumPy 2.4 has dropped
        if not hasattr(np, "trapz"):
            vars(np)["trapz"] = vars(np)["trapezoid"]
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


_VERSIONS = tuple("numpy scipy autograd pymanopt geomstats lmfit pyceres gtsam numba cvxopt rslab qdldl".split())


def versions(names: Iterable[str] = _VERSIONS) -> str:
    """Interpreter and packages in use."""
    from importlib.metadata import PackageNotFoundError, version

    found = []
    for name in names:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return f"Python {platform.python_version()}, " + ", ".join(found)


def peak_memory() -> float:
    """Most megabytes that this process had; what its parent had does not count, where the system can tell."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return float(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

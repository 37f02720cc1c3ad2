"""SciPy's LAPACK wrappers, loaded at the first use: importing scipy.linalg takes longer than all else."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    from scipy.linalg import lapack

    routine = getattr(lapack, name)
    globals()[name] = routine
    return routine

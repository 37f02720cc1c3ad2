"""Which variables of a large problem the residuals leave undetermined, and what to fix."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .variables import Factor

# components of null directions below this part of the largest are rounding
_SEEN = 1e-6
# a variable can take a direction up where its part of it is at least this part of the largest part
_FIRM = 1e-3


@dataclass(frozen=True, eq=False)
class Undetermined:
    """Directions of the tangent space along which no residual changes, shared by some variables.

    Attributes
    ----------
    directions : int
        How many; one more where ``complete`` is False.
    variables : dict of str to array of int or None
        Names of factors that they move, with the numbers of the copies of a power.
    fix : dict of str to list of int or True
        What to hold fixed so that all others are determined: an argument of `fix`.
    basis : array of shape (directions, dim)
        Orthonormal.
    complete : bool
        Whether all directions were found.
    """

    directions: int
    variables: dict[str, Any]
    fix: dict[str, Any]
    basis: Any = field(repr=False)
    complete: bool = True

    def __str__(self) -> str:
        names = ", ".join(n if copies is None else f"{n} {_ranges(copies)}" for n, copies in self.variables.items())
        number = sum(1 if copies is None else len(copies) for copies in self.variables.values())
        least = "" if self.complete else "at least "
        noun = "direction" if self.directions == 1 else "directions"
        shared = f"shared by {names}" if number > 1 else f"of {names}"
        what = f"{least}{self.directions} undetermined {noun} {shared}"
        return f"{what}: add residuals, or fix what fixed={self.fix} names"


def undetermined(basis: Any, factors: list[Factor], groups: Any, complete: bool = True) -> list[Undetermined]:
    """Null directions, one entry for each set of variables that residuals connect.

    Parameters
    ----------
    basis : array of shape (r, dim)
        Orthonormal basis of all null directions.
    factors : list of Factor
    groups : array of int, shape (dim,)
        The same number for coordinates that are connected; negative for fixed ones.
    complete : bool
    """
    found = []
    moved = np.abs(basis).max(axis=0, initial=0.0) > _SEEN / np.sqrt(max(len(groups), 1))
    for group in np.unique(groups[moved & (groups >= 0)]).tolist():
        part = np.where(groups == group, basis, 0.0)
        _, w, V = np.linalg.svd(part, full_matrices=False)
        own = V[w > 1e-6]
        size = np.linalg.norm(own, axis=0)
        seen = size > _SEEN * size.max(initial=0.0)
        names: dict[str, Any] = {}
        for factor in factors:
            copies = np.flatnonzero(seen[factor.columns].any(axis=1))
            if len(copies):
                names[factor.name] = None if factor.copies is None else copies
        found.append(Undetermined(len(own), names, _to_fix(own, factors), own, complete))
    return found


def _to_fix(basis: Any, factors: list[Factor]) -> dict[str, Any]:
    """Few variables without which the basis has no direction left: each time the one that takes up most."""
    fix: dict[str, Any] = {}
    rest = basis
    while len(rest):
        best: tuple[int, float, Factor, int] | None = None
        for factor in factors:
            blocks = rest[:, factor.columns].transpose(1, 0, 2)  # (copies, directions, width)
            w = np.linalg.svd(blocks, compute_uv=False)
            top = w.max(initial=0.0)
            if not top > 0.0:
                continue
            ranks = np.count_nonzero(w > _FIRM * top, axis=1)
            # the first of those that take up most: pose 0 rather than any other
            copy = int(np.argmax(ranks))
            firm = float(w[copy, ranks[copy] - 1]) / top if ranks[copy] else 0.0
            if ranks[copy] and (best is None or (int(ranks[copy]), firm) > best[:2]):
                best = int(ranks[copy]), firm, factor, copy
        if best is None:
            break
        _, _, factor, copy = best
        if factor.copies is None:
            fix[factor.name] = True
        else:
            fix.setdefault(factor.name, []).append(copy)
        # what is left: combinations of the directions that do not move this variable
        block = rest[:, factor.columns[copy]]
        U, w, _ = np.linalg.svd(block, full_matrices=True)
        taken = int(np.count_nonzero(w > _FIRM * w.max(initial=0.0)))
        rest = U[:, taken:].T @ rest
    return fix


def _ranges(copies: Any) -> str:
    """0..4, 7, 9..12."""
    runs = np.split(copies, np.flatnonzero(np.diff(copies) > 1) + 1)
    texts = [f"{run[0]}..{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs]
    return ", ".join(texts[:6]) + (f", ... ({len(copies)} in all)" if len(texts) > 6 else "")
